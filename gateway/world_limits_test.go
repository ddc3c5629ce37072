package gateway

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cordon/protocols/dicom/endpoint"
	"cordon/protocols/reason"
)

// limitedWorld is the ordinary site with limits of the CT, and a function that moves the clock
// that they go by.
func limitedWorld(t *testing.T, mode, limits string) (w *world, move func(time.Duration)) {
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	var moved atomic.Int64
	now := func() time.Time { return began.Add(time.Duration(moved.Load())) }
	w = newWorldAt(t, now, nil, map[string]string{
		"devices/ct-1.yaml":       strings.Replace(worldCT, "enforce", mode, 1) + "limits: {" + limits + "}\n",
		"devices/analyzer-1.yaml": "device: analyzer-1\nstate: retired\n",
	})
	return w, func(by time.Duration) { moved.Add(int64(by)) }
}

// storeNumber stores an object of a study with so many bytes of pixel data.
func storeNumber(t *testing.T, a *endpoint.Association, n int, study string, pixels int) uint16 {
	t.Helper()
	instance := fmt.Sprint("1.2.3.", n)
	return store(t, a, ctImage, instance, image(ctImage, instance, study, "Doe^Jane", pixels))
}

// reason.CapRate: a device that connects too often is asked to try again later, and then may.
func TestAssociationsPerMinuteAreATransientRejection(t *testing.T) {
	w, move := limitedWorld(t, "enforce", "associations_per_minute: 2")
	for range 2 {
		mustAssociate(t, w, ctImage).Release()
	}
	_, err := w.associate("PACS", "CT1", ctImage)
	var rj *endpoint.Rejected
	if want := (reason.RJ{Result: 2, Source: 3, Reason: 1}); !errors.As(err, &rj) || rj.RJ != want {
		t.Errorf("the third got %v, want a rejection %+v", err, want)
	}
	w.heard(`"unit":"A-ASSOCIATE-RQ"`, `"verdict":"refuse"`, string(reason.CapRate), "limits.associations_per_minute")
	move(time.Minute)
	mustAssociate(t, w, ctImage).Release()
}

// reason.CapInstances: the object that is one too many is answered, nothing of it arrives, and the
// association goes on; another one may store again.
func TestInstancesPerAssociationAreRefusedOneByOne(t *testing.T) {
	w, _ := limitedWorld(t, "enforce", "instances_per_association: 3")
	for round := range 2 {
		a := mustAssociate(t, w, verification, ctImage)
		for n, want := range []uint16{0, 0, 0, 0xA700, 0xA700} {
			if status := storeNumber(t, a, 10*round+n, "1.2.3", 300_000); status != want {
				t.Errorf("object %d got %04X, want %04X", n+1, status, want)
			}
		}
		if status, err := a.Echo(); err != nil || status != 0 {
			t.Errorf("C-ECHO after that: %04X %v", status, err)
		}
		a.Release()
	}
	w.heard(`"unit":"C-STORE-RQ"`, `"verdict":"refuse"`, string(reason.CapInstances), "limits.instances_per_association")
	if got := w.pacs.received(); len(got) != 6 {
		t.Errorf("%d objects arrived, want 6", len(got))
	}
}

func TestInstancesPerStudyLeaveOtherStudiesAlone(t *testing.T) {
	w, _ := limitedWorld(t, "enforce", "instances_per_study: 1")
	for _, c := range []struct {
		study string
		want  uint16
	}{{"1.2.3", 0}, {"1.2.3", 0xA700}, {"1.2.4", 0}} {
		a := mustAssociate(t, w, ctImage)
		if status := storeNumber(t, a, len(w.pacs.received()), c.study, 100); status != c.want {
			t.Errorf("study %s: %04X, want %04X", c.study, status, c.want)
		}
		a.Release()
	}
}

// reason.CapBytes: what is used today stands in status and metrics, and is forgotten at midnight.
func TestBytesPerDayEndAtMidnight(t *testing.T) {
	w, move := limitedWorld(t, "enforce", "bytes_per_day: 500KiB, sessions: 4")
	a := mustAssociate(t, w, ctImage)
	for n, want := range []uint16{0, 0, 0xA700} { // the second begins while there are bytes left
		if status := storeNumber(t, a, n, "1.2.3", 300_000); status != want {
			t.Errorf("object %d got %04X, want %04X", n+1, status, want)
		}
	}
	w.heard(`"verdict":"refuse"`, string(reason.CapBytes), "limits.bytes_per_day")
	limits := w.gw.Status().Limits
	i := slices.IndexFunc(limits, func(l LimitStatus) bool { return l.Limit == "bytes_per_day" })
	if i < 0 || limits[i].Device != "ct-1" || limits[i].Most != 500<<10 || limits[i].Used < 600_000 || limits[i].Used > 610_000 {
		t.Errorf("status says %+v", limits)
	}
	if i := slices.Index(limits, LimitStatus{"ct-1", "", "sessions", 4, 1, "1 of 4 sessions"}); i < 0 {
		t.Errorf("status says %+v, want one session of four", limits)
	}
	families, err := w.gw.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, f := range families {
		if name := f.GetName(); name == "cordon_limit" || name == "cordon_limit_used" {
			shown += len(f.Metric)
		}
	}
	if shown != 4 {
		t.Errorf("%d metrics of two limits, want 4", shown)
	}
	move(12 * time.Hour)
	if status := storeNumber(t, a, 3, "1.2.3", 300_000); status != 0 {
		t.Errorf("after midnight: %04X", status)
	}
	a.Release()
}

// An object that is cut short will come again: its bytes are counted, and no instance.
func TestCutObjectIsNoInstanceOfTheDay(t *testing.T) {
	w, _ := limitedWorld(t, "enforce", "instances_per_day: 1, bytes_per_day: 1GiB")
	c := w.dial(w.dicom)
	a, err := endpoint.Associate(c, endpoint.Request{Called: "PACS", Calling: "CT1",
		Contexts: []endpoint.Context{{Abstract: ctImage, Transfer: []string{explicitVRLittle}}}})
	if err != nil {
		t.Fatal(err)
	}
	ds := image(ctImage, "1.2.3.1", "1.2.3", "Doe^Jane", 2_000_000)
	if _, err := a.Store(ctImage, "1.2.3.1", explicitVRLittle, strings.NewReader(ds[:1_000_000]), int64(len(ds))); err == nil {
		t.Fatal("half an object was stored")
	}
	c.Close()
	w.heard(`"unit":"C-STORE-RQ"`, `"cut":true`)
	again := mustAssociate(t, w, ctImage)
	for n, want := range []uint16{0, 0xA700} {
		if status := storeNumber(t, again, n, "1.2.3", 100); status != want {
			t.Errorf("object %d got %04X, want %04X", n+1, status, want)
		}
	}
	again.Release()
	for _, l := range w.gw.Status().Limits {
		if l.Limit == "bytes_per_day" && l.Used < 500_000 {
			t.Errorf("%d bytes counted", l.Used)
		}
	}
}

// In shadow nothing is refused, and what would be is reported.
func TestLimitsAreOnlyReportedInShadow(t *testing.T) {
	w, _ := limitedWorld(t, "shadow", "instances_per_association: 1, associations_per_minute: 1")
	for range 2 {
		a := mustAssociate(t, w, ctImage)
		for n := range 2 {
			if status := storeNumber(t, a, n, "1.2.3", 100); status != 0 {
				t.Errorf("status %04X", status)
			}
		}
		a.Release()
	}
	for _, code := range []reason.Code{reason.CapInstances, reason.CapRate} {
		w.heard(`"verdict":"allow"`, `"would":"refuse"`, string(code))
	}
}

// reason.SessionLimit: a connection beyond the device's limit is a refusal of its flow, with the
// number and its place, and no session of status.
func TestSessionLimitNamesItsRule(t *testing.T) {
	w, _ := limitedWorld(t, "enforce", "sessions: 2")
	for range 2 {
		mustAssociate(t, w, ctImage)
	}
	_, err := w.associate("PACS", "CT1", ctImage)
	var rj *endpoint.Rejected
	if want := (reason.RJ{Result: 2, Source: 3, Reason: 2}); !errors.As(err, &rj) || rj.RJ != want {
		t.Errorf("the third got %v, want a rejection %+v", err, want)
	}
	const rule = "devices/ct-1.yaml:7:20 limits.sessions"
	w.heard(string(reason.SessionLimit), `"device":"ct-1"`, `"flow":"archive"`, `"rule":"`+rule+`"`, `"found":"2 sessions"`)
	w.dial(w.dicom)
	eventually(t, "three connections", func() bool { return w.gw.Status().Connections == 3 })
	st := w.gw.Status()
	if st.Sessions != 2 {
		t.Errorf("status has %d sessions, want the two that go on", st.Sessions)
	}
	for _, f := range st.Flows {
		if f.Flow == "" {
			t.Errorf("counted under no flow: %+v", f)
		}
	}
	f := w.flowStatus("ct-1", "archive")
	if f.State != FlowRefusing || f.Sessions != 2 || f.Refused != 1 || !strings.Contains(f.Do, "it is 2 sessions") || !strings.Contains(f.Do, rule) {
		t.Errorf("status says %+v", f)
	}
	e, err := w.gw.Explain(string(reason.SessionLimit))
	if err != nil || len(e.Recent) != 1 || e.Recent[0].Session == "" || !strings.HasPrefix(e.Remedy[0], "ct-1/archive: ") || !strings.Contains(e.Remedy[0], rule) {
		t.Errorf("explained as %+v, %v", e, err)
	}
}

// Where nothing sets the limit, the default is named, also of connections for which there is no room
// to refuse them in words.
func TestSessionLimitSaysThatItIsTheDefault(t *testing.T) {
	w := newWorld(t, nil)
	const open, most = 90, 64
	w.flood(open, "127.0.0.1", w.hl7, nil).await(t, open-most)
	refused, unread := 0, 0
	for _, r := range w.gw.audit.Recent(1000) {
		if r.Reason != reason.SessionLimit {
			continue
		}
		if r.Device != "analyzer-1" || r.Flow != "results" || r.Found.String() != "64 sessions, the default" || r.Rule != "built-in limits.sessions" {
			t.Errorf("recorded %+v", r)
		}
		if r.Session != "" {
			refused++
		} else {
			unread++
		}
	}
	if refused == 0 || unread == 0 || refused+unread > open-most {
		t.Errorf("%d refused, %d closed unread", refused, unread)
	}
	if st := w.gw.Status(); st.Sessions != 0 || st.Unknown[0].Reason != reason.SessionLimit || !strings.Contains(st.Unknown[0].Do, "64 sessions, the default") {
		t.Errorf("status says %+v", st)
	}
}

// A device in shadow is held to its limit of connections too, whatever they say.
func TestUnreadableConnectionBeyondTheLimitDoesNotPass(t *testing.T) {
	w, _ := limitedWorld(t, "shadow", "sessions: 1")
	mustAssociate(t, w, ctImage)
	c := w.dial(w.dicom)
	fmt.Fprint(c, "garbage that would pass in shadow")
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Logf("it ended with %v", err)
	}
	w.heard(`"verdict":"refuse"`, `"device":"ct-1"`, string(reason.DICOMNotDICOM))
	if text := w.sink.String(); strings.Contains(text, string(reason.SessionOpaque)) {
		t.Errorf("it went on without inspection:\n%s", text)
	}
}
