package interop

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const (
	findStudy = "find: {model: Study Root}"
	moveHome  = "move: {to: self, returns: [CT Image Storage]}"
	getStudy  = "get: {returns: [CT Image Storage]}"
)

// What a device gets of a server directly it gets through Cordon, with the same bytes: queries,
// objects on the same association (D12) and on one that the server opens (D19), cancelled ones,
// worklists, performed procedure steps, prints, and reports of storage commitment on the same
// association and on a new one (D20).
func TestServicesAnswerTheSame(t *testing.T) {
	for _, c := range []struct {
		name   string
		allow  string
		far    string // at the far end, where it says something else
		server server
		device func(own string) device
		tls    bool // the server speaks TLS itself; otherwise a far end stands before it
		want   func(a answer) bool
	}{
		{"findscu to dcmqrscp", findStudy, "", dcmqrscp, always(findscu), false, came("rsp", 1)},
		{"getscu to dcmqrscp", getStudy, "", dcmqrscp, always(getscu), false, came("2.25", 3)},
		{"movescu to dcmqrscp", moveHome, "move: {to: " + callingAE + "}", dcmqrscp, movescu, false, came("CT.", 3)},
		{"movescu for storescp to dcmqrscp", moveHome, "move: {to: " + callingAE + "}", dcmqrscp, storescpBeside, false, came("CT.", 3)},
		{"findscu -W to wlmscpfs", "find: {model: Modality Worklist}", "", wlmscpfs, always(findscuWorklist), false, came("rsp", 1)},
		{"findscu to Orthanc", findStudy, "", orthancServer, always(findscu), true, came("rsp", 1)},
		{"findscu -W to Orthanc", "find: {model: Modality Worklist}", "", orthancServer, always(findscuWorklist), false, came("rsp", 1)},
		{"getscu to Orthanc", getStudy, "", orthancServer, always(getscu), true, came("2.25", 3)},
		{"movescu to Orthanc", moveHome, "", orthancServer, movescu, true, came("CT.", 3)},
		{"dcmprscu to dcmprscp", "print", "", dcmprscp, always(dcmprscu), false, came("ended", 1)},
		{"pynetdicom to dcmprscp", "print", "", dcmprscp, doing("print"), false, said("print", `["0000", "NORMAL"], "0000", "0000", "0000", "0000", "0000", "0000"`)},
		{"dicom-rs to dcmqrscp", findStudy, "", dcmqrscp, always(rustFind), false, said("said", studyUID)},
		{"Orthanc to pynetdicom", findStudy + ", " + moveHome + ", commit", "", pynetdicomServer, orthancDevice, true,
			all(came("2.25", 3), said("commitment", "Success"))},
		{"pynetdicom to Orthanc", "commit", "", orthancServer, doing("commit-new"), true, said("commit-new", `["0000", [1,`)},
		{"pynetdicom asks pynetdicom", findStudy + ", " + getStudy + ", " + moveHome + ", find: {model: Modality Worklist}", "", pynetdicomServer,
			doing("find", "cancel", "worklist", "get", "move", "astray"), true,
			all(said("find", "ff00"), said("cancel", "fe00"), said("worklist", "ff00"), said("get", "2.25.2000.3.3"), said("move", "2.25.2000.3.3"), said("astray", "a801"))},
		{"pynetdicom tells pynetdicom", "mpps, commit, print", "", pynetdicomServer,
			doing("mpps", "commit-same", "commit-new", "print"), true,
			all(said("mpps", `["0000", "0000", "0112"]`), said("commit-same", `["0000", [1,`), said("commit-new", `["0000", [1,`), said("print", `"0000", "0000", "0000"`))},
		{"the same, behind a far end", "mpps, commit, print", "", pynetdicomServer, doing("mpps", "commit-same", "print"), false,
			all(said("commit-same", `["0000", [1,`), said("print", `"0000", "0000", "0000"`))},
		{"commitment on a new association, behind a far end", "commit", "", pynetdicomServer, doing("commit-new"), false, said("commit-new", `["0000", [1,`)},
		{"commitment by Orthanc on a new association, behind a far end", "commit", "", orthancServer, doing("commit-new"), false, said("commit-new", `["0000", [1,`)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			device := freePort(t)
			f := flow{protocol: "dicom", allow: "[echo, " + c.allow + "]", own: device}
			if c.far != "" {
				f.far = "[echo, " + c.far + "]"
			}
			ask := c.device(device)
			want := ask(t, c.server(t, nil, device))
			if !c.want(want) {
				t.Fatalf("directly it gets %.2000q", want)
			}
			got := ask(t, f.between(t, c.server, c.tls))
			for name := range want {
				if got[name] != want[name] {
					t.Errorf("through Cordon, %s is %.300q; directly %.300q", name, got[name], want[name])
				}
			}
			if len(got) != len(want) {
				t.Errorf("through Cordon come %d answers, directly %d", len(got), len(want))
			}
		})
	}
}

// between starts a server and the gateways between it and the device, with a way back, and returns
// the port where the device reaches it.
func (f flow) between(t *testing.T, start server, tls bool) string {
	t.Helper()
	p, back := newPKI(t), freePort(t)
	if tls {
		return f.near(t, p, start(t, p.issue(t, serverName), back), back)
	}
	out := freePort(t)
	return f.behindBoth(t, p, start(t, nil, out), out, back)
}

func always(d device) func(string) device { return func(string) device { return d } }

func doing(tasks ...string) func(string) device {
	return func(own string) device { return pynetdicomDevice(own, tasks...) }
}

// came wants so many names of that beginning, and a good end.
func came(prefix string, n int) func(answer) bool {
	return func(a answer) bool {
		ended, there := a["ended"]
		return a.names(prefix) == n && (!there || ended == fmt.Sprint(nil))
	}
}

func said(name, text string) func(answer) bool {
	return func(a answer) bool { return strings.Contains(a[name], text) }
}

func all(wants ...func(answer) bool) func(answer) bool {
	return func(a answer) bool {
		return !slices.ContainsFunc(wants, func(want func(answer) bool) bool { return !want(a) })
	}
}

// What a flow does not let return does not come, on the same association or on a new one, and the
// device is told so.
func TestWhatMayNotReturnDoesNot(t *testing.T) {
	const unable, unknown = `[["a702", 0], []]`, `[["a801", null], []]` // PS3.4 §C.4.2.1.5, §C.4.3.1.4
	for _, c := range []struct {
		name, allow, far string
		device           func(own string) device
		want             func(answer) bool
	}{
		{"get", "get: {returns: [MR Image Storage]}", "", doing("get"), said("get", unable)},
		{"move", "move: {to: self, returns: [MR Image Storage]}", "move: {to: " + callingAE + "}", movescu, failed},
		{"move to another title", "move: {to: ELSEWHERE}", "", doing("move"), said("move", unknown)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			own := freePort(t)
			f := flow{protocol: "dicom", allow: "[" + c.allow + "]", own: own}
			if c.far != "" {
				f.far = "[" + c.far + "]"
			}
			if got := c.device(own)(t, f.between(t, dcmqrscp, false)); !c.want(got) {
				t.Errorf("it gets %.500q", got)
			}
		})
	}
}

// failed wants no file and a bad end.
func failed(a answer) bool { return len(a) == 1 && a["ended"] != fmt.Sprint(nil) }

// A server that was renamed is called by its old title, and names itself by it: what is moved comes,
// and what is found is said to be there.
func TestRenamedServerIsKnownByItsOldTitle(t *testing.T) {
	const old = "OLDPACS"
	own := freePort(t)
	f := flow{protocol: "dicom", allow: "[" + findStudy + ", " + moveHome + "]", far: "[" + findStudy + ", move: {to: " + callingAE + "}]", own: own, was: old}
	port := f.between(t, dcmqrscp, false)
	ask := func(program string, args ...string) answer {
		args = append(append([]string{"-aet", callingAE, "-aec", old}, args...), oneStudy...)
		return files(t, program, append(args, "127.0.0.1", port)...)
	}
	found := ask("findscu", "-X", "-k", "RetrieveAETitle")
	if !came("rsp", 1)(found) || !said("rsp0001.dcm", old)(found) {
		t.Errorf("it finds %.1000q", found)
	}
	if moved := ask("movescu", "+B", "-aem", callingAE, "+P", own); !came("CT.", 3)(moved) {
		t.Errorf("it gets %.1000q", moved)
	}
}
