package interop

import (
	"strings"
	"testing"
)

// ctOnly is a flow that takes CT images and C-ECHO.
var ctOnly = flow{protocol: "dicom", allow: "[echo, store: [CT Image Storage]]"}

const (
	ctImageStorage = "1.2.840.10008.5.1.4.1.1.2"
	mrImageStorage = "1.2.840.10008.5.1.4.1.1.4"
	explicitLE     = "1.2.840.10008.1.2.1"
)

// sampleOf returns a file of the corpus of that SOP class that storescu can send as it is.
func sampleOf(t *testing.T, sopClass string) sample {
	t.Helper()
	for _, s := range dicomSamples(t) {
		if s.sopClass == sopClass && s.transfer == explicitLE && s.named && !s.mismatch {
			return s
		}
	}
	t.Fatalf("the corpus has no sample of SOP class %s", sopClass)
	panic("not reached")
}

// What is refused is refused in words that dcmtk shows its user.
func TestDcmtkShowsWhyItIsRefused(t *testing.T) {
	t.Parallel()
	server, port := guard(t, toFarEnd, ctOnly, newStorescp, newStorescp(t, nil))
	ct, mr := sampleOf(t, ctImageStorage).path, sampleOf(t, mrImageStorage).path
	echoscu, storescu, findscu := program(t, "echoscu"), program(t, "storescu"), program(t, "findscu")
	for _, c := range []struct {
		name    string
		program string
		args    []string
		want    []string // what it says; none: it succeeds
	}{
		{"what is allowed passes", echoscu, []string{"-aet", callingAE, "-aec", calledAE, "127.0.0.1", port}, nil},
		{"calling AE title", echoscu, []string{"-aet", "STRANGER", "-aec", calledAE, "127.0.0.1", port},
			[]string{"Rejected Permanent", "Service User", "Calling AE Title Not Recognized"}},
		{"called AE title", storescu, []string{"-aet", callingAE, "-aec", "OTHER", "127.0.0.1", port, ct},
			[]string{"Rejected Permanent", "Service User", "Called AE Title Not Recognized"}},
		{"no presentation context is left", storescu, []string{"-R", "-aet", callingAE, "-aec", calledAE, "127.0.0.1", port, mr},
			[]string{"Rejected Permanent", "Service User"}},
		{"one presentation context of many is refused", storescu, []string{"-aet", callingAE, "-aec", calledAE, "127.0.0.1", port, mr},
			[]string{"No presentation context"}},
		{"C-FIND", findscu, []string{"-S", "-k", "QueryRetrieveLevel=STUDY", "-aet", callingAE, "-aec", calledAE, "127.0.0.1", port},
			[]string{"Rejected Permanent", "Service User"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			said, err := run(t, c.program, c.args...)
			if (err == nil) != (c.want == nil) {
				t.Errorf("it ended with %v: %s", err, said)
			}
			for _, w := range c.want {
				if !strings.Contains(said, w) {
					t.Errorf("it does not say %q but: %s", w, said)
				}
			}
			if o, arrived := server.take(t); arrived {
				t.Errorf("%d bytes arrived at the server", len(o.dataSet))
			}
		})
	}
}

// D14: of the many presentation contexts that storescu proposes by itself, those that are allowed
// work, on one association with several objects.
func TestManyContextsAreNarrowed(t *testing.T) {
	t.Parallel()
	server, port := guard(t, toTLS, ctOnly, newStorescp, newStorescp(t, nil))
	ct := sampleOf(t, ctImageStorage)
	_, err := run(t, program(t, "storescu"), "-aet", callingAE, "-aec", calledAE, "127.0.0.1", port, ct.path)
	if err != nil {
		t.Fatal(err)
	}
	if _, arrived := server.take(t); !arrived {
		t.Error("the CT image did not arrive")
	}
	// An object that is not allowed does not take the association from the one that is.
	said, err := run(t, program(t, "storescu"), "-nh", "-aet", callingAE, "-aec", calledAE, "127.0.0.1", port,
		sampleOf(t, mrImageStorage).path, ct.path)
	if err == nil && !strings.Contains(said, "No presentation context") {
		t.Errorf("storescu does not say that the MR image was refused: %s", said)
	}
	if o, arrived := server.take(t); !arrived || o.transfer != explicitLE {
		t.Errorf("the CT image did not arrive after the refused MR image: %s", said)
	}
}

// pynetdicom reads the same reasons from the same answers.
func TestPynetdicomReadsWhyItIsRefused(t *testing.T) {
	t.Parallel()
	_, port := guard(t, toFarEnd, ctOnly, newPynetdicomSCP, newPynetdicomSCP(t, nil))
	from := newPynetdicomSCU(t, through)
	if err := from.send(t, port, calledAE, sampleOf(t, ctImageStorage)); err != nil {
		t.Errorf("what is allowed does not pass: %v", err)
	}
	for _, c := range []struct {
		called string
		sample sample
		want   string
	}{
		{"OTHER", sampleOf(t, ctImageStorage), "- rejected 1 1 7: Called AE title not recognised"},
		{calledAE, sampleOf(t, mrImageStorage), "- rejected 1 1 1: No reason given"},
	} {
		if err := from.send(t, port, c.called, c.sample); err == nil || err.Error() != c.want {
			t.Errorf("it says %v, want %q", err, c.want)
		}
	}
}

// Invariant 4: a server that is away is a transient failure, so that the device tries again.
func TestServerAway(t *testing.T) {
	t.Parallel()
	port := ctOnly.behind(t, newPKI(t), freePort(t))
	said, err := run(t, program(t, "echoscu"), "-aet", callingAE, "-aec", calledAE, "127.0.0.1", port)
	if err == nil || !strings.Contains(said, "Rejected Transient") {
		t.Errorf("echoscu ended with %v and says: %s", err, said)
	}
}

// Invariant 7: a server whose certificate is not the one expected gets nothing.
func TestServerWithoutTheRightCertificate(t *testing.T) {
	t.Parallel()
	ours, theirs := newPKI(t), newPKI(t)
	server := newStorescp(t, theirs.issue(t, serverName))
	port := ctOnly.behind(t, ours, server.port())
	said, err := run(t, program(t, "storescu"), "-aet", callingAE, "-aec", calledAE, "127.0.0.1", port, sampleOf(t, ctImageStorage).path)
	if err == nil || !strings.Contains(said, "Rejected Transient") {
		t.Errorf("storescu ended with %v and says: %s", err, said)
	}
	if _, arrived := server.take(t); arrived {
		t.Error("an object arrived at a server that could not prove who it is")
	}
}

const admission = "MSH|^~\\&|CT3|RAD|HIS|HOSP|20260102030405||ADT^A01|interop-1|P|2.5\rPID|1\r"

// H10: the acknowledgment of a refusal reads well in both HL7 stacks.
func TestHL7StacksReadTheRefusal(t *testing.T) {
	for _, c := range []struct {
		name     string
		sender   func(*testing.T) sender
		receiver func(*testing.T, *tlsFiles) receiver
	}{
		{"python-hl7", func(t *testing.T) sender { return newPythonSender(t, through) }, newPythonReceiver},
		{"HAPI", func(t *testing.T) sender { return newHAPISender(t, through) }, newHAPIReceiver},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, port := guard(t, toFarEnd, flow{protocol: "hl7", allow: "[message: ORU^R01]"}, c.receiver, c.receiver(t, nil))
			from := c.sender(t)
			e, err := from.send(t, port, []byte(admission))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"MSH|^~\\&|HIS|HOSP|CT3|RAD|", "\rMSA|AR|interop-1", "\rERR|", "200"} {
				if !strings.Contains(string(e.ack), want) {
					t.Errorf("the acknowledgment lacks %q:\n%q", want, e.ack)
				}
			}
			// The connection goes on, and what is allowed passes.
			allowed := strings.Replace(admission, "ADT^A01", "ORU^R01", 1)
			if e, err = from.send(t, port, []byte(allowed)); err != nil || !taking.Match(e.ack) {
				t.Errorf("what is allowed is not taken after it: %v %q", err, e.ack)
			}
		})
	}
}

// H18: with the receiver away nothing is acknowledged, so that the device sends again.
func TestReceiverAway(t *testing.T) {
	t.Parallel()
	port := flow{protocol: "hl7", allow: "[message: ADT^A01]"}.behind(t, newPKI(t), freePort(t))
	if e, err := newPythonSender(t, through).send(t, port, []byte(admission)); err == nil || err.Error() != "IncompleteReadError" {
		t.Errorf("the sender got %q, %v; want a connection closed without an acknowledgment", e.ack, err)
	}
}
