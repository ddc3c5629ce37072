package dicom

import (
	"bytes"
	"strings"
	"testing"

	"cordon/protocols"
)

// acceptAll answers a request: each context with its first transfer syntax.
func acceptAll(rq *AssociateRQ) []byte {
	items := [][]byte{testApplication()}
	for _, pc := range rq.Contexts {
		items = append(items, testContextAC(pc.ID, 0, string(pc.Transfer[0])))
	}
	return testAC(append(items, testUser(testMaxLength(0)))...)
}

// The client's bytes of whole associations that a fuzzer's authors recorded: C-ECHO, C-FIND, C-GET,
// C-STORE. What is allowed arrives byte for byte (as far as our cap on PDU lengths leaves the
// request alone). The server's half was not recorded, so responses to it count as unasked.
func TestRecordedAssociationsPass(t *testing.T) {
	played := 0
	for name, b := range corpusFiles(t, "dicom/profuzzbench") {
		if !strings.HasSuffix(name, ".raw") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			n := PDUHeaderLen + pduLen(b)
			rq := mustParseRQ(t, b[:n])
			for _, cut := range []int{1 << 20, 1, 13, 1000} {
				p := protocols.Play(New(Config{}, &script{lenient: true}), append([]protocols.Chunk{near(b[:n]), far(acceptAll(rq))},
					protocols.Cut(cut, near(b[n:]))...)...)
				if p.Err != nil {
					t.Fatal(p.Err)
				}
				if !bytes.HasSuffix(p.Toward[protocols.Far], b[n:]) {
					t.Errorf("cut to %d: %d bytes toward the server, %d came", cut, len(p.Toward[protocols.Far]), len(b))
				}
			}
		})
		played++
	}
	if played == 0 {
		t.Error("no recorded association found")
	}
}
