package policy

import (
	"strings"
	"testing"

	"cordon/protocols"
	"cordon/protocols/dicom"
	"cordon/protocols/reason"
)

const (
	filmSession = "1.2.840.10008.5.1.1.1"
	printMetaBW = "1.2.840.10008.5.1.1.9"
	printerUID  = "1.2.840.10008.5.1.1.16"
	upsPush     = "1.2.840.10008.5.1.4.34.6.1"
	upsWatch    = "1.2.840.10008.5.1.4.34.6.2"
	available   = "1.2.840.10008.5.1.4.33"
	studyGet    = "1.2.840.10008.5.1.4.1.2.2.3"
	mppsNotify  = "1.2.840.10008.3.1.2.3.5"
	mppsRead    = "1.2.840.10008.3.1.2.3.4"
	mppsStep    = "1.2.840.10008.3.1.2.3.3"
)

// allowing is a session of a device whose only flow allows this, in enforce.
func allowing(t testing.TB, allow string) *Session {
	t.Helper()
	device := "device: d\nmode: enforce\nidentify: {ip: 10.0.0.1}\nae: {titles: [CT1]}\nflows: {x: {to: pacs, allow: [" + allow + "]}}"
	return begun(t, NewStore(site(t, device)), "10.0.0.1", "PACS2", "CT1")
}

// sent is a request from a side, with an action or event type.
func sent(from protocols.Side, field uint16, class string, kind uint16) *dicom.Command {
	c := command(field, class)
	c.From, c.TypeID = from, kind
	return c
}

// TestServices covers what each verb allows and, beside it, what it does not (D19, D20).
func TestServices(t *testing.T) {
	const near, far = protocols.Near, protocols.Far
	within := func(c *dicom.Command) *dicom.Command { c.Within, c.WithinID = dicom.CGetRQ, 7; return c }
	about := func(c *dicom.Command, class string) *dicom.Command { c.SOPClass = []byte(class); return c }
	const general = `normalized: {class: Instance Availability Notification, operations: N-CREATE},
		normalized: {class: [Unified Procedure Step - Push, "1.2.840.10008.5.1.4.34.6.2"], instances: Unified Procedure Step - Push, operations: [N-ACTION, N-GET, N-EVENT-REPORT], actions: [3, 4], events: 1}`
	for _, tt := range []struct {
		name, allow string
		c           *dicom.Command
		want        expect
	}{
		{"D20: commitment is asked for", "commit", sent(near, dicom.NActionRQ, commitPush, 1), allowed},
		{"D20: commitment is reported on the same association", "commit", sent(far, dicom.NEventRQ, commitPush, 1), allowed},
		{"D20: so are failures", "commit", sent(far, dicom.NEventRQ, commitPush, 2), allowed},
		{"another action", "commit", sent(near, dicom.NActionRQ, commitPush, 2), refused(reason.DICOMAction).about("Storage Commitment Push Model SOP Class, type 2", "x.allow[0]")},
		{"another event", "commit", sent(far, dicom.NEventRQ, commitPush, 3), refused(reason.DICOMEvent).about("Storage Commitment Push Model SOP Class, type 3", "x.allow[0]")},
		{"the server asks the device for commitment", "commit", sent(far, dicom.NActionRQ, commitPush, 1), refused(reason.DICOMCommand)},
		{"the device reports commitment", "commit", sent(near, dicom.NEventRQ, commitPush, 1), refused(reason.DICOMCommand)},

		{"D20: whoever connects reports", "commit: reports", sent(near, dicom.NEventRQ, commitPush, 1), allowed},
		{"and asks for nothing", "commit: reports", sent(near, dicom.NActionRQ, commitPush, 1), refused(reason.DICOMCommand)},
		{"nor is asked", "commit: reports", sent(far, dicom.NActionRQ, commitPush, 1), refused(reason.DICOMCommand)},
		{"nor reported to", "commit: reports", sent(far, dicom.NEventRQ, commitPush, 1), refused(reason.DICOMCommand)},
		{"another event of its", "commit: reports", sent(near, dicom.NEventRQ, commitPush, 3), refused(reason.DICOMEvent)},
		{"both ways", "commit, commit: reports", sent(near, dicom.NEventRQ, commitPush, 1), allowed},

		{"a get", "get: {returns: CT Image Storage}", command(dicom.CGetRQ, studyGet), allowed},
		{"D12: an object returns within it", "get: {returns: CT Image Storage}", within(sent(far, dicom.CStoreRQ, ctImage, 0)), allowed},
		{"an object outside of it", "get: {returns: CT Image Storage}", sent(far, dicom.CStoreRQ, ctImage, 0), refused(reason.DICOMCommand)},
		{"an object of another class", "get: {returns: CT Image Storage}", within(sent(far, dicom.CStoreRQ, mrImage, 0)), refused(reason.DICOMAbstractSyntax)},
		{"get does not let the device store", "get: {returns: CT Image Storage}", sent(near, dicom.CStoreRQ, ctImage, 0), refused(reason.DICOMCommand)},
		{"get alone returns any storage class", "get", within(sent(far, dicom.CStoreRQ, mrImage, 0)), allowed},
		{"also one that may be stored", "store: [MR Image Storage], get", within(sent(far, dicom.CStoreRQ, mrImage, 0)), allowed},
		{"store does not let the server store", "store: [MR Image Storage]", within(sent(far, dicom.CStoreRQ, mrImage, 0)), refused(reason.DICOMCommand)},

		{"mpps", "mpps", command(dicom.NSetRQ, mppsStep), allowed},
		{"steps are not read unless said", "mpps", command(dicom.NGetRQ, mppsRead), refused(reason.DICOMAbstractSyntax)},
		{"steps are read", "mpps: {retrieve: true}", about(command(dicom.NGetRQ, mppsRead), mppsStep), allowed},
		{"steps are reported", "mpps: {notify: true}", about(sent(far, dicom.NEventRQ, mppsNotify, 2), mppsStep), allowed},

		{"a film session", "print", about(command(dicom.NCreateRQ, printMetaBW), filmSession), allowed},
		{"is printed", "print", about(sent(near, dicom.NActionRQ, printMetaBW, 1), filmSession), allowed},
		{"is not read: it has no N-GET", "print", about(command(dicom.NGetRQ, printMetaBW), filmSession), refused(reason.DICOMCommand)},
		{"the printer is read", "print", about(command(dicom.NGetRQ, printMetaBW), printerUID), allowed},
		{"the printer reports", "print", about(sent(far, dicom.NEventRQ, printMetaBW, 3), printerUID), allowed},
		{"the printer reports what it cannot", "print", about(sent(far, dicom.NEventRQ, printMetaBW, 9), printerUID), refused(reason.DICOMEvent)},
		{"the meta class has no instances", "print", command(dicom.NCreateRQ, printMetaBW), refused(reason.DICOMCommand)},

		{"any other service", general, command(dicom.NCreateRQ, available), allowed.about("", "x.allow[0]")},
		{"its other operations", general, command(dicom.NSetRQ, available), refused(reason.DICOMCommand)},
		{"its action types", general, sent(near, dicom.NActionRQ, upsPush, 3), allowed.about("", "x.allow[1]")},
		{"others", general, sent(near, dicom.NActionRQ, upsPush, 5), refused(reason.DICOMAction)},
		{"its event types", general, sent(far, dicom.NEventRQ, upsPush, 1), allowed},
		{"other event types", general, sent(far, dicom.NEventRQ, upsPush, 2), refused(reason.DICOMEvent)},
		{"instances that classes share", general, about(command(dicom.NGetRQ, upsWatch), upsPush), allowed},
		{"a class that is not shared", general, about(command(dicom.NGetRQ, upsWatch), available), refused(reason.DICOMSOPClass)},

		{"the second of two entries", "move: {to: A}, move: {to: B}", func() *dicom.Command {
			c := command(dicom.CMoveRQ, studyMove)
			c.MoveAE = []byte("B")
			return c
		}(), allowed.about("", "x.allow[1]")},
		{"D19: neither of two", "move: {to: A}, move: {to: B}", func() *dicom.Command {
			c := command(dicom.CMoveRQ, studyMove)
			c.MoveAE = []byte("C")
			return c
		}(), refused(reason.DICOMMoveDestination).about("C", "x.allow[0]")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := allowing(t, tt.allow)
			var v protocols.Verdict
			v.Reset(tt.c.From)
			s.Command(tt.c, &v)
			tt.want.check(t, &v)
		})
	}
}

// TestReportsOfTheirOwn covers a server that connects to deliver what storage commitment came to
// (D20): it is the SCP, and reports is all it may do.
func TestReportsOfTheirOwn(t *testing.T) {
	device := "device: d\nmode: enforce\nidentify: {ip: 10.0.0.1}\nae: {titles: [CT1], port: 104}\nflows: {back: {from: pacs, allow: [commit]}}"
	dir := t.TempDir()
	writeSite(t, dir, map[string]string{
		"cordon.yaml": strings.Replace(testBox, "protocol: dicom}", "protocol: dicom}\n  back: {address: \"127.0.0.1:11113\", protocol: dicom}", 1),
		"site.yaml":   testSite, "devices/all.yaml": strings.Replace(device, "from: pacs,", "from: pacs, listen: back,", 1),
	})
	p, diags := Load(dir)
	if p == nil {
		t.Fatalf("%s", diags)
	}
	s := connect(t, NewStore(p), "back", "127.0.0.1")
	a := associate("CT1", "PACS2", commitPush)
	pc := &a.Contexts[0]
	pc.HasRole, pc.SCU, pc.SCP = true, true, true
	var v protocols.Verdict
	if s.Associate(a, &v); v.Refused() {
		t.Fatal(v.Reason)
	}
	if s.Context(a, pc, make([]bool, len(pc.Transfer)), &v); v.Refused() || pc.SCU || !pc.SCP {
		t.Errorf("%s, roles SCU %v SCP %v", v.Reason, pc.SCU, pc.SCP)
	}
	for _, tt := range []struct {
		c    *dicom.Command
		want expect
	}{
		{sent(protocols.Near, dicom.NEventRQ, commitPush, 1), allowed},
		{sent(protocols.Far, dicom.NEventRQ, commitPush, 1), refused(reason.DICOMCommand)},
		{sent(protocols.Near, dicom.NActionRQ, commitPush, 1), refused(reason.DICOMCommand)},
	} {
		v.Reset(tt.c.From)
		s.Command(tt.c, &v)
		tt.want.check(t, &v)
	}
}

// TestReportsPassBothEnds covers a server without TLS that connects to report (D20): the far end, of
// which it is a device, and the near end let its role through, and a missing one where both
// tolerate that.
func TestReportsPassBothEnds(t *testing.T) {
	const scu, scp = 1, 2
	for _, tt := range []struct {
		name     string
		flow     string // what both ends' flows say besides
		proposed int    // 0: no role selection
		refused  reason.Code
		left     int
	}{
		{"the SCP", "", scp, "", scp},
		{"SCU and SCP", "", scu | scp, "", scp},
		{"nothing said", "", 0, reason.DICOMRole, 0},
		{"nothing said, and tolerated", "tolerate: {roles: true}, ", 0, "", scu},
		{"the SCP, where less is tolerated", "tolerate: {roles: true}, ", scp, "", scp},
	} {
		t.Run(tt.name, func(t *testing.T) {
			archive := "device: archive\nmode: enforce\nidentify: {ip: 10.0.0.1}\nae: {titles: [PACS2]}\nflows: {returns: {" + tt.flow + "to: pacs, allow: [commit: reports]}}"
			far, diags := loadSite(t, map[string]string{"cordon.yaml": testBox, "site.yaml": strings.Replace(testSite, "ae: PACS2", "ae: CT1", 1), "devices/all.yaml": archive})
			if far == nil {
				t.Fatal(diags)
			}
			near, diags := reversed(t, strings.Replace(reverseCT, "    to: pacs\n", "    "+strings.Replace(tt.flow, ", ", "\n    ", 1)+"to: pacs\n", 1))
			if near == nil {
				t.Fatal(diags)
			}
			a := associate("CT1", "PACS2", commitPush)
			pc := &a.Contexts[0]
			pc.HasRole = tt.proposed != 0
			pc.SCU, pc.SCP = tt.proposed&scu != 0 || !pc.HasRole, tt.proposed&scp != 0
			for end, s := range []*Session{connect(t, NewStore(far), "imaging", "10.0.0.1"), meet(NewStore(near), "servers", "pacs.example")} {
				var v protocols.Verdict
				if s.Associate(a, &v); v.Refused() {
					t.Fatal(v.Reason)
				}
				if s.Context(a, pc, make([]bool, len(pc.Transfer)), &v); v.Refused() && v.Reason != tt.refused {
					t.Fatalf("end %d: %s", end, v.Reason)
				}
				if v.Refused() {
					return
				}
				v.Reset(protocols.Near)
				s.Command(sent(protocols.Near, dicom.NEventRQ, commitPush, 1), &v)
				if s.Breach(reason.DICOMRole, &v); v.Refused() == strings.Contains(tt.flow, "roles") {
					t.Errorf("end %d: a report without the role: %s", end, v.Reason)
				}
				v.Reset(protocols.Near)
				if s.Command(sent(protocols.Near, dicom.NActionRQ, commitPush, 1), &v); !v.Refused() {
					t.Errorf("end %d: whoever reports may ask", end)
				}
			}
			if tt.refused != "" || pc.SCU != (tt.left&scu != 0) || pc.SCP != (tt.left&scp != 0) {
				t.Errorf("left SCU %v, SCP %v", pc.SCU, pc.SCP)
			}
		})
	}
}

// TestRoles covers D12: a role passes where an operation needs it.
func TestRoles(t *testing.T) {
	const scu, scp = 1, 2
	for _, tt := range []struct {
		name, allow string
		proposed    int // 0: no role selection
		want        expect
		left        int
	}{
		{"no selection, to store", "store: [CT Image Storage]", 0, allowed, scu},
		{"both, to store", "store: [CT Image Storage]", scu | scp, allowed, scu},
		{"SCP, where only storing is allowed", "store: [CT Image Storage]", scp, refused(reason.DICOMRole), 0},
		{"SCP, for what get returns", "get: {returns: [CT Image Storage]}", scp, allowed, scp},
		{"both, for what get returns", "get: {returns: [CT Image Storage]}", scu | scp, allowed, scp},
		{"no selection, where only returns are allowed", "get: {returns: [CT Image Storage]}", 0, refused(reason.DICOMRole).about("CT Image Storage", "x.allow[0]"), 0},
		{"both, where both are allowed", "get, store: [CT Image Storage]", scu | scp, allowed, scu | scp},
		{"neither", "get, store: [CT Image Storage]", 4, refused(reason.DICOMRole), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := allowing(t, tt.allow)
			a := associate("PACS2", "CT1", ctImage)
			pc := &a.Contexts[0]
			pc.HasRole = tt.proposed != 0
			pc.SCU, pc.SCP = tt.proposed&scu != 0 || !pc.HasRole, tt.proposed&scp != 0
			var v protocols.Verdict
			s.Context(a, pc, make([]bool, len(pc.Transfer)), &v)
			tt.want.check(t, &v)
			if pc.SCU != (tt.left&scu != 0) || pc.SCP != (tt.left&scp != 0) {
				t.Errorf("left SCU %v, SCP %v", pc.SCU, pc.SCP)
			}
		})
	}
}

func TestShadowTakesNoRoleAway(t *testing.T) {
	s := begun(t, NewStore(site(t, strings.Replace(ct1, "enforce", "shadow", 1))), "10.0.0.1", "PACS2", "CT1")
	a := associate("PACS2", "CT1", ctImage)
	pc := &a.Contexts[0]
	pc.HasRole, pc.SCU, pc.SCP = true, false, true
	var v protocols.Verdict
	s.Context(a, pc, make([]bool, len(pc.Transfer)), &v)
	reported(reason.DICOMRole).check(t, &v)
	if pc.SCU || !pc.SCP {
		t.Errorf("left SCU %v, SCP %v", pc.SCU, pc.SCP)
	}
}

// TestTypesOfResponses: what a response says of a type must be what was allowed.
func TestTypesOfResponses(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    *dicom.Command
		want expect
	}{
		{"the action", sent(protocols.Far, dicom.NActionRSP, commitPush, 1), allowed},
		{"none", sent(protocols.Far, dicom.NActionRSP, commitPush, 0), allowed},
		{"another action", sent(protocols.Far, dicom.NActionRSP, commitPush, 9), refused(reason.DICOMAction)},
		{"the event", sent(protocols.Near, dicom.NEventRSP, commitPush, 2), allowed},
		{"another event", sent(protocols.Near, dicom.NEventRSP, commitPush, 9), refused(reason.DICOMEvent)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := allowing(t, "commit")
			var v protocols.Verdict
			s.Command(tt.c, &v)
			tt.want.check(t, &v)
		})
	}
}
