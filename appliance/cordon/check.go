package main

import (
	"errors"
	"fmt"
	"io/fs"

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
			var unread, unusable []string
			if p != nil {
				unread, unusable = apart(gateway.CheckTunnels(p))
			}
			ok := p != nil && len(unusable) == 0
			if o.json {
				if err := printJSON(out, map[string]any{"ok": ok, "diagnostics": diags, "certificates": append([]string{}, unusable...), "unread": append([]string{}, unread...)}); err != nil {
					return err
				}
			} else {
				fmt.Fprint(out, diags.String())
				for _, what := range unread {
					fmt.Fprintf(out, "note: %s: not yours to read, so nothing is known of it\n", what)
				}
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

// apart tells what is wrong with certificates and keys from what could not be read: who keeps the
// policies need not have the keys.
func apart(problems []error) (unread, unusable []string) {
	for _, err := range problems {
		if errors.Is(err, fs.ErrPermission) {
			unread = append(unread, err.Error())
		} else {
			unusable = append(unusable, err.Error())
		}
	}
	return unread, unusable
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
