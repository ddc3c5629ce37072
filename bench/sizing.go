package bench

import (
	"fmt"
	"strings"
)

// Sizing is what a box needs for one purpose, computed from figures of the same run.
type Sizing struct {
	Need   string  `json:"need"`
	Cores  float64 `json:"cores"`
	Memory float64 `json:"memory_mib"`
	From   string  `json:"from"`
}

// need is a purpose, and the figures that its size follows from.
type need struct {
	name   string
	rate   float64 // a second, in the unit that cpu is counted for
	per    string  // that unit
	cpu    spot    // none: nothing moves
	memory spot
}

// spot is one measure at one point.
type spot struct {
	sweep   string
	at      int64
	measure string
}

const gib = 1 << 30

// needs are the rows of the sizing table. Objects are counted at 512 MiB, where what an object
// costs besides its bytes no longer shows, and in PDUs of 16 KiB, as most devices send them.
var needs = []need{
	{"an imaging modality at 1 Gbit/s", 1e9 / 8 / gib, "GiB", spot{bySize, 512 << 20, "cpu"}, spot{bySize, 512 << 20, "peak"}},
	{"an imaging modality at 10 Gbit/s", 1e10 / 8 / gib, "GiB", spot{bySize, 512 << 20, "cpu"}, spot{bySize, 512 << 20, "peak"}},
	{"a department: 2 TB a day in 10 h, evenly", 2e12 / 36000 / gib, "GiB", spot{bySize, 512 << 20, "cpu"}, spot{bySize, 512 << 20, "peak"}},
	{"1,000 HL7 messages/s on 32 connections", 1000, "message", spot{byConnections, 32, "cpu"}, spot{byConnections, 32, "peak"}},
	{"5,000 connections, idle", 0, "", spot{}, spot{byConnections, 5000, "resident"}},
	{"5,000 connections, a message from each in 5 s", 1000, "message", spot{byConnections, 5000, "cpu"}, spot{byConnections, 5000, "peak"}},
	{"10,000 devices, a message from each in 10 s, and reloads", 1000, "message", spot{byDevices, 10_000, "cpu"}, spot{byDevices, 10_000, "peak"}},
}

// sizing computes the table as far as its figures were measured.
func sizing(r *Report) (rows []Sizing) {
	for _, n := range needs {
		memory := r.spot(n.memory)
		if memory == nil {
			continue
		}
		row := Sizing{Need: n.name, Memory: memory.Fast, From: fmt.Sprintf("%s %s MiB", n.memory, significant(memory.Fast))}
		if n.cpu != (spot{}) {
			cpu := r.spot(n.cpu)
			if cpu == nil {
				continue
			}
			row.Cores = n.rate * cpu.Fast * seconds(cpu.Unit)
			row.From = fmt.Sprintf("%s %s/s × %s %s (%s); %s", significant(n.rate), plural(n.per), significant(cpu.Fast), cpu.Unit, n.cpu, row.From)
		}
		rows = append(rows, row)
	}
	return rows
}

// plural is a unit as one counts many of it.
func plural(unit string) string {
	if unit == "GiB" {
		return unit
	}
	return unit + "s"
}

// seconds are how many one of a unit of time is, such as of "µs/message".
func seconds(unit string) float64 {
	if strings.HasPrefix(unit, "µs/") {
		return 1e-6
	}
	return 1
}

func (f spot) String() string {
	label := grouped
	if f.sweep == bySize {
		label = byteSize
	}
	return fmt.Sprintf("%s %s, %s", f.sweep, label(f.at), f.measure)
}

// spot finds what was measured; nil where it was not.
func (r *Report) spot(f spot) *Measured {
	for _, s := range r.Sweeps {
		for _, p := range s.Points {
			if s.Name == f.sweep && p.At == f.at {
				return p.Measures[f.measure]
			}
		}
	}
	return nil
}

// sizingTable is the table for people, its head first.
func sizingTable(list []Sizing) (rows [][]string) {
	if len(list) == 0 {
		return nil
	}
	rows = append(rows, []string{"need", "cores", "memory MiB", "from"})
	for _, s := range list {
		cores := "-"
		if s.Cores > 0 {
			cores = significant(s.Cores)
		}
		rows = append(rows, []string{s.Need, cores, fmt.Sprintf("%.0f", s.Memory), s.From})
	}
	return rows
}

// grouped writes a number with its thousands apart.
func grouped(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// byteSize writes a number of bytes.
func byteSize(n int64) string {
	unit := 0
	for ; n >= 1024 && n%1024 == 0 && unit < 3; unit++ {
		n /= 1024
	}
	return fmt.Sprintf("%d %s", n, []string{"B", "KiB", "MiB", "GiB"}[unit])
}
