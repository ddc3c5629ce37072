package hl7

import (
	"fmt"
	"strings"
	"testing"

	"cordon/protocols"
	"cordon/protocols/reason"
)

const (
	near = protocols.Near
	far  = protocols.Far
)

// testRules refuses the types and breaches that it names, or would, in shadow.
type testRules struct {
	shadow   bool
	refused  map[string]reason.Code // by "ADT^A01"; "ACK" for acknowledgments
	tolerate Tolerance
	chosen   *Tolerance // in force once the first message chose the flow
}

func (r *testRules) decide(code reason.Code, v *protocols.Verdict) {
	v.Refuse(code, "test")
	if r.shadow {
		v.Action = protocols.Allow
	}
}

func (r *testRules) Message(m *Message, v *protocols.Verdict) {
	if r.chosen != nil {
		r.tolerate = *r.chosen
	}
	if code := r.refused[v.Unit.String()]; r.refused != nil && code != "" {
		r.decide(code, v)
	}
}

func (r *testRules) Acknowledgment(_ *Message, v *protocols.Verdict) {
	if code := r.refused["ACK"]; code != "" {
		r.decide(code, v)
	}
}

func (r *testRules) Breach(code reason.Code, v *protocols.Verdict) {
	r.decide(code, v)
}

func (r *testRules) Tolerance(protocols.Side) Tolerance { return r.tolerate }

func config() Config {
	serial := 0
	return Config{
		Now: func(dst []byte) []byte { return append(dst, "20260102030405"...) },
		NewControlID: func(dst []byte) []byte {
			serial++
			return fmt.Appendf(dst, "G%d", serial)
		},
	}
}

// msg makes a message without framing; asks is MSH-15 and MSH-16, "AL|NE".
func msg(kind, id, asks string) string {
	return `MSH|^~\&|LAB|HOSP|HIS|CLINIC|20260102||` + kind + `|` + id + `|P|2.5|||` + asks + "\rPID|1||123^^^Doe\r"
}

func ack(code, id string) string {
	return `MSH|^~\&|HIS|CLINIC|LAB|HOSP|20260102||ACK|A` + id + `|P|2.5` + "\rMSA|" + code + "|" + id + "\r"
}

// refusal is what a conversation under config makes for msg(kind, id, …).
func refusal(code, kind, id string, why reason.Code, serial int) string {
	var m Message
	if err := m.Parse([]byte(msg(kind, id, ""))); err != nil {
		panic(err)
	}
	a := Acknowledgment{Code: code, Reason: why, ControlID: fmt.Appendf(nil, "G%d", serial), Time: config().Now(nil)}
	return block(string(a.Append(nil, &m)))
}

func block(s string) string { return string(AppendBlock(nil, []byte(s))) }

func blocks(messages ...string) string {
	var b strings.Builder
	for _, m := range messages {
		b.WriteString(block(m))
	}
	return b.String()
}

func from(s protocols.Side, stream string) protocols.Chunk { return protocols.From(s, []byte(stream)) }

func told(k protocols.EventKind, s protocols.Side) protocols.Chunk {
	return protocols.Told(protocols.Event{Kind: k, Side: s, Reason: reason.UpstreamUnreachable})
}

func timeout(t protocols.Timer) protocols.Chunk {
	return protocols.Told(protocols.Event{Kind: protocols.Expired, Timer: t})
}

// say is a verdict in short: "near ORU^R01 allow", "far ACK AA refuse hl7.ack-mismatch". One that
// was not settled ends with "cut", one that shadow let pass names what would have been.
func say(v protocols.Verdict) string {
	s := v.From.String() + " " + v.Unit.String() + " " + v.Action.String()
	if v.Action != v.Would {
		s += " would " + v.Would.String()
	}
	if v.Reason != "" {
		s += " " + string(v.Reason)
	}
	if !v.Settled {
		s += " cut"
	}
	return s
}

// scene is a play and what must come of it, however its bytes are cut.
type scene struct {
	name     string
	rules    testRules
	cfg      Config
	chunks   []protocols.Chunk
	near     string // bytes toward near
	far      string
	verdicts []string
	ending   [2]protocols.Closing // near, far
	timer    protocols.Timer
	err      reason.Code
}

func (s *scene) run(t *testing.T) {
	t.Helper()
	longest := 1
	for _, c := range s.chunks {
		longest = max(longest, len(c.Bytes))
	}
	for n := 1; n <= longest; n++ { // G1
		s.play(t, n)
	}
}

func (s *scene) play(t *testing.T, cut int) {
	t.Helper()
	cfg := s.cfg
	if cfg.NewControlID == nil {
		made := config()
		cfg.Now, cfg.NewControlID = made.Now, made.NewControlID
	}
	rules := s.rules
	got := protocols.Play(New(cfg, &rules), protocols.Cut(cut, s.chunks...)...)
	if string(got.Toward[near]) != s.near {
		t.Fatalf("cut %d: toward near\n got %q\nwant %q", cut, got.Toward[near], s.near)
	}
	if string(got.Toward[far]) != s.far {
		t.Fatalf("cut %d: toward far\n got %q\nwant %q", cut, got.Toward[far], s.far)
	}
	var verdicts []string
	for _, v := range got.Verdicts {
		verdicts = append(verdicts, say(v))
		if strings.Contains(v.Unit.String()+v.Found.String(), "Doe") {
			t.Fatalf("cut %d: a verdict has patient data: %v", cut, v)
		}
	}
	if strings.Join(verdicts, "\n") != strings.Join(s.verdicts, "\n") {
		t.Fatalf("cut %d: verdicts\n%s\nwant\n%s", cut, strings.Join(verdicts, "\n"), strings.Join(s.verdicts, "\n"))
	}
	if got.Ending != s.ending {
		t.Fatalf("cut %d: ending %v, want %v", cut, got.Ending, s.ending)
	}
	if s.timer != protocols.NoTimer && got.Timer != s.timer {
		t.Fatalf("cut %d: timer %v, want %v", cut, got.Timer, s.timer)
	}
	if code := s.err; code == "" && got.Err != nil || code != "" && (got.Err == nil || protocols.ReasonOf(got.Err) != code) {
		t.Fatalf("cut %d: error %v, want %q", cut, got.Err, s.err)
	}
	if got.Err != nil && strings.Contains(got.Err.Error(), "Doe") {
		t.Fatalf("cut %d: the error has patient data: %v", cut, got.Err)
	}
}

func runAll(t *testing.T, scenes []scene) {
	for _, s := range scenes {
		t.Run(s.name, s.run)
	}
}

var (
	finFIN = [2]protocols.Closing{protocols.FIN, protocols.FIN}
	rstRST = [2]protocols.Closing{protocols.RST, protocols.RST}
	finRST = [2]protocols.Closing{protocols.FIN, protocols.RST}
	rstFIN = [2]protocols.Closing{protocols.RST, protocols.FIN}
)
