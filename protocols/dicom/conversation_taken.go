package dicom

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// taken is what the rules take away of the contexts of an association request, or would.
type taken struct {
	// Of all that go, and of those whose class nothing allows, the one that a record names.
	first, unknown about
	goes, would    int
	mixed          bool  // not all go for the same reason
	classes        []int // the first context that goes of each
	syntaxes       []int // those that go because of their transfer syntaxes
}

// about is the verdict on a context. Who retrieves on the same association (C-GET) proposes the
// classes of what it may get besides, in the role of SCP, often before: they yield to the retrieval.
type about struct {
	protocols.Verdict
	brought bool // the class of an object, in the role of SCP
}

func (a *about) prefer(v *protocols.Verdict, brought, gets bool) {
	if a.Reason == "" || a.brought && gets {
		a.Verdict, a.brought = *v, brought
	}
}

// add takes the verdict on a context that goes, or would.
func (w *taken) add(contexts []PresentationContext, i int, v *protocols.Verdict, brought bool) {
	w.mixed = w.mixed || w.goes+w.would > 0 && v.Reason != w.first.Reason
	_, verb, _ := queryService(v.Found.String())
	w.first.prefer(v, brought, verb == "GET")
	switch v.Reason {
	case reason.DICOMAbstractSyntax:
		w.unknown.prefer(v, brought, verb == "GET")
	case reason.DICOMTransferSyntax:
		w.syntaxes = append(w.syntaxes, i)
	}
	if !slices.ContainsFunc(w.classes, func(j int) bool { return bytes.Equal(contexts[i].Abstract, contexts[j].Abstract) }) {
		w.classes = append(w.classes, i)
	}
	if v.Refused() {
		w.goes++
	} else {
		w.would++
	}
}

// found says what a record is about: the class, the number of others beside it, and the transfer
// syntaxes where they are why it goes. The services of one query model are named together, since
// who moves asks first: "Study Root Query/Retrieve Information Model - FIND, MOVE (+1 more class)".
func (w *taken) found(contexts []PresentationContext, class string, code reason.Code) string {
	name, others, rest := class, len(w.classes)-1, ""
	if model, _, service := queryService(class); service {
		for _, i := range w.classes {
			other := className(string(contexts[i].Abstract))
			if m, verb, is := queryService(other); is && m == model && other != class {
				name, others = name+", "+verb, others-1
			}
		}
	}
	switch {
	case others > 1:
		rest = fmt.Sprintf(" (+%d more classes)", others)
	case others == 1:
		rest = " (+1 more class)"
	}
	if code != reason.DICOMTransferSyntax {
		return name + rest
	}
	var l protocols.Label
	return w.syntax(contexts, l.Room()-len(rest), name) + rest
}

// queryService splits the name of a SOP class of a query model: into it and FIND, MOVE or GET.
func queryService(name string) (model, verb string, ok bool) {
	i := strings.LastIndex(name, " - ")
	if i < 0 {
		return "", "", false
	}
	model, verb = name[:i], name[i+len(" - "):]
	return model, verb, verb == "FIND" || verb == "MOVE" || verb == "GET"
}

// syntax names the transfer syntaxes that were proposed in vain, by their UIDs where names find no
// room, and the class where there is room for it: "JPEG Baseline (Process 1) or JPEG 2000 Image Compression for CT Image Storage".
func (w *taken) syntax(contexts []PresentationContext, room int, class string) string {
	var names, uids []string
	seen := map[string]bool{} // a request may have thousands
	for _, i := range w.syntaxes {
		for _, t := range contexts[i].Transfer {
			if uid := string(t); ValidUID(t) && !seen[uid] {
				seen[uid] = true
				names, uids = append(names, className(uid)), append(uids, uid)
			}
		}
	}
	if len(uids) == 0 {
		return class
	}
	for n := min(len(uids), max(1, room/len("1 or "))); ; n-- { // no more have room
		more := ""
		if n < len(uids) {
			more = fmt.Sprintf(" or %d more", len(uids)-n)
		}
		for _, end := range []string{" for " + class, ""} {
			for _, form := range [][]string{names, uids} {
				if text := strings.Join(form[:n], " or ") + more + end; len(text) <= room {
					return text
				}
			}
		}
		if n == 1 {
			return uids[0] + more
		}
	}
}
