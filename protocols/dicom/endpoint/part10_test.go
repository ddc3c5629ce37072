package endpoint

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cordon/protocols/dicom"
)

func TestFileMetaReadsBack(t *testing.T) {
	for _, m := range []FileMeta{
		{ctImage, "1.2.3", explicitLE},
		{ctImage, "1.2.34", implicitLE},
		{"", "", ""},
	} {
		var b bytes.Buffer
		if err := WriteFileMeta(&b, m); err != nil {
			t.Fatal(err)
		}
		b.WriteString("the data set")
		got, err := ReadFileMeta(&b)
		if err != nil || got != m {
			t.Errorf("%+v read back as %+v, %v", m, got, err)
		}
		if b.String() != "the data set" {
			t.Errorf("the reader stands at %q", b.String())
		}
	}
}

func TestFileMetaCutShort(t *testing.T) {
	var b bytes.Buffer
	WriteFileMeta(&b, FileMeta{ctImage, "1.2.3", explicitLE})
	for n := range b.Len() {
		if _, err := ReadFileMeta(bytes.NewReader(b.Bytes()[:n])); err == nil {
			t.Fatalf("the first %d bytes of a file's meta information are read without an error", n)
		}
	}
}

func TestImplementationClassUIDIsValid(t *testing.T) {
	if !dicom.ValidUID([]byte(ImplementationClassUID)) || len(ImplementationVersionName) > 16 {
		t.Error("implementation names do not keep to PS3.7 D.3.3.2")
	}
}

func TestFolderStores(t *testing.T) {
	dir := t.TempDir()
	var stored string
	f := &Folder{Dir: dir, Stored: func(file string, s *Stored, n int64) {
		if stored = file; n != 8 || s.Transfer != explicitLE {
			t.Errorf("told of %d bytes in %s", n, s.Transfer)
		}
	}}
	for range 2 { // sent again, it replaces
		if status := f.Store(&Stored{SOPClass: ctImage, SOPInstance: "1.2.3", Transfer: explicitLE}, strings.NewReader("data set")); status != StatusSuccess {
			t.Fatalf("status %04XH", status)
		}
	}
	if stored != filepath.Join(dir, "1.2.3.dcm") {
		t.Errorf("stored as %s", stored)
	}
	r, err := os.Open(stored)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := ReadFileMeta(r); err != nil {
		t.Error(err)
	}
	if b, _ := io.ReadAll(r); string(b) != "data set" {
		t.Errorf("the file's data set is %q", b)
	}
}

func TestFolderIsNeverLeft(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "received")
	os.Mkdir(dir, 0o755)
	f := &Folder{Dir: dir}
	for _, instance := range []string{"", ".", "..", "../evil", "../../evil", "/etc/evil", "1.2/3", `1.2\3`, "1..2", strings.Repeat("1", 65)} {
		if status := f.Store(&Stored{SOPInstance: instance}, strings.NewReader("x")); status != StatusCannotUnderstand {
			t.Errorf("instance %q is answered with %04XH", instance, status)
		}
	}
	for _, d := range []string{parent, dir} {
		entries, _ := os.ReadDir(d)
		for _, e := range entries {
			if e.Name() != "received" {
				t.Errorf("%s was written", e.Name())
			}
		}
	}
}

func TestFolderKeepsNoPart(t *testing.T) {
	f := &Folder{Dir: t.TempDir()}
	broken := io.MultiReader(strings.NewReader("half"), errReader{})
	if status := f.Store(&Stored{SOPInstance: "1.2.3"}, broken); status != StatusOutOfResources {
		t.Errorf("status %04XH", status)
	}
	if entries, _ := os.ReadDir(f.Dir); len(entries) != 0 {
		t.Errorf("%s is left of an object that did not come whole", entries[0].Name())
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("cut") }
