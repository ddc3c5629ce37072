package gateway

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"cordon/protocols/dicom"
	"cordon/protocols/dicom/endpoint"
	hl7end "cordon/protocols/hl7/endpoint"
	"cordon/protocols/reason"
)

// flowStatus returns what status says of a flow.
func (w *world) flowStatus(device, flow string) FlowStatus {
	w.t.Helper()
	for _, f := range w.gw.Status(device).Flows {
		if f.Device == device && f.Flow == flow {
			return f
		}
	}
	w.t.Fatalf("status has no flow %s/%s", device, flow)
	return FlowStatus{}
}

// rejecting puts an archive in the place of the world's that answers every association with rj.
func (w *world) rejecting(rj *reason.RJ) {
	w.t.Helper()
	ln := w.listen("pacs")
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				head := make([]byte, dicom.PDUHeaderLen)
				if _, err := io.ReadFull(c, head); err != nil {
					return
				}
				_, n, _ := dicom.ParsePDUHeader(head)
				io.CopyN(io.Discard, c, int64(n))
				c.Write(dicom.AppendRJ(nil, *rj))
				io.Copy(io.Discard, c)
			}()
		}
	}()
	w.reloadSite(ln.Addr())
}

// A server that is there and takes nothing: it fails what it is sent, or accepts no context.
func TestServerThatTakesNothingIsNotWell(t *testing.T) {
	for name, c := range map[string]struct {
		serves []endpoint.Context
		says   string
	}{
		"fails objects":      {[]endpoint.Context{{Abstract: endpoint.StandardStorage}}, "A700H failure: Out of resources"},
		"accepts no context": {[]endpoint.Context{{Abstract: verification}}, "none of 1 presentation contexts accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			ln := w.listen("pacs")
			srv := &endpoint.Server{AE: "PACS", Contexts: c.serves, Store: func(_ *endpoint.Stored, data io.Reader) uint16 {
				io.Copy(io.Discard, data)
				return 0xA700
			}}
			go func() {
				for {
					conn, err := ln.Accept()
					if err != nil {
						return
					}
					go srv.Serve(conn)
				}
			}()
			w.reloadSite(ln.Addr())
			if a, err := w.associate("PACS", "CT1", ctImage); err == nil {
				if a.Contexts[0].Result == dicom.Acceptance {
					if status := store(t, a, ctImage, "1.2.3.1", image(ctImage, "1.2.3.1", "1.2.3", "Doe^Jane", 100)); status != 0xA700 {
						t.Errorf("%04X", status)
					}
				}
				a.Abort()
			}
			w.heard(string(reason.DICOMPeerFailed), c.says)
			f := w.flowStatus("ct-1", "archive")
			if f.State != FlowRejected || f.Meaning != c.says || f.LastRejection == nil || f.LastRejection.From != "server" {
				t.Errorf("%+v", f)
			}
			if name == "accepts no context" && f.LastGood != nil {
				t.Errorf("last good: %v", f.LastGood)
			}
		})
	}
}

// reloadSite puts the archive at another address.
func (w *world) reloadSite(pacs net.Addr) {
	w.t.Helper()
	writeSite(w.t, w.dir, map[string]string{"site.yaml": fmt.Sprintf(worldSite, pacs, w.his.address)})
	if err := w.gw.Reload(); err != nil {
		w.t.Fatal(err)
	}
}

// A server that rejects by itself is no healthy one: the flow has a state of its own, with count,
// words and what to do, and nothing counts as good until the server accepts again.
func TestServerThatRejectsIsNotHealthy(t *testing.T) {
	w := newWorld(t, nil)
	rj := reason.RJ{Result: 2, Source: 3, Reason: 1} // what a far end says whose server is down
	w.rejecting(&rj)
	ask := func() {
		t.Helper()
		_, err := w.associate("PACS", "CT1", ctImage)
		var got *endpoint.Rejected
		if !errors.As(err, &got) || got.RJ != rj {
			t.Fatalf("got %v, want the server's own rejection", err)
		}
	}
	for range 3 {
		ask()
	}
	f := w.flowStatus("ct-1", "archive")
	if f.State != FlowRejected || f.Rejected != 3 || f.LastGood != nil || f.Refused != 0 || f.RejectedSince == nil || f.RejectedSince.After(f.LastRejection.Time) {
		t.Errorf("status says %+v", f)
	}
	if !strings.Contains(f.Meaning, "temporary congestion (transient") || !strings.Contains(f.Do, "far end") {
		t.Errorf("status says %q, do %q", f.Meaning, f.Do)
	}
	e, err := w.gw.Explain(string(reason.DICOMPeerRejected))
	if err != nil || len(e.Recent) != 1 || e.Recent[0].From != "server" || !strings.HasPrefix(e.Remedy[0], "ct-1/archive: temporary congestion (transient") {
		t.Errorf("explained as %+v, %v", e, err)
	}
	rj = reason.RJ{Result: 1, Source: 1, Reason: 3}
	ask()
	if f := w.flowStatus("ct-1", "archive"); f.Rejected != 4 || !strings.Contains(f.Meaning, "AE title of the device (permanent; A-ASSOCIATE-RJ 1/1/3)") || !strings.Contains(f.Do, "admit") {
		t.Errorf("status says %+v", f)
	}

	w.reloadSite(w.pacs.ln.Addr())
	mustAssociate(t, w, ctImage).Release()
	good := w.flowStatus("ct-1", "archive").LastGood
	if good == nil {
		t.Fatal("an association that the server accepted is not good")
	}
	w.rejecting(&rj)
	ask()
	if f := w.flowStatus("ct-1", "archive"); f.Rejected != 1 || !f.LastGood.Equal(*good) {
		t.Errorf("after an accepted one %d are counted, last good %v, want 1 and %v", f.Rejected, f.LastGood, good)
	}
	families, err := w.gw.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "cordon_peer_rejections_total" {
			for _, m := range family.Metric {
				if l := m.Label; l[0].GetValue() == "ct-1" && l[1].GetValue() == "archive" && m.Counter.GetValue() != 5 {
					t.Errorf("the metric counts %v, want 5", m.Counter.GetValue())
				}
			}
		}
	}
}

// What an A-ASSOCIATE-RJ means is in its numbers.
func TestRejectionsAreToldApart(t *testing.T) {
	for _, tt := range []struct {
		device   bool
		rj       reason.RJ
		says, do string
	}{
		{false, reason.RJ{Result: 1, Source: 1, Reason: 7}, "it does not go by the AE title that it was called by (permanent", "site.yaml"},
		{true, reason.RJ{Result: 1, Source: 1, Reason: 7}, "(permanent", "ae.titles"},
		{true, reason.RJ{Result: 1, Source: 1, Reason: 3}, "AE title of the server", "at the device"},
		{false, reason.RJ{Result: 1, Source: 1, Reason: 1}, "it gave no reason (permanent", "log of the server"},
		{false, reason.RJ{Result: 2, Source: 1, Reason: 1}, "it gave no reason (transient, the device may try again", "log of the server"},
		{false, reason.RJ{Result: 2, Source: 3, Reason: 2}, "as many associations as it allows (transient", "allow more"},
		{false, reason.RJ{Result: 9, Source: 8, Reason: 7}, "A-ASSOCIATE-RJ 9/8/7", "log of the server"},
	} {
		says, do := refusedBy(tt.device, dicom.BriefRJ(tt.rj))
		if !strings.Contains(says, tt.says) || !strings.Contains(do, tt.do) {
			t.Errorf("%v: %q, do %q", tt.rj, says, do)
		}
	}
}

// Messages that the server does not accept are not good ones.
func TestMessageIsGoodWhenTheServerAcceptsIt(t *testing.T) {
	w := newWorld(t, nil)
	code := "AE"
	w.his.answer = func(msg []byte) []byte {
		id := strings.Split(string(msg), "|")[9]
		return []byte("MSH|^~\\&|HIS|HOSP|LAB|WARD|20260101||ACK^R01^ACK|A1|P|2.5.1\rMSA|" + code + "|" + id + "\r")
	}
	c := hl7end.NewClient(w.dial(w.hl7))
	send(t, c, message("ORU^R01", "C1", "Doe"))
	if f := w.flowStatus("analyzer-1", "results"); f.LastGood != nil {
		t.Errorf("a message that was answered AE is good: %+v", f)
	}
	code = "AA"
	send(t, c, message("ORU^R01", "C2", "Doe"))
	if f := w.flowStatus("analyzer-1", "results"); f.LastGood == nil {
		t.Error("a message that was answered AA is not good")
	}
}

// reason.SessionCut: a server that dies while an answer is owed leaves a record, and so does a device
// that goes without a release, and an abort.
func TestCutSessionsAreRecorded(t *testing.T) {
	w := newWorld(t, nil)
	ln := w.listen("pacs")
	stored := make(chan net.Conn, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		(&endpoint.Server{AE: "PACS", Store: func(_ *endpoint.Stored, data io.Reader) uint16 {
			io.Copy(io.Discard, data)
			c.Close() // killed before it answers
			return endpoint.StatusSuccess
		}}).Serve(c)
		stored <- c
	}()
	w.reloadSite(ln.Addr())
	a := mustAssociate(t, w, ctImage)
	ds := image(ctImage, "1.2.3.1", "1.2.3", "X", 1000)
	if _, err := a.Store(ctImage, "1.2.3.1", explicitVRLittle, strings.NewReader(ds), int64(len(ds))); err == nil {
		t.Fatal("the object was acknowledged")
	}
	<-stored
	w.heard(`"unit":"session"`, `"direction":"to-device"`, string(reason.SessionCut), "server", "; 1 unanswered", `"cut":true`)

	w.reloadSite(w.pacs.ln.Addr())
	c := w.dial(w.dicom)
	if _, err := endpoint.Associate(c, endpoint.Request{Called: "PACS", Calling: "CT1",
		Contexts: []endpoint.Context{{Abstract: ctImage, Transfer: []string{explicitVRLittle}}}}); err != nil {
		t.Fatal(err)
	}
	c.Close()
	w.heard(`"unit":"session"`, `"direction":"to-server"`, string(reason.SessionCut), "the device closed the connection")

	mustAssociate(t, w, ctImage).Abort()
	w.heard(`"unit":"A-ABORT"`, `"direction":"to-server"`, string(reason.SessionCut), "service-user")
	if e, err := w.gw.Explain(string(reason.SessionCut)); err != nil || len(e.Recent) != 3 || e.Recent[0].Unit != "A-ABORT" {
		t.Errorf("explained as %+v, %v", e, err)
	}
}

// A connection on which nothing was said, and a session that ended in order, are nobody's loss.
func TestOrderlySessionsAreNotRecordedAsCut(t *testing.T) {
	w := newWorld(t, nil)
	w.dial(w.dicom).Close()
	c := w.dial(w.hl7)
	send(t, hl7end.NewClient(c), message("ORU^R01", "C1", "Doe"))
	c.Close()
	mustAssociate(t, w, ctImage).Release()
	if !w.gw.waitEmpty(patience) {
		t.Fatal("sessions stay")
	}
	w.stop()
	if text := w.sink.String(); strings.Contains(text, string(reason.SessionCut)) || !strings.Contains(text, "A-ASSOCIATE-RQ") {
		t.Errorf("recorded:\n%s", text)
	}
}

// Quarantine cuts a session while it waits; the record says that Cordon did.
func TestRevokedSessionLeavesARecord(t *testing.T) {
	w := newWorld(t, nil)
	mustAssociate(t, w, ctImage)
	writeSite(t, w.dir, map[string]string{"devices/ct-1.yaml": worldCT + "state: quarantined\n"})
	if err := w.gw.Reload(); err != nil {
		t.Fatal(err)
	}
	w.heard(`"unit":"session"`, string(reason.SessionRevoked), "Cordon ended it")
}
