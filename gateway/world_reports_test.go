package gateway

import (
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"cordon/gateway/audit"
	"cordon/protocols/dicom/endpoint"
	"cordon/protocols/reason"
)

var shadowCT = map[string]string{"devices/ct-1.yaml": strings.Replace(worldCT, "enforce", "shadow", 1)}

// besides is what status tells of a flow besides its state, by kind.
func (f *FlowStatus) besides(k Kind) *Report {
	for i := range f.Besides {
		if f.Besides[i].Kind == k {
			return &f.Besides[i]
		}
	}
	return nil
}

// Where no device is named, status counts what it would list.
func TestStatusOfAllCountsReports(t *testing.T) {
	w := newWorld(t, shadowCT)
	mustAssociate(t, w, "1.2.840.10008.5.1.4.1.1.4").Release()
	w.stopSessions()
	named := w.flowStatus("ct-1", "archive")
	if len(named.Reports) == 0 || named.Would == nil || named.Would.Kinds != len(named.Reports) || named.Would.Last != named.Reports[0].Time {
		t.Errorf("named: %+v", named)
	}
	all := w.gw.Status().Flows
	i := slices.IndexFunc(all, func(f FlowStatus) bool { return f.Device == "ct-1" })
	if i < 0 || all[i].Reports != nil || all[i].Would == nil || *all[i].Would != *named.Would {
		t.Errorf("all: %+v", all)
	}
	if other := w.gw.Status("analyzer-1").Flows; len(other) != 1 || other[0].Device != "analyzer-1" {
		t.Errorf("of the other device: %+v", other)
	}
}

// report is the one for a reason, nil where there is none.
func (f *FlowStatus) report(code reason.Code) *Report {
	for i := range f.Reports {
		if f.Reports[i].Reason == code {
			return &f.Reports[i]
		}
	}
	return nil
}

// What enforce would have refused stays told when the server is in trouble by itself.
func TestWorseStateHidesNoRefusal(t *testing.T) {
	w := newWorld(t, shadowCT)
	a := mustAssociate(t, w, mrImage)
	a.Release()
	f := w.flowStatus("ct-1", "archive")
	if f.State != FlowWouldRefuse || f.LastRefusal == nil || f.LastRefusal.Reason != reason.DICOMNoContext || len(f.Besides) != 0 {
		t.Fatalf("status says %+v", f)
	}
	do := f.Do
	told := func(state string) {
		t.Helper()
		f := w.flowStatus("ct-1", "archive")
		if r := f.besides(WouldRefuse); f.State != state || r == nil || r.Reason != reason.DICOMNoContext || r.Do != do || f.Do == do {
			t.Errorf("status says %+v", f)
		}
	}

	rj := reason.RJ{Result: 1, Source: 1, Reason: 3}
	w.rejecting(&rj)
	if _, err := w.associate("PACS", "CT1", ctImage); err == nil {
		t.Fatal("the association was accepted")
	}
	told(FlowRejected)

	ln := w.listen("pacs")
	ln.Close()
	w.reloadSite(ln.Addr())
	if _, err := w.associate("PACS", "CT1", ctImage); err == nil {
		t.Fatal("the association was accepted")
	}
	told(FlowDown)
	f = w.flowStatus("ct-1", "archive")
	if f.besides(Rejected) == nil || f.besides(Refused) != nil {
		t.Errorf("status says %+v", f)
	}

	// What could not be reached is reached again: nothing to look for is left of that.
	w.reloadSite(w.pacs.ln.Addr())
	mustAssociate(t, w, ctImage).Release()
	if f := w.flowStatus("ct-1", "archive"); f.State == FlowRefusing || f.besides(Refused) != nil || f.report(reason.UpstreamUnreachable) == nil {
		t.Errorf("status says %+v", f)
	}
}

// What was refused stays known, however much is allowed after it, and each kind once.
func TestReportsOutliveTheTraffic(t *testing.T) {
	w := newWorld(t, shadowCT)
	for range 3 {
		mustAssociate(t, w, mrImage).Release()
	}
	mustAssociate(t, w, "1.2.840.10008.5.1.4.1.1.7").Release()
	first := w.heard(string(reason.DICOMNoContext))
	for i := range w.gw.audit.Remembers() + 1 {
		w.gw.audit.Put(&audit.Record{Source: audit.Source{Session: fmt.Sprint("other-", i), Device: "ct-1", Flow: "archive"}})
	}
	e, err := w.gw.Explain(string(reason.DICOMNoContext))
	if err != nil || len(e.Recent) != 2 || e.Recent[0].Count != 1 || e.Recent[1].Count != 3 || e.Recent[1].Kind != WouldRefuse || e.Recent[1].Found != "MR Image Storage" {
		t.Fatalf("explained as %+v, %v", e, err)
	}
	r := e.Recent[1]
	if !r.First.Before(r.Time) || r.Policy != w.gw.Status().Policy || r.Device != "ct-1" || r.Flow != "archive" {
		t.Errorf("%+v", r)
	}
	f := w.flowStatus("ct-1", "archive")
	if len(f.Reports) != 2 || !strings.Contains(f.Reports[1].Do, "store: [MR Image Storage]") {
		t.Errorf("status says %+v", f)
	}
	// The session itself is not remembered any longer; the answer says where it is.
	_, session, _ := strings.Cut(first, `"session":"`)
	session, _, _ = strings.Cut(session, `"`)
	_, err = w.gw.Explain(session)
	if err == nil || !strings.Contains(err.Error(), "last 4096 records") || !strings.Contains(err.Error(), fmt.Sprintf(`grep '"%s"' '%s'`, session, w.gw.auditFile)) {
		t.Errorf("explained as %v", err)
	}
}

// Who asks for ever something else takes no more memory than that of so many reports; the one not seen
// for longest goes first.
func TestReportsAreBounded(t *testing.T) {
	w := newWorld(t, nil)
	ask := func(title string) {
		if _, err := w.associate("PACS", title, ctImage); err == nil {
			t.Fatal("the association was accepted")
		}
	}
	ask("KEPT")
	ask("GONE")
	for i := range maxReports {
		ask("KEPT")
		ask(fmt.Sprint("X", i))
	}
	kept := false
	n := 0
	for _, f := range w.gw.Status("ct-1").Flows {
		for _, r := range f.Reports {
			n++
			kept = kept || r.Found == "KEPT" && r.Count == maxReports+1
			if r.Found == "GONE" {
				t.Errorf("%+v is still there", r)
			}
		}
	}
	if n != maxReports || !kept {
		t.Errorf("%d reports, want %d; the one that repeats kept: %v", n, maxReports, kept)
	}
}

// Numbers that measure make no other kind of what repeats.
func TestReportsThatDifferInNumbers(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"9 unanswered", "10 unanswered", true}, {"", "", true}, {"byte 12 of 13", "byte 7 of 1300", true},
		{"9 unanswered", "unanswered", false}, {"a 1", "a 1 b", false}, {"a", "b", false}, {"1", "", false},
	} {
		if got := alike(c.a, []byte(c.b)); got != c.same {
			t.Errorf("%q and %q: %v", c.a, c.b, got)
		}
	}
}

// A server that leaves a request unanswered is not well, whether it aborts or dies.
func TestServerThatCutsIsNotWell(t *testing.T) {
	for name, cut := range map[string]struct {
		end  func(net.Conn)
		says string
	}{
		"dies":   {func(c net.Conn) { c.Close() }, "; 1 unanswered"}, // it closed the connection, or that was lost
		"aborts": {func(c net.Conn) { c.Write([]byte{7, 0, 0, 0, 0, 4, 0, 0, 0, 0}); io.Copy(io.Discard, c) }, "1 request unanswered; service-user"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			ln := w.listen("pacs")
			go func() {
				for {
					c, err := ln.Accept()
					if err != nil {
						return
					}
					go (&endpoint.Server{AE: "PACS", Store: func(_ *endpoint.Stored, data io.Reader) uint16 {
						io.CopyN(io.Discard, data, 1000) // mid-transfer
						cut.end(c)
						return 0
					}}).Serve(c)
				}
			}()
			w.reloadSite(ln.Addr())
			for range 2 {
				a := mustAssociate(t, w, ctImage)
				ds := image(ctImage, "1.2.3.1", "1.2.3", "X", 4<<20)
				if _, err := a.Store(ctImage, "1.2.3.1", explicitVRLittle, strings.NewReader(ds), int64(len(ds))); err == nil {
					t.Fatal("the object was acknowledged")
				}
				a.Abort()
			}
			w.heard(string(reason.SessionCut), cut.says)
			var f FlowStatus
			eventually(t, "the flow in trouble", func() bool {
				f = w.flowStatus("ct-1", "archive")
				return f.State == FlowRejected && f.LastRejection != nil
			})
			if f.LastRejection.From != "server" || f.LastRejection.Reason != reason.SessionCut || !strings.Contains(f.Meaning, cut.says) || !strings.Contains(f.Do, "log of the server") || f.Refused != 0 {
				t.Errorf("status says %+v", f)
			}
			e, err := w.gw.Explain(string(reason.SessionCut))
			if err != nil || len(e.Recent) == 0 || e.Recent[0].Device != "ct-1" {
				t.Errorf("explained as %+v, %v", e, err)
			}
		})
	}
}

// A device that goes is no trouble of the server's.
func TestDeviceThatCutsIsNotTheServers(t *testing.T) {
	w := newWorld(t, nil)
	mustAssociate(t, w, ctImage).Abort()
	w.heard(`"unit":"A-ABORT"`, string(reason.SessionCut))
	if f := w.flowStatus("ct-1", "archive"); f.State != FlowOK || f.Rejected != 0 || f.report(reason.SessionCut).Kind != Ended {
		t.Errorf("status says %+v", f)
	}
}

// A flow that the policy has no longer is shown as that, without advice that names a line of it; a
// device whose file is gone is in force, and shown as that.
func TestFlowsThatAreNoLongerThere(t *testing.T) {
	w := newWorld(t, nil)
	if _, err := w.associate("PACS", "CT1", mrImage); err == nil {
		t.Fatal("the association was accepted")
	}
	if f := w.flowStatus("ct-1", "archive"); f.State != FlowRefusing || f.Do == "" || f.Vanished != "" {
		t.Fatalf("status says %+v", f)
	}
	writeSite(t, w.dir, map[string]string{"devices/ct-1.yaml": strings.Replace(worldCT, "archive:", "other:", 1)})
	if err := w.gw.Reload(); err != nil {
		t.Fatal(err)
	}
	f := w.flowStatus("ct-1", "archive")
	if f.State != FlowRemoved || f.Do != "" || f.LastRefusal == nil || f.LastRefusal.Do != "" || f.Reports[0].Do != "" {
		t.Errorf("status says %+v", f)
	}
	e, err := w.gw.Explain(string(reason.DICOMNoContext))
	if err != nil || len(e.Recent) != 1 || e.Remedy[0] != "ct-1/archive: The policy has no such flow any longer." {
		t.Errorf("explained as %+v, %v", e, err)
	}
	if f := w.flowStatus("ct-1", "other"); f.State != FlowSilent || f.Vanished != "" {
		t.Errorf("status says %+v", f)
	}
	os.Remove(w.path("devices/ct-1.yaml"))
	if err := w.gw.Reload(); err != nil {
		t.Fatal(err)
	}
	if f := w.flowStatus("ct-1", "other"); f.State != FlowSilent || !strings.HasPrefix(f.Vanished, "devices/ct-1.yaml") {
		t.Errorf("status says %+v", f)
	}
}
