package gateway

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"cordon/gateway/audit"
	"cordon/protocols"
	"cordon/protocols/dicom/dict"
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

// remedies say what would allow a unit that was refused for a reason, given what was found.
var remedies = map[reason.Code]func(found string) string{
	reason.DICOMAbstractSyntax:  allowClass,
	reason.DICOMSOPClass:        allowClass,
	reason.DICOMNoContext:       allowClass,
	reason.DICOMTransferSyntax:  says("Add the transfer syntax to the flow's transfer_syntaxes (found %q)."),
	reason.DICOMCalledAE:        says("Have the device call the upstream by its AE title, or add was: {ae: %s} to the upstream."),
	reason.DICOMCallingAE:       says("Add %s to ae.titles in the device's file, if the device may call itself so."),
	reason.DICOMCommand:         says("Add the operation to the flow's allow list (found %q)."),
	reason.DICOMRole:            allowRole,
	reason.DICOMQueryLevel:      says("Add %s to levels of the flow's find, move or get."),
	reason.DICOMQueryKey:        says("Add the attribute to match of the flow's find if it may be matched by, to return if it may be asked for (found %q)."),
	reason.DICOMMoveDestination: says("Add %s to the flow's move: {to: [...]} if objects may go there."),
	reason.DICOMAction:          says("Add the action type to actions of the service in the flow's allow list (found %q)."),
	reason.DICOMEvent:           says("Add the event type to events of the service in the flow's allow list (found %q)."),
	reason.DICOMGeometry:        says("Set tolerate: {geometry: true} in the flow only if the device is known to write such images (found %q)."),
	reason.HL7MessageType:       says("Add message: %s to the flow's allow list."),
	reason.HL7Trigger:           says("Add message: %s to the flow's allow list."),
	reason.HL7Sender:            says("Set identify.hl7 in the device's file to what it sends (found %q)."),
	reason.HL7Receiver:          says("Set the flow's receiver to what the device sends (found %q)."),
}

// serverRemedies are those for what a server sends to a device.
var serverRemedies = map[reason.Code]func(found string) string{
	reason.DICOMAbstractSyntax: returnClass,
	reason.DICOMSOPClass:       returnClass,
	reason.DICOMNoContext:      returnClass,
	reason.DICOMCalledAE:       says("Have the server call the device by its AE title, or add %s to ae.titles in the device's file."),
	reason.DICOMCallingAE:      says("Have the server call itself by its AE title, or correct ae of its upstream in site.yaml (found %q)."),
}

func says(form string) func(string) string {
	return func(found string) string { return fmt.Sprintf(form, found) }
}

// allowClass says how a SOP class is allowed. One association may have lost several, of which
// the first is named: "CT Image Storage (+3 more)".
func allowClass(found string) string {
	name, more, several := strings.Cut(found, " (+")
	do := fmt.Sprintf("Add the service of %s to the flow's allow list", name)
	if uid, ok := dict.UID(name); ok && dict.IsStorage(uid) {
		do = fmt.Sprintf("Add store: [%s] to the flow's allow list", name)
	}
	if several {
		do += ", and what else the device needs of the other " + strings.TrimSuffix(more, " more)")
	}
	return do + "."
}

// returnClass says how a SOP class may come from a server.
func returnClass(found string) string {
	name, _, _ := strings.Cut(found, " (+")
	return fmt.Sprintf("Add %s to returns of the flow's move or get, or to the allow list of a flow with from:, if the device needs it.", name)
}

// allowRole says how whoever connects may have the role for a SOP class.
func allowRole(found string) string {
	if uid, ok := dict.UID(found); ok && dict.IsStorage(uid) {
		return fmt.Sprintf("Add get, whose returns have %s, to the flow's allow list if the device retrieves it so; store if it sends it.", found)
	}
	return reason.Lookup(reason.DICOMRole).Do
}

// Remedy says what would allow the unit, with the rule's file and line.
func (r *Refusal) Remedy() string { return remedy(r.Reason, r.Found, r.Rule, r.From == "server") }

// Remedy says what would allow a unit of a device that was refused for a reason by a rule that
// found that.
func Remedy(code reason.Code, found, rule string) string { return remedy(code, found, rule, false) }

func remedy(code reason.Code, found, rule string, server bool) string {
	do := reason.Lookup(code).Do
	say := remedies[code]
	if server && serverRemedies[code] != nil {
		say = serverRemedies[code]
	}
	if say != nil && found != "" {
		do = say(found)
	}
	if rule != "" && !strings.HasPrefix(rule, "built-in") {
		do += " (" + rule + ")"
	}
	return do
}

// Explain explains a reason code, with its latest refusals, or what was decided in a session.
func (g *Gateway) Explain(asked string) (Explanation, error) {
	e := Explanation{Asked: asked}
	if reason.Known(reason.Code(asked)) {
		info := reason.Lookup(reason.Code(asked))
		e.Reason = &info
		for _, a := range g.latest(info.Code) {
			e.Recent = append(e.Recent, *a.last)
			e.Remedy = append(e.Remedy, fmt.Sprintf("%s/%s: %s", a.device, a.flow, a.last.Remedy()))
		}
		return e, nil
	}
	for _, r := range g.audit.BySession(asked) {
		d := Decision{Record: r, Line: string(r.AppendJSON(nil))}
		if code := r.Reason; code != "" {
			d.Meaning = reason.Lookup(code).Meaning
			d.Remedy = remedy(code, r.Found.String(), r.Rule, r.Direction == audit.ToDevice)
		}
		e.Records = append(e.Records, d)
	}
	if len(e.Records) == 0 {
		return e, fmt.Errorf("%q is neither a reason code nor a session of the latest records; see `cordon status` for both, and the audit file for older sessions", asked)
	}
	return e, nil
}

// flowRefusal is a refusal of a flow, or of a device where no flow was chosen.
type flowRefusal struct {
	device, flow string
	last         *Refusal
}

// latest returns the last refusal for that reason of each flow. An account knows the flow's last
// one, which may have another reason; the audit remembers those before it.
func (g *Gateway) latest(code reason.Code) (all []flowRefusal) {
	at := map[[2]string]int{}
	put := func(device, flow string, r *Refusal) {
		i, known := at[[2]string{device, flow}]
		if !known {
			i = len(all)
			at[[2]string{device, flow}] = i
			all = append(all, flowRefusal{device: device, flow: flow})
		}
		if all[i].last == nil || !r.Time.Before(all[i].last.Time) {
			all[i].last = r
		}
	}
	for _, r := range g.audit.Recent(math.MaxInt) {
		narrowed := r.Would == protocols.Rewrite && code != reason.PolicyRewrite
		if r.Reason == code && (r.Would == protocols.Refuse || narrowed) {
			put(r.Device, r.Flow, refusalOf(&r))
		}
	}
	for _, a := range g.accounts.sorted() {
		a.mu.Lock()
		if r := a.lastRefusal; r != nil && r.Reason == code {
			put(a.device, a.flow, r)
		}
		a.mu.Unlock()
	}
	slices.SortFunc(all, func(x, y flowRefusal) int {
		return cmp.Or(cmp.Compare(x.device, y.device), cmp.Compare(x.flow, y.flow))
	})
	return all
}

// refusalOf is a record of a refusal as status and explain show it.
func refusalOf(r *audit.Record) *Refusal {
	from := "device"
	if r.Direction == audit.ToDevice {
		from = "server"
	}
	return &Refusal{
		Time: r.Time, Session: r.Session, Peer: r.Peer, Unit: r.Unit.String(), From: from, Reason: r.Reason,
		Rule: r.Rule, Found: r.Found.String(), Passed: r.Verdict != protocols.Refuse,
	}
}
