package policy

import (
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
