package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"cordon/gateway"
	"cordon/policy"
)

func newCheck(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Find mistakes in the configuration and policy, all at once",
		Long: `Read cordon.yaml, site.yaml, tiers/ and devices/ and report everything that is wrong in any
of them, each with file, line, column, the offending line and what would be right; then the
certificates and keys that they name. Nothing is changed and nothing is contacted. The exit code is 3 when there are errors; notes are no errors.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, diags := policy.Load(o.config)
			out := cmd.OutOrStdout()
			unusable := []string{}
			if p != nil {
				for _, err := range gateway.CheckTunnels(p) {
					unusable = append(unusable, strings.Split(err.Error(), "\n")...)
				}
			}
			ok := p != nil && len(unusable) == 0
			if o.json {
				if err := printJSON(out, map[string]any{"ok": ok, "diagnostics": diags, "certificates": unusable}); err != nil {
					return err
				}
			} else {
				fmt.Fprint(out, diags.String())
				for _, what := range unusable {
					fmt.Fprintf(out, "error: %s\n", what)
				}
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
