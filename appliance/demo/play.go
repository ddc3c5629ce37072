package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"cordon/gateway/audit"
	"cordon/protocols/dicom/endpoint"
	"cordon/protocols/reason"
)

// sceneLimit bounds everything that a device does in one scene.
const sceneLimit = 30 * time.Second

// Scene is one thing that a device of the demo does, and what must come of it: what the device
// sees, what reaches a server, and what stands in the audit.
type Scene struct {
	Device string
	Title  string
	do     func(a *actor) (sees string, err error)

	Sees    string        // the answer in the protocol's own words
	Reaches int           // objects and messages that a server receives, each as it was sent
	Unit    string        // what is sent, where it is allowed
	Verdict string        // "allow" or "refuse"
	Reasons []reason.Code // one record for each, of a refusal or of what enforce would refuse
}

// allowed tells whether nothing of the scene would be refused by any rule.
func (s *Scene) allowed() bool { return len(s.Reasons) == 0 }

// scenes is the play. What must pass comes first, then what must be refused, then the device
// whose policy is in shadow.
func scenes(images int) []Scene {
	allow := func(device, title string, do func(*actor) (string, error), sees string, reaches int, unit string) Scene {
		return Scene{device, title, do, sees, reaches, unit, "allow", nil}
	}
	refuse := func(device, title string, do func(*actor) (string, error), sees string, reaches int, why ...reason.Code) Scene {
		return Scene{device, title, do, sees, reaches, "", "refuse", why}
	}
	return []Scene{
		allow("ct-3", "asks whether the archive is there (C-ECHO)", echo, "0000H", 0, "C-ECHO-RQ"),
		allow("ct-3", fmt.Sprintf("stores a CT series of %d images", images), storeSeries,
			fmt.Sprintf("0000H ×%d", images), images, "C-STORE-RQ"),
		allow("analyzer-7", "sends a result (ORU^R01)", send((*Desk).Glucose), "AA", 1, "ORU^R01"),
		allow("analyzer-7", "sends a panel of results (ORU^R01)", send((*Desk).Panel), "AA", 1, "ORU^R01"),

		refuse("ct-3", "calls an AE title that is not its archive's", associateAs("ARCHIVE9", ""),
			"A-ASSOCIATE-RJ 1/1/7", 0, reason.DICOMCalledAE),
		refuse("ct-3", "calls itself by an AE title that is not its own", associateAs("", "INTRUDER"),
			"A-ASSOCIATE-RJ 1/1/3", 0, reason.DICOMCallingAE),
		refuse("ct-3", "proposes a SOP class that it may not store", propose(secondaryCapture),
			"A-ASSOCIATE-RJ 1/1/1", 0, reason.DICOMNoContext),
		refuse("ct-3", "wants to query the archive (C-FIND)", propose(studyRootFind),
			"A-ASSOCIATE-RJ 1/1/1", 0, reason.DICOMNoContext),
		refuse("ct-3", "stores an image whose Instance UID leaves its folder, then a good one",
			storeEvil((*Study).InstanceOutside), "C000H 0000H", 1, reason.DICOMUID),
		refuse("ct-3", "stores an image whose Study UID leaves its folder, then a good one",
			storeEvil((*Study).StudyOutside), "C000H 0000H", 1, reason.DICOMUID),
		refuse("analyzer-7", "registers a patient (ADT^A04)", send((*Desk).Registration), "AR 200", 0, reason.HL7MessageType),
		refuse("analyzer-7", "sends a result with another trigger event (ORU^R30)", send((*Desk).PointOfCare),
			"AR 201", 0, reason.HL7Trigger),
		refuse("ct-3", "sends garbage", raw("\xde\xad\xbe\xef\x00\xff garbage, more garbage \x00\x01\x02\x03"),
			"A-ABORT 2/1", 0, reason.DICOMNotDICOM),
		refuse("ct-3", "speaks HTTP to the DICOM port", raw("GET /studies HTTP/1.1\r\nHost: pacs\r\n\r\n"),
			"A-ABORT 2/1", 0, reason.DICOMNotDICOM),

		{"us-2", "stores a screen shot that its policy, still in shadow, would refuse", storeCapture,
			"0000H", 1, "C-STORE-RQ", "allow", []reason.Code{reason.DICOMAbstractSyntax}},
	}
}

// Stage is where the play happens.
type Stage struct {
	DICOM, HL7 string // addresses that devices connect to
	Called     string // AE title of the archive
	servers    *servers
	study      *Study
	desk       *Desk
	// heard hands over the audit records of each verdict; nil when no gateway is there, and then
	// only what it would allow is played.
	heard *heard
}

// Play plays the scenes and returns each expectation that did not hold. It ends early with ctx.
func (st *Stage) Play(ctx context.Context, scenes []Scene) (failed []error) {
	for i := range scenes {
		s := &scenes[i]
		if st.heard == nil && !s.allowed() {
			continue
		}
		err := st.scene(ctx, s)
		if ctx.Err() != nil {
			break // of no fault of the scene
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s %s: %w", s.Device, s.Title, err))
		}
	}
	return failed
}

func (st *Stage) scene(ctx context.Context, s *Scene) error {
	ctx, cancel := context.WithTimeout(ctx, sceneLimit)
	defer cancel()
	st.servers.take()
	a := &actor{Stage: st, ctx: ctx, who: cast[s.Device]}
	defer a.leave()
	sees, err := s.do(a)
	var wrong []error
	switch {
	case err != nil:
		wrong = append(wrong, err)
	case sees != s.Sees:
		wrong = append(wrong, fmt.Errorf("the device sees %q, not %q", sees, s.Sees))
	}
	if st.heard != nil {
		wrong = append(wrong, st.heard.expect(ctx, s))
	}
	return errors.Join(append(wrong, a.arrived(s.Reaches))...)
}

// arrived compares what the servers received during the scene with what was sent.
func (a *actor) arrived(want int) error {
	got := a.servers.take()
	if len(got) != want {
		return fmt.Errorf("the servers received %d objects or messages, not %d", len(got), want)
	}
	for i, r := range got {
		data, err := r.read()
		if err != nil {
			return err
		}
		if !bytes.Equal(data, a.sent[i]) {
			return fmt.Errorf("what the server received as number %d differs from what was sent", i+1)
		}
	}
	return nil
}

// read returns the bytes that came over the wire: the data set of an object without its file
// meta information, or a message.
func (r Received) read() ([]byte, error) {
	f, err := os.Open(r.File)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if r.Instance != "" {
		if _, err := endpoint.ReadFileMeta(f); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(f)
}

// heard collects audit records until the play asks for them.
type heard struct{ rows chan row }

// record keeps what a record says. The play reads it soon; a record too many is lost rather than
// waited for.
func (h *heard) record(r audit.Record) {
	select {
	case h.rows <- rowOf(r):
	default:
	}
}

// expect waits for the records that the scene must leave: one for each of its reasons, or one for
// each unit that reaches a server. A refusal for another reason is an error.
func (h *heard) expect(ctx context.Context, s *Scene) error {
	units, reasons := max(1, s.Reaches), slices.Clone(s.Reasons)
	if len(reasons) > 0 {
		units = 0
	}
	for units > 0 || len(reasons) > 0 {
		select {
		case r := <-h.rows:
			i := slices.Index(reasons, reason.Code(r.code))
			switch {
			case r.device != s.Device:
			case r.verdict == "refuse" && (i < 0 || s.Verdict != "refuse"):
				return fmt.Errorf("audit: %s is refused with %s", r.unit, r.code)
			case i >= 0 && r.verdict == s.Verdict && r.would == "refuse":
				reasons = slices.Delete(reasons, i, i+1)
			case r.verdict == "allow" && r.unit == s.Unit:
				units--
			}
		case <-ctx.Done():
			return s.missing(units, reasons)
		}
	}
	return nil
}

func (s *Scene) missing(units int, reasons []reason.Code) error {
	if len(reasons) > 0 {
		return fmt.Errorf("audit: no record says %s because of %s", s.Verdict, reasons[0])
	}
	return fmt.Errorf("audit: %d records less than expected say that %s is allowed", units, s.Unit)
}
