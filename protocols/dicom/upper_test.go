package dicom

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// UIDs that the tests of the upper layer use.
const (
	uidVerification = "1.2.840.10008.1.1"
	uidCT           = "1.2.840.10008.5.1.4.1.1.2"
	uidMR           = "1.2.840.10008.5.1.4.1.1.4"
	uidStudyGet     = "1.2.840.10008.5.1.4.1.2.2.3"
	uidPrivateClass = "1.3.12.2.1107.5.9.1"
	uidImplicit     = "1.2.840.10008.1.2"
	uidExplicit     = "1.2.840.10008.1.2.1"
	uidJPEG         = "1.2.840.10008.1.2.4.50"
	uidPrivateTS    = "1.2.840.113619.5.2"
)

// The encoders below are written from the standard's tables and share nothing with the package,
// so that the two check each other.

func testItem(typ byte, parts ...any) []byte {
	var v []byte
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			v = append(v, p...)
		case []byte:
			v = append(v, p...)
		case byte:
			v = append(v, p)
		case int: // a 16-bit number
			v = append(v, byte(p>>8), byte(p))
		}
	}
	return append([]byte{typ, 0, byte(len(v) >> 8), byte(len(v))}, v...)
}

func testContextRQ(id byte, abstract string, transfer ...string) []byte {
	v := append([]byte{id, 0, 0, 0}, testItem(0x30, abstract)...)
	for _, t := range transfer {
		v = append(v, testItem(0x40, t)...)
	}
	return testItem(0x20, v)
}

func testContextAC(id, result byte, transfer string) []byte {
	return testItem(0x21, []byte{id, 0, result, 0}, testItem(0x40, transfer))
}

func testMaxLength(n uint32) []byte {
	return testItem(0x51, binary.BigEndian.AppendUint32(nil, n))
}

func testRole(class string, scu, scp byte) []byte {
	return testItem(0x54, len(class), class, scu, scp)
}

func testUser(sub ...[]byte) []byte { return testItem(0x50, bytes.Join(sub, nil)) }

func testApplication() []byte { return testItem(0x10, ApplicationContextName) }

func testAE(title string) []byte {
	return append([]byte(title), bytes.Repeat([]byte{' '}, 16-len(title))...)
}

func testAssociate(typ byte, called, calling string, items ...[]byte) []byte {
	v := append([]byte{0, 1, 0, 0}, testAE(called)...)
	v = append(append(v, testAE(calling)...), make([]byte, 32)...)
	v = append(v, bytes.Join(items, nil)...)
	return append(binary.BigEndian.AppendUint32([]byte{typ, 0}, uint32(len(v))), v...)
}

func testRQ(items ...[]byte) []byte { return testAssociate(1, "PACS", "CT3", items...) }
func testAC(items ...[]byte) []byte { return testAssociate(2, "PACS", "CT3", items...) }

// everySubItem is a user information with each sub-item that the standards define for a request
// and one of a later edition.
func everySubItem() []byte {
	return testUser(
		testMaxLength(16384),
		testItem(0x52, "1.2.276.0.7230010.3.0.3.6.7"),
		testItem(0x53, 0, 1),
		testRole(uidCT, 0, 1),
		testItem(0x55, "OFFIS_DCMTK_367"),
		testItem(0x56, len(uidStudyGet), uidStudyGet, []byte{1, 1, 0}),
		testItem(0x57, len(uidCT), uidCT, len("1.2.840.10008.4.2"), "1.2.840.10008.4.2",
			2+len(uidMR), len(uidMR), uidMR),
		testItem(0x58, []byte{2, 1}, 5, "alice", 6, "secret"),
		testItem(0x7F, "of a later edition"),
	)
}

// fullRQ proposes four contexts, with everything a request can have.
func fullRQ() []byte {
	return testRQ(testApplication(),
		testContextRQ(1, uidVerification, uidImplicit),
		testContextRQ(3, uidCT, uidExplicit, uidImplicit, uidJPEG),
		testContextRQ(5, uidStudyGet, uidImplicit),
		testContextRQ(255, uidPrivateClass, uidPrivateTS),
		everySubItem())
}

func mustParseRQ(t testing.TB, pdu []byte) *AssociateRQ {
	t.Helper()
	a := new(AssociateRQ)
	if err := a.Parse(pdu); err != nil {
		t.Fatalf("%v\n%x", err, pdu)
	}
	return a
}

func mustParseAC(t testing.TB, pdu []byte) *AssociateAC {
	t.Helper()
	a := new(AssociateAC)
	if err := a.Parse(pdu); err != nil {
		t.Fatalf("%v\n%x", err, pdu)
	}
	return a
}

// wantMalformed checks that err is a *protocols.Malformed with that code, which names a section,
// and an offset inside the unit.
func wantMalformed(t testing.TB, err error, code reason.Code, unit []byte) {
	t.Helper()
	var m *protocols.Malformed
	switch {
	case !errors.As(err, &m):
		t.Errorf("got %v, want %s", err, code)
	case m.Reason != code:
		t.Errorf("got %v, want %s", err, code)
	case m.Section == "" || m.Detail == "" || m.Offset < 0 || m.Offset > len(unit):
		t.Errorf("%v does not say where in %d bytes, what, and by which section", err, len(unit))
	case !reason.Known(m.Reason):
		t.Errorf("%s is not registered", m.Reason)
	}
}

// corpus reads a file of the test data, or skips.
func corpus(t testing.TB, name string) []byte {
	t.Helper()
	root := os.Getenv("CORDON_TESTDATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "testdata")
	}
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil && os.Getenv("CORDON_REQUIRE_CORPUS") != "" {
		t.Fatalf("the corpus is required: %v", err)
	} else if err != nil {
		t.Skipf("LEFT OUT: no corpus: %s", name)
	}
	return b
}
