package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"cordon/policy/file"
	"cordon/protocols"
	"cordon/protocols/dicom"
	"cordon/protocols/dicom/dict"
)

// Wanted is what a DICOM unit asked for that no rule allowed, as its record has it.
type Wanted struct {
	Class string // SOP class UID
	Unit  string // "N-DELETE-RQ"; of "A-ASSOCIATE-RQ" nothing but the class is known
	// Accepts says that the side sent it that accepted the association.
	Accepts bool
}

func (w Wanted) from() protocols.Side {
	if w.Accepts {
		return protocols.Far
	}
	return protocols.Near
}

// field is the Command Field of what was asked for; 0 where the class was only proposed.
func (w Wanted) field() uint16 {
	switch name := strings.TrimSuffix(w.Unit, "-RQ"); name {
	case "C-STORE":
		return dicom.CStoreRQ
	case "C-FIND":
		return dicom.CFindRQ
	case "C-MOVE":
		return dicom.CMoveRQ
	case "C-GET":
		return dicom.CGetRQ
	case "C-ECHO":
		return dicom.CEchoRQ
	default:
		return normalizedFields[name]
	}
}

// services are the entries of allow for whole services, and what each lets through.
var services = sync.OnceValue(func() (all []serviceEntry) {
	yes := file.Bool{Value: true}
	for _, v := range []struct {
		entry string
		verb  file.Verb
	}{
		{"echo", file.Verb{Name: "echo"}},
		{"commit", file.Verb{Name: "commit"}},
		{"commit: reports", file.Verb{Name: "commit", Word: file.Reports}},
		{"mpps", file.Verb{Name: "mpps"}},
		{"mpps: {retrieve: true}", file.Verb{Name: "mpps", Retrieve: yes}},
		{"mpps: {notify: true}", file.Verb{Name: "mpps", Notify: yes}},
		{"print", file.Verb{Name: "print"}},
	} {
		f := &flowFile{Flow: &Flow{}}
		dicomVerbs[v.verb.Name](&compiler{Problems: new(file.Problems)}, f, &v.verb, "")
		all = append(all, serviceEntry{v.entry, &f.dicom})
	}
	return all
})

type serviceEntry struct {
	entry string
	rules *dicomRules
}

// has tells whether a rule lets pass what is wanted, or could: what a record does not say, such as
// the type of an action, is not asked.
func (r *dicomRules) has(w Wanted) bool {
	cl, field := r.class(w.Class), w.field()
	if cl == nil {
		return false
	}
	wanted := func(op operation) bool { return field == 0 || op.from == w.from() && op.field == field }
	if slices.ContainsFunc(cl.operations, wanted) {
		return true
	}
	for _, operations := range cl.members {
		if slices.ContainsFunc(operations, wanted) {
			return true
		}
	}
	return false
}

// Entry is what allow says to let pass what is wanted: "find: {model: Modality Worklist}"; "" where
// it cannot say that.
func (w Wanted) Entry() string {
	for _, s := range services() {
		if s.rules.has(w) {
			return s.entry
		}
	}
	name, field := quoted(w.Class), w.field()
	if known := dict.Name(w.Class); dict.IsStorage(w.Class) || known == "" {
		switch {
		case w.Accepts && field == dicom.CStoreRQ:
			return "get: {returns: [" + name + "]}"
		case !w.Accepts && (field == dicom.CStoreRQ || field == 0):
			return "store: [" + name + "]"
		}
		if known != "" {
			return ""
		}
	}
	for _, r := range []struct {
		retrieval
		entry string
	}{{finding, "find: {model: %s%s}"}, {moving, "move: {model: %s, to: self%s}"}, {getting, "get: {model: %s%s}"}} {
		if w.Accepts || field != r.field && field != 0 {
			continue
		}
		for i := range models {
			if m := &models[i]; r.of(m) == w.Class || findMeta[r.of(m)] == w.Class {
				return fmt.Sprintf(r.entry, m.name, "")
			}
		}
		if dict.Name(w.Class) == "" && field != 0 {
			return fmt.Sprintf(r.entry, name, ", everything: true")
		}
	}
	return w.normalized(name)
}

// normalized is the entry for a service that has no verb of its own. Event reports come from who
// accepted the association, all else from who requested it.
func (w Wanted) normalized(name string) string {
	operations := strings.TrimSuffix(w.Unit, "-RQ")
	switch {
	case strings.Contains(name, "Query") || strings.HasSuffix(name, " - FIND") || strings.HasSuffix(name, " - MOVE") || strings.HasSuffix(name, " - GET"):
		return "" // a service of find, move or get, and of no N-operations
	case w.field() == 0 && !w.Accepts:
		operations = "…"
	case normalizedFields[operations] == 0 || w.Accepts != (w.field() == dicom.NEventRQ):
		return ""
	}
	return "normalized: {class: " + name + ", operations: [" + operations + "]}"
}

// quoted names a SOP class as YAML has it.
func quoted(uid string) string {
	if name := dict.Name(uid); name != "" {
		return name
	}
	return strconv.Quote(uid)
}

// TransferSyntax says how transfer_syntaxes has a transfer syntax that is known by a name or UID, and
// why no flow takes it, if none does. It returns "" for what is no transfer syntax.
func TransferSyntax(name string) (entry, why string) {
	uid, ok := asUID(name)
	if !ok || dict.Name(uid) != "" && !dict.IsTransferSyntax(uid) {
		return "", ""
	}
	return file.Inline(word(className(uid), file.Pos{})), unread[uid]
}

// Takes tells whether the flow takes a transfer syntax that is known by a name or UID.
func (f *Flow) Takes(syntax string) bool {
	uid, ok := asUID(syntax)
	return ok && f.dicom.takes(uid)
}

// ListsSyntaxes tells whether the flow has a list of the transfer syntaxes that it takes.
func (f *Flow) ListsSyntaxes() bool { return f.dicom.transfer != nil }

// Allows tells whether the flow lets pass what is wanted, as far as a record says what it is.
func (f *Flow) Allows(w Wanted) bool { return f.Protocol == DICOM && f.dicom.has(w) }

// Roles are those that whoever connects may have for a SOP class.
func (f *Flow) Roles(class string) (scu, scp bool) {
	if cl := f.dicom.class(class); f.Protocol == DICOM && cl != nil {
		return cl.scu, cl.scp
	}
	return false, false
}

// Instead is a flow that follows from another as a file would hold it, with one entry more in its
// allow list: "archive.return: {from: pacs, allow: [commit, echo, store: [CT Image Storage]]}".
// Written so it stands for what would follow, and takes nothing away. It is "" for a flow that a
// file holds.
func (p *Policy) Instead(f *Flow, entry string) string {
	if f.written == nil {
		return ""
	}
	return f.Name + ": " + instead(f.written, entry)
}

func instead(flow *file.Node, entry string) string {
	var parts, allow []string
	for _, e := range flow.Entries {
		if e.Key != "allow" {
			parts = append(parts, e.Key+": "+file.Inline(e.Value))
			continue
		}
		for _, item := range e.Value.Items {
			text := file.Inline(&file.Node{Kind: file.List, Items: []*file.Node{item}})
			if text = text[1 : len(text)-1]; !slices.Contains(allow, text) {
				allow = append(allow, text)
			}
		}
		if !slices.Contains(allow, entry) {
			allow = append(allow, entry)
		}
		parts = append(parts, "allow: ["+strings.Join(allow, ", ")+"]")
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// Elsewhere finds another flow of the device, in the same direction, that lets pass what is wanted;
// nil when there is none.
func (p *Policy) Elsewhere(f *Flow, w Wanted) *Flow {
	for _, o := range p.FlowsOf(f.Device) {
		if o != f && o.FromServer == f.FromServer && o.Allows(w) {
			return o
		}
	}
	return nil
}
