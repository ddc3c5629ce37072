package gateway

import (
	"fmt"
	"slices"
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
	if a.wouldNow() && !strings.Contains(do, " by now: ") {
		do = "It passed, since the flow was not in enforce then; now it would be refused. " + do
	}
	if a.Rule != "" && !strings.HasPrefix(a.Rule, "built-in") {
		do += " (" + a.Rule + ")"
	}
	return do
}

// wouldNow tells whether the unit passed in a mode that the flow is no longer in, and not only without
// a part of it: an association request may lose contexts.
func (a advice) wouldNow() bool {
	if !a.Passed || a.flow == nil || a.flow.Mode != policy.Enforce || a.Reason == reason.PolicyRewrite {
		return false
	}
	switch a.Reason {
	case reason.DICOMAbstractSyntax, reason.DICOMTransferSyntax, reason.DICOMRole:
		return a.Unit != "A-ASSOCIATE-RQ"
	}
	return true
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
	case a.Reason == reason.DICOMTransferSyntax:
		return a.syntaxes(do)
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

// service says how allow lets services pass that are not among what a flow allows.
func (a advice) service(do string) string {
	classes, others := a.classes()
	var wanted []policy.Wanted // of which the flow allows none yet
	var entries []string
	gets := false
	for _, class := range classes {
		w := policy.Wanted{Class: class, Unit: a.Unit, Accepts: a.accepts()}
		if a.flow != nil && a.flow.Allows(w) {
			continue
		}
		wanted = append(wanted, w)
		if entry := w.Entry(); entry != "" {
			entries = append(entries, entry)
			gets = gets || a.Unit == "A-ASSOCIATE-RQ" && strings.HasPrefix(entry, "get: ")
		}
	}
	switch {
	case others >= many && !gets:
		return a.toolkit(len(classes) + others)
	case len(classes) == 0:
		return do
	case len(wanted) == 0 && a.Reason != reason.DICOMCommand:
		return "The flow has it by now: let the device try again."
	case len(wanted) == 0:
		return do
	case len(entries) == 0:
		return fmt.Sprintf("No entry of allow lets the %s send %s here (found %q).", a.From, a.Unit, a.about())
	}
	do = a.addition(entries)
	switch {
	case gets && others > 0:
		do += fmt.Sprintf("; get lets the objects of the other %s come back, too", count(others))
	case others == 1:
		do += ", and the other class if the device needs it"
	case others > 1:
		do += fmt.Sprintf(", and what else the device needs of the other %s", count(others))
	}
	do += "."
	if other := a.elsewhere(wanted); other != "" {
		return other + " Correct that on the device, or " + strings.ToLower(do[:1]) + do[1:]
	}
	return do
}

func count(classes int) string {
	if classes == 1 {
		return "class"
	}
	return fmt.Sprintf("%d classes", classes)
}

// syntaxes says how a flow takes the transfer syntaxes that were proposed, or one of them was used.
func (a advice) syntaxes(do string) string {
	found, _, _ := strings.Cut(a.about(), " for ")
	found, _, _ = strings.Cut(found, " (+")
	var entries []string
	never := ""
	for _, name := range strings.Split(found, " or ") {
		if a.flow != nil && a.flow.Takes(name) {
			return "The flow takes it by now: let the device try again."
		}
		switch entry, why := policy.TransferSyntax(name); {
		case why != "":
			never += fmt.Sprintf(" No flow takes %s: %s.", entry, why)
		case entry != "":
			entries = append(entries, entry)
		}
	}
	list := strings.Join(entries, ", ")
	switch {
	case list == "" && never != "":
		return fmt.Sprintf("Have the %s propose another transfer syntax, such as Explicit VR Little Endian.%s", a.From, never)
	case list == "":
		return do
	case a.flow != nil && !a.flow.ListsSyntaxes():
		return fmt.Sprintf("Write transfer_syntaxes in %s with all that it is to take, such as [Implicit VR Little Endian, Explicit VR Little Endian, %s]: without a list it takes all known ones that can be read, but deflated ones.%s", a.written(), list, never)
	}
	return fmt.Sprintf("Add %s to transfer_syntaxes of %s, as far as what it leads to takes them.%s", list, a.written(), never)
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

// about is what was found without what was rewritten besides: "CT Image Storage (+3 more classes)"
// of "CT Image Storage (+3 more classes); PACS as PACS2".
func (a advice) about() string {
	found, _, _ := strings.Cut(a.Found, "; ")
	return found
}

// named is the SOP class that was found, by name, and how many others were. Several of one query
// model are named together: "Study Root Query/Retrieve Information Model - FIND, MOVE".
func (a advice) named() (class string, others int) {
	class, more, _ := strings.Cut(a.about(), " (+")
	number, _, _ := strings.Cut(more, " ")
	others, _ = strconv.Atoi(number)
	return class, others
}

// classes are those that were found, by UID, and how many others were; none for something else.
func (a advice) classes() (uids []string, others int) {
	name, others := a.named()
	if uid, known := dict.UID(name); known {
		return []string{uid}, others
	}
	if dicom.ValidUID([]byte(name)) {
		return []string{name}, others
	}
	services := strings.Split(name, ", ")
	model, _, _ := strings.Cut(services[0], " - ")
	for i, service := range services {
		if i > 0 {
			service = model + " - " + service
		}
		uid, known := dict.UID(service)
		if !known {
			return nil, others
		}
		uids = append(uids, uid)
	}
	return uids, others
}

// class is the first of them, "" for none.
func (a advice) class() string {
	if uids, _ := a.classes(); len(uids) > 0 {
		return uids[0]
	}
	return ""
}

// accepts tells whether the side sent the unit that accepted the association.
func (a advice) accepts() bool {
	toDevice := a.flow != nil && a.flow.FromServer
	return (a.From == "server") != toDevice && a.Unit != "A-ASSOCIATE-RQ"
}

// addition says where entries belong. A flow that follows from another has no list of its own, and
// one that is written with from: replaces it: so it must have all that would follow.
func (a advice) addition(entries []string) string {
	all, list := strings.Join(entries, " and "), "the flow's allow list"
	switch stored, stores := strings.CutPrefix(all, "store: ["); {
	case a.flow == nil && a.From == "server":
		list = "the allow list of a flow with from:, if the device needs it"
	case a.flow == nil || a.flow.Follows == "":
	case all == "commit":
		list = "the allow list of flow " + a.flow.Follows
	case a.flow.Lists != "" && stores:
		return fmt.Sprintf("Add %s to returns of the move of flow %s, if the device needs it", strings.TrimSuffix(stored, "]"), a.flow.Lists)
	default:
		return fmt.Sprintf("Write this flow, which replaces the one that follows from flow %s, if the device needs it: %s",
			a.flow.Follows, a.policy.Instead(a.flow, strings.Join(entries, ", ")))
	}
	return fmt.Sprintf("Add %s to %s", all, list)
}

// written is the flow that a file holds.
func (a advice) written() string {
	if a.flow != nil && a.flow.Follows != "" {
		return "flow " + a.flow.Follows
	}
	return "the flow"
}

// elsewhere names another flow of the device that has what is wanted.
func (a advice) elsewhere(wanted []policy.Wanted) string {
	if a.flow == nil || a.flow.FromServer || a.flow.Protocol != policy.DICOM {
		return ""
	}
	o := a.policy.Elsewhere(a.flow, wanted[0])
	switch {
	case o == nil, slices.ContainsFunc(wanted[1:], func(w policy.Wanted) bool { return !o.Allows(w) }):
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
	class := a.class()
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
