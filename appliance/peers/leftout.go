//go:build ignore

// Leftout reads the events of `go test -json` and prints what plain `go test` prints: a line per
// package, and the output of what failed. At the end it names every test that was skipped with
// its reason, so that a run that left something out cannot be mistaken for one that did not. Where
// CORDON_REQUIRE_PEERS is set, such a run fails. A script run by `make test`:
//
//	go test -json ./... | go run appliance/peers/leftout.go
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// event is a line of `go doc test2json`.
type event struct {
	Action, Package, ImportPath, Test, Output string
}

type test struct{ pkg, name string }

type report struct {
	output map[test][]string // of tests that have not ended yet
	why    []string          // what was left out, in order, with how many tests say so
	count  map[string]int
	failed bool
}

func main() {
	r := report{output: map[test][]string{}, count: map[string]int{}}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		var e event
		if json.Unmarshal(in.Bytes(), &e) != nil {
			fmt.Println(in.Text()) // of the go command itself, such as a download
			continue
		}
		r.take(e)
	}
	if err := in.Err(); err != nil {
		fmt.Fprintln(os.Stderr, "leftout:", err)
		os.Exit(1)
	}
	r.summary()
}

func (r *report) take(e event) {
	k := test{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Print(e.Output)
	case "output":
		if e.Test == "" {
			packageLine(e.Output)
		} else if !strings.HasPrefix(e.Output, "=== ") {
			r.output[k] = append(r.output[k], e.Output)
		}
	case "pass":
		delete(r.output, k)
	case "skip":
		if e.Test != "" {
			r.leave(k, reasonIn(r.output[k]))
		}
		delete(r.output, k)
	case "fail":
		r.failed = true
		if e.Test == "" {
			r.flush(e.Package) // a panic or a deadline ends tests without an event of their own
			return
		}
		fmt.Print(strings.Join(r.output[k], ""))
		delete(r.output, k)
	}
}

// packageLine prints what a package itself says, without the noise that only -json adds.
func packageLine(line string) {
	if line != "PASS\n" && !strings.HasPrefix(line, "=== ") {
		fmt.Print(line)
	}
}

func (r *report) flush(pkg string) {
	for k, lines := range r.output {
		if k.pkg == pkg {
			fmt.Print(strings.Join(lines, ""))
			delete(r.output, k)
		}
	}
}

// reasonIn returns what a skipped test said last, without "file_test.go:12:" before it.
func reasonIn(lines []string) string {
	for i := len(lines) - 1; i >= 0; i-- {
		line := strings.TrimSpace(lines[i])
		if line == "" || strings.HasPrefix(line, "--- SKIP") {
			continue
		}
		if _, said, ok := strings.Cut(line, "_test.go:"); ok {
			if _, text, ok := strings.Cut(said, ": "); ok {
				return text
			}
		}
		return line
	}
	return "no reason given"
}

func (r *report) leave(k test, reason string) {
	reason = strings.TrimPrefix(reason, "LEFT OUT: ")
	if reason == "no reason given" {
		reason += " (" + k.pkg + " " + k.name + ")"
	}
	if r.count[reason] == 0 {
		r.why = append(r.why, reason)
	}
	r.count[reason]++
}

func (r *report) summary() {
	if len(r.why) == 0 {
		if !r.failed {
			fmt.Println("\nNothing was left out.")
		}
		return
	}
	fmt.Println("\nLEFT OUT of this run (tests, why):")
	for _, w := range r.why {
		fmt.Printf("  %4d  %s\n", r.count[w], w)
	}
	fmt.Println("The peers come with `make peers`.")
	if os.Getenv("CORDON_REQUIRE_PEERS") != "" {
		fmt.Println("CORDON_REQUIRE_PEERS is set: nothing may be left out.")
		os.Exit(1)
	}
}
