package policy

import (
	"fmt"
	"net/netip"
	"slices"
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
	f.dicom.lettered = f.y.Tolerate.LetteredUID.Value
	ok := c.transferSyntaxes(f)
	for i := range f.y.Allow.Verbs {
		v := &f.y.Allow.Verbs[i]
		if compile := dicomVerbs[v.Name]; compile != nil {
			ok = compile(c, f, v, f.rule(v.At, fmt.Sprintf(".allow[%d]", v.Index))) && ok
		}
	}
	return ok
}

// dicomVerbs compile one entry of allow each.
var dicomVerbs = map[string]func(c *compiler, f *flowFile, v *file.Verb, rule string) bool{
	"echo":   (*compiler).allowEcho,
	"store":  (*compiler).allowStore,
	"find":   (*compiler).allowFind,
	"move":   (*compiler).allowMove,
	"get":    (*compiler).allowGet,
	"commit": (*compiler).allowCommit,
	"mpps":   (*compiler).allowMPPS,
	"print":  (*compiler).allowPrint,
}

func (c *compiler) allowEcho(f *flowFile, _ *file.Verb, rule string) bool {
	f.dicom.allow("1.2.840.10008.1.1", operation{field: dicom.CEchoRQ, rule: rule}, nil)
	return true
}

func (c *compiler) allowStore(f *flowFile, v *file.Verb, rule string) bool {
	op := operation{field: dicom.CStoreRQ, rule: rule}
	if v.All {
		f.dicom.storeAll = &class{operations: []operation{op}}
		return true
	}
	ok := true
	for _, name := range v.Names.Values {
		uid, known := c.uid(name, "SOP class")
		switch {
		case !known:
			ok = false
		case dict.Name(uid) != "" && !dict.IsStorage(uid):
			ok = false
			c.Errorf(name.At, file.BadValue, "name a SOP class whose instances are stored", "%q is not a storage SOP class", name.Value)
		default:
			f.dicom.allow(uid, op, nil)
		}
	}
	return ok
}

// models are the query/retrieve information models and others that C-FIND may ask, each with the
// SOP classes to find, move and get (PS3.4 §C.6, §K.6).
var models = map[string]struct{ find, move, get string }{
	"Study Root":         {"1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.2", "1.2.840.10008.5.1.4.1.2.2.3"},
	"Patient Root":       {"1.2.840.10008.5.1.4.1.2.1.1", "1.2.840.10008.5.1.4.1.2.1.2", "1.2.840.10008.5.1.4.1.2.1.3"},
	"Patient/Study Only": {"1.2.840.10008.5.1.4.1.2.3.1", "1.2.840.10008.5.1.4.1.2.3.2", "1.2.840.10008.5.1.4.1.2.3.3"},
	"Modality Worklist":  {find: "1.2.840.10008.5.1.4.31"},
}

// retrieval says how one of find, move and get is compiled.
type retrieval struct {
	verb  string
	field uint16
	of    func(model string) string
}

var (
	finding = retrieval{"find", dicom.CFindRQ, func(m string) string { return models[m].find }}
	moving  = retrieval{"move", dicom.CMoveRQ, func(m string) string { return models[m].move }}
	getting = retrieval{"get", dicom.CGetRQ, func(m string) string { return models[m].get }}
)

func (c *compiler) allowFind(f *flowFile, v *file.Verb, rule string) bool {
	return c.retrieve(f, v, finding, operation{rule: rule})
}

func (c *compiler) allowMove(f *flowFile, v *file.Verb, rule string) bool {
	op := operation{rule: rule}
	for _, t := range v.To.Values {
		switch {
		case t.Value == "self" && len(f.Device.AETitles) == 0:
			c.Errorf(t.At, file.MissingKey, "write ae: {titles: [...]} in the device file", "self is the device's AE title, and it has none")
			return false
		case t.Value == "self":
			op.destinations = append(op.destinations, f.Device.AETitles...)
		case !c.aeTitle(t):
			return false
		default:
			op.destinations = append(op.destinations, c.titles.both(t.Value)...)
		}
	}
	c.returns(v)
	return c.retrieve(f, v, moving, op)
}

func (c *compiler) allowGet(f *flowFile, v *file.Verb, rule string) bool {
	c.returns(v)
	c.Notef(v.At, file.NotActedOn, "", "get lets the request pass; this version refuses the objects that return on the same association")
	return c.retrieve(f, v, getting, operation{rule: rule})
}

// returns checks names that this version does not act on.
func (c *compiler) returns(v *file.Verb) {
	for _, t := range v.Returns.Values {
		c.uid(t, "SOP class")
	}
}

func (c *compiler) retrieve(f *flowFile, v *file.Verb, r retrieval, op operation) bool {
	wanted := v.Model.Values
	if len(wanted) == 0 {
		wanted = []file.Text{{Value: "Study Root", At: v.At}}
	}
	ok := true
	for _, t := range wanted {
		uid, known := c.model(t, r)
		if ok = ok && known; !known {
			continue
		}
		op.field = r.field
		f.dicom.allow(uid, op, nil)
		f.dicom.allow(uid, operation{field: dicom.CancelRQ, rule: op.rule}, nil)
	}
	return ok
}

// model finds the SOP class of a model, by the model's name or by the name or UID of the class.
func (c *compiler) model(t file.Text, r retrieval) (uid string, ok bool) {
	for name := range models {
		if strings.EqualFold(name, t.Value) && r.of(name) != "" {
			return r.of(name), true
		}
	}
	if uid, ok := asUID(t.Value); ok {
		for name := range models {
			if uid == r.of(name) {
				return uid, true
			}
		}
	}
	var able []string
	for name := range models {
		if r.of(name) != "" {
			able = append(able, name)
		}
	}
	c.Errorf(t.At, file.UnknownName, file.DidYouMean(t.Value, able), "unknown model %q of %s", t.Value, r.verb)
	return "", false
}

func (c *compiler) allowCommit(f *flowFile, v *file.Verb, rule string) bool {
	if f.FromServer {
		f.dicom.allow("1.2.840.10008.1.20.1", operation{field: dicom.NEventRQ, rule: rule}, nil)
		return true
	}
	f.dicom.allow("1.2.840.10008.1.20.1", operation{field: dicom.NActionRQ, rule: rule}, nil)
	c.Notef(v.At, file.NotActedOn, "", "commit lets the request pass; this version refuses the server's report on the same association")
	return true
}

func (c *compiler) allowMPPS(f *flowFile, _ *file.Verb, rule string) bool {
	for _, field := range []uint16{dicom.NCreateRQ, dicom.NSetRQ} {
		f.dicom.allow("1.2.840.10008.3.1.2.3.3", operation{field: field, rule: rule}, nil)
	}
	return true
}

// Print management (PS3.4 §H.3): meta SOP classes, whose commands name one of their members, and
// optional classes.
var (
	printMeta = map[string][]string{
		"1.2.840.10008.5.1.1.9":  {filmSession, filmBox, "1.2.840.10008.5.1.1.4", printer},   // grayscale image box
		"1.2.840.10008.5.1.1.18": {filmSession, filmBox, "1.2.840.10008.5.1.1.4.1", printer}, // colour image box
	}
	printOptions = []string{
		"1.2.840.10008.5.1.1.14",     // Print Job
		"1.2.840.10008.5.1.1.15",     // Basic Annotation Box
		"1.2.840.10008.5.1.1.16",     // Printer
		"1.2.840.10008.5.1.1.16.376", // Printer Configuration Retrieval
		"1.2.840.10008.5.1.1.23",     // Presentation LUT
	}
	printFields = []uint16{dicom.NCreateRQ, dicom.NSetRQ, dicom.NActionRQ, dicom.NDeleteRQ, dicom.NGetRQ}
)

const (
	filmSession = "1.2.840.10008.5.1.1.1"
	filmBox     = "1.2.840.10008.5.1.1.2"
	printer     = "1.2.840.10008.5.1.1.16"
)

func (c *compiler) allowPrint(f *flowFile, _ *file.Verb, rule string) bool {
	for _, field := range printFields {
		for meta, members := range printMeta {
			f.dicom.allow(meta, operation{field: field, rule: rule}, members)
		}
		for _, uid := range printOptions {
			f.dicom.allow(uid, operation{field: field, rule: rule}, nil)
		}
	}
	return true
}

// transferSyntaxes compiles the list of transfer syntaxes.
func (c *compiler) transferSyntaxes(f *flowFile) bool {
	list := f.y.TransferSyntaxes
	if !list.Set() {
		f.dicom.transferRule = f.rule(f.y.At, " transfer_syntaxes: all known but deflated ones")
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
		hint = fmt.Sprintf("did you mean %q?", near[0])
		if len(near) > 1 {
			hint = "did you mean one of: " + strings.Join(near, ", ") + "?"
		}
	}
	c.Errorf(t.At, file.UnknownName, hint, "unknown %s %q", what, t.Value)
	return "", false
}

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
