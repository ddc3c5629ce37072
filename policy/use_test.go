package policy

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/policy/usage"
	"cordon/protocols"
	"cordon/protocols/dicom"
	"cordon/protocols/reason"
)

// limited is ct1 with limits of the device and of its archive flow.
func limited(device, flow string) string {
	return strings.Replace(ct1, "move: {to: self}]}", "move: {to: self}], limits: {"+flow+"}}", 1) + "\nlimits: {" + device + "}"
}

// used is a store whose counters go by a clock that stands until it is moved.
func used(t *testing.T, devices ...string) (*Store, *time.Time) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	s := NewStore(site(t, devices...))
	s.Usage = usage.NewBook(func() time.Time { return now })
	return s, &now
}

// enterArchive asks for an association with the archive.
func enterArchive(t *testing.T, store *Store) (*Session, *protocols.Verdict) {
	s, v := connect(t, store, "imaging", "10.0.0.1"), new(protocols.Verdict)
	s.Associate(associate("PACS2", "CT1"), v)
	return s, v
}

// storeOf sends an object of a study from a side and settles it with so many bytes.
func storeOf(s *Session, study string, bytes int64) *protocols.Verdict {
	c, v := command(dicom.CStoreRQ, ctImage), new(protocols.Verdict)
	if s.Command(c, v); !v.Refused() {
		s.DataSet(c, &dicom.DataSet{StudyInstance: []byte(study), InstanceSafe: true, StudySafe: dicom.ValidUID([]byte(study)), SeriesSafe: true}, v)
	}
	v.Bytes, v.Settled = bytes, true
	s.Settle(v)
	if v.Action == protocols.Allow {
		answer := &dicom.Command{From: protocols.Far, Field: dicom.CStoreRSP, MessageID: c.MessageID, Abstract: ctImage, InstanceSafe: true}
		s.Command(answer, new(protocols.Verdict))
	}
	return v
}

func TestLimitsNameTheirPlace(t *testing.T) {
	for _, tt := range []struct {
		name, device, flow string
		want               expect
	}{
		{"of the device", "instances_per_association: 1", "", refused(reason.CapInstances).about("1 instances per association", ":8:37 limits.instances_per_association")},
		{"of the flow", "", "instances_per_day: 1", refused(reason.CapInstances).about("1 instances per day", " flows.archive.limits.instances_per_day")},
		{"per study", "instances_per_study: 1", "", refused(reason.CapInstances).about("1 instances per study", " limits.instances_per_study")},
		{"in bytes", "bytes_per_study: 1KiB", "", refused(reason.CapBytes).about("1KiB per study", " limits.bytes_per_study")},
		{"the stricter holds", "bytes_per_day: 1GiB", "bytes_per_day: 4KiB", refused(reason.CapBytes).about("4KiB per day", " flows.archive.limits.bytes_per_day")},
		{"zero is no limit", "instances_per_day: 0", "bytes_per_day: 0, outstanding: 0", allowed},
		{"the other limits do not hold", "instances_per_study: 9, sessions: 1, outstanding: 1", "bytes_per_day: 1MiB, associations_per_minute: 1", allowed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store, _ := used(t, limited(tt.device, tt.flow))
			s, _ := enterArchive(t, store)
			allowed.check(t, storeOf(s, "1.2", 5000))
			tt.want.check(t, storeOf(s, "1.2", 5000))
		})
	}
}

// Limits outlive sessions and reloads, and a reload that changes one is obeyed by the next object.
func TestUseOutlivesSessionsAndReloads(t *testing.T) {
	store, now := used(t, limited("instances_per_day: 2", ""))
	s, _ := enterArchive(t, store)
	allowed.check(t, storeOf(s, "1.2", 1))
	s.End()
	s, _ = enterArchive(t, store)
	allowed.check(t, storeOf(s, "1.2", 1))
	store.Swap(site(t, limited("instances_per_day: 2, sessions: 9", "")))
	refused(reason.CapInstances).check(t, storeOf(s, "1.2", 1))
	store.Swap(site(t, limited("instances_per_day: 3", "")))
	allowed.check(t, storeOf(s, "1.2", 1))
	refused(reason.CapInstances).check(t, storeOf(s, "1.2", 1))
	*now = now.Add(12 * time.Hour)
	allowed.check(t, storeOf(s, "1.2", 1))
}

// reason.SessionLimit and reason.CapRate are transient rejections of an association.
func TestAssociationsAreLimited(t *testing.T) {
	for _, tt := range []struct {
		limit string
		want  expect
		rj    reason.RJ
		after func(*Session, *time.Time)
	}{
		{"sessions: 1", refused(reason.SessionLimit).about("1 sessions", " limits.sessions"), reason.RJ{Result: 2, Source: 3, Reason: 2},
			func(first *Session, _ *time.Time) { first.End() }},
		{"associations_per_minute: 1", refused(reason.CapRate).about("1 associations per minute", " limits.associations_per_minute"), reason.RJ{Result: 2, Source: 3, Reason: 1},
			func(_ *Session, now *time.Time) { *now = now.Add(time.Minute) }},
	} {
		store, now := used(t, limited(tt.limit, ""))
		first, v := enterArchive(t, store)
		allowed.check(t, v)
		second, v := enterArchive(t, store)
		tt.want.check(t, v)
		if rj := reason.Lookup(v.Reason).RJ; rj != tt.rj {
			t.Errorf("%s: rejected with %+v, want %+v", tt.limit, rj, tt.rj)
		}
		second.End()
		tt.after(first, now)
		_, v = enterArchive(t, store)
		allowed.check(t, v)
	}
}

// What passes in shadow and would be refused is reported, and the counters stand where enforce
// would have left them.
func TestLimitsAreReportedInShadow(t *testing.T) {
	store, _ := used(t, strings.Replace(limited("instances_per_day: 1, sessions: 1", ""), "enforce", "shadow", 1))
	s, _ := enterArchive(t, store)
	allowed.check(t, storeOf(s, "1.2", 1))
	for range 3 {
		reported(reason.CapInstances).check(t, storeOf(s, "1.2", 1))
	}
	if n := store.Usage.Used("ct-1", usage.InstancesPerDay); n != 1 {
		t.Errorf("%d instances counted", n)
	}
	_, v := enterArchive(t, store)
	reported(reason.SessionLimit).check(t, v)
}

// What the rules refuse uses nothing up.
func TestRefusedObjectsAreNotCounted(t *testing.T) {
	store, _ := used(t, limited("instances_per_day: 1, instances_per_association: 1, instances_per_study: 1, outstanding: 1", ""))
	s, _ := enterArchive(t, store)
	for range 3 {
		v := new(protocols.Verdict)
		s.Command(command(dicom.CStoreRQ, mrImage), v)
		refused(reason.DICOMAbstractSyntax).check(t, v)
		refused(reason.DICOMUID).check(t, storeOf(s, "../x", 1))
	}
	allowed.check(t, storeOf(s, "1.2", 1))
	refused(reason.CapInstances).check(t, storeOf(s, "1.2", 1))
}

// reason.CapOutstanding: a device that does not wait for responses is held to a number of them.
func TestOutstandingOperationsAreLimited(t *testing.T) {
	store, _ := used(t, limited("outstanding: 2", ""))
	s, _ := enterArchive(t, store)
	echo := func(id uint16) *protocols.Verdict {
		c, v := command(dicom.CEchoRQ, verification), new(protocols.Verdict)
		c.MessageID = id
		s.Command(c, v)
		return v
	}
	allowed.check(t, echo(1))
	allowed.check(t, echo(2))
	refused(reason.CapOutstanding).about("2 outstanding operations", " limits.outstanding").check(t, echo(3))
	answer := &dicom.Command{From: protocols.Far, Field: dicom.CEchoRSP, MessageID: 1, Abstract: verification, InstanceSafe: true}
	s.Command(answer, new(protocols.Verdict))
	allowed.check(t, echo(3))
}

// outstanding is an association of ct-1 that has limits, in a mode.
type outstanding struct {
	t *testing.T
	s *Session
}

func newOutstanding(t *testing.T, mode, limits string) outstanding {
	store, _ := used(t, strings.Replace(limited(limits, ""), "mode: enforce", "mode: "+mode, 1))
	s, _ := enterArchive(t, store)
	return outstanding{t, s}
}

// asks sends the command set of a C-STORE.
func (o outstanding) asks(id uint16, class string) (*dicom.Command, *protocols.Verdict) {
	c, v := command(dicom.CStoreRQ, class), new(protocols.Verdict)
	c.MessageID = id
	o.s.Command(c, v)
	return c, v
}

// stores sends a C-STORE of a study; 0 is the ID of none that may be.
func (o outstanding) stores(id uint16, study string) *protocols.Verdict {
	c, v := o.asks(id, ctImage)
	if !v.Refused() {
		o.s.DataSet(c, &dicom.DataSet{StudyInstance: []byte(study), InstanceSafe: true, StudySafe: dicom.ValidUID([]byte(study)), SeriesSafe: true}, v)
	}
	return v
}

// answered gives the final response to it.
func (o outstanding) answered(id uint16, class string) {
	o.s.Command(&dicom.Command{From: protocols.Far, Field: dicom.CStoreRSP, MessageID: id, Abstract: class, InstanceSafe: true}, new(protocols.Verdict))
}

// room wants so many more requests to be within the limit.
func (o outstanding) room(when string, want int) {
	o.t.Helper()
	for i := range want + 1 {
		id := uint16(60000 + i)
		over := o.stores(id, "1.2").Reason == reason.CapOutstanding
		defer o.answered(id, ctImage)
		if over != (i == want) {
			o.t.Errorf("%s: of %d requests that should be within the limit, number %d: over it %t", when, want, i+1, over)
			return
		}
	}
}

// What would be refused is not outstanding, and neither its response nor one to nothing makes room
// for more.
func TestOutstandingInShadow(t *testing.T) {
	o := newOutstanding(t, "shadow", "outstanding: 3, instances_per_study: 9999")
	o.room("at first", 3)
	o.stores(1, "1.2")
	o.asks(2, mrImage)
	o.room("with one that is not allowed", 2)
	o.answered(2, mrImage)
	o.room("after its response", 2)
	o.stores(3, "../x")
	o.room("with one of a bad data set", 2)
	o.answered(3, ctImage)
	o.room("after its response", 2)
	o.stores(4, "1.2")
	o.stores(5, "1.2")
	reported(reason.CapOutstanding).check(t, o.stores(6, "1.2"))
	o.answered(6, ctImage)
	o.answered(7, ctImage) // that nobody asked for
	o.room("after responses to what was not counted", 0)
	o.answered(1, mrImage)
	o.answered(4, ctImage)
	o.room("after one to what was", 2)
	o.answered(5, ctImage)
	o.room("at last", 3)
}

// A Message ID in use is a breach, which passes in shadow: then each response ends one request.
func TestOutstandingWithOneMessageID(t *testing.T) {
	o := newOutstanding(t, "shadow", "outstanding: 2")
	o.stores(1, "1.2")
	v := new(protocols.Verdict)
	o.s.Breach(reason.DICOMCommandSet, v)
	c := command(dicom.CStoreRQ, ctImage)
	c.MessageID = 1
	o.s.Command(c, v)
	reported(reason.DICOMCommandSet).check(t, v)
	echo := command(dicom.CEchoRQ, verification)
	echo.MessageID = 1
	o.s.Command(echo, new(protocols.Verdict))
	o.room("with a store and an echo", 0)
	o.answered(1, ctImage)
	o.room("after the store", 1)
	o.s.Command(&dicom.Command{From: protocols.Far, Field: dicom.CEchoRSP, MessageID: 1, Abstract: verification, InstanceSafe: true}, new(protocols.Verdict))
	o.room("after the echo", 2)
	o.answered(1, ctImage)
	o.room("after the one that was not counted", 2)
}

// The account holds for as many as may be outstanding.
func TestManyOutstanding(t *testing.T) {
	for _, mode := range []string{"enforce", "shadow"} {
		o := newOutstanding(t, mode, "outstanding: 500")
		for id := range uint16(498) {
			o.stores(id, "1.2")
			if mode == "shadow" {
				o.asks(1000+id, mrImage)
			}
		}
		o.room("with 498", 2)
		for id := range uint16(498) {
			o.answered(1000+id, mrImage)
		}
		o.room("after what was not counted", 2)
		for id := range uint16(100) {
			o.answered(id, ctImage)
		}
		o.room("after the first 100", 102)
		for id := uint16(497); id >= 100; id-- {
			o.answered(id, ctImage)
		}
		o.room("after the others", 500)
	}
}

// What is remembered is bounded, also without a conversation that is.
func TestOutstandingIsBounded(t *testing.T) {
	o := newOutstanding(t, "enforce", "outstanding: 0")
	for id := range uint16(3 * maxPending) {
		o.asks(id, ctImage)
	}
	if n := len(o.s.pending); n != maxPending {
		t.Errorf("%d requests are remembered", n)
	}
}

// A request that is refused for its data set, or for what turns out when it is sent anew, is not
// outstanding. Storage commitment names a renamed server here, in more than may be held.
func TestRefusedLateIsNotOutstanding(t *testing.T) {
	const push = "1.2.840.10008.1.20.1"
	item := slices.Concat(element(0x00081150, "UI", []byte(ctImage)), element(0x00081155, "UI", []byte("1.2.3")))
	item = slices.Concat([]byte{0xFE, 0xFF, 0x00, 0xE0, byte(len(item)), byte(len(item) >> 8), 0, 0}, item)
	items := bytes.Repeat(item, 3<<19/len(item))
	n := len(items)
	set := slices.Concat(element(0x00080054, "AE", []byte("PACS")), element(0x00081195, "UI", []byte("1.2.3")),
		[]byte{0x08, 0, 0x99, 0x11, 'S', 'Q', 0, 0, byte(n), byte(n >> 8), byte(n >> 16), 0}, items)
	for mode, want := range map[string]expect{"enforce": refused(reason.CapHold), "shadow": reported(reason.CapHold)} {
		t.Run(mode, func(t *testing.T) {
			p, diags := loadSite(t, map[string]string{
				"cordon.yaml": reverseBox,
				"site.yaml":   `upstreams: {pacs: {ae: PACS2, address: "pacs.example:2762", tunnel: mtls, was: {ae: PACS}}}`,
				"devices/all.yaml": "device: ct-1\nmode: " + mode + "\nidentify: {ip: 10.0.0.1}\nae: {titles: [CT1]}\n" +
					"limits: {outstanding: 1}\nflows: {x: {to: pacs, allow: [echo, commit]}}",
			})
			if p == nil {
				t.Fatal(diags)
			}
			action, echo := command(dicom.NActionRQ, push), command(dicom.CEchoRQ, verification)
			action.TypeID, action.MessageID, echo.MessageID, echo.SOPInstance = 1, 1, 2, nil
			s := connect(t, NewStore(p), p.Listeners[0].Name, "10.0.0.1")
			talk := newTalk(nil, push, verification).says(protocols.Near, action, set).says(protocols.Near, echo, nil)
			played := protocols.Play(dicom.New(dicom.Config{}, s), talk.chunks...)
			if played.Err != nil || len(played.Verdicts) != 3 {
				t.Fatal(played.Err, len(played.Verdicts))
			}
			want.check(t, &played.Verdicts[1])
			allowed.check(t, &played.Verdicts[2])
		})
	}
}
