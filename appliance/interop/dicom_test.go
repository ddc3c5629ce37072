package interop

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cordon/protocols/dicom/dict"
)

// Patience of senders: with each other, where some samples never get an answer, and through
// Cordon, where each must.
const (
	directly = 3 * time.Second
	through  = time.Minute
)

// route says how a flow's gateways reach the server.
type route string

const (
	toTLS    route = "TLS peer"       // the server speaks TLS itself
	toFarEnd route = "behind far end" // a second gateway stands before it
)

// guard puts gateways before a server: the one that runs already, or another that speaks TLS. It
// returns the server and the port where a device reaches it.
func guard[S interface{ port() string }](t *testing.T, r route, f flow, start func(*testing.T, *tlsFiles) S, plain S) (S, string) {
	t.Helper()
	p := newPKI(t)
	if r == toFarEnd {
		return plain, f.behindFarEnd(t, p, plain.port())
	}
	server := start(t, p.issue(t, serverName))
	return server, f.behind(t, p, server.port())
}

// D14, D25: every file that two stacks exchange directly arrives through Cordon with the same
// data set, byte for byte, in the same transfer syntax.
func TestDICOMFilesArriveUnchanged(t *testing.T) {
	for _, c := range []struct {
		name  string
		scu   func(*testing.T, time.Duration) scu
		scp   func(*testing.T, *tlsFiles) scp
		route route
		// breach says which rule of the standard a file breaks when this SCU sends it, "" for none.
		breach func(sample) string
		least  int // files that the two exchange directly, so that a broken harness shows
	}{
		{"storescu to storescp", newStorescu, newStorescp, toTLS, anew, 90},
		{"storescu to storescp", newStorescu, newStorescp, toFarEnd, anew, 90},
		{"storescu to Orthanc", newStorescu, newOrthanc, toTLS, anew, 85},
		{"storescu to pynetdicom", newStorescu, newPynetdicomSCP, toFarEnd, anew, 90},
		{"pynetdicom to pynetdicom", newPynetdicomSCU, newPynetdicomSCP, toTLS, asInFile, 95},
		{"dicom-rs to storescp", newRustSCU, newStorescp, toFarEnd, byMeta, 90},
		{"storescu to dicom-rs", newStorescu, newRustSCP, toFarEnd, anew, 85},
		{"pynetdicom to storescp", newPynetdicomSCU, newStorescp, toFarEnd, asInFile, 90},
	} {
		t.Run(c.name+", "+string(c.route), func(t *testing.T) {
			t.Parallel()
			files := dicomSamples(t)
			plain := c.scp(t, nil)
			want, refused := deliverFiles(t, c.scu(t, directly), plain, plain.port(), files)
			if len(want) < c.least {
				t.Fatalf("only %d of %d files arrive directly: %v", len(want), len(files), refused)
			}

			server, port := guard(t, c.route, storeEverything(files), c.scp, plain)
			files = slices.DeleteFunc(slices.Clone(files), func(s sample) bool {
				_, arrived := want[s.name]
				return !arrived
			})
			got, refused := deliverFiles(t, c.scu(t, through), server, port, files)
			for _, f := range files {
				why, breach := refused[f.name], c.breach(f)
				if (why != nil) != (breach != "") {
					t.Errorf("%s arrives directly; through Cordon it is refused: %v; what it breaks: %q", f.name, why, breach)
				}
			}
			for name, o := range got {
				if w := want[name]; o.transfer != w.transfer {
					t.Errorf("%s arrived in transfer syntax %s, want %s", name, o.transfer, w.transfer)
				} else if !bytes.Equal(o.dataSet, w.dataSet) {
					t.Errorf("%s arrived changed: %s", name, difference(o.dataSet, w.dataSet))
				}
			}
			t.Logf("%d files arrived unchanged", len(got))
		})
	}
}

// cutShort are samples whose Pixel Data has fewer bytes than the image that they describe.
var cutShort = []string{"exiftool/DICOM.dcm", "fo-dicom/GH1146.dcm"}

// anew: storescu reads a file and writes what it sends anew, so it breaks nothing by its encoding.
func anew(s sample) string {
	if slices.Contains(cutShort, filepath.ToSlash(s.name)) {
		return "PS3.3 §C.7.6.3: Pixel Data is shorter than rows, columns and bits make it"
	}
	return ""
}

// asInFile: pynetdicom's SCU here sends the data set as it stands in the file, under the UIDs of
// the File Meta Information.
func asInFile(s sample) string {
	if s.odd {
		return "D3: the data set, and so a PDV, has an odd length"
	}
	return byMeta(s)
}

// byMeta: dicom-rs writes the data set anew, but under the UIDs of the File Meta Information.
func byMeta(s sample) string {
	if s.mismatch {
		return "PS3.4 §B.2.3: the command names another object than the data set"
	}
	return anew(s)
}

// storeEverything is a flow that takes all of these files: every storage SOP class and, by their
// UIDs, those that no dictionary has; every transfer syntax by its UID, deflated ones included; UIDs
// with letters, which one file has.
func storeEverything(files []sample) flow {
	var private, transfer []string
	for _, f := range files {
		if !dict.IsStorage(f.sopClass) && dict.Name(f.sopClass) == "" {
			private = append(private, f.sopClass)
		}
		transfer = append(transfer, f.transfer)
	}
	return flow{protocol: "dicom", allow: "[echo, store: all, store: [" + list(private) + "]], transfer_syntaxes: [" + list(transfer) + "], tolerate: {lettered_uids: true}"}
}

func list(names []string) string {
	slices.Sort(names)
	for i, n := range names {
		names[i] = `"` + n + `"`
	}
	return strings.Join(slices.Compact(names), ", ")
}
