package hl7

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"cordon/protocols"
)

// corpus returns the samples under a folder of the test data by path, or skips the test.
func corpus(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	root := os.Getenv("CORDON_TESTDATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "testdata")
	}
	files := map[string][]byte{}
	err := filepath.WalkDir(filepath.Join(root, filepath.FromSlash(folder)), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(root, path)
		files[filepath.ToSlash(rel)] = b
		return err
	})
	if err == nil && len(files) > 0 {
		return files
	}
	if os.Getenv("CORDON_REQUIRE_CORPUS") != "" {
		t.Fatalf("the corpus is required and %s is not there: %v", folder, err)
	}
	t.Skipf("LEFT OUT: %s, real HL7 v2 messages: no such folder under %s (set CORDON_TESTDATA)", folder, root)
	return nil
}

// wire turns a stored file into what a sender would put into a block: its line ends become CR,
// the end of the file included, and an end of block at its end goes.
func wire(file []byte) []byte {
	b := bytes.TrimSuffix(file, []byte{endBlock})
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\r"))
	return bytes.ReplaceAll(b, []byte("\n"), []byte("\r"))
}

// split cuts a file that holds several messages before each MSH, and leaves what has file or
// batch headers whole.
func split(file []byte) [][]byte {
	if !bytes.HasPrefix(file, []byte("MSH")) {
		return [][]byte{file}
	}
	var out [][]byte
	for {
		next := bytes.Index(file[1:], []byte("\rMSH|"))
		if next < 0 {
			return append(out, file)
		}
		out, file = append(out, file[:next+2]), file[next+2:]
	}
}

// outcome says what becomes of one message under strict rules that allow all types: "allow", or
// the reason and, for one that cannot be read, what was found.
func outcome(t *testing.T, message []byte) string {
	t.Helper()
	strict := testRules{tolerate: Tolerance{MaxMessage: 1 << 20}}
	var m Message
	chunks := []protocols.Chunk{protocols.From(near, AppendBlock(nil, message))}
	if m.Parse(message) == nil && m.AckCode != nil {
		// An answer needs a question.
		question := from(far, block(msg("QBP^Q22", string(m.AckedID), "")))
		chunks = []protocols.Chunk{question, chunks[0]}
	}
	got := protocols.Play(New(config(), &strict), chunks...)
	if got.Err != nil {
		detail := got.Err.(*protocols.Malformed).Detail
		detail, _, _ = strings.Cut(detail, ";")
		if len(got.Toward[near])+len(got.Toward[far]) > 0 {
			t.Errorf("bytes came from a message that cannot be read")
		}
		return string(protocols.ReasonOf(got.Err)) + ": " + detail
	}
	v := got.Verdicts[len(chunks)-1]
	if !v.Refused() {
		if !bytes.Equal(got.Toward[far], AppendBlock(nil, message)) {
			t.Errorf("an allowed message arrived otherwise")
		}
		return "allow"
	}
	if len(got.Toward[far]) > 0 {
		t.Errorf("bytes of a refused message passed")
	}
	if v.Settled {
		checkMadeReply(t, message, got.Toward[near])
	}
	return string(v.Reason)
}

// checkMadeReply reads an acknowledgment that was made for message.
func checkMadeReply(t *testing.T, message, reply []byte) {
	t.Helper()
	n, err := new(Finder).Next(reply, 0)
	if err != nil || n != len(reply) {
		t.Fatalf("a made acknowledgment is no block: %d of %d bytes, %v", n, len(reply), err)
	}
	var m, a Message
	if err := m.Parse(message); err != nil {
		t.Fatalf("a message that cannot be read was answered: %v", err)
	}
	if err := a.Parse(Content(reply)); err != nil {
		t.Fatalf("a made acknowledgment cannot be read: %v", err)
	}
	if !bytes.Equal(a.AckedID, m.ControlID) || !bytes.Equal(a.SendingApplication, m.ReceivingApplication) ||
		!bytes.Equal(a.ReceivingFacility, m.SendingFacility) || a.Batch || a.EndsWithLF {
		t.Fatalf("a made acknowledgment answers another message")
	}
}

func tally(t *testing.T, got map[string][]string, want map[string]int) {
	t.Helper()
	for what, files := range got {
		if want[what] != len(files) {
			sort.Strings(files)
			t.Errorf("%q: %d, want %d: %s", what, len(files), want[what], strings.Join(files[:min(len(files), 12)], " "))
		}
	}
	for what, n := range want {
		if got[what] == nil {
			t.Errorf("%q: none, want %d", what, n)
		}
	}
}

func TestCorpusPasses(t *testing.T) {
	got := map[string][]string{}
	for path, file := range corpus(t, "hl7v2") {
		for _, message := range split(wire(file)) {
			what := outcome(t, message)
			got[what] = append(got[what], path)
		}
	}
	tally(t, got, map[string]int{
		"allow": 887,
		// Files with FHS or BHS, and one that ends with a bare MSH.
		"hl7.batch": 9,
		// MSH-10 is empty.
		"hl7.header": 2,
		// Comments before MSH, and a file that begins with EVN.
		"hl7.header: found another segment or no HL7 at all": 2,
		// Mark of the editor that the samples were saved with; no receiver skips it by the standard.
		"hl7.header: found a UTF-8 byte order mark": 20,
		"hl7.header: found XML":                     4,
		"hl7.header: MSH-2 has 0 bytes":             2,
		"hl7.header: MSH-2 has 2 bytes":             3,
		// A backslash doubled as in source code.
		"hl7.header: a delimiter repeats": 2,
	})
}

// As the files are stored: LF and CR LF are refused unless tolerated (H6), and batches are (H13).
func TestCorpusAsStored(t *testing.T) {
	got := map[string][]string{}
	for path, file := range corpus(t, "hl7v2") {
		what := outcome(t, bytes.TrimSuffix(file, []byte{endBlock}))
		if i := strings.Index(what, ":"); i > 0 {
			what = what[:i]
		}
		got[what] = append(got[what], path)
	}
	tally(t, got, map[string]int{
		"allow":           199,
		"hl7.segment-end": 543,
		"hl7.batch":       18,
		"hl7.header":      32,
	})
}

func TestCorpusThatCrashedOthers(t *testing.T) {
	got := map[string][]string{}
	for _, folder := range []string{"hostile/nhapi-badinputs", "hostile/hapi-hl7v2"} {
		for path, file := range corpus(t, folder) {
			what := outcome(t, file)
			got[what] = append(got[what], path)
		}
	}
	tally(t, got, map[string]int{
		// Readable, but a message whose fields are odd; what it may do is for the rules.
		"allow":                         1,
		"hl7.segment-end":               1,
		"hl7.header: MSH-2 has 1 bytes": 6,
		"hl7.header: a delimiter is not a punctuation mark":  15,
		"hl7.header: found another segment or no HL7 at all": 2,
		"hl7.header: found an empty block":                   1,
		"hl7.header: found XML":                              1,
	})
}
