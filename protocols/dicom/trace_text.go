package dicom

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cordon/protocols"
	"cordon/protocols/dicom/dict"
)

// requestText says who asks for an association with whom.
func requestText(a *Association) string {
	text := printable(a.CallingAE)
	if a.CallingAs != "" {
		text += " (passed on as " + a.CallingAs + ")"
	}
	text += " calls " + printable(a.CalledAE)
	if a.CallAs != "" {
		text += " (passed on as " + a.CallAs + ")"
	}
	if string(a.ApplicationContext) != ApplicationContextName {
		text += "; another application context than DICOM's"
	}
	return text
}

// userText says what a side says about itself in the negotiation. Of a user identity it gives the
// type alone.
func userText(u *UserInformation) string {
	parts := []string{"no maximum length"}
	if u.HasMaxLength {
		parts[0] = "maximum length unlimited"
		if u.MaxLength != 0 {
			parts[0] = "maximum length " + strconv.FormatUint(uint64(u.MaxLength), 10)
		}
	}
	if len(u.ImplementationUID) > 0 {
		parts = append(parts, "implementation "+className(string(u.ImplementationUID)))
	}
	if len(u.ImplementationName) > 0 {
		parts = append(parts, printable(u.ImplementationName))
	}
	if u.HasAsync {
		parts = append(parts, fmt.Sprintf("asynchronous operations %s invoked, %s performed", window(u.AsyncInvoked), window(u.AsyncPerformed)))
	}
	for _, x := range u.Extended {
		parts = append(parts, "extended negotiation of "+className(string(x.SOPClass)))
	}
	for _, x := range u.CommonExtended {
		parts = append(parts, "common extended negotiation of "+className(string(x.SOPClass)))
	}
	if u.Identity.Type != 0 {
		parts = append(parts, "user identity by "+named(identityTypes, u.Identity.Type))
	}
	if u.HasResponse {
		parts = append(parts, "user identity answered")
	}
	return strings.Join(parts, ", ")
}

// identityTypes are the types of a user identity (PS3.7 Table D.3-14).
var identityTypes = map[uint8]string{
	1: "username", 2: "username and passcode", 3: "Kerberos service ticket", 4: "SAML assertion", 5: "JSON Web Token",
}

func window(n uint16) string {
	if n == 0 {
		return "unlimited"
	}
	return strconv.Itoa(int(n))
}

// said is what a line tells of a presentation context.
type said struct {
	id    uint8
	class string // SOP class, by name
	what  string
}

// many is of how many contexts the same is said in one line. Whoever is sent an object of any kind
// has agreed on a hundred, with two or three transfer syntaxes.
const many = 8

// contextLines appends a line for each context, and where the same is said of more than many of them
// one for all, which names their first SOP classes.
func contextLines(lines []string, contexts []said) []string {
	alike := map[string][]said{}
	for _, c := range contexts {
		alike[c.what] = append(alike[c.what], c)
	}
	for _, c := range contexts {
		switch same := alike[c.what]; {
		case len(same) <= many:
			lines = append(lines, fmt.Sprintf("context %3d  %s: %s", c.id, c.class, c.what))
		case same[0] == c:
			lines = append(lines, fmt.Sprintf("%d contexts: %s; for %s", len(same), c.what, classesOf(same)))
		}
	}
	return lines
}

// classesOf names the SOP classes of contexts, the first of them where there are many.
func classesOf(contexts []said) string {
	var names []string
	for _, c := range contexts {
		if !slices.Contains(names, c.class) {
			names = append(names, c.class)
		}
	}
	list := strings.Join(names[:min(many, len(names))], ", ")
	switch more := len(names) - many; {
	case more > 1:
		return fmt.Sprintf("%s and %d more SOP classes", list, more)
	case more == 1:
		return list + " and 1 more SOP class"
	}
	return list
}

// few is how many stripped contexts have lines of their own. Toolkits that propose all they know
// have a hundred, which would bury the others.
const few = 4

// proposedText appends what there is to say of the proposed contexts. Of many that are stripped for
// the same reason one line tells, after the others.
func (su *setup) proposedText(lines []string) []string {
	gone := map[Result][]int{}
	for i := range su.facts.Contexts {
		if r := su.stripped(i); r != Acceptance {
			gone[r] = append(gone[r], i)
		}
	}
	var own []said
	var stripped []string
	for i := range su.facts.Contexts {
		switch same := gone[su.stripped(i)]; {
		case len(same) <= few:
			own = append(own, su.contextText(i))
		case same[0] == i:
			stripped = append(stripped, su.manyText(same))
		}
	}
	return append(contextLines(lines, own), stripped...)
}

// judged tells whether the rules said what is taken from the i-th context. A request may be refused
// before its contexts are looked at.
func (su *setup) judged(i int) bool {
	return i < len(su.narrow.Keep) && len(su.narrow.Keep[i].Transfer) == len(su.facts.Contexts[i].Transfer)
}

// stripped is what the i-th context is answered with where all of it is taken away.
func (su *setup) stripped(i int) Result {
	if !su.judged(i) {
		return Acceptance
	}
	return su.narrow.result(i)
}

// manyText describes contexts that are stripped for the same reason, by what they are for.
func (su *setup) manyText(contexts []int) string {
	var names []string
	for _, i := range contexts {
		if name := className(string(su.facts.Contexts[i].Abstract)); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return fmt.Sprintf("%d contexts stripped (%s): %s", len(contexts), su.stripped(contexts[0]), strings.Join(names, ", "))
}

// contextText describes the i-th proposed context, with what is taken from it.
func (su *setup) contextText(i int) said {
	pc := &su.facts.Contexts[i]
	var kept, gone []string
	judged, stripped := su.judged(i), su.stripped(i)
	for j, ts := range pc.Transfer {
		if name := syntaxName(string(ts)); judged && stripped == Acceptance && !su.narrow.Keep[i].Transfer[j] {
			gone = append(gone, name)
		} else {
			kept = append(kept, name)
		}
	}
	what := strings.Join(kept, ", ")
	noSCU, noSCP := judged && su.narrow.Keep[i].NoSCU, judged && su.narrow.Keep[i].NoSCP
	if pc.HasRole {
		what += "; " + roles(pc.SCU || noSCU, pc.SCP || noSCP)
	}
	if noSCU || noSCP {
		gone = append(gone, roles(noSCU, noSCP))
	}
	if len(gone) > 0 {
		what += "; stripped: " + strings.Join(gone, ", ")
	}
	if stripped != Acceptance {
		what += "; stripped (" + stripped.String() + ")"
	}
	return said{pc.ID, className(string(pc.Abstract)), what}
}

// answeredText describes the answer to a context that was passed on, and tells whether it is
// accepted.
func (su *setup) answeredText(o *offered) (answer said, accepted bool) {
	answer = said{o.id, className(o.abstract), "not answered by the server"}
	for i := range su.ac.Contexts {
		cr := &su.ac.Contexts[i]
		switch {
		case cr.ID != o.id:
		case cr.Result != Acceptance:
			answer.what = "rejected, " + cr.Result.String()
			return answer, false
		default:
			answer.what = acceptedText(string(cr.Transfer))
			for _, r := range su.ac.User.Roles {
				if string(r.SOPClass) == o.abstract {
					answer.what += "; " + roles(r.SCU, r.SCP)
				}
			}
			return answer, true
		}
	}
	return answer, false
}

func acceptedText(transfer string) string { return "accepted, " + syntaxName(transfer) }

// roles says what the requestor is for a SOP class (PS3.7 D.3.3.4).
func roles(scu, scp bool) string {
	switch {
	case scu && scp:
		return "roles SCU and SCP"
	case scp:
		return "role SCP"
	case scu:
		return "role SCU"
	}
	return "no role"
}

// syntaxName names a transfer syntax without what the standard says after its name's colon.
func syntaxName(uid string) string {
	short, _, _ := strings.Cut(className(uid), ": ")
	return short
}

// printable is text of a peer that can stand on a terminal.
func printable(b []byte) string {
	var l protocols.Label
	l.AppendBytes(b)
	if l.Empty() {
		return "(blank)"
	}
	return l.String()
}

func counted(n, of int, what string) string {
	if of != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d of %d %s", n, of, what)
}

// text describes a command. Instance UIDs, and whatever else tells of a patient
// or is free text, are left out.
func (c *Command) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "message %d", c.MessageID)
	if c.Response() {
		b.WriteString(": " + describeStatus(c.Field, c.Status))
		b.WriteString(c.SubOperations.text())
		return b.String()
	}
	if c.Field == CancelRQ && c.Within != 0 {
		return "of " + CommandName(c.Within) + ", " + b.String()
	} else if c.Field == CancelRQ {
		return "of " + b.String()
	}
	class := c.Abstract
	if c.SOPClass != nil {
		class = string(c.SOPClass)
	}
	fmt.Fprintf(&b, ": %s, context %d, %s", className(class), c.ContextID, syntaxName(c.Transfer))
	if f := forms[c.Field]; f != nil && f.demands&priority != 0 {
		b.WriteString(", priority " + named(priorities, c.Priority))
	}
	if c.MoveAE != nil {
		b.WriteString(", to " + printable(c.MoveAE))
	}
	if c.Originator != nil {
		fmt.Fprintf(&b, ", for message %d of %s", c.OriginatorID, printable(c.Originator))
	}
	switch c.Field {
	case NEventRQ:
		b.WriteString(", event type " + typeName(eventTypes, class, c.TypeID))
	case NActionRQ:
		b.WriteString(", action type " + typeName(actionTypes, class, c.TypeID))
	}
	if c.Within != 0 {
		fmt.Fprintf(&b, ", of %s, message %d", CommandName(c.Within), c.WithinID)
	}
	return b.String()
}

var priorities = map[uint16]string{0: "medium", 1: "high", 2: "low"}

// typeOf is an event or action type of a SOP class.
type typeOf struct {
	class string // the standard's name
	id    uint16
}

// Event types and action types of PS3.4 Annexes F, H and J.
var (
	eventTypes = map[typeOf]string{
		{"Storage Commitment Push Model SOP Class", 1}:                  "Storage Commitment Request Successful",
		{"Storage Commitment Push Model SOP Class", 2}:                  "Storage Commitment Request Complete - Failures Exist",
		{"Modality Performed Procedure Step Notification SOP Class", 1}: "Performed Procedure Step In Progress",
		{"Modality Performed Procedure Step Notification SOP Class", 2}: "Performed Procedure Step Completed",
		{"Modality Performed Procedure Step Notification SOP Class", 3}: "Performed Procedure Step Discontinued",
		{"Printer SOP Class", 1}:                                        "Normal",
		{"Printer SOP Class", 2}:                                        "Warning",
		{"Printer SOP Class", 3}:                                        "Failure",
		{"Print Job SOP Class", 1}:                                      "Pending",
		{"Print Job SOP Class", 2}:                                      "Printing",
		{"Print Job SOP Class", 3}:                                      "Done",
		{"Print Job SOP Class", 4}:                                      "Failure",
	}
	actionTypes = map[typeOf]string{
		{"Storage Commitment Push Model SOP Class", 1}: "Request Storage Commitment",
		{"Basic Film Session SOP Class", 1}:            "Print",
		{"Basic Film Box SOP Class", 1}:                "Print",
	}
)

func typeName(names map[typeOf]string, class string, id uint16) string {
	if name := names[typeOf{dict.Name(class), id}]; name != "" {
		return fmt.Sprintf("%d (%s)", id, name)
	}
	return strconv.Itoa(int(id))
}

// text says how many sub-operations a response counts, "" where it counts none.
func (n *SubOperations) text() string {
	if !n.Told {
		return ""
	}
	return fmt.Sprintf("; sub-operations: %d remaining, %d completed, %d failed, %d with warning", n.Remaining, n.Completed, n.Failed, n.Warning)
}
