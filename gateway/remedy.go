package gateway

import (
	"fmt"
	"strconv"
	"strings"

	"cordon/policy"
	"cordon/protocols/dicom"
	"cordon/protocols/dicom/dict"
	"cordon/protocols/reason"
)

// remedies say what would allow a unit that was refused for a reason, given what was found.
var remedies = map[reason.Code]func(found string) string{
	reason.SessionLimit:         raiseLimit,
	reason.DICOMTransferSyntax:  says("Add the transfer syntax to the flow's transfer_syntaxes (found %q)."),
	reason.DICOMCalledAE:        says("Have the device call the upstream by its AE title, or add was: {ae: %s} to the upstream."),
	reason.DICOMCallingAE:       says("Add %s to ae.titles in the device's file, if the device may call itself so."),
	reason.DICOMQueryLevel:      says("Add %s to levels of the flow's find, move or get."),
	reason.DICOMQueryKey:        addKeys,
	reason.DICOMMoveDestination: says("Add %s to the flow's move: {to: [...]} if objects may go there."),
	reason.DICOMAction:          says("Add the action type to actions of the service in the flow's allow list (found %q)."),
	reason.DICOMEvent:           says("Add the event type to events of the service in the flow's allow list (found %q)."),
	reason.DICOMPeerRejected:    rejectedBy(true),
	reason.DICOMPeerFailed:      rejectedBy(true),
	reason.DICOMGeometry:        says("Set tolerate: {geometry: true} in the flow only if the device is known to write such images (found %q)."),
	reason.HL7MessageType:       says("Add message: %s to the flow's allow list."),
	reason.HL7Trigger:           says("Add message: %s to the flow's allow list."),
	reason.HL7Sender:            says("Set identify.hl7 in the device's file to what it sends (found %q)."),
	reason.HL7Receiver:          says("Set the flow's receiver to what the device sends (found %q)."),
}

// serverRemedies are those for what a server sends to a device.
var serverRemedies = map[reason.Code]func(found string) string{
	reason.DICOMPeerRejected: rejectedBy(false),
	reason.DICOMPeerFailed:   rejectedBy(false),
	reason.DICOMCalledAE:     says("Have the server call the device by its AE title, or add %s to ae.titles in the device's file."),
	reason.DICOMCallingAE:    says("Have the server call itself by its AE title, or correct ae of its upstream in site.yaml (found %q)."),
}

// raiseLimit says which limit of connections is reached, and that it may be raised.
func raiseLimit(found string) string {
	key := "limits.sessions"
	if strings.Contains(found, "this gateway") {
		key = "limits.connections in cordon.yaml"
	}
	return fmt.Sprintf("Find out why connections stay open, or raise %s (it is %s).", key, found)
}

// addKeys says which lists take the attributes of a query.
func addKeys(found string) string {
	lists, more, several := strings.Cut(found, " (+")
	do := fmt.Sprintf("Add to the lists of the flow's find what the device needs of %s", lists)
	if several {
		do += fmt.Sprintf(", and of the %s", strings.TrimSuffix(more, ")"))
	}
	do += "; match is for what it may match by, return for what it may ask for."
	if strings.Contains(lists, "[(") || strings.Contains(lists, ", (") {
		do += " Private attributes have no names that lists could have."
	}
	return do
}

// rejectedBy explains the A-ASSOCIATE-RJ of the device, or of the server.
func rejectedBy(device bool) func(found string) string {
	return func(found string) string {
		meaning, do := refusedBy(device, found)
		return meaning + ". " + do
	}
}

func says(form string) func(string) string {
	return func(found string) string { return fmt.Sprintf(form, found) }
}

// advice is what a remedy is made from: a refusal, and where it is known the policy in force and
// the flow in it.
type advice struct {
	*Refusal
	device string
	policy *policy.Policy
	flow   *policy.Flow
}

// advised is a refusal of a flow with what would allow it by the policy in force.
func advised(p *policy.Policy, device, flow string, r *Refusal) *Refusal {
	if r == nil {
		return nil
	}
	with := *r
	with.Do = advice{r, device, p, p.Flow(device + "/" + flow)}.remedy()
	return &with
}

// Remedy says what would allow what was refused, with the rule's file and line, as far as it can be
// said without the policy.
func Remedy(r *Refusal) string { return advice{Refusal: r}.remedy() }

func (a advice) remedy() string {
	do := a.do()
	if a.Rule != "" && !strings.HasPrefix(a.Rule, "built-in") {
		do += " (" + a.Rule + ")"
	}
	return do
}

func (a advice) do() string {
	do, say := reason.Lookup(a.Reason).Do, remedies[a.Reason]
	if a.From == "server" && serverRemedies[a.Reason] != nil {
		say = serverRemedies[a.Reason]
	}
	switch {
	case a.Found == "":
		return do
	case a.Reason == reason.DICOMAbstractSyntax || a.Reason == reason.DICOMNoContext || a.Reason == reason.DICOMCommand:
		return a.service(do)
	case a.Reason == reason.DICOMRole:
		return a.role(do)
	case a.Reason == reason.DICOMCalledAE && a.From != "server" && a.called() != "":
		return a.called()
	case say != nil:
		return say(a.Found)
	}
	return do
}

// many is how many SOP classes may be refused at once until it is not them that the device needs,
// but all that its toolkit knows.
const many = 8

// service says how allow lets a service pass that is not among what a flow allows.
func (a advice) service(do string) string {
	class, others := a.class()
	w := policy.Wanted{Class: class, Unit: a.Unit, Accepts: a.accepts()}
	entry := w.Entry()
	switch {
	case others >= many:
		return a.toolkit(others + 1)
	case class == "":
		return do
	case a.flow != nil && a.flow.Allows(w) && a.Reason != reason.DICOMCommand:
		return "The flow has it by now: let the device try again."
	case a.flow != nil && a.flow.Allows(w):
		return do
	case entry == "":
		return fmt.Sprintf("No entry of allow lets the %s send %s here (found %q).", a.From, a.Unit, a.classes())
	}
	do = a.addition(entry)
	switch {
	case others == 1:
		do += ", and the other class if the device needs it"
	case others > 1:
		do += fmt.Sprintf(", and what else the device needs of the other %d classes", others)
	}
	do += "."
	if other := a.elsewhere(w); other != "" {
		return other + " Correct that on the device, or " + strings.ToLower(do[:1]) + do[1:]
	}
	return do
}

// toolkit says what to do where it is not the device that needs what is refused.
func (a advice) toolkit(n int) string {
	device := a.device
	if device == "" {
		device = "DEVICE"
	}
	do := fmt.Sprintf("The %s proposes %d SOP classes that the flow does not allow, as toolkits that propose all they know do.", a.From, n)
	if a.Reason == reason.DICOMNoContext {
		do = fmt.Sprintf("The flow allows none of the %d SOP classes that the %s proposes.", n, a.From)
	}
	return do + fmt.Sprintf(" If a user misses one: `cordon trace %s` lists them by name.", device)
}

// classes is what was found without what was rewritten besides: "CT Image Storage (+3 more classes)"
// of "CT Image Storage (+3 more classes); PACS as PACS2".
func (a advice) classes() string {
	found, _, _ := strings.Cut(a.Found, "; ")
	return found
}

// named is the SOP class that was found, by name, and how many others were.
func (a advice) named() (class string, others int) {
	class, more, _ := strings.Cut(a.classes(), " (+")
	number, _, _ := strings.Cut(more, " ")
	others, _ = strconv.Atoi(number)
	return class, others
}

// class is named by its UID, "" for something else than a SOP class.
func (a advice) class() (uid string, others int) {
	name, others := a.named()
	if uid, known := dict.UID(name); known {
		return uid, others
	}
	if !dicom.ValidUID([]byte(name)) {
		return "", others
	}
	return name, others
}

// accepts tells whether the side sent the unit that accepted the association.
func (a advice) accepts() bool {
	toDevice := a.flow != nil && a.flow.FromServer
	return (a.From == "server") != toDevice && a.Unit != "A-ASSOCIATE-RQ"
}

// addition says where an entry belongs. A flow that follows from another has no list of its own,
// and one that is written with from: replaces it: so it must have all that would follow.
func (a advice) addition(entry string) string {
	server := a.From == "server"
	stored, stores := strings.CutPrefix(entry, "store: [")
	switch {
	case a.flow != nil && a.flow.Follows != "" && entry == "commit":
		return fmt.Sprintf("Add commit to the allow list of flow %s", a.flow.Follows)
	case a.flow != nil && a.flow.Follows != "" && a.flow.Lists != "" && stores:
		return fmt.Sprintf("Add %s to returns of the move of flow %s, if the device needs it", strings.TrimSuffix(stored, "]"), a.flow.Lists)
	case a.flow != nil && a.flow.Follows != "":
		return fmt.Sprintf("Write this flow, which replaces the one that follows from flow %s, if the device needs it: %s", a.flow.Follows, a.policy.Instead(a.flow, entry))
	case a.flow == nil && server:
		return fmt.Sprintf("Add %s to the allow list of a flow with from:, if the device needs it", entry)
	}
	return fmt.Sprintf("Add %s to the flow's allow list", entry)
}

// written is the flow that a file holds.
func (a advice) written() string {
	if a.flow.Follows != "" {
		return "flow " + a.flow.Follows
	}
	return "the flow"
}

// elsewhere names another flow of the device that has what is wanted.
func (a advice) elsewhere(w policy.Wanted) string {
	if a.flow == nil || a.flow.FromServer || a.flow.Protocol != policy.DICOM {
		return ""
	}
	o := a.policy.Elsewhere(a.flow, w)
	switch {
	case o == nil:
		return ""
	case o.To == a.flow.To:
		return fmt.Sprintf("Flow %s has it, and is heard on %s; the device called %s.", o.Name, o.Listener.Address, a.flow.Listener.Address)
	}
	return fmt.Sprintf("Flow %s (to %s) has it, and is called %s; the device called %s.", o.Name, o.To.Name, title(o.To), title(a.flow.To))
}

// title is what devices call an upstream.
func title(u *policy.Upstream) string {
	if u.WasAE != "" && u.WasAE != u.AE {
		return u.WasAE + " or " + u.AE
	}
	return u.AE
}

// role says how whoever connects may have the role that it proposed for a SOP class, or sent a
// request in.
func (a advice) role(do string) string {
	class, _ := a.class()
	name, _ := a.named()
	scu, scp := false, false
	if a.flow != nil {
		scu, scp = a.flow.Roles(class)
	}
	reports := policy.Wanted{Class: class, Unit: "N-EVENT-REPORT-RQ"}
	switch {
	case scp && !scu && a.flow.Allows(reports):
		return fmt.Sprintf("Let the %s propose the role of SCP for %s, since it reports; or set tolerate: {roles: true} in %s.", a.From, name, a.written())
	case scu && !scp && reports.Entry() == "commit: reports":
		return fmt.Sprintf("Add commit: reports to the flow's allow list, if it is the %s that reports; commit alone lets it ask.", a.From)
	case scp && !scu && dict.IsStorage(class):
		return fmt.Sprintf("Add store: [%s] to the flow's allow list if the device sends such objects; one that retrieves them proposes the role of SCP.", name)
	case dict.IsStorage(class) && (scu || a.flow == nil):
		return fmt.Sprintf("Add get, whose returns have %s, to the flow's allow list if the device retrieves it so; store if it sends it.", name)
	}
	return do
}

// called says which server of the site has the title that a device called, "" where none has.
func (a advice) called() string {
	if a.flow == nil {
		return ""
	}
	for _, f := range a.policy.FlowsOf(a.flow.Device) {
		if f == a.flow && (f.To.AE == a.Found || f.To.WasAE == a.Found) {
			return "The upstream has this title by now: let the device try again."
		}
		if !f.FromServer && f.To != a.flow.To && (f.To.AE == a.Found || f.To.WasAE == a.Found) {
			return fmt.Sprintf("Flow %s (to %s) is called %s, and is heard on %s; the device called %s.", f.Name, f.To.Name, a.Found, f.Listener.Address, a.flow.Listener.Address)
		}
	}
	for _, u := range a.policy.Upstreams {
		if u.AE == a.Found {
			return fmt.Sprintf("Give the device a flow with to: %s, if it needs it: that is what is called %s.", u.Name, a.Found)
		}
	}
	return ""
}
