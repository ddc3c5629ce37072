package policy

import (
	"bufio"
	"os"
	"strings"
	"testing"

	"cordon/protocols/dicom/dict"
)

// TestTransferSyntaxesThatCanBeRead: of the standard's transfer syntaxes a flow takes those whose
// data sets are known to be read as what they are. A later one fails until somebody has said how.
func TestTransferSyntaxesThatCanBeRead(t *testing.T) {
	const root = "1.2.840.10008.1.2"
	readable := map[string]bool{
		root:           true, // Implicit VR Little Endian
		root + ".1":    true, // Explicit VR Little Endian
		root + ".1.98": true, // Encapsulated Uncompressed Explicit VR Little Endian
		root + ".1.99": true, // Deflated Explicit VR Little Endian
		root + ".2":    true, // Explicit VR Big Endian
		root + ".5":    true, // RLE Lossless
	}
	table, err := os.Open("../protocols/dicom/dict/uids.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	byDefault, seen := dicomRules{}, 0
	for lines := bufio.NewScanner(table); lines.Scan(); {
		uid, _, _ := strings.Cut(lines.Text(), "\t")
		if !dict.IsTransferSyntax(uid) {
			continue
		}
		seen++
		// JPEG, JPEG-LS, JPEG 2000, MPEG and the like are Explicit VR Little Endian around their
		// Pixel Data, or what stands for it (PS3.5 §A.4, §A.6).
		known := readable[uid] || strings.HasPrefix(uid, root+".4.")
		if known == (unread[uid] != "") {
			t.Errorf("%s (%s) can be read: %v, and cannot because %q", dict.Name(uid), uid, known, unread[uid])
		}
		if got := byDefault.takes(uid); got != (known && !deflated[uid]) {
			t.Errorf("%s (%s) is taken unless the policy says otherwise: %v", dict.Name(uid), uid, got)
		}
		for _, written := range []string{uid, dict.Name(uid)} {
			p, diags := loadSite(t, map[string]string{"cordon.yaml": testBox, "site.yaml": testSite,
				"devices/d.yaml": "device: d\nidentify: {ip: 10.0.0.1}\nflows: {x: {to: pacs, allow: [echo], transfer_syntaxes: [\"" + written + "\"]}}\n"})
			switch {
			case (p != nil) != known:
				t.Errorf("%s is accepted by a policy: %v\n%s", written, p != nil, diags)
			case p != nil && !p.Flow("d/x").dicom.takes(uid):
				t.Errorf("%s is not taken where it is named", written)
			}
		}
	}
	if seen < 50 {
		t.Errorf("%d transfer syntaxes", seen)
	}
}
