package policy

import (
	"fmt"
	"slices"
	"strings"

	"cordon/policy/file"
)

// allowHL7 compiles message types.
func (c *compiler) allowHL7(f *flowFile) bool {
	f.hl7.tolerance = f.tolerance()
	ok := true
	for i := range f.y.Allow.Verbs {
		v := &f.y.Allow.Verbs[i]
		for _, t := range v.Names.Values {
			code, event, found := strings.Cut(t.Value, "^")
			if !found || !isCode([]byte(code)) || event != "*" && !isCode([]byte(event)) {
				ok = false
				c.Errorf(t.At, file.BadValue, "write type and trigger event, such as ORU^R01, or ORU^* for any event", "%q is not a message type", t.Value)
				continue
			}
			if _, known := slices.BinarySearch(messageCodes, code); !known && code[0] != 'Z' {
				c.Notef(t.At, file.Remark, file.DidYouMean(code, slices.Clone(messageCodes)), "HL7 table 0076 has no message type %q", code)
			}
			f.hl7.add(code, event, f.rule(v.At, fmt.Sprintf(".allow[%d]", v.Index)))
		}
	}
	return ok
}

// messageCodes is HL7 table 0076, message types, in order.
var messageCodes = strings.Fields(`
ACK ADR ADT BAR BPS BRP BRT BTS CCF CCI CCM CCQ CCR CCU CNQ CQU CRM CSU DBC DBU DEL DEO DER DET DFT
DOC DPR DRC DRG DSR EAC EAN EAR EDR EHC EQQ ERP ESR ESU INR INU LSR LSU MCF MDM MFD MFK MFN MFQ MFR
NMD NMQ NMR OMB OMD OMG OMI OML OMN OMP OMQ OMS OPL OPR OPU ORA ORB ORD ORF ORG ORI ORL ORM ORN ORP
ORR ORS ORU ORX OSM OSQ OSR OSU OUL PEX PGL PIN PMU PPG PPP PPR PPT PPV PRR PTR QBP QCK QCN QRY QSB
QSX QVR RAR RAS RCI RCL RDE RDR RDS RDY REF RER RGR RGV ROR RPA RPI RPL RPR RQA RQC RQI RQP RRA RRD
RRE RRG RRI RSP RTB SCN SDN SDR SIU SLN SLR SMD SPQ SQM SQR SRM SRR SSR SSU STC STI SUR TBR TCR TCU
UDM VQQ VTQ VXQ VXR VXU VXX`)
