package demo

import (
	"fmt"
	"strings"
	"time"
)

// Desk writes the HL7 v2.5.1 messages of one sender of the demo. Control IDs follow from its
// seed and count up.
type Desk struct {
	Application, Facility string // MSH-3, MSH-4
	seed                  string
	when                  time.Time
	sent                  int
}

// NewDesk returns the desk of a sender.
func NewDesk(application, facility, seed string, when time.Time) *Desk {
	return &Desk{Application: application, Facility: facility, seed: seed, when: when}
}

// Message is an HL7 message, segments ending with CR, and its control ID (MSH-10).
type Message struct {
	ID   string
	Data []byte
}

// observation is one OBX-3, OBX-5, OBX-6 and OBX-7: LOINC code and name, value, UCUM unit and
// reference range.
type observation struct{ code, name, value, unit, reference string }

var glucose = []observation{
	{"2345-7", "Glucose [Mass/volume] in Serum or Plasma", "92", "mg/dL", "70-99"},
}

var metabolicPanel = []observation{
	{"2345-7", "Glucose [Mass/volume] in Serum or Plasma", "88", "mg/dL", "70-99"},
	{"3094-0", "Urea nitrogen [Mass/volume] in Serum or Plasma", "14", "mg/dL", "7-20"},
	{"2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "0.9", "mg/dL", "0.6-1.2"},
	{"2951-2", "Sodium [Moles/volume] in Serum or Plasma", "140", "mmol/L", "136-145"},
	{"2823-3", "Potassium [Moles/volume] in Serum or Plasma", "4.1", "mmol/L", "3.5-5.1"},
	{"2075-0", "Chloride [Moles/volume] in Serum or Plasma", "103", "mmol/L", "98-107"},
	{"17861-6", "Calcium [Mass/volume] in Serum or Plasma", "9.4", "mg/dL", "8.6-10.3"},
	{"2028-9", "Carbon dioxide, total [Moles/volume] in Serum or Plasma", "25", "mmol/L", "22-29"},
}

// Glucose returns an unsolicited result with one observation (ORU^R01, HL7 v2.5.1 §7.3.1).
func (d *Desk) Glucose() Message { return d.result("R01", "ORU_R01", glucoseOrder, glucose) }

// Panel returns an unsolicited result with several observations.
func (d *Desk) Panel() Message { return d.result("R01", "ORU_R01", panelOrder, metabolicPanel) }

// PointOfCare returns a point-of-care result without an order (ORU^R30, HL7 v2.5.1 §7.3.7): the
// same message type, another trigger event.
func (d *Desk) PointOfCare() Message { return d.result("R30", "ORU_R30", glucoseOrder, glucose) }

// Registration registers a patient (ADT^A04, HL7 v2.5.1 §3.3.4).
func (d *Desk) Registration() Message {
	at := d.time()
	return d.message("ADT", "A04", "ADT_A01",
		"EVN||"+at,
		patient,
		"PV1|1|O|RADIOLOGY^ROOM3")
}

// patient is the one invented patient of the demo's messages.
const patient = "PID|1||PHANTOM-1^^^CORDON^MR||Phantom^Shepp-Logan"

// The universal service identifiers (OBR-4) of the two results.
const (
	glucoseOrder = "2345-7^Glucose [Mass/volume] in Serum or Plasma^LN"
	panelOrder   = "24321-2^Basic metabolic 2000 panel - Serum or Plasma^LN"
)

func (d *Desk) result(trigger, structure, order string, observations []observation) Message {
	at := d.time()
	segments := []string{patient}
	if trigger == "R30" { // ORU_R30 has an ORC of its own (new order)
		segments = append(segments, "ORC|NW")
	}
	segments = append(segments,
		fmt.Sprintf("OBR|1||%s|%s|||%s|||||||||||||||%s||LAB|F", d.id(), order, at, at))
	for i, o := range observations {
		segments = append(segments, fmt.Sprintf("OBX|%d|NM|%s^%s^LN||%s|%s^%s^UCUM|%s|N|||F|||%s",
			i+1, o.code, o.name, o.value, o.unit, o.unit, o.reference, at))
	}
	return d.message("ORU", trigger, structure, segments...)
}

// message makes a message of its segments behind an MSH (HL7 v2.5.1 §2.15.9), and counts it.
func (d *Desk) message(code, trigger, structure string, segments ...string) Message {
	id := d.id()
	d.sent++
	msh := fmt.Sprintf(`MSH|^~\&|%s|%s|HIS|CORDON|%s||%s^%s^%s|%s|P|2.5.1`,
		d.Application, d.Facility, d.time(), code, trigger, structure, id)
	return Message{id, []byte(msh + "\r" + strings.Join(segments, "\r") + "\r")}
}

// id is the control ID of the next message, at most 20 characters (MSH-10 in v2.5.1).
func (d *Desk) id() string { return fmt.Sprintf("%.12s-%d", d.seed, d.sent+1) }

func (d *Desk) time() string { return d.when.Format("20060102150405-0700") }
