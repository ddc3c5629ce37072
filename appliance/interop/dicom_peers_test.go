package interop

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// object is what a storage SCP got.
type object struct {
	transfer string // transfer syntax UID
	dataSet  []byte
}

// scu sends one file to a port of this machine, on an association of its own.
type scu interface {
	send(t *testing.T, port, called string, s sample) error
}

// scp takes what is sent to a port of this machine.
type scp interface {
	port() string
	// take returns the object that arrived since the last call, false when none did. A scu
	// that got its response may rely on finding the object here.
	take(t *testing.T) (object, bool)
}

const (
	callingAE = "CT3"
	calledAE  = "PACS"
)

// sample is a DICOM file of the corpus, with what dcmdump makes of it.
type sample struct {
	path     string
	name     string // below the corpus
	sopClass string
	transfer string
	named    bool // the data set names its SOP class and instance
	mismatch bool // the File Meta Information names others than the data set
	odd      bool // the data set has an odd number of bytes
}

var samples struct {
	once sync.Once
	all  []sample
}

// dicomSamples returns the files of the corpus in which dcmdump finds a SOP class.
func dicomSamples(t *testing.T) []sample {
	t.Helper()
	dir, dcmdump := corpus(t, "dicom"), program(t, "dcmdump")
	samples.once.Do(func() {
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			if s, ok := describe(dcmdump, path); ok {
				s.name, _ = filepath.Rel(dir, path)
				samples.all = append(samples.all, s)
			}
			return nil
		})
	})
	if len(samples.all) == 0 {
		t.Fatalf("no DICOM files below %s", dir)
	}
	return samples.all
}

var uidLine = regexp.MustCompile(`^\((\w{4},\w{4})\) UI \[([0-9A-Za-z.]+)\]`)

// describe reads what names a presentation context for a file.
func describe(dcmdump, path string) (sample, bool) {
	// Output comes even where it complains, say of a file that was cut short.
	out, _ := exec.Command(dcmdump, "-q", "-Un", "-M",
		"+P", "0008,0016", "+P", "0008,0018", "+P", "0002,0002", "+P", "0002,0003", "+P", "0002,0010", path).Output()
	found := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if m := uidLine.FindStringSubmatch(line); m != nil && found[m[1]] == "" {
			found[m[1]] = m[2]
		}
	}
	s := sample{path: path, sopClass: found["0008,0016"], transfer: found["0002,0010"]}
	if s.sopClass == "" {
		s.sopClass = found["0002,0002"]
	}
	if s.transfer == "" {
		s.transfer = "1.2.840.10008.1.2" // Implicit VR Little Endian, the default
	}
	differ := func(meta, dataSet string) bool { return found[dataSet] != "" && found[dataSet] != found[meta] }
	s.named = found["0008,0016"] != "" && found["0008,0018"] != ""
	s.mismatch = differ("0002,0002", "0008,0016") || differ("0002,0003", "0008,0018")
	if content, err := os.ReadFile(path); err == nil {
		o, err := splitPart10(content)
		s.odd = err == nil && len(o.dataSet)%2 == 1
	}
	return s, s.sopClass != ""
}

// storescu is dcmtk's storage SCU.
type storescu struct{ program, dir, patience string }

func newStorescu(t *testing.T, patience time.Duration) scu {
	return storescu{program(t, "storescu"), t.TempDir(), seconds(patience)}
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) }

// send proposes the file's own SOP class and transfer syntax. A profile can name those that
// storescu's own options leave out, such as private SOP classes.
func (s storescu) send(t *testing.T, port, called string, f sample) error {
	t.Helper()
	profile := filepath.Join(s.dir, "profile.cfg")
	err := os.WriteFile(profile, fmt.Appendf(nil, `[[TransferSyntaxes]]
[Own]
TransferSyntax1 = %s
[[PresentationContexts]]
[Contexts]
PresentationContext1 = %s\Own
[[Profiles]]
[Profile]
PresentationContexts = Contexts
`, f.transfer, f.sopClass), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	_, err = run(t, s.program, "-xf", profile, "Profile", "-ta", s.patience, "-td", s.patience,
		"-aet", callingAE, "-aec", called, "127.0.0.1", port, f.path)
	return err
}

// run runs a program to its end. What it said is part of the error.
func run(t *testing.T, program string, args ...string) (said string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	said = strings.TrimSpace(string(out))
	if err != nil {
		err = fmt.Errorf("%w: %s", err, said)
	}
	return said, err
}

// pynetdicomSCU is a storage SCU on pynetdicom.
type pynetdicomSCU struct {
	patience string
	running  map[string]asked // by port and called AE title
}

func newPynetdicomSCU(t *testing.T, patience time.Duration) scu {
	peersDir(t, "python")
	return pynetdicomSCU{seconds(patience), map[string]asked{}}
}

func (s pynetdicomSCU) send(t *testing.T, port, called string, f sample) error {
	t.Helper()
	key := port + " " + called
	if _, ok := s.running[key]; !ok {
		s.running[key] = ask(t, "pynetdicom SCU", python(t, "dicom_scu.py", "127.0.0.1", port, callingAE, called, s.patience))
	}
	if answer := s.running[key].ask(t, f.path); answer != "0000" {
		return errors.New(answer)
	}
	return nil
}

// folderSCP is a storage SCP that leaves what it gets as files in a folder.
type folderSCP struct {
	at, dir string
	read    func(name string, content []byte) (object, error)
}

func (s folderSCP) port() string { return s.at }

func (s folderSCP) take(t *testing.T) (object, bool) {
	t.Helper()
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	switch len(entries) {
	case 0:
		return object{}, false
	case 1:
	default:
		t.Fatalf("%d objects arrived where one was sent", len(entries))
	}
	path := filepath.Join(s.dir, entries[0].Name())
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(path)
	o, err := s.read(entries[0].Name(), content)
	if err != nil {
		t.Fatal(err)
	}
	return o, true
}

// newStorescp starts dcmtk's storage SCP. It takes any storage SOP class in any transfer syntax
// it knows, and writes data sets as they come.
func newStorescp(t *testing.T, tls *tlsFiles) scp {
	t.Helper()
	s := folderSCP{freePort(t), t.TempDir(), func(_ string, content []byte) (object, error) { return splitPart10(content) }}
	args := []string{"-v", "-dhl", "-aet", calledAE, "+B", "+uf", "+xa", "-pm", "-od", s.dir}
	if tls != nil {
		args = append(args, "+tls", tls.key, tls.certificate, "+cf", tls.ca, "-rc")
	}
	start(t, "storescp", exec.Command(program(t, "storescp"), append(args, s.at)...)).ready(t, s.at)
	return s
}

// newPynetdicomSCP starts a storage SCP on pynetdicom.
func newPynetdicomSCP(t *testing.T, tls *tlsFiles) scp {
	t.Helper()
	s := folderSCP{freePort(t), t.TempDir(), func(name string, content []byte) (object, error) {
		_, transfer, ok := strings.Cut(strings.TrimSuffix(name, ".ds"), "_")
		if !ok {
			return object{}, fmt.Errorf("%s is not a data set of the SCP", name)
		}
		return object{transfer, content}, nil
	}}
	args := []string{s.at, calledAE, s.dir}
	if tls != nil {
		args = append(args, tls.key, tls.certificate, tls.ca)
	}
	start(t, "pynetdicom SCP", python(t, "dicom_scp.py", args...)).ready(t, s.at)
	return s
}

// orthanc is the Orthanc server, asked by its REST interface.
type orthanc struct {
	at, rest string
	*child
}

func newOrthanc(t *testing.T, tls *tlsFiles) scp { return startOrthanc(t, tls, nil) }

// startOrthanc starts Orthanc with settings besides its usual ones here.
func startOrthanc(t *testing.T, tls *tlsFiles, more map[string]any) orthanc {
	t.Helper()
	dir, http := t.TempDir(), freePort(t)
	o := orthanc{at: freePort(t), rest: "http://127.0.0.1:" + http}
	settings := map[string]any{
		"StorageDirectory": dir, "IndexDirectory": dir, "Plugins": []string{},
		"HttpPort": number(http), "RemoteAccessAllowed": false, "AuthenticationEnabled": false,
		"DicomPort": number(o.at), "DicomAet": calledAE, "DicomCheckCalledAet": true,
		"DicomAlwaysAllowStore": true, "UnknownSopClassAccepted": true,
		"OverwriteInstances": true, "StoreMD5ForAttachments": false, "SaveJobs": false,
	}
	if tls != nil {
		settings["DicomTlsEnabled"] = true
		settings["DicomTlsPrivateKey"] = tls.key
		settings["DicomTlsCertificate"] = tls.certificate
		settings["DicomTlsTrustedCertificates"] = tls.ca
		settings["DicomTlsRemoteCertificateRequired"] = true
	}
	maps.Copy(settings, more)
	o.at = fmt.Sprint(settings["DicomPort"])
	text, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "orthanc.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	o.child = start(t, "Orthanc", exec.Command(program(t, "Orthanc"), file))
	o.ready(t, http, o.at)
	return o
}

func (o orthanc) port() string { return o.at }

func (o orthanc) take(t *testing.T) (object, bool) {
	t.Helper()
	var ids []string
	if err := json.Unmarshal(o.do(t, http.MethodGet, "/instances", nil), &ids); err != nil {
		t.Fatal(err)
	}
	switch len(ids) {
	case 0:
		return object{}, false
	case 1:
	default:
		t.Fatalf("%d objects arrived where one was sent", len(ids))
	}
	file := o.do(t, http.MethodGet, "/instances/"+ids[0]+"/file", nil)
	o.do(t, http.MethodDelete, "/instances/"+ids[0], nil)
	obj, err := splitPart10(file)
	if err != nil {
		t.Fatal(err)
	}
	return obj, true
}

func (o orthanc) do(t *testing.T, method, path string, body []byte) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, o.rest+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("Orthanc: %s %s: %s %v", method, path, res.Status, err)
	}
	return said
}

// splitPart10 takes the data set out of a file of PS3.10 §7.1 that begins its File Meta
// Information with the group's length, as all our SCPs write it.
func splitPart10(file []byte) (object, error) {
	const start = 132 // preamble and "DICM"
	if len(file) < start+12 || string(file[128:start]) != "DICM" || string(file[start:start+6]) != "\x02\x00\x00\x00UL" {
		return object{}, errors.New("not a Part 10 file with a group length")
	}
	length := int(binary.LittleEndian.Uint32(file[start+8:]))
	if len(file) < start+12+length {
		return object{}, errors.New("the File Meta Information is longer than the file")
	}
	meta, dataSet := file[start+12:start+12+length], file[start+12+length:]
	const tag = "\x02\x00\x10\x00UI" // Transfer Syntax UID
	at := strings.Index(string(meta), tag)
	if at < 0 || at+8 > len(meta) {
		return object{}, errors.New("no Transfer Syntax UID in the File Meta Information")
	}
	value := meta[at+8:]
	value = value[:min(len(value), int(binary.LittleEndian.Uint16(meta[at+6:])))]
	return object{strings.TrimRight(string(value), "\x00 "), dataSet}, nil
}
