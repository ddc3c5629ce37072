package interop

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// answer is what a device got of a service: files by their names, or lines.
type answer map[string]string

// device asks a server at a port for a service.
type device func(t *testing.T, port string) answer

// server is a server that holds the study; it opens associations to the device at the port back.
type server func(t *testing.T, tls *tlsFiles, back string) (port string)

// dcmqrscp is dcmtk's archive.
func dcmqrscp(t *testing.T, _ *tlsFiles, back string) string {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	config := filepath.Join(dir, "dcmqrscp.cfg")
	if err := os.WriteFile(config, fmt.Appendf(nil, `MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
device = (%s, 127.0.0.1, %s)
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
%s %s RW (9, 64mb) ANY
AETable END
`, callingAE, back, calledAE, t.TempDir()), 0o644); err != nil {
		t.Fatal(err)
	}
	start(t, "dcmqrscp", exec.Command(program(t, "dcmqrscp"), "-c", config, port)).ready(t, port)
	_, files := study(t)
	args := append([]string{"-aet", callingAE, "-aec", calledAE, "127.0.0.1", port}, files...)
	if _, err := run(t, program(t, "storescu"), args...); err != nil {
		t.Fatal(err)
	}
	return port
}

// worklistItem is an entry of a worklist, for dump2dcm.
const worklistItem = `(0008,0050) SH [A1]
(0010,0010) PN [Phantom]
(0010,0020) LO [P1]
(0010,0030) DA [19700101]
(0010,0040) CS [O]
(0020,000d) UI [2.25.2000.1]
(0032,1032) PN [Referrer]
(0032,1060) LO [Head]
(0040,0100) SQ
(fffe,e000) -
(0008,0060) CS [CT]
(0040,0001) AE [CT3]
(0040,0002) DA [20260102]
(0040,0003) TM [101112]
(0040,0006) PN [Performer]
(0040,0007) LO [Head]
(0040,0009) SH [STEP1]
(0040,0010) SH [CT3]
(0040,0011) SH [Room 3]
(fffe,e00d) -
(fffe,e0dd) -
(0040,1001) SH [RP1]
(0040,1003) SH [LOW]
`

// worklistFiles makes the folder of a worklist.
func worklistFiles(t *testing.T, dir string) {
	t.Helper()
	dump := filepath.Join(t.TempDir(), "item.dump")
	if err := os.WriteFile(dump, []byte(worklistItem), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "lockfile"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, program(t, "dump2dcm"), dump, filepath.Join(dir, "item.wl")); err != nil {
		t.Fatal(err)
	}
}

// wlmscpfs is dcmtk's worklist server.
func wlmscpfs(t *testing.T, _ *tlsFiles, _ string) string {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	worklistFiles(t, filepath.Join(dir, calledAE))
	start(t, "wlmscpfs", exec.Command(program(t, "wlmscpfs"), "-v", "-dfp", dir, port)).ready(t, port)
	return port
}

// orthancServer is Orthanc with the study and a worklist.
func orthancServer(t *testing.T, tls *tlsFiles, back string) string {
	t.Helper()
	const plugin = "/usr/share/orthanc/plugins/libModalityWorklists.so"
	if _, err := os.Stat(plugin); err != nil {
		leaveOut(t, "CORDON_REQUIRE_PEERS", "Orthanc's worklist plugin is not installed (make peers)")
	}
	dir := t.TempDir()
	worklistFiles(t, dir)
	o := startOrthanc(t, tls, map[string]any{
		"Plugins":   []string{plugin},
		"Worklists": map[string]any{"Enable": true, "Database": dir},
		"DicomModalities": map[string]any{"device": map[string]any{
			"AET": callingAE, "Host": "127.0.0.1", "Port": number(back), "UseDicomTls": tls != nil,
		}},
	})
	_, files := study(t)
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		o.do(t, http.MethodPost, "/instances", content)
	}
	return o.at
}

// pynetdicomServer is a server for every service on pynetdicom.
func pynetdicomServer(t *testing.T, tls *tlsFiles, back string) string {
	t.Helper()
	port := freePort(t)
	dir, _ := study(t)
	args := []string{port, calledAE, dir, callingAE, back}
	if tls != nil {
		args = append(args, tls.key, tls.certificate, tls.ca)
	}
	start(t, "pynetdicom server", python(t, "dicom_services_scp.py", args...)).ready(t, port)
	return port
}

// files runs a program of dcmtk's or dicom-rs's and returns what it leaves in its folder.
func files(t *testing.T, name string, args ...string) answer {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command(program(t, name), args...)
	cmd.Dir = dir
	c := start(t, name, cmd)
	select {
	case <-c.done:
	case <-time.After(patience):
		t.Fatalf("%s does not end", name)
	}
	a := answer{"ended": fmt.Sprint(c.err)}
	a.read(t, dir)
	return a
}

// read adds the files of a folder, of Part 10 files what is from the other end: transfer syntax and
// data set.
func (a answer) read(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if o, err := splitPart10(content); err == nil {
			content = append([]byte(o.transfer+"\n"), o.dataSet...)
		}
		a[e.Name()] = string(content)
	}
}

// asSCU are the arguments with which dcmtk's programs ask for a study.
func asSCU(port string, args ...string) []string {
	return append(append([]string{"-aet", callingAE, "-aec", calledAE}, args...), "127.0.0.1", port)
}

var oneStudy = []string{"-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=" + studyUID}

func findscu(t *testing.T, port string) answer {
	t.Helper()
	return files(t, "findscu", asSCU(port, append(oneStudy, "-X", "-k", "PatientID", "-k", "StudyDate")...)...)
}

func findscuWorklist(t *testing.T, port string) answer {
	t.Helper()
	return files(t, "findscu", asSCU(port, "-W", "-X", "-k", "PatientID", "-k", "AccessionNumber",
		"-k", "ScheduledProcedureStepSequence[0].Modality=CT", "-k", "ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate=20260102")...)
}

func getscu(t *testing.T, port string) answer {
	t.Helper()
	return files(t, "getscu", asSCU(port, append(oneStudy, "+B")...)...)
}

// movescu asks for the study and takes it at the port own.
func movescu(own string) device {
	return func(t *testing.T, port string) answer {
		t.Helper()
		return files(t, "movescu", asSCU(port, append(oneStudy, "+B", "-aem", callingAE, "+P", own)...)...)
	}
}

// storescpBeside asks as movescu too, and has a storescp take the study at the port own.
func storescpBeside(own string) device {
	return func(t *testing.T, port string) answer {
		t.Helper()
		dir := t.TempDir()
		c := start(t, "storescp", exec.Command(program(t, "storescp"), "-aet", callingAE, "+B", "-od", dir, own))
		c.ready(t, own)
		a := files(t, "movescu", asSCU(port, append(oneStudy, "-aem", callingAE)...)...)
		c.stop(t)
		a.read(t, dir)
		return a
	}
}

// pynetdicomDevice does one thing after the other and takes what is sent to it at the port own.
func pynetdicomDevice(own string, tasks ...string) device {
	return func(t *testing.T, port string) answer {
		t.Helper()
		python := ask(t, "pynetdicom device", python(t, "dicom_services_scu.py", port, callingAE, calledAE, own))
		a := answer{}
		for _, task := range tasks {
			a[task] = python.ask(t, task)
		}
		python.stop(t)
		return a
	}
}

// orthancDevice asks as Orthanc does when its user asks for a study by REST, and takes the objects
// and the report of a storage commitment at the port own.
func orthancDevice(own string) device {
	return func(t *testing.T, port string) answer {
		t.Helper()
		o := startOrthanc(t, nil, map[string]any{
			"DicomPort": number(own), "DicomAet": callingAE,
			"DicomModalities": map[string]any{"pacs": map[string]any{"AET": calledAE, "Host": "127.0.0.1", "Port": number(port)}},
		})
		var query struct{ Path string }
		o.ask(t, "/modalities/pacs/query", `{"Level": "Study", "Query": {"StudyInstanceUID": "`+studyUID+`", "PatientID": ""}}`, &query)
		a := answer{"find": string(o.do(t, http.MethodGet, query.Path+"/answers/0/content?simplify", nil))}
		o.do(t, http.MethodPost, query.Path+"/answers/0/retrieve", []byte(callingAE))
		var instances []struct {
			MainDicomTags struct{ SOPInstanceUID string }
		}
		o.ask(t, "/instances?expand", "", &instances)
		for _, i := range instances {
			a[i.MainDicomTags.SOPInstanceUID] = "came"
		}
		a["commitment"] = o.commit(t)
		o.stop(t)
		return a
	}
}

// commit asks the server for storage commitment of one object and waits for the report.
func (o orthanc) commit(t *testing.T) (status string) {
	t.Helper()
	var request struct{ Path string }
	o.ask(t, "/modalities/pacs/storage-commitment",
		`{"DicomInstances": [{"SOPClassUID": "`+ctImageStorage+`", "SOPInstanceUID": "2.25.2000.3.1"}]}`, &request)
	giveUp := time.After(patience)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		var report struct{ Status string }
		if o.ask(t, request.Path, "", &report); report.Status != "Pending" {
			return report.Status
		}
		select {
		case <-again.C:
		case <-giveUp:
			return report.Status
		}
	}
}

// ask posts a text, or gets when there is none, and reads the answer.
func (o orthanc) ask(t *testing.T, path, body string, into any) {
	t.Helper()
	method := http.MethodPost
	if body == "" {
		method = http.MethodGet
	}
	if err := json.Unmarshal(o.do(t, method, path, []byte(body)), into); err != nil {
		t.Fatal(err)
	}
}

// rust finds a program of dicom-rs.
func rust(t *testing.T, name string) string {
	t.Helper()
	return filepath.Join(peersDir(t, "rust"), "bin", name)
}

// rustFind is dicom-rs's query SCU; what it prints is its answer.
func rustFind(t *testing.T, port string) answer {
	t.Helper()
	said, err := run(t, rust(t, "dicom-findscu"), "--calling-ae-title", callingAE, "--called-ae-title", calledAE, "127.0.0.1:"+port,
		"-q", "QueryRetrieveLevel=STUDY", "-q", "StudyInstanceUID="+studyUID, "-q", "PatientID")
	return answer{"ended": fmt.Sprint(err), "said": said}
}

// rustSCU is dicom-rs's storage SCU.
type rustSCU struct{ program, patience string }

func newRustSCU(t *testing.T, patience time.Duration) scu {
	return rustSCU{rust(t, "dicom-storescu"), seconds(patience)}
}

func (s rustSCU) send(t *testing.T, port, called string, f sample) error {
	t.Helper()
	_, err := run(t, s.program, "--fail-first", "--read-timeout", s.patience, "--write-timeout", s.patience,
		"--calling-ae-title", callingAE, "--called-ae-title", called, "127.0.0.1:"+port, f.path)
	return err
}

// newRustSCP starts dicom-rs's storage SCP.
func newRustSCP(t *testing.T, _ *tlsFiles) scp {
	t.Helper()
	s := folderSCP{freePort(t), t.TempDir(), func(_ string, content []byte) (object, error) { return splitPart10(content) }}
	start(t, "dicom-storescp", exec.Command(rust(t, "dicom-storescp"), "--promiscuous", "--non-blocking",
		"--calling-ae-title", calledAE, "-p", s.at, "-o", s.dir)).ready(t, s.at)
	return s
}

// names are the keys of an answer that begin with a prefix.
func (a answer) names(prefix string) (n int) {
	for name := range a {
		if strings.HasPrefix(name, prefix) {
			n++
		}
	}
	return n
}
