package hl7

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// find feeds stream to a finder in windows that grow by step bytes, as a pump does, and returns
// the lengths of the blocks found and the error that ended it.
func find(stream []byte, step, max int) (lengths []int, err error) {
	var f Finder
	begin := 0
	for end := 0; end < len(stream); {
		end = min(end+step, len(stream))
		for begin < end {
			n, err := f.Next(bytes.Clone(stream[begin:end]), max)
			if err != nil {
				return lengths, err
			}
			if n == 0 {
				break
			}
			lengths = append(lengths, n)
			begin += n
		}
	}
	return lengths, nil
}

func TestBlocks(t *testing.T) {
	const max = 16
	for _, test := range []struct {
		name   string
		stream string
		want   []int
		code   reason.Code
		offset int
		detail string // how it begins
	}{
		{name: "one", stream: "\vabc\x1c\r", want: []int{6}},
		{name: "H1: FS and CR in different reads", stream: "\va\x1c\r", want: []int{4}},
		{name: "H2: several in one window", stream: "\vabc\x1c\r\vd\x1c\r\v\x1c\r", want: []int{6, 4, 3}},
		{name: "unfinished", stream: "\vabc\x1c"},
		{name: "H4: FS inside", stream: "\vab\x1cc\x1c\r", code: reason.HL7Framing, offset: 3,
			detail: "FS at 3 in a block: .. .. 1C ..;"},
		{name: "H4: FS FS CR", stream: "\vab\x1c\x1c\r", code: reason.HL7Framing, offset: 3,
			detail: "FS at 3 in a block: .. .. 1C 1C;"},
		{name: "H4: VT inside", stream: "\vabc\vd\x1c\r", code: reason.HL7Framing, offset: 4,
			detail: "VT at 4 in a block: .. .. .. 0B;"},
		{name: "H4: VT VT", stream: "\v\vd\x1c\r", code: reason.HL7Framing, offset: 1,
			detail: "VT at 1 in a block: 0B 0B;"},
		{name: "H4: VT before a wrong FS", stream: "\va\vd\x1cx\r", code: reason.HL7Framing, offset: 2,
			detail: "VT at 2"},
		{name: "not a block", stream: "abc", code: reason.HL7Framing,
			detail: "no block begins here but ..;"},
		{name: "control byte", stream: "\x16\x03\x01", code: reason.HL7Framing,
			detail: "no block begins here but 16;"},
		{name: "H16: as large as allowed", stream: "\v" + strings.Repeat("x", max-3) + "\x1c\r", want: []int{max}},
		{name: "H16: one byte more", stream: "\v" + strings.Repeat("x", max-2) + "\x1c\r", code: reason.HL7TooLong, offset: max},
		{name: "H16: without end", stream: "\v" + strings.Repeat("x", 3*max), code: reason.HL7TooLong, offset: max},
		{name: "H16: VT behind the cap", stream: "\v" + strings.Repeat("x", 2*max) + "\v", code: reason.HL7TooLong, offset: max},
		{name: "H16: wrong FS at the cap", stream: "\v" + strings.Repeat("x", max-2) + "\x1cx", code: reason.HL7TooLong, offset: max},
		{name: "second is bad", stream: "\va\x1c\r\vb\v", want: []int{4}, code: reason.HL7Framing, offset: 2, detail: "VT at 2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for step := 1; step <= len(test.stream); step++ { // G1
				got, err := find([]byte(test.stream), step, max)
				if !equal(got, test.want) {
					t.Fatalf("step %d: blocks %v, want %v", step, got, test.want)
				}
				if test.code == "" {
					if err != nil {
						t.Fatalf("step %d: %v", step, err)
					}
					continue
				}
				var m *protocols.Malformed
				if !errors.As(err, &m) {
					t.Fatalf("step %d: error %v, want a Malformed", step, err)
				}
				if m.Reason != test.code || m.Offset != test.offset || !strings.HasPrefix(m.Detail, test.detail) {
					t.Fatalf("step %d: %v, want %s at %d: %s…", step, m, test.code, test.offset, test.detail)
				}
			}
		})
	}
}

func equal(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestFramingErrorsShowNoText(t *testing.T) { // H4
	for _, stream := range []string{"\vDoe\x1cJane\x1c\r", "\vDoe\vJane\x1c\r", "Doe^Jane"} {
		_, err := find([]byte(stream), len(stream), 100)
		if err == nil || strings.Contains(err.Error(), "Doe") || strings.Contains(err.Error(), "Jane") {
			t.Errorf("%q: %v", stream, err)
		}
		var m *protocols.Malformed
		if errors.As(err, &m) {
			var l protocols.Label
			if l.Set(m.Detail); strings.Contains(l.String(), "?") {
				t.Errorf("%q does not fit a label: %s", m.Detail, l)
			}
		}
	}
}

// A block that arrives byte by byte must be scanned once, not once for each byte.
func TestFinderResumes(t *testing.T) { // H1 H16
	stream := AppendBlock(nil, bytes.Repeat([]byte{'x'}, 1000))
	var f Finder
	for end := 1; end < len(stream); end++ {
		win := bytes.Clone(stream[:end])
		for i := 1; i < end-2; i++ {
			win[i] = startBlock // would fail, if it were looked at again
		}
		if n, err := f.Next(win, 0); n != 0 || err != nil {
			t.Fatalf("at %d: %d, %v", end, n, err)
		}
	}
}

func TestAppendBlockIsWhatFinderFinds(t *testing.T) {
	block := AppendBlock(nil, []byte("MSH"))
	n, err := new(Finder).Next(block, 0)
	if err != nil || n != len(block) || string(Content(block)) != "MSH" {
		t.Fatalf("%d, %v", n, err)
	}
}
