package audit

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// line is a record as a reader in another language would declare it.
type line struct {
	V         int       `json:"v"`
	Seq       uint64    `json:"seq"`
	Time      time.Time `json:"time"`
	Session   string    `json:"session"`
	Device    string    `json:"device"`
	Flow      string    `json:"flow"`
	Peer      string    `json:"peer"`
	Direction string    `json:"direction"`
	Unit      string    `json:"unit"`
	Mode      string    `json:"mode"`
	Verdict   string    `json:"verdict"`
	Would     string    `json:"would"`
	Reason    string    `json:"reason"`
	Rule      string    `json:"rule"`
	Policy    string    `json:"policy"`
	Bytes     int64     `json:"bytes"`
	Found     string    `json:"found"`
	Cut       bool      `json:"cut"`
	Gap       uint64    `json:"gap"`
	Since     time.Time `json:"since"`
}

func parse(t testing.TB, b []byte) (l line) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		t.Fatalf("%q: %v", b, err)
	}
	return l
}

func example() Record {
	var v protocols.Verdict
	v.Reset(protocols.Near)
	v.Unit.Set("C-STORE-RQ")
	v.Found.Set("MR Image Storage")
	v.Bytes, v.Settled = 212, true
	v.Refuse(reason.DICOMSOPClass, "tiers/imaging-xp.yaml:14:9 flows.archive.allow")
	r := Of(&v, false)
	r.Session, r.Device, r.Flow, r.Peer, r.Mode, r.Policy = "7f3a", "ct-3", "archive", "10.20.3.15:1042", "enforce", "9c1e"
	return r
}

func TestRecordAsWritten(t *testing.T) {
	r := example()
	r.Seq, r.Time = 41, time.Date(2026, 3, 2, 9, 15, 0, 123456, time.FixedZone("", 3600))
	want := `{"v":1,"seq":41,"time":"2026-03-02T08:15:00.000123Z","session":"7f3a","device":"ct-3","flow":"archive",` +
		`"peer":"10.20.3.15:1042","mode":"enforce","policy":"9c1e","direction":"to-server","unit":"C-STORE-RQ","verdict":"refuse",` +
		`"reason":"dicom.sop-class","rule":"tiers/imaging-xp.yaml:14:9 flows.archive.allow","bytes":212,"found":"MR Image Storage"}`
	if got := string(r.AppendJSON(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if b, err := json.Marshal(r); err != nil || string(b) != want {
		t.Errorf("encoding/json makes %s, %v", b, err)
	}
	r.Encode()
	if got := string(r.AppendJSON(nil)); got != want {
		t.Errorf("with an encoded source %s", got)
	}
	r.Verdict, r.Cut = protocols.Allow, true
	if got := parse(t, r.AppendJSON(nil)); got.Verdict != "allow" || got.Would != "refuse" || !got.Cut {
		t.Errorf("got %+v", got)
	}
}

func TestRecordIsReadBack(t *testing.T) {
	r := example()
	r.Seq, r.Time, r.Cut = 41, time.Date(2026, 3, 2, 8, 15, 0, 123456000, time.UTC), true
	for _, would := range []protocols.Action{protocols.Allow, protocols.Refuse, protocols.Rewrite} {
		r.Would = would
		var got Record
		if err := json.Unmarshal(r.AppendJSON(nil), &got); err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%+v came back as %+v, %v", r, got, err)
		}
	}
	var got Record
	if err := json.Unmarshal([]byte(`{"seq":1,"verdict":"maybe"}`), &got); err == nil {
		t.Error("a verdict that does not exist was read")
	}
}

// The text of a second is kept for the next record; it must not outlive the second.
func TestTimesAreWrittenAsTheyAre(t *testing.T) {
	var s stamp
	start := time.Date(2026, 2, 28, 23, 59, 58, 999_999_999, time.UTC)
	for _, d := range []time.Duration{0, 1, time.Millisecond, time.Second, -time.Second, 24 * time.Hour, -50 * 365 * 24 * time.Hour} {
		at := start.Add(d)
		if got, want := string(s.append(nil, at)), at.Format("2006-01-02T15:04:05.000000Z07:00"); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}

func TestDirectionIsByTheEndsPeopleKnow(t *testing.T) {
	for _, tc := range []struct {
		from       protocols.Side
		fromServer bool
		want       Direction
	}{
		{protocols.Near, false, ToServer}, {protocols.Far, false, ToDevice},
		{protocols.Near, true, ToDevice}, {protocols.Far, true, ToServer},
	} {
		if got := Of(&protocols.Verdict{From: tc.from}, tc.fromServer).Direction; got != tc.want {
			t.Errorf("from %v, fromServer %v: %s", tc.from, tc.fromServer, got)
		}
	}
}

// hostile are texts that break encoders, terminals and log readers.
var hostile = []string{
	"", `"`, `\`, `\"`, "a\nb\r\tc", "\x00", "\x1b[2J\x1b]0;owned\a", "\x7f", "\u0080\u009b31m",
	"\u202egnp.exe", "\u2028\u2029", "\ufeff", "Röntgen 3", "検査", "\U0001f600", "\U000e0001", "\ufffd",
	"\xff", "\xc3", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xffb", `{"gap":9}`, "</script>",
	strings.Repeat("\x01", 1000), strings.Repeat("é", 500),
}

func TestHostileTextIsEscaped(t *testing.T) {
	for _, s := range hostile {
		checkText(t, s)
	}
}

func FuzzEscape(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkText(t, s) })
}

// checkText holds our encoder against encoding/json: the same text comes back, on one line that
// prints nothing a terminal acts upon.
func checkText(t *testing.T, s string) {
	t.Helper()
	r := Record{Source: Source{Session: s, Peer: s}, Rule: s}
	out := r.AppendJSON(nil)
	var viaStd string
	std, _ := json.Marshal(s)
	if err := json.Unmarshal(std, &viaStd); err != nil {
		t.Fatal(err)
	}
	if got := parse(t, out); got.Session != viaStd || got.Rule != viaStd || got.Peer != viaStd {
		t.Errorf("%q came back as %q, by encoding/json as %q", s, got.Session, viaStd)
	}
	if !utf8.Valid(out) {
		t.Errorf("%q is not UTF-8", out)
	}
	for _, c := range string(out) {
		if !unicode.IsPrint(c) {
			t.Errorf("%q holds %U", out, c)
		}
	}
}

func TestEveryFieldIsWritten(t *testing.T) {
	r := example()
	r.Seq, r.Time, r.Would, r.Cut = 1, time.Now(), protocols.Allow, true
	v := reflect.ValueOf(r)
	for _, f := range reflect.VisibleFields(v.Type()) {
		if name := f.Name; f.Anonymous || !f.IsExported() {
			continue
		} else if v.FieldByIndex(f.Index).IsZero() && name != "Would" {
			t.Errorf("the example has no %s", name)
		} else if key := `"` + strings.ToLower(name) + `":`; !bytes.Contains(r.AppendJSON(nil), []byte(key)) {
			t.Errorf("%s is not written", name)
		}
	}
}
