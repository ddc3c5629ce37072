package gateway

import (
	"fmt"
	"strings"

	"cordon/gateway/audit"
	"cordon/protocols/reason"
)

// Explanation is the answer to `cordon explain REASON|SESSION`.
type Explanation struct {
	Asked string `json:"asked"`
	// For a reason.
	Reason  *reason.Info `json:"reason,omitempty"`
	Recent  []Refusal    `json:"recent,omitempty"`
	Remedy  []string     `json:"remedy,omitempty"` // what would allow each of Recent
	Records []Decision   `json:"records,omitempty"`
}

// Decision is one audit record of a session, with what would allow what it refused.
type Decision struct {
	Record  audit.Record `json:"-"`
	Line    string       `json:"record"` // the record as it stands in the audit
	Meaning string       `json:"meaning,omitempty"`
	Remedy  string       `json:"remedy,omitempty"`
}

// remedies say what would allow a unit that was refused for a reason, given what was found. %s
// is that.
var remedies = map[reason.Code]string{
	reason.DICOMAbstractSyntax: "add %q to the flow's allow list (store: [%[1]q] for a storage class)",
	reason.DICOMSOPClass:       "add %q to the flow's allow list (store: [%[1]q] for a storage class)",
	reason.DICOMTransferSyntax: "add the transfer syntax to the flow's transfer_syntaxes (found %q)",
	reason.DICOMCalledAE:       "the device must call the upstream's AE title; or add %q as was: {ae: …} to the upstream in site.yaml",
	reason.DICOMCallingAE:      "add %q to ae.titles in the device's file, if it is the device's",
	reason.HL7MessageType:      "add message: %q to the flow's allow list",
	reason.HL7Trigger:          "add message: %q to the flow's allow list",
	reason.HL7Sender:           "set identify.hl7 in the device's file to what it sends (found %q)",
	reason.HL7Receiver:         "set the flow's receiver to what the device sends (found %q)",
	reason.DICOMCommand:        "add the operation to the flow's allow list (found %q)",
}

// Remedy says what would allow the unit, with the rule's file and line.
func (r *Refusal) Remedy() string { return remedy(r.Reason, r.Found, r.Rule) }

func remedy(code reason.Code, found, rule string) string {
	do := reason.Lookup(code).Do
	if form, ok := remedies[code]; ok && found != "" {
		do = fmt.Sprintf(form, found)
		do = strings.ToUpper(do[:1]) + do[1:] + "."
	}
	if rule != "" && !strings.HasPrefix(rule, "built-in") {
		do += " Decided by " + rule + "."
	}
	return do
}

// Explain explains a reason code, with its latest refusals, or what was decided in a session.
func (g *Gateway) Explain(asked string) (Explanation, error) {
	e := Explanation{Asked: asked}
	if reason.Known(reason.Code(asked)) {
		info := reason.Lookup(reason.Code(asked))
		e.Reason = &info
		for _, a := range g.accounts.sorted() {
			a.mu.Lock()
			if r := a.lastRefusal; r != nil && r.Reason == info.Code {
				e.Recent = append(e.Recent, *r)
				e.Remedy = append(e.Remedy, fmt.Sprintf("%s/%s: %s", a.device, a.flow, r.Remedy()))
			}
			a.mu.Unlock()
		}
		return e, nil
	}
	for _, r := range g.audit.BySession(asked) {
		d := Decision{Record: r, Line: string(r.AppendJSON(nil))}
		if code := r.Reason; code != "" {
			d.Meaning = reason.Lookup(code).Meaning
			d.Remedy = remedy(code, r.Found.String(), r.Rule)
		}
		e.Records = append(e.Records, d)
	}
	if len(e.Records) == 0 {
		return e, fmt.Errorf("%q is neither a reason code nor a session of the latest records; see `cordon status` for both, and the audit file for older sessions", asked)
	}
	return e, nil
}
