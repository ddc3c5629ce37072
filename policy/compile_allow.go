package policy

import (
	"fmt"
	"net/netip"
	"strings"

	"cordon/policy/file"
	"cordon/protocols/dicom"
	"cordon/protocols/dicom/dict"
)

func addressOf(host string) (netip.Prefix, bool) {
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}, false
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), true
}

// protocolOf says which protocol a verb belongs to.
func protocolOf(verb string) Protocol {
	if verb == "message" {
		return HL7
	}
	return DICOM
}

// protocol derives the flow's protocol from what it allows, unless it says so itself.
func (c *compiler) protocol(f *flowFile) bool {
	y := &f.y
	if !y.Allow.Set() {
		c.Errorf(y.At, file.MissingKey, "write allow: and what may pass, such as allow: [echo]", "flow %q allows nothing", f.Name)
		return false
	}
	if y.Protocol.Set() {
		f.Protocol = Protocol(y.Protocol.Value)
	}
	ok := true
	for _, v := range y.Allow.Verbs {
		switch p := protocolOf(v.Name); {
		case f.Protocol == "":
			f.Protocol = p
		case f.Protocol != p:
			ok = false
			c.Errorf(v.At, file.BadValue, "write a flow of its own for it", "%s is %s, and the flow is %s", v.Name, p, f.Protocol)
		}
	}
	if len(y.Allow.Verbs) == 0 {
		if !y.Allow.Troubled {
			c.Errorf(y.Allow.At, file.MissingKey, "write what may pass, such as allow: [echo]; take the flow out if nothing may", "flow %q allows nothing", f.Name)
		}
		return false
	}
	return c.fitting(f) && ok
}

// fitting reports keys that the flow's protocol has no use for.
func (c *compiler) fitting(f *flowFile) bool {
	y := &f.y
	ok := true
	for _, k := range []struct {
		at  file.Pos
		key string
		of  Protocol
	}{
		{y.TransferSyntaxes.At, "transfer_syntaxes", DICOM},
		{y.MaxPDU.At, "max_pdu", DICOM},
		{y.Receiver.At, "receiver", HL7},
		{y.Tolerate.Strays.At, "tolerate.strays", HL7},
		{y.Tolerate.SegmentEnds.At, "tolerate.segment_ends", HL7},
		{y.Tolerate.LetteredUID.At, "tolerate.lettered_uids", DICOM},
		{y.Tolerate.Geometry.At, "tolerate.geometry", DICOM},
		{y.Tolerate.Remainder.At, "tolerate.remainder", DICOM},
		{y.Tolerate.Roles.At, "tolerate.roles", DICOM},
		{y.Limits.DataSet.At, "limits.data_set", DICOM},
	} {
		if k.at.Set() && k.of != f.Protocol {
			ok = false
			c.Errorf(k.at, file.BadValue, "take it out", "%s is for %s flows, and flow %q is %s", k.key, k.of, f.Name, f.Protocol)
		}
	}
	return ok
}

// allow compiles what the flow lets through.
func (c *compiler) allow(f *flowFile) bool {
	if f.Protocol == HL7 {
		return c.allowHL7(f)
	}
	may := &f.y.Tolerate
	f.dicom.lettered, f.dicom.anyGeometry = may.LetteredUID.Value, may.Geometry.Value
	f.dicom.anyRemainder, f.dicom.anyRole = may.Remainder.Value, may.Roles.Value
	f.caps = dicom.Config{MaxPDU: uint32(f.Limits.MaxPDU), HoldCap: f.Limits.Hold, Scan: f.Limits.DataSet}
	ok := c.transferSyntaxes(f)
	for i := range f.y.Allow.Verbs {
		v := &f.y.Allow.Verbs[i]
		if compile := dicomVerbs[v.Name]; compile != nil {
			ok = compile(c, f, v, f.rule(v.At, fmt.Sprintf(".allow[%d]", v.Index))) && ok
		}
	}
	f.dicom.spreadStorage()
	return ok
}

// dicomVerbs compile one entry of allow each.
var dicomVerbs = map[string]func(c *compiler, f *flowFile, v *file.Verb, rule string) bool{
	"echo":       (*compiler).allowEcho,
	"store":      (*compiler).allowStore,
	"find":       (*compiler).allowFind,
	"move":       (*compiler).allowMove,
	"get":        (*compiler).allowGet,
	"commit":     (*compiler).allowCommit,
	"mpps":       (*compiler).allowMPPS,
	"print":      (*compiler).allowPrint,
	"normalized": (*compiler).allowNormalized,
}

// transferSyntaxes compiles the list of transfer syntaxes.
func (c *compiler) transferSyntaxes(f *flowFile) bool {
	list := f.y.TransferSyntaxes
	if !list.Set() {
		f.dicom.transferRule = f.rule(f.y.At, " transfer_syntaxes: all known that can be read, but deflated ones")
		return true
	}
	f.dicom.transferRule = f.rule(list.At, ".transfer_syntaxes")
	f.dicom.transfer = map[string]bool{}
	ok := true
	for _, t := range list.Values {
		uid, known := c.uid(t, "transfer syntax")
		switch {
		case !known:
			ok = false
		case dict.Name(uid) != "" && !dict.IsTransferSyntax(uid):
			ok = false
			c.Errorf(t.At, file.BadValue, "name a transfer syntax, such as Explicit VR Little Endian", "%q is not a transfer syntax", t.Value)
		case unread[uid] != "":
			ok = false
			c.Errorf(t.At, file.BadValue, "take it out", "%q cannot be read: %s", t.Value, unread[uid])
		default:
			f.dicom.transfer[uid] = true
		}
	}
	return ok
}

// asUID returns the UID that a text is, or is the name of.
func asUID(s string) (string, bool) {
	if strings.Trim(s, "0123456789.") == "" {
		return s, dicom.ValidUID([]byte(s))
	}
	return dict.UID(s)
}

func (c *compiler) uid(t file.Text, what string) (string, bool) {
	uid, ok := asUID(t.Value)
	if ok {
		return uid, true
	}
	if strings.Trim(t.Value, "0123456789.") == "" {
		c.Errorf(t.At, file.BadValue, "a UID has up to 64 digits and dots, and digits between its dots", "%q is not a UID", t.Value)
		return "", false
	}
	hint := "write its name as in DICOM PS3.6, or its UID"
	if near := dict.Suggest(t.Value); len(near) > 0 {
		hint = didYouMean(near)
	}
	c.Errorf(t.At, file.UnknownName, hint, "unknown %s %q", what, t.Value)
	return "", false
}

// attributes returns the tags of data elements by name, nil for a key that is not there.
func (c *compiler) attributes(names file.Texts) (tags []dicom.Tag, ok bool) {
	ok = true
	for _, t := range names.Values {
		tag, known := dict.Tag(t.Value)
		if !known {
			ok = false
			hint := "write its name as in DICOM PS3.6, such as Patient ID"
			if near := dict.SuggestTag(t.Value); len(near) > 0 {
				hint = didYouMean(near)
			}
			c.Errorf(t.At, file.UnknownName, hint, "unknown attribute %q", t.Value)
			continue
		}
		tags = append(tags, dicom.Tag(tag))
	}
	return tags, ok
}

// didYouMean is a hint with the names that were probably meant.
func didYouMean(near []string) string {
	if len(near) == 1 {
		return fmt.Sprintf("did you mean %q?", near[0])
	}
	return "did you mean one of: " + strings.Join(near, ", ") + "?"
}
