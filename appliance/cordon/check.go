package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"cordon/gateway"
	"cordon/policy"
)

func newCheck(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Find mistakes in the configuration and policy, all at once",
		Long: `Read cordon.yaml, site.yaml, tiers/ and devices/ and report everything that is wrong in any
of them, each with file, line, column, the offending line and what would be right; then the
certificates and keys that they name, as far as they are yours to read. Nothing is changed and nothing is contacted. The exit code is 3 when there are errors; notes are no errors.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, diags := policy.Load(o.config)
			out := cmd.OutOrStdout()
			if p != nil {
				diags = append(diags, gateway.CheckTunnels(p)...)
			}
			ok := p != nil && !diags.Failed()
			if o.json {
				if err := printJSON(out, map[string]any{"ok": ok, "diagnostics": diags}); err != nil {
					return err
				}
			} else {
				fmt.Fprint(out, diags.String())
			}
			if !ok {
				return failure{exitPolicy, fmt.Errorf("")}
			}
			if !o.json {
				fmt.Fprintf(out, "ok: policy %s, %s, %s, %s\n", p.Version,
					count(len(p.Devices), "device"), count(len(p.Flows), "flow"), count(len(p.Listeners), "listener"))
			}
			return nil
		},
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
