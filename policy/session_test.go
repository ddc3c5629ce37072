package policy

import (
	"net/netip"
	"strings"
	"testing"

	"cordon/protocols"
	"cordon/protocols/dicom"
	"cordon/protocols/hl7"
	"cordon/protocols/reason"
)

const (
	ctImage      = "1.2.840.10008.5.1.4.1.1.2"
	mrImage      = "1.2.840.10008.5.1.4.1.1.4"
	verification = "1.2.840.10008.1.1"
	studyFind    = "1.2.840.10008.5.1.4.1.2.2.1"
	worklistFind = "1.2.840.10008.5.1.4.31"
	studyMove    = "1.2.840.10008.5.1.4.1.2.2.2"
	explicitLE   = "1.2.840.10008.1.2.1"
	deflatedLE   = "1.2.840.10008.1.2.1.99"
)

// testBox is a cordon.yaml with a listener for each protocol.
const testBox = `box: {name: test}
listeners:
  imaging: {address: "127.0.0.1:11112", protocol: dicom}
  results: {address: "127.0.0.1:2575", protocol: hl7}
`

// testSite has servers on this host, where plain needs no reason.
const testSite = `upstreams:
  pacs: {ae: PACS2, address: "127.0.0.1:104", tunnel: plain, was: {ae: PACS}}
  ris: {ae: RIS, address: "127.0.0.1:105", tunnel: plain}
  his: {address: "127.0.0.1:2576", tunnel: plain}
  lis: {address: "127.0.0.1:2577", tunnel: plain}
`

// site loads a policy whose devices are the documents given.
func site(t testing.TB, devices ...string) *Policy {
	t.Helper()
	dir := t.TempDir()
	writeSite(t, dir, map[string]string{
		"cordon.yaml": testBox, "site.yaml": testSite, "devices/all.yaml": strings.Join(devices, "\n---\n"),
	})
	p, diags := Load(dir)
	if p == nil {
		t.Fatalf("no policy:\n%s", diags)
	}
	return p
}

func (p *Policy) listener(name string) *Listener {
	for _, l := range p.Listeners {
		if l.Name == name {
			return l
		}
	}
	return nil
}

// connect begins a session from an address.
func connect(t testing.TB, store *Store, listener, from string) *Session {
	t.Helper()
	l := store.Current().listener(listener)
	if l == nil {
		t.Fatalf("no listener %q", listener)
	}
	return NewSession(store, l, l.Candidates(netip.MustParseAddr(from), nil))
}

// associate is an A-ASSOCIATE-RQ that proposes contexts.
func associate(called, calling string, abstracts ...string) *dicom.Association {
	a := &dicom.Association{
		ProtocolVersion: 1, CalledAE: []byte(called), CallingAE: []byte(calling), ApplicationContext: []byte(applicationContext),
	}
	for i, uid := range abstracts {
		a.Contexts = append(a.Contexts, dicom.PresentationContext{
			ID: uint8(2*i + 1), Abstract: []byte(uid), Transfer: [][]byte{[]byte(explicitLE), []byte(deflatedLE)},
		})
	}
	return a
}

// expect is what a verdict should say.
type expect struct {
	action protocols.Action
	would  protocols.Action
	reason reason.Code
	found  string
	rule   string // its end
}

func (e expect) check(t *testing.T, v *protocols.Verdict) {
	t.Helper()
	if v.Action != e.action || v.Would != e.would || v.Reason != e.reason {
		t.Errorf("got %s (would %s) %q found %q by %q, want %s (would %s) %q", v.Action, v.Would, v.Reason, v.Found, v.Rule, e.action, e.would, e.reason)
	}
	if e.found != "" && v.Found.String() != e.found {
		t.Errorf("found %q, want %q", v.Found, e.found)
	}
	if !strings.HasSuffix(v.Rule, e.rule) {
		t.Errorf("rule %q, want …%q", v.Rule, e.rule)
	}
}

var (
	allowed = expect{}
	refused = func(code reason.Code) expect {
		return expect{action: protocols.Refuse, would: protocols.Refuse, reason: code}
	}
	reported = func(code reason.Code) expect {
		return expect{would: protocols.Refuse, reason: code}
	}
)

func (e expect) about(found, rule string) expect { e.found, e.rule = found, rule; return e }

const ct1 = `device: ct-1
mode: enforce
identify: {ip: 10.0.0.1}
ae: {titles: [CT1, CT1B]}
flows:
  archive: {to: pacs, allow: [echo, store: [CT Image Storage], find: {model: Study Root}, move: {to: self}]}
  worklist: {to: ris, allow: [echo, find: {model: Modality Worklist}, mpps]}`

func TestAssociate(t *testing.T) {
	shadowed := strings.NewReplacer("ct-1", "ct-2", "enforce", "shadow", "10.0.0.1", "10.0.0.2", "CT1B", "CT2B", "CT1", "CT2").Replace(ct1)
	nat := func(name, mode, title string) string {
		return "device: " + name + "\nmode: " + mode + "\nidentify: {ip: 10.0.0.9}\nae: {titles: [" + title + "]}\nflows: {archive: {to: pacs, allow: [echo]}}"
	}
	untitled := "device: plain-old\nmode: enforce\nidentify: {ip: 10.0.0.7}\nflows: {archive: {to: pacs, allow: [echo]}}"
	quarantined := "device: sick\nmode: shadow\nstate: quarantined\nidentify: {ip: 10.0.0.8}\nflows: {archive: {to: pacs, allow: [echo]}}"
	store := NewStore(site(t, ct1, shadowed, nat("a", "enforce", "A"), nat("b", "shadow", "B"), untitled, quarantined))
	rewritten := expect{action: protocols.Rewrite, would: protocols.Rewrite, reason: reason.PolicyRewrite}

	for _, tt := range []struct {
		name, from string
		a          *dicom.Association
		flow       string
		want       expect
		callAs     string
	}{
		{"called by its title", "10.0.0.1", associate("PACS2", "CT1"), "ct-1/archive", allowed, ""},
		{"the other flow", "10.0.0.1", associate("RIS", "CT1B"), "ct-1/worklist", allowed, ""},
		{"the title the server had", "10.0.0.1", associate("PACS", "CT1"), "ct-1/archive", rewritten.about("PACS as PACS2", "upstreams.pacs.ae"), "PACS2"},
		{"wrong called title", "10.0.0.1", associate("PAX", "CT1"), "ct-1/archive", refused(reason.DICOMCalledAE).about("PAX", "upstreams.pacs.ae"), ""},
		{"wrong called title goes where its contexts fit", "10.0.0.1", associate("PAX", "CT1", "1.2.840.10008.5.1.4.31"), "ct-1/worklist", refused(reason.DICOMCalledAE).about("PAX", "upstreams.ris.ae"), ""},
		{"wrong calling title", "10.0.0.1", associate("RIS", "EVIL"), "ct-1/worklist", refused(reason.DICOMCallingAE).about("EVIL", "ae.titles"), ""},
		{"both wrong", "10.0.0.1", associate("X", "Y"), "ct-1/archive", refused(reason.DICOMCallingAE).about("Y", "ae.titles"), ""},
		{"titles are compared in full", "10.0.0.1", associate("PACS2", "ct1"), "ct-1/archive", refused(reason.DICOMCallingAE), ""},
		{"a device without titles may use any", "10.0.0.7", associate("PACS2", "WHATEVER"), "plain-old/archive", allowed, ""},
		{"unknown peer", "10.9.9.9", associate("PACS2", "CT1"), "", refused(reason.SessionUnknownPeer).about("", "cordon.yaml:3 listeners.imaging"), ""},
		{"quarantine refuses in shadow too", "10.0.0.8", associate("PACS2", "X"), "sick/archive", refused(reason.SessionRevoked), ""},

		{"shadow passes a wrong called title", "10.0.0.2", associate("PAX", "CT2"), "ct-2/archive", reported(reason.DICOMCalledAE).about("PAX", ""), ""},
		{"shadow passes a wrong calling title", "10.0.0.2", associate("RIS", "EVIL"), "ct-2/worklist", reported(reason.DICOMCallingAE).about("EVIL", ""), ""},
		{"shadow renames what it passes", "10.0.0.2", associate("PACS", "EVIL"), "ct-2/archive",
			expect{action: protocols.Rewrite, would: protocols.Refuse, reason: reason.DICOMCallingAE}, "PACS2"},

		{"one address, told apart by calling title", "10.0.0.9", associate("PACS2", "B"), "b/archive", allowed, ""},
		{"one address, a known device calls wrong: its mode holds", "10.0.0.9", associate("PAX", "B"), "b/archive", reported(reason.DICOMCalledAE), ""},
		{"one address, nobody knows who: the strictest mode holds", "10.0.0.9", associate("PACS2", "C"), "a/archive", refused(reason.DICOMCallingAE), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := connect(t, store, "imaging", tt.from)
			var v protocols.Verdict
			v.Reset(protocols.Near)
			s.Associate(tt.a, &v)
			tt.want.check(t, &v)
			if tt.a.CallAs != tt.callAs {
				t.Errorf("called as %q, want %q", tt.a.CallAs, tt.callAs)
			}
			id := ""
			if f := s.Flow(); f != nil {
				id = f.ID()
			}
			if id != tt.flow {
				t.Errorf("flow %q, want %q", id, tt.flow)
			}
		})
	}
}

func TestAssociationBuiltIns(t *testing.T) {
	store := NewStore(site(t, ct1))
	for _, tt := range []struct {
		name   string
		change func(*dicom.Association)
		want   expect
	}{
		{"version without bit 0", func(a *dicom.Association) { a.ProtocolVersion = 2 }, refused(reason.DICOMProtocolVersion).about("", "PS3.8 §9.3.2")},
		{"more versions than ours", func(a *dicom.Association) { a.ProtocolVersion = 3 }, allowed},
		{"application context", func(a *dicom.Association) { a.ApplicationContext = []byte("1.2.3") }, refused(reason.DICOMApplicationContext).about("", "PS3.7 §A.2.1")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := associate("PACS2", "CT1")
			tt.change(a)
			var v protocols.Verdict
			connect(t, store, "imaging", "10.0.0.1").Associate(a, &v)
			tt.want.check(t, &v)
		})
	}
}

// TestContext covers the rules' part of D13 and D14: private classes and transfer syntaxes are a
// matter of policy, and what policy forbids is refused context by context.
func TestContext(t *testing.T) {
	const private, privateTransfer = "1.2.840.113619.4.26", "1.2.840.113619.5.2"
	device := `device: ct-1
mode: %M
identify: {ip: 10.0.0.1}
flows:
  archive: {to: pacs, allow: [echo, store: [CT Image Storage, 1.2.840.113619.4.26]]}
  all: {to: ris, allow: [store: all], transfer_syntaxes: [Deflated Explicit VR Little Endian, 1.2.840.113619.5.2, Implicit VR Little Endian]}`
	for _, tt := range []struct {
		name, called, abstract string
		transfer               []string
		keep                   string // of enforce
		want                   expect
	}{
		{"allowed", "PACS2", ctImage, []string{explicitLE}, "y", allowed.about("CT Image Storage", "archive.allow[1]")},
		{"its echo", "PACS2", verification, []string{explicitLE}, "y", allowed.about("", "archive.allow[0]")},
		{"another class", "PACS2", mrImage, []string{explicitLE}, "y", refused(reason.DICOMAbstractSyntax).about("MR Image Storage", "archive.allow")},
		{"deflated only by name", "PACS2", ctImage, []string{deflatedLE, explicitLE}, "ny", allowed},
		{"nothing but deflated", "PACS2", ctImage, []string{deflatedLE}, "n", refused(reason.DICOMTransferSyntax)},
		{"private class by UID", "PACS2", private, []string{explicitLE}, "y", allowed.about(private, "archive.allow[1]")},
		{"private transfer syntax", "PACS2", ctImage, []string{privateTransfer, explicitLE}, "ny", allowed},
		{"compressed", "PACS2", ctImage, []string{"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"}, "yy", allowed},
		{"all storage classes", "RIS", mrImage, []string{deflatedLE, explicitLE}, "yn", allowed.about("", "all.allow[0]")},
		{"all does not mean private ones", "RIS", private, []string{deflatedLE}, "y", refused(reason.DICOMAbstractSyntax)},
		{"all does not mean other services", "RIS", verification, []string{deflatedLE}, "y", refused(reason.DICOMAbstractSyntax)},
		{"all does not mean storage commitment", "RIS", "1.2.840.10008.1.20.1", []string{deflatedLE}, "y", refused(reason.DICOMAbstractSyntax)},
		{"private transfer syntax by UID", "RIS", ctImage, []string{privateTransfer, "1.2.840.10008.1.2"}, "yy", allowed},
	} {
		for _, mode := range []string{"enforce", "shadow"} {
			t.Run(tt.name+" in "+mode, func(t *testing.T) {
				store := NewStore(site(t, strings.Replace(device, "%M", mode, 1)))
				s := connect(t, store, "imaging", "10.0.0.1")
				a := associate(tt.called, "CT1")
				var v protocols.Verdict
				if s.Associate(a, &v); v.Refused() {
					t.Fatal(v.Reason)
				}
				pc := dicom.PresentationContext{ID: 1, Abstract: []byte(tt.abstract)}
				keep := make([]bool, len(tt.transfer))
				for i, uid := range tt.transfer {
					pc.Transfer, keep[i] = append(pc.Transfer, []byte(uid)), true
				}
				v.Reset(protocols.Near)
				s.Context(a, &pc, keep, &v)
				want, kept := tt.want, tt.keep
				if mode == "shadow" {
					want.action, kept = protocols.Allow, strings.Repeat("y", len(keep))
				}
				want.check(t, &v)
				for i, k := range keep {
					if k != (kept[i] == 'y') {
						t.Errorf("keep %v, want %s", keep, kept)
					}
				}
			})
		}
	}
}

// begun returns a session whose association was allowed.
func begun(t testing.TB, store *Store, from, called, calling string) *Session {
	t.Helper()
	s := connect(t, store, "imaging", from)
	var v protocols.Verdict
	if s.Associate(associate(called, calling), &v); v.Refused() {
		t.Fatal(v.Reason)
	}
	return s
}

// command is a request from the device.
func command(field uint16, class string) *dicom.Command {
	return &dicom.Command{
		From: protocols.Near, Field: field, MessageID: 7, Abstract: class, Transfer: explicitLE,
		SOPClass: []byte(class), SOPInstance: []byte("1.2.3"), InstanceSafe: true,
	}
}

func TestCommand(t *testing.T) {
	const filmSessionClass, printMetaClass = "1.2.840.10008.5.1.1.1", "1.2.840.10008.5.1.1.9"
	devices := []string{ct1, "device: p\nmode: enforce\nidentify: {ip: 10.0.0.2}\nflows: {film: {to: ris, allow: [print]}}"}
	with := func(c *dicom.Command, change func(*dicom.Command)) *dicom.Command { change(c); return c }
	for _, tt := range []struct {
		name         string
		from, called string
		c            *dicom.Command
		want         expect
	}{
		{"store", "10.0.0.1", "PACS2", command(dicom.CStoreRQ, ctImage), allowed.about("CT Image Storage", "archive.allow[1]")},
		{"echo", "10.0.0.1", "PACS2", command(dicom.CEchoRQ, verification), allowed.about("", "archive.allow[0]")},
		{"find", "10.0.0.1", "PACS2", command(dicom.CFindRQ, studyFind), allowed.about("", "archive.allow[2]")},
		{"D19: cancel", "10.0.0.1", "PACS2", with(command(dicom.CancelRQ, studyFind), func(c *dicom.Command) { c.SOPClass = nil }), allowed},
		{"D19: move to itself", "10.0.0.1", "PACS2", with(command(dicom.CMoveRQ, studyMove), func(c *dicom.Command) { c.MoveAE = []byte("CT1B") }), allowed.about("", "archive.allow[3]")},
		{"D19: move elsewhere", "10.0.0.1", "PACS2", with(command(dicom.CMoveRQ, studyMove), func(c *dicom.Command) { c.MoveAE = []byte("THIEF") }),
			refused(reason.DICOMMoveDestination).about("THIEF", "archive.allow[3]")},
		{"move to nobody", "10.0.0.1", "PACS2", command(dicom.CMoveRQ, studyMove), refused(reason.DICOMMoveDestination)},
		{"a class not allowed", "10.0.0.1", "PACS2", command(dicom.CStoreRQ, mrImage), refused(reason.DICOMAbstractSyntax).about("MR Image Storage", "archive.allow")},
		{"an operation not allowed on the class", "10.0.0.1", "PACS2", command(dicom.CFindRQ, ctImage), refused(reason.DICOMCommand).about("CT Image Storage", "archive.allow")},
		{"another flow's operation", "10.0.0.1", "RIS", command(dicom.CStoreRQ, ctImage), refused(reason.DICOMAbstractSyntax)},
		{"create a performed procedure step", "10.0.0.1", "RIS", command(dicom.NCreateRQ, "1.2.840.10008.3.1.2.3.3"), allowed},
		{"delete a performed procedure step", "10.0.0.1", "RIS", command(dicom.NDeleteRQ, "1.2.840.10008.3.1.2.3.3"), refused(reason.DICOMCommand)},
		{"the server as the user of the service", "10.0.0.1", "PACS2", with(command(dicom.CStoreRQ, ctImage), func(c *dicom.Command) { c.From = protocols.Far }), refused(reason.DICOMCommand)},
		{"a class that is not the context's", "10.0.0.1", "PACS2", with(command(dicom.CStoreRQ, ctImage), func(c *dicom.Command) { c.SOPClass = []byte(mrImage) }), refused(reason.DICOMSOPClass)},
		{"no class", "10.0.0.1", "PACS2", with(command(dicom.CStoreRQ, ctImage), func(c *dicom.Command) { c.SOPClass = nil }), refused(reason.DICOMSOPClass)},
		{"an instance UID that is a path", "10.0.0.1", "PACS2", with(command(dicom.CStoreRQ, ctImage), func(c *dicom.Command) { c.InstanceSafe = false }), refused(reason.DICOMUID).about("", "PS3.5 §9.1")},
		{"a transfer syntax not allowed", "10.0.0.1", "PACS2", with(command(dicom.CStoreRQ, ctImage), func(c *dicom.Command) { c.Transfer = deflatedLE }),
			refused(reason.DICOMTransferSyntax).about("Deflated Explicit VR Little Endian", "")},
		{"a member of a meta class", "10.0.0.2", "RIS", with(command(dicom.NCreateRQ, printMetaClass), func(c *dicom.Command) { c.SOPClass = []byte(filmSessionClass) }), allowed},
		{"no member of the meta class", "10.0.0.2", "RIS", with(command(dicom.NCreateRQ, printMetaClass), func(c *dicom.Command) { c.SOPClass = []byte(ctImage) }), refused(reason.DICOMSOPClass)},
		{"an unknown command", "10.0.0.1", "PACS2", command(0x0777, ctImage), refused(reason.DICOMCommand)},
	} {
		for _, mode := range []string{"enforce", "shadow", "learn"} {
			t.Run(tt.name+" in "+mode, func(t *testing.T) {
				var docs []string
				for _, d := range devices {
					docs = append(docs, strings.Replace(d, "enforce", mode, 1))
				}
				s := begun(t, NewStore(site(t, docs...)), tt.from, tt.called, "CT1")
				var v protocols.Verdict
				v.Reset(tt.c.From)
				s.Command(tt.c, &v)
				want := tt.want
				if mode != "enforce" {
					want.action = protocols.Allow
				}
				want.check(t, &v)
			})
		}
	}
}

func TestResponse(t *testing.T) {
	s := begun(t, NewStore(site(t, ct1)), "10.0.0.1", "PACS2", "CT1")
	var v protocols.Verdict
	s.Command(command(dicom.CStoreRQ, ctImage), &v)
	answer := &dicom.Command{From: protocols.Far, Field: dicom.CStoreRSP, MessageID: 7, Abstract: ctImage, Transfer: explicitLE, InstanceSafe: true}
	v.Reset(protocols.Far)
	s.Command(answer, &v)
	allowed.check(t, &v)
	answer.InstanceSafe = false
	v.Reset(protocols.Far)
	s.Command(answer, &v)
	refused(reason.DICOMUID).check(t, &v)
}

func TestDataSet(t *testing.T) {
	good := dicom.DataSet{
		SOPClass: []byte(ctImage), SOPInstance: []byte("1.2.3"), StudyInstance: []byte("1.2"), SeriesInstance: []byte("1.2.1"),
		InstanceSafe: true, StudySafe: true, SeriesSafe: true,
	}
	for _, tt := range []struct {
		name   string
		change func(*dicom.DataSet)
		want   expect
	}{
		{"the same as its command", func(*dicom.DataSet) {}, allowed},
		{"names nothing", func(d *dicom.DataSet) { d.SOPClass, d.SOPInstance, d.StudyInstance = nil, nil, nil }, allowed},
		{"another class", func(d *dicom.DataSet) { d.SOPClass = []byte(mrImage) }, refused(reason.DICOMUIDMismatch)},
		{"another instance", func(d *dicom.DataSet) { d.SOPInstance = []byte("1.2.4") }, refused(reason.DICOMUIDMismatch)},
		{"an empty instance", func(d *dicom.DataSet) { d.SOPInstance = []byte{} }, refused(reason.DICOMUIDMismatch)},
		{"an instance that is a path", func(d *dicom.DataSet) { d.InstanceSafe = false }, refused(reason.DICOMUID)},
		{"a study that is a path", func(d *dicom.DataSet) { d.StudySafe = false }, refused(reason.DICOMUID)},
		{"a series that is a path", func(d *dicom.DataSet) { d.SeriesSafe = false }, refused(reason.DICOMUID)},
		{"cannot be read", func(d *dicom.DataSet) { d.Fault = &protocols.Malformed{Reason: reason.DICOMDataSet} }, refused(reason.DICOMDataSet).about("", "PS3.5 §7")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := begun(t, NewStore(site(t, ct1)), "10.0.0.1", "PACS2", "CT1")
			c := command(dicom.CStoreRQ, ctImage)
			var v protocols.Verdict
			s.Command(c, &v)
			d := good
			tt.change(&d)
			v.Reset(protocols.Near)
			s.DataSet(c, &d, &v)
			tt.want.check(t, &v)
		})
	}
}

func message(app, facility, to, kind string) *hl7.Message {
	code, event, _ := strings.Cut(kind, "^")
	return &hl7.Message{
		From: protocols.Near, Delimiters: [6]byte{'|', '^', '~', '\\', '&'},
		SendingApplication: []byte(app), SendingFacility: []byte(facility), ReceivingApplication: []byte(to),
		Type: []byte(code), Trigger: []byte(event),
	}
}

const lab = `device: lab-1
mode: %M
identify: {ip: 10.0.0.4, hl7: {application: [LAB, "LAB2^1.2.3^ISO"], facility: EAST}}
flows:
  results: {to: his, receiver: {application: HIS}, allow: [message: [ORU^R01, ORU^R03], message: "ADT^*"]}
  quality: {to: lis, receiver: {application: LIS}, allow: [message: OUL^R22]}`

func TestMessage(t *testing.T) {
	for _, tt := range []struct {
		name string
		m    *hl7.Message
		flow string
		want expect
	}{
		{"allowed", message("LAB", "EAST", "HIS", "ORU^R01"), "results", allowed.about("ORU^R01", "results.allow[0]")},
		{"any trigger event", message("LAB", "EAST", "HIS", "ADT^A99"), "results", allowed.about("ADT^A99", "results.allow[1]")},
		{"any means none, too", message("LAB", "EAST", "HIS", "ADT"), "results", allowed.about("ADT", "")},
		{"the other receiver", message("LAB", "EAST", "LIS", "OUL^R22"), "quality", allowed.about("", "quality.allow[0]")},
		{"first component of an HD", message("LAB^9.9^ISO", "EAST^1^L", "HIS", "ORU^R01"), "results", allowed},
		{"an HD as a whole", message("LAB2^1.2.3^ISO", "EAST", "HIS", "ORU^R01"), "results", allowed},
		{"an HD with another root", message("LAB2^6.6.6^ISO", "EAST", "HIS", "ORU^R01"), "results", refused(reason.HL7Sender)},
		{"another trigger event", message("LAB", "EAST", "HIS", "ORU^R30"), "results", refused(reason.HL7Trigger).about("ORU^R30", "results.allow")},
		{"no trigger event", message("LAB", "EAST", "HIS", "ORU"), "results", refused(reason.HL7Trigger).about("ORU", "")},
		{"another type", message("LAB", "EAST", "HIS", "ORM^O01"), "results", refused(reason.HL7MessageType).about("ORM^O01", "results.allow")},
		{"a type of the other flow", message("LAB", "EAST", "HIS", "OUL^R22"), "results", refused(reason.HL7MessageType)},
		{"another sender", message("XRAY", "EAST", "LIS", "OUL^R22"), "quality", refused(reason.HL7Sender).about("OUL^R22", "identify.hl7")},
		{"another facility", message("LAB", "WEST", "HIS", "ORU^R01"), "results", refused(reason.HL7Sender)},
		{"no sender", message("", "", "HIS", "ORU^R01"), "results", refused(reason.HL7Sender)},
		{"another receiver", message("LAB", "EAST", "X", "OUL^R22"), "quality", refused(reason.HL7Receiver).about("", "quality.receiver")},
		{"text where a type belongs", message("LAB", "EAST", "HIS", "DOE^JANE"), "results", refused(reason.HL7MessageType).about("no message type", "")},
	} {
		for _, mode := range []string{"enforce", "shadow"} {
			t.Run(tt.name+" in "+mode, func(t *testing.T) {
				s := connect(t, NewStore(site(t, strings.Replace(lab, "%M", mode, 1))), "results", "10.0.0.4")
				var v protocols.Verdict
				v.Reset(protocols.Near)
				s.Message(tt.m, &v)
				want := tt.want
				if mode == "shadow" {
					want.action = protocols.Allow
				}
				want.check(t, &v)
				if s.Flow().Name != tt.flow {
					t.Errorf("flow %s, want %s", s.Flow().Name, tt.flow)
				}
			})
		}
	}
}

func TestLaterMessagesBelongToTheFlow(t *testing.T) {
	s := connect(t, NewStore(site(t, strings.Replace(lab, "%M", "enforce", 1))), "results", "10.0.0.4")
	for _, tt := range []struct {
		name string
		m    *hl7.Message
		want expect
	}{
		{"the first chooses", message("LAB", "EAST", "HIS", "ORU^R01"), allowed},
		{"the next fits it", message("LAB", "EAST", "HIS", "ORU^R03"), allowed},
		{"one for another receiver", message("LAB", "EAST", "LIS", "OUL^R22"), refused(reason.HL7Receiver)},
		{"one of another sender", message("XRAY", "EAST", "HIS", "ORU^R01"), refused(reason.HL7Sender)},
		{"and the next", message("LAB", "EAST", "HIS", "ORU^R01"), allowed},
	} {
		var v protocols.Verdict
		v.Reset(protocols.Near)
		s.Message(tt.m, &v)
		t.Run(tt.name, func(t *testing.T) { tt.want.check(t, &v) })
	}
}

func TestMessageBuiltIns(t *testing.T) {
	tolerant := strings.Replace(lab, "receiver: {application: HIS},", "receiver: {application: HIS}, tolerate: {segment_ends: true, strays: true},", 1)
	for _, tt := range []struct {
		name, device string
		change       func(*hl7.Message)
		want         expect
	}{
		{"a batch", lab, func(m *hl7.Message) { m.Batch = true }, refused(reason.HL7Batch)},
		{"a message of the server", lab, func(m *hl7.Message) { m.From = protocols.Far }, refused(reason.HL7MessageType)},
		{"H6: line feeds, strict", lab, func(m *hl7.Message) { m.EndsWithLF = true }, refused(reason.HL7SegmentEnd)},
		{"H6: line feeds, tolerated", tolerant, func(m *hl7.Message) { m.EndsWithLF = true }, allowed},
		{"H6: line feeds, tolerated in the other flow", tolerant, func(m *hl7.Message) {
			m.EndsWithLF, m.ReceivingApplication, m.Type, m.Trigger = true, []byte("LIS"), []byte("OUL"), []byte("R22")
		}, refused(reason.HL7SegmentEnd)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := connect(t, NewStore(site(t, strings.Replace(tt.device, "%M", "enforce", 1))), "results", "10.0.0.4")
			m := message("LAB", "EAST", "HIS", "ORU^R01")
			tt.change(m)
			var v protocols.Verdict
			v.Reset(m.From)
			s.Message(m, &v)
			tt.want.check(t, &v)
		})
	}
}

// TestTolerance covers the rules' part of H3 and H16: before the first message has chosen a flow,
// what any candidate tolerates is tolerated.
func TestTolerance(t *testing.T) {
	device := `device: lab-1
identify: {ip: 10.0.0.4}
flows:
  a: {to: his, receiver: {application: A}, allow: [message: ORU^R01], tolerate: {strays: true}, limits: {message: 64KiB}}
  b: {to: his, receiver: {application: B}, allow: [message: ORU^R01], limits: {message: 1MiB}}`
	s := connect(t, NewStore(site(t, device)), "results", "10.0.0.4")
	if got, want := s.Tolerance(protocols.Near), (hl7.Tolerance{Strays: true, MaxMessage: 1 << 20}); got != want {
		t.Errorf("before: %+v, want %+v", got, want)
	}
	var v protocols.Verdict
	s.Message(message("", "", "A", "ORU^R01"), &v)
	if got, want := s.Tolerance(protocols.Near), (hl7.Tolerance{Strays: true, MaxMessage: 64 << 10}); got != want {
		t.Errorf("after: %+v, want %+v", got, want)
	}
}

func TestAcknowledgment(t *testing.T) {
	s := connect(t, NewStore(site(t, strings.Replace(lab, "%M", "enforce", 1))), "results", "10.0.0.4")
	var v protocols.Verdict
	s.Message(message("LAB", "EAST", "HIS", "ORU^R01"), &v)
	ack := message("HIS", "", "LAB", "ACK^R01")
	ack.From = protocols.Far
	v.Reset(protocols.Far)
	s.Acknowledgment(ack, &v)
	allowed.check(t, &v)
	ack.Batch = true
	v.Reset(protocols.Far)
	s.Acknowledgment(ack, &v)
	refused(reason.HL7Batch).check(t, &v)
}

func TestBreachFollowsTheMode(t *testing.T) {
	for mode, want := range map[string]expect{
		"enforce": refused(reason.HL7AckMismatch), "shadow": reported(reason.HL7AckMismatch), "learn": reported(reason.HL7AckMismatch),
	} {
		s := connect(t, NewStore(site(t, strings.Replace(lab, "%M", mode, 1))), "results", "10.0.0.4")
		var v protocols.Verdict
		v.Reset(protocols.Far)
		s.Breach(reason.HL7AckMismatch, &v)
		want.check(t, &v)
	}
}

// TestSeveralFlowsFit: Load reports such policies as ambiguous; should one get through, nothing
// passes, in no mode.
func TestSeveralFlowsFit(t *testing.T) {
	shadow := strings.NewReplacer("enforce", "shadow", "%M", "shadow")
	p := site(t, shadow.Replace(ct1), shadow.Replace(strings.NewReplacer("ct-1", "ct-2", "10.0.0.1", "10.0.0.2").Replace(ct1)),
		shadow.Replace(lab), shadow.Replace(strings.NewReplacer("lab-1", "lab-2", "10.0.0.4", "10.0.0.5").Replace(lab)))
	store := NewStore(p)
	var v protocols.Verdict
	NewSession(store, p.listener("imaging"), p.listener("imaging").Flows).Associate(associate("PACS2", "CT1"), &v)
	refused(reason.SessionAmbiguous).check(t, &v)
	s := NewSession(store, p.listener("results"), p.listener("results").Flows)
	for range 2 {
		v.Reset(protocols.Near)
		s.Message(message("LAB", "EAST", "HIS", "ORU^R01"), &v)
		refused(reason.SessionAmbiguous).check(t, &v)
	}
}
