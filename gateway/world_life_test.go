package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/gateway/audit"
	"cordon/protocols/dicom"
	"cordon/protocols/dicom/endpoint"
	"cordon/protocols/hl7"
	hl7end "cordon/protocols/hl7/endpoint"
	"cordon/protocols/reason"
)

// G6: a reload under load resets nothing and loses nothing, and a link that stays open is judged
// by the new policy from its next unit on.
func TestReloadUnderLoad(t *testing.T) {
	w := newWorld(t, nil)
	const workers, each = 4, 60
	var wg sync.WaitGroup
	for n := range workers {
		wg.Go(func() {
			c := hl7end.NewClient(w.dial(w.hl7))
			for i := range each {
				id := fmt.Sprintf("W%dC%d", n, i)
				ack, err := c.Send([]byte(message("ORU^R01", id, "Doe")))
				if err != nil || !strings.Contains(string(ack), "MSA|AA|"+id) {
					t.Errorf("%s: %q %v", id, ack, err)
					return
				}
			}
		})
	}
	for i := range 10 {
		writeSite(t, w.dir, map[string]string{"devices/ct-1.yaml": worldCT + fmt.Sprintf("about: {name: \"room %d\"}\n", i)})
		if err := w.gw.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if n := len(w.his.received()); n != workers*each {
		t.Errorf("%d messages arrived, want %d", n, workers*each)
	}

	c := hl7end.NewClient(w.dial(w.hl7))
	send(t, c, message("ORU^R01", "BEFORE", "Doe"))
	writeSite(t, w.dir, map[string]string{"devices/analyzer-1.yaml": strings.Replace(worldAnalyzer, "ORU^R01", "ADT^A04", 1)})
	if err := w.gw.Reload(); err != nil {
		t.Fatal(err)
	}
	if ack := send(t, c, message("ORU^R01", "AFTER", "Doe")); !strings.Contains(ack, "MSA|AR|AFTER") {
		t.Errorf("the old policy still holds on the open link: %q", ack)
	}
	if ack := send(t, c, message("ADT^A04", "AFTER2", "Doe")); !strings.Contains(ack, "MSA|AA|AFTER2") {
		t.Errorf("the new policy does not hold on the open link: %q", ack)
	}
}

// G7: a broken policy leaves the old one in force and says why; so does a half-written file, and
// a broken certificate.
func TestBrokenReloadLeavesTheOldPolicyInForce(t *testing.T) {
	w := newWorld(t, nil)
	c := hl7end.NewClient(w.dial(w.hl7))
	version := w.gw.Status().Policy
	for name, text := range map[string]string{
		"half-written": worldCT[:len(worldCT)/2] + "\n  bad: [",
		"unknown key":  worldCT + "colour: blue\n",
		"unknown name": strings.Replace(worldCT, "CT Image Storage", "CT Picture Storage", 1),
	} {
		writeSite(t, w.dir, map[string]string{"devices/ct-1.yaml": text})
		err := w.gw.Reload()
		if err == nil || !strings.Contains(err.Error(), "ct-1.yaml") {
			t.Errorf("%s: %v, want an error that names the file", name, err)
		}
		st := w.gw.Status()
		if st.Policy != version || st.Reload == nil || st.Reload.Problem == "" {
			t.Errorf("%s: status says policy %s, reload %+v", name, st.Policy, st.Reload)
		}
		send(t, c, message("ORU^R01", "C", "Doe"))
	}
	writeSite(t, w.dir, map[string]string{"devices/ct-1.yaml": worldCT})
	if err := os.WriteFile(w.path("pki/ct-1.pem"), []byte("not a certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.gw.Reload()                                  // whether it is refused or not, the old certificate must go on
	eventually(t, "told in the log", func() bool { // files are looked at before handshakes, once a second
		mustAssociate(t, w, ctImage).Release()
		return strings.Contains(w.log.String(), "changed certificate files cannot be used")
	})
	if !slices.ContainsFunc(w.gw.Status().Tunnels, func(s TunnelStatus) bool { return s.Up && strings.Contains(s.Problem, "ct-1.pem") }) {
		t.Errorf("status does not tell: %+v", w.gw.Status().Tunnels)
	}
}

// Reloads are counted by what came of them: one that finds the files as they were puts nothing into
// force, however often an editor writes the same.
func TestReloadsAreCountedByTheirResult(t *testing.T) {
	w := newWorld(t, nil)
	reload := func(text string) {
		writeSite(t, w.dir, map[string]string{"devices/ct-1.yaml": text})
		w.gw.Reload()
	}
	reload(worldCT)
	reload(worldCT)
	reload(worldCT + "about: {name: room 1}\n")
	reload(worldCT + "colour: blue\n")
	families, err := w.gw.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		if family.GetName() == "cordon_reloads_total" {
			for _, m := range family.Metric {
				got[m.Label[0].GetValue()] = m.Counter.GetValue()
			}
		}
	}
	if want := map[string]float64{"unchanged": 2, "done": 1, "refused": 1}; !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
}

// A file that vanishes does not remove its device.
func TestVanishedFileKeepsItsDevice(t *testing.T) {
	w := newWorld(t, nil)
	os.Remove(w.path("devices/ct-1.yaml"))
	if err := w.gw.Reload(); err != nil {
		t.Fatal(err)
	}
	a := mustAssociate(t, w, ctImage)
	a.Release()
	if !strings.Contains(w.log.String(), "vanished") {
		t.Error("the log does not say that the file vanished")
	}
}

// The directories are watched: a change is in force once they are quiet.
func TestChangesAreNoticed(t *testing.T) {
	w := newWorld(t, nil)
	w.stop()
	w.watch = []string{w.path("devices")}
	w.start()
	w.logged("watching")
	version := w.gw.Status().Policy
	writeSite(t, w.dir, map[string]string{"devices/ct-1.yaml": worldCT + "about: {name: changed}\n"})
	w.logged("policy reloaded")
	if now := w.gw.Status().Policy; now == version {
		t.Errorf("policy %s is still in force", now)
	}
}

// reason.SessionRevoked: quarantine ends the device's sessions; how soon, see
// TestRevocationEndsASessionAtOnce.
func TestQuarantineEndsSessions(t *testing.T) {
	w := newWorld(t, nil)
	a := mustAssociate(t, w, ctImage)
	writeSite(t, w.dir, map[string]string{"devices/ct-1.yaml": worldCT + "state: quarantined\n"})
	if err := w.gw.Reload(); err != nil {
		t.Fatal(err)
	}
	if typ, _, err := a.Read(); err != nil || typ != dicom.TypeAbort {
		t.Errorf("the device saw %v, %v, want an abort", typ, err)
	}
	if _, err := w.associate("PACS", "CT1", ctImage); err == nil {
		t.Error("a quarantined device got an association")
	}
	w.heard(string(reason.SessionRevoked))
	for _, f := range w.gw.Status().Flows {
		if f.Device == "ct-1" && f.Flow != "" && f.State != FlowHeld {
			t.Errorf("status says %+v", f)
		}
	}
}

// G8, reason.SessionShutdown: a message in flight finishes, a new association is rejected as
// transient, an idle HL7 link is closed.
func TestShutdownDrains(t *testing.T) {
	w := newWorld(t, nil)
	inFlight := make(chan struct{})
	release := make(chan struct{})
	w.his.answer = func(msg []byte) []byte {
		close(inFlight)
		<-release
		return []byte("MSH|^~\\&|HIS|HOSP|LAB|WARD|20260101||ACK^R01^ACK|A1|P|2.5.1\rMSA|AA|SLOW\r")
	}
	c := w.dial(w.hl7)
	c.Write(hl7.AppendBlock(nil, []byte(message("ORU^R01", "SLOW", "Doe"))))
	<-inFlight
	stopped := make(chan struct{})
	go func() { w.stop(); close(stopped) }()
	w.logged("draining")
	_, err := w.associate("PACS", "CT1", ctImage)
	var rj *endpoint.Rejected
	if !errors.As(err, &rj) || rj.Result != 2 {
		t.Errorf("a new association got %v, want a transient rejection", err)
	}
	close(release)
	b, err := io.ReadAll(c)
	if err != nil || !strings.Contains(string(b), "MSA|AA|SLOW") {
		t.Errorf("the message in flight got %q, %v", b, err)
	}
	c.Close()
	<-stopped
}

// G9: with a full disk allowed traffic passes.
func TestFullDiskStopsNothing(t *testing.T) {
	w := newWorld(t, nil)
	disk := &sink{full: true}
	w.gw.audit = disk.log(t)
	defer func() { disk.makeRoom(); closeAudit(w.gw.audit) }()
	c := hl7end.NewClient(w.dial(w.hl7))
	for i := range 100 {
		send(t, c, message("ORU^R01", fmt.Sprintf("C%d", i), "Doe"))
	}
	if n := len(w.his.received()); n != 100 {
		t.Errorf("%d messages arrived", n)
	}
}

// A full disk is shown wherever somebody may look, until there is room again.
func TestFullDiskIsShown(t *testing.T) {
	w := newWorld(t, nil)
	disk, told := &sink{full: true}, make(chan error, 10)
	records, err := audit.New(func() (io.WriteCloser, error) { return disk, nil }, audit.Options{Trouble: func(err error) { told <- err }})
	if err != nil {
		t.Fatal(err)
	}
	w.gw.audit = records
	defer func() { disk.makeRoom(); closeAudit(records) }()
	address := freeAddress(t)
	stop, err := w.gw.ServeHTTP(address)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	ask := func(path string) (body string) {
		t.Helper()
		resp, err := http.Get("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s answered %s", path, resp.Status)
		}
		return string(b)
	}
	send(t, hl7end.NewClient(w.dial(w.hl7)), message("ORU^R01", "C1", "Doe"))
	if err := <-told; err == nil {
		t.Fatal("the disk is not full")
	}
	a := w.gw.Status().Audit
	if a == nil || a.Problem == "" || a.Since.IsZero() || a.Waiting == 0 {
		t.Errorf("status says %+v", a)
	}
	if body := ask("/healthz"); !strings.HasPrefix(body, "ok\n") || !strings.Contains(body, "audit records cannot be written since") {
		t.Errorf("/healthz says %q", body)
	}
	if body := ask("/metrics"); !strings.Contains(body, "cordon_audit_failing 1\n") || strings.Contains(body, "cordon_audit_waiting_records 0\n") {
		t.Errorf("/metrics says\n%s", body)
	}

	disk.makeRoom()
	if err := <-told; err != nil {
		t.Fatalf("there is room again, and %v", err)
	}
	if a := w.gw.Status().Audit; a != nil {
		t.Errorf("status still says %+v", a)
	}
	if body := ask("/healthz"); body != "ok\n" {
		t.Errorf("/healthz still says %q", body)
	}
	if body := ask("/metrics"); !strings.Contains(body, "cordon_audit_failing 0\n") {
		t.Error("/metrics still says that it fails")
	}
}

// G10: elapsed time comes from the monotonic clock, so a wall clock that jumps ends nothing: no
// time in the session's books may be without a monotonic reading.
func TestTimersUseTheMonotonicClock(t *testing.T) {
	w := newWorld(t, nil)
	c := hl7end.NewClient(w.dial(w.hl7))
	send(t, c, message("ORU^R01", "C1", "Doe"))
	for _, s := range w.gw.live() {
		now := time.Now()
		s.sweep(now)
		for name, at := range map[string]time.Time{"began": s.began, "watch.since": s.watch.since} {
			if !strings.Contains(at.String(), "m=") {
				t.Errorf("%s has no monotonic reading: %v", name, at)
			}
		}
	}
	send(t, c, message("ORU^R01", "C2", "Doe"))
}

// Nothing is half-started: a port in use and a missing certificate are named, and no listener
// stays open.
func TestWrongUseStartsNothing(t *testing.T) {
	w := newWorld(t, nil)
	w.stop()
	taken, err := net.Listen("tcp", w.hl7)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	p, err := w.load()
	if err != nil {
		t.Fatal(err)
	}
	_, err = New(Options{Policy: p, Audit: new(sink).log(t), Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), w.hl7) || !strings.Contains(err.Error(), "results") {
		t.Errorf("port in use: %v", err)
	}
	if c, err := net.Dial("tcp", w.dicom); err == nil {
		c.Close()
		t.Error("the other listener stayed open")
	}
	taken.Close()
	os.Remove(w.path("pki/ct-1.key"))
	_, err = New(Options{Policy: p, Audit: new(sink).log(t), Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "ct-1.key") {
		t.Errorf("missing key: %v", err)
	}
}

// No patient data: marked values sent through every path, allowed and refused, stand in no log,
// audit record, metric, status, trace, error or answer of the control socket.
func TestNoPatientData(t *testing.T) {
	const mark = "ZZMARKED"
	const markUID = "1.2.99887766554433.1"
	w := newWorld(t, nil)
	stopControl, err := w.gw.ServeControl(context.Background(), w.path("run/cordon.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer stopControl()
	httpAddr := freeAddress(t)
	stopHTTP, err := w.gw.ServeHTTP(httpAddr)
	if err != nil {
		t.Fatal(err)
	}
	defer stopHTTP()
	watcher, stopTrace, err := w.gw.watchTraffic(TraceQuery{})
	if err != nil {
		t.Fatal(err)
	}
	defer stopTrace()

	a := mustAssociate(t, w, ctImage, mrImage, verification)
	store(t, a, ctImage, markUID, image(ctImage, markUID, markUID, mark, 500))
	store(t, a, ctImage, markUID, image(ctImage, markUID, mark+"/..", mark, 500))
	store(t, a, ctImage, mark, image(ctImage, mark, markUID, mark, 500))
	store(t, a, ctImage, markUID, image(ctImage, markUID+".2", markUID, mark, 500))
	store(t, a, ctImage, markUID, mark+mark+mark+mark)
	a.Release()
	h := hl7end.NewClient(w.dial(w.hl7))
	for _, kind := range []string{"ORU^R01", "ADT^A04", "ORU^R99", mark + "^" + mark, "ORU^R01^" + mark} {
		h.Send([]byte(message(kind, mark+"1", mark)))
	}
	for _, bytes := range []string{
		"\x0bMSH|^~\\&|A|B|C|D|20260101||ORU^R01|" + mark + "|P|2.5\rPID|||" + mark + "\x1c\x1c" + mark,
		mark + mark, "\x0b" + mark + "\x1c\r", "GET /" + mark + " HTTP/1.1\r\n\r\n", "\x0bMSH|||" + mark + "\x1c\r",
		"\x0bMSH|^~\\&|A|B|C|D|20260101||ORU^R01|" + mark + "|P|2.5\rPID|||" + mark,
	} {
		for _, address := range []string{w.dicom, w.hl7} {
			c := w.dial(address)
			io.WriteString(c, bytes)
			c.CloseWrite()
			io.Copy(io.Discard, c)
		}
	}
	w.stopSessions()
	var seen strings.Builder
	cl := Client{Socket: w.path("run/cordon.sock")}
	st, err := cl.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	json.NewEncoder(&seen).Encode(st)
	for _, i := range reason.All() {
		e, err := cl.Explain(context.Background(), string(i.Code))
		if err != nil {
			t.Fatal(err)
		}
		json.NewEncoder(&seen).Encode(e)
	}
	for _, line := range strings.Split(w.sink.String(), "\n") {
		var r struct{ Session string }
		if json.Unmarshal([]byte(line), &r) == nil && r.Session != "" {
			e, _ := cl.Explain(context.Background(), r.Session)
			json.NewEncoder(&seen).Encode(e)
		}
	}
	resp, err := http.Get("http://" + httpAddr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(&seen, resp.Body)
	resp.Body.Close()
	seen.WriteString(w.sink.String())
	seen.WriteString(w.log.String())
	lines := watcher.take()
	if len(lines) < 20 {
		t.Errorf("only %d lines were traced", len(lines))
	}
	json.NewEncoder(&seen).Encode(lines)
	for _, m := range []string{mark, "99887766554433"} {
		if i := strings.Index(seen.String(), m); i >= 0 {
			t.Errorf("%s is quoted: …%s…", m, seen.String()[max(0, i-200):min(i+100, seen.Len())])
		}
	}
	if n := strings.Count(w.sink.String(), `"verdict":"refuse"`); n < 10 {
		t.Errorf("only %d refusals were recorded; the test does not reach what it should", n)
	}
}

// stopSessions waits until all sessions are over and the audit is written.
func (w *world) stopSessions() {
	w.t.Helper()
	for _, s := range w.gw.live() {
		s.kill()
	}
	if !w.gw.waitEmpty(patience) {
		w.t.Error("sessions stay")
	}
	last := w.gw.audit.Recent(1)
	w.heard(fmt.Sprintf(`"seq":%d,`, last[0].Seq))
}

// The HTTP listener is for this host alone.
func TestHTTPListenerIsForThisHostAlone(t *testing.T) {
	w := newWorld(t, nil)
	if _, err := w.gw.ServeHTTP("0.0.0.0:0"); err == nil {
		t.Error("an address that is not loopback was taken")
	}
	address := freeAddress(t)
	stop, err := w.gw.ServeHTTP(address)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for host, want := range map[string]int{address: 200, "localhost:1": 200, "evil.example": 421} {
		req, _ := http.NewRequest("GET", "http://"+address+"/healthz", nil)
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("Host %s: %d, want %d", host, resp.StatusCode, want)
		}
	}
}

// The control socket is not for everybody, and one gateway does not take another's.
func TestControlSocket(t *testing.T) {
	w := newWorld(t, nil)
	path := w.path("run/cordon.sock")
	stop, err := w.gw.ServeControl(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v, %v; want 0660", info.Mode(), err)
	}
	if _, err := w.gw.ServeControl(context.Background(), path); err == nil {
		t.Error("the socket was taken from a gateway that answers")
	}
	if _, err := (Client{Socket: path}).Explain(context.Background(), "no-such-thing"); err == nil || !strings.Contains(err.Error(), "neither") {
		t.Errorf("explain of nonsense: %v", err)
	}
	if _, err := w.gw.ServeControl(context.Background(), w.path(strings.Repeat("d", 120))); err == nil || !strings.Contains(err.Error(), "107") {
		t.Errorf("a path that is too long: %v", err)
	}
	stop()
	if _, err := (Client{Socket: path}).Status(context.Background()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("after the end: %v", err)
	}
}

// reason.SessionLimit: a device that opens more than its share is refused in its own words, and
// what it has goes on (G4).
func TestMoreSessionsThanAllowedAreRefused(t *testing.T) {
	w := newWorld(t, map[string]string{"devices/ct-1.yaml": worldCT + "limits: {sessions: 2}\n", "devices/analyzer-1.yaml": "device: analyzer-1\nstate: retired\n"})
	first, second := mustAssociate(t, w, ctImage), mustAssociate(t, w, ctImage)
	_, err := w.associate("PACS", "CT1", ctImage)
	var rj *endpoint.Rejected
	if want := reason.Lookup(reason.SessionLimit).RJ; !errors.As(err, &rj) || rj.RJ != want {
		t.Errorf("the third got %v, want a rejection %+v", err, want)
	}
	w.heard(string(reason.SessionLimit))
	for _, a := range []*endpoint.Association{first, second} {
		if status := store(t, a, ctImage, "1.2.3.4", image(ctImage, "1.2.3.4", "1.2.3", "X", 100)); status != 0 {
			t.Errorf("status %04X", status)
		}
		a.Release()
	}
}
