package demo

import (
	"bytes"
	"strings"
	"testing"

	"cordon/protocols/hl7"
)

func TestMessagesAreHL7(t *testing.T) {
	d := NewDesk("ANALYZER7", "LAB", "0123456789", noon)
	ids := map[string]bool{}
	for _, c := range []struct {
		m        Message
		typ      string
		segments string // names, in order, without MSH
		obx      int
	}{
		{d.Glucose(), "ORU^R01^ORU_R01", "PID OBR OBX", 1},
		{d.Panel(), "ORU^R01^ORU_R01", "PID OBR OBX OBX OBX OBX OBX OBX OBX OBX", 8},
		{d.PointOfCare(), "ORU^R30^ORU_R30", "PID ORC OBR OBX", 1},
		{d.Registration(), "ADT^A04^ADT_A01", "EVN PID PV1", 0},
	} {
		var m hl7.Message
		if err := m.Parse(c.m.Data); err != nil {
			t.Errorf("%s: %v", c.typ, err)
			continue
		}
		if string(m.ControlID) != c.m.ID || len(c.m.ID) > 20 || ids[c.m.ID] {
			t.Errorf("%s: control ID %q, said to be %q", c.typ, m.ControlID, c.m.ID)
		}
		ids[c.m.ID] = true
		if got := string(m.Type) + "^" + string(m.Trigger) + "^" + string(m.Structure); got != c.typ || string(m.Version) != "2.5.1" {
			t.Errorf("type %s of version %s, not %s", got, m.Version, c.typ)
		}
		var names []string
		for _, s := range strings.Split(strings.TrimSuffix(string(c.m.Data), "\r"), "\r")[1:] {
			names = append(names, s[:3])
		}
		if got := strings.Join(names, " "); got != c.segments {
			t.Errorf("%s: segments %s, not %s", c.typ, got, c.segments)
		}
	}
}

// The required fields of OBR, OBX, EVN and PV1 stand where HL7 v2.5.1 §4.5.3, §7.4.2, §3.4.1 and
// §3.4.3 want them.
func TestFieldsStandWhereTheyBelong(t *testing.T) {
	d := NewDesk("A", "B", "seed", noon)
	at := "20260301120000+0000"
	for _, c := range []struct {
		m     Message
		field string
		n     int
		want  string
	}{
		{d.Glucose(), "PID", 3, "PHANTOM-1^^^CORDON^MR"},
		{d.Glucose(), "PID", 5, "Phantom^Shepp-Logan"},
		{d.Glucose(), "OBR", 4, glucoseOrder},
		{d.Glucose(), "OBR", 7, at},
		{d.Glucose(), "OBR", 22, at},
		{d.Glucose(), "OBR", 24, "LAB"},
		{d.Glucose(), "OBR", 25, "F"},
		{d.Glucose(), "OBX", 2, "NM"},
		{d.Glucose(), "OBX", 5, "92"},
		{d.Glucose(), "OBX", 8, "N"},
		{d.Glucose(), "OBX", 11, "F"},
		{d.Glucose(), "OBX", 14, at},
		{d.Registration(), "EVN", 2, at},
		{d.Registration(), "PV1", 2, "O"},
		{d.PointOfCare(), "ORC", 1, "NW"},
	} {
		_, rest, _ := bytes.Cut(c.m.Data, []byte("\r"+c.field))
		segment, _, _ := bytes.Cut(rest, []byte("\r"))
		fields := strings.Split(string(segment), "|")
		if len(fields) <= c.n || fields[c.n] != c.want {
			t.Errorf("%s-%d of %q is not %q", c.field, c.n, segment, c.want)
		}
	}
}

func TestAcknowledgmentsInShort(t *testing.T) {
	for want, ack := range map[string]string{
		"AA":     "MSH|^~\\&|HIS|CORDON|A|B|||ACK^R01^ACK|1|P|2.5.1\rMSA|AA|42\r",
		"AR 200": "MSH|^~\\&|HIS|CORDON|A|B|||ACK^A04^ACK|1|P|2.5.1\rMSA|AR|42\rERR||MSH^1^9|200^Unsupported message type^HL70357|E\r",
	} {
		if short, err := acknowledged([]byte(ack)); err != nil || short != want {
			t.Errorf("%s reads as %s, %v", want, short, err)
		}
	}
}
