package main

import (
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// Values of flags, which say in an error what would be right.

// logLevels are the levels of the log, from the one that says most.
var logLevels = []string{"debug", "info", "warn", "error"}

type levelValue struct{ slog.Level }

func (v *levelValue) Type() string   { return "level" }
func (v *levelValue) String() string { return strings.ToLower(v.Level.String()) }

func (v *levelValue) Set(s string) error {
	if !slices.Contains(logLevels, strings.ToLower(s)) {
		return errors.New("write debug, info, warn or error")
	}
	return v.UnmarshalText([]byte(s))
}

func completeLevels(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return logLevels, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// waitValue is a length of time; zero for one without an end.
type waitValue struct{ time.Duration }

func (v *waitValue) Type() string { return "duration" }

func (v *waitValue) String() string {
	if v.Duration == 0 {
		return ""
	}
	return v.Duration.String()
}

func (v *waitValue) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return errors.New("write a length such as 90s, 10m or 2h")
	}
	v.Duration = d
	return nil
}

// countValue is how many of something; zero for any number.
type countValue int

func (v *countValue) Type() string { return "int" }

func (v *countValue) String() string {
	if *v == 0 {
		return ""
	}
	return strconv.Itoa(int(*v))
}

func (v *countValue) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return errors.New("write a whole number, 1 or more")
	}
	*v = countValue(n)
	return nil
}
