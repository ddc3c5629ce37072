package demo

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cordon/gateway/audit"
	"cordon/protocols/reason"
)

// stage sets up the embedded servers without tunnels, and devices that reach them directly.
func stage(t *testing.T) *Stage {
	t.Helper()
	if err := checkAddresses(); err != nil {
		t.Skip("LEFT OUT: " + err.Error())
	}
	s, err := newServers(t.TempDir(), pacsAE)
	if err != nil {
		t.Fatal(err)
	}
	var l [2]net.Listener
	for i := range l {
		if l[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(s.serve(l[0], l[1]))
	return &Stage{DICOM: l[0].Addr().String(), HL7: l[1].Addr().String(), Called: pacsAE, servers: s,
		study: NewStudy("seed", noon, 4), desk: NewDesk("ANALYZER7", "LAB", "seed", noon)}
}

func TestWhatIsAllowedWorksWithoutAGateway(t *testing.T) {
	st := stage(t)
	for _, err := range st.Play(t.Context(), scenes(4)) {
		t.Error(err)
	}
	for dir, want := range map[string]int{st.servers.folder.Dir: 4, st.servers.inbox: 2} {
		if files, _ := os.ReadDir(dir); len(files) != want {
			t.Errorf("%d files in %s, not %d", len(files), filepath.Base(dir), want)
		}
	}
}

// Each kind of expectation that does not hold is named.
func TestUnmetExpectationsAreNamed(t *testing.T) {
	st := stage(t)
	rows := func(r ...row) *heard {
		h := &heard{rows: make(chan row, 10)}
		for _, r := range r {
			h.rows <- r
		}
		return h
	}
	good := row{device: "analyzer-7", unit: "ORU^R01", verdict: "allow", would: "allow"}
	refused := row{device: "analyzer-7", unit: "ADT^A04", verdict: "refuse", would: "refuse", code: string(reason.HL7MessageType)}
	result := Scene{Device: "analyzer-7", Title: "sends", do: send((*Desk).Glucose), Sees: "AA", Reaches: 1, Unit: "ORU^R01", Verdict: "allow"}
	shadowed := row{device: "analyzer-7", unit: "ORU^R30", verdict: "allow", would: "refuse", code: string(reason.HL7Trigger)}
	change := func(f func(*Scene)) Scene { s := result; f(&s); return s }
	for name, c := range map[string]struct {
		scene Scene
		heard *heard
		want  string // "" when all holds
	}{
		"all holds":         {result, rows(good), ""},
		"others' records":   {result, rows(row{device: "ct-3", verdict: "refuse", would: "refuse", code: "x"}, good), ""},
		"another answer":    {change(func(s *Scene) { s.Sees = "AR 200" }), rows(good), `sees "AA", not "AR 200"`},
		"it arrived":        {change(func(s *Scene) { s.Reaches = 0 }), rows(good), "received 1 objects or messages, not 0"},
		"too little came":   {change(func(s *Scene) { s.Reaches = 2 }), rows(good, good), "received 1 objects or messages, not 2"},
		"refused instead":   {result, rows(refused), "audit: ADT^A04 is refused with hl7.message-type"},
		"other reason":      {change(func(s *Scene) { s.Verdict, s.Reasons = "refuse", []reason.Code{reason.HL7Trigger} }), rows(refused), "refused with hl7.message-type"},
		"the right refusal": {change(func(s *Scene) { s.Verdict, s.Reasons = "refuse", []reason.Code{reason.HL7MessageType} }), rows(refused), ""},
		"the shadow of one": {change(func(s *Scene) { s.Reasons = []reason.Code{reason.HL7Trigger} }), rows(shadowed), ""},
		"something changed": {change(func(s *Scene) {
			s.do = func(a *actor) (string, error) {
				sees, err := send((*Desk).Glucose)(a)
				a.sent[0][0]++
				return sees, err
			}
		}), rows(good), "differs from what was sent"},
	} {
		t.Run(name, func(t *testing.T) {
			st.heard = c.heard
			failed := errors.Join(st.Play(t.Context(), []Scene{c.scene})...)
			switch {
			case c.want == "" && failed != nil:
				t.Error(failed)
			case c.want != "" && (failed == nil || !strings.Contains(failed.Error(), c.want)):
				t.Errorf("got %v, not %q", failed, c.want)
			}
		})
	}
}

func TestRecordThatNeverComesIsMissed(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h := &heard{rows: make(chan row)}
	s := Scene{Device: "ct-3", Verdict: "refuse", Reasons: []reason.Code{reason.DICOMCalledAE}}
	if err := h.expect(ctx, &s); err == nil || !strings.Contains(err.Error(), "no record says refuse because of dicom.called-ae") {
		t.Errorf("got %v", err)
	}
}

func TestScenesAreAboutTheCast(t *testing.T) {
	for _, s := range scenes(images) {
		if _, ok := cast[s.Device]; !ok {
			t.Errorf("%s is not in the cast", s.Device)
		}
		if s.Verdict == "refuse" && len(s.Reasons) == 0 || s.Verdict == "refuse" && s.Reaches > 1 {
			t.Errorf("%s: a refusal has a reason and reaches nobody", s.Title)
		}
		for _, r := range s.Reasons {
			if !reason.Known(r) {
				t.Errorf("%s: %s is not a reason", s.Title, r)
			}
		}
	}
}

func TestGatewayThatDoesNotStartLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	broken := errors.New("port in use")
	err := Run(t.Context(), Options{Out: io.Discard, Once: true,
		Start: func(context.Context, string, func(audit.Record)) (func(), error) { return nil, broken }})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(os.TempDir()); len(left) != 0 {
		t.Errorf("%s is left", left[0].Name())
	}
}
