package policy

import (
	"math"

	"cordon/policy/file"
	"cordon/protocols"
	"cordon/protocols/dicom"
	"cordon/protocols/dicom/dict"
)

// reports is the side that a server's event reports come from: it was dialled by us, or it
// connected to us to deliver them (PS3.4 §J.3.3).
func (f *flowFile) reports() protocols.Side {
	if f.FromServer {
		return protocols.Near
	}
	return protocols.Far
}

const commitPush = "1.2.840.10008.1.20.1" // Storage Commitment Push Model

// allowCommit allows storage commitment (PS3.4 §J.3): the device asks (action 1), the server
// reports success (event 1) or failures (event 2), on the same association or on its own (D20).
// At a far end the server is a device, whose flow leads to who asked: it says that it reports.
func (c *compiler) allowCommit(f *flowFile, v *file.Verb, rule string) bool {
	report := operation{field: dicom.NEventRQ, from: f.reports(), types: []uint16{1, 2}, rule: rule}
	switch {
	case v.Word == file.Reports:
		report.from = protocols.Near
	case !f.FromServer:
		f.dicom.allow(commitPush, operation{field: dicom.NActionRQ, types: []uint16{1}, rule: rule})
	}
	f.dicom.allow(commitPush, report)
	return true
}

// allowMPPS allows modality performed procedure steps (PS3.4 §F.7 to §F.9).
func (c *compiler) allowMPPS(f *flowFile, v *file.Verb, rule string) bool {
	const step, retrieve, notification = "1.2.840.10008.3.1.2.3.3", "1.2.840.10008.3.1.2.3.4", "1.2.840.10008.3.1.2.3.5"
	for _, field := range []uint16{dicom.NCreateRQ, dicom.NSetRQ} {
		f.dicom.allow(step, operation{field: field, rule: rule})
	}
	if v.Retrieve.Value {
		f.dicom.allow(retrieve, operation{field: dicom.NGetRQ, rule: rule})
		f.dicom.allowNamed(retrieve, step, operation{field: dicom.NGetRQ, rule: rule})
	}
	if v.Notify.Value {
		op := operation{field: dicom.NEventRQ, from: f.reports(), rule: rule}
		f.dicom.allow(notification, op)
		f.dicom.allowNamed(notification, step, op)
	}
	return true
}

// service is what may be done with instances of one SOP class.
type service struct {
	class      string
	operations []operation
}

// The services of print management (PS3.4 §H.4). Whoever prints requested the association, the
// printer reports.
var (
	printPage = []operation{
		{field: dicom.NCreateRQ}, {field: dicom.NSetRQ}, {field: dicom.NDeleteRQ}, {field: dicom.NActionRQ, types: []uint16{1}},
	}
	printBox     = []operation{{field: dicom.NSetRQ}}
	printSession = service{"1.2.840.10008.5.1.1.1", printPage}
	printFilm    = service{"1.2.840.10008.5.1.1.2", printPage}
	printer      = service{"1.2.840.10008.5.1.1.16", []operation{
		{field: dicom.NGetRQ}, {field: dicom.NEventRQ, from: protocols.Far, types: []uint16{1, 2, 3}}, // normal, warning, failure
	}}

	// printMeta are the meta SOP classes, whose requests name one of their members (PS3.4 §H.3.2).
	printMeta = map[string][]service{
		"1.2.840.10008.5.1.1.9":  {printSession, printFilm, {"1.2.840.10008.5.1.1.4", printBox}, printer},   // grayscale image box
		"1.2.840.10008.5.1.1.18": {printSession, printFilm, {"1.2.840.10008.5.1.1.4.1", printBox}, printer}, // colour image box
	}
	printOptions = []service{
		printer,
		{"1.2.840.10008.5.1.1.14", []operation{ // Print Job: pending, printing, done, failure
			{field: dicom.NGetRQ}, {field: dicom.NEventRQ, from: protocols.Far, types: []uint16{1, 2, 3, 4}}}},
		{"1.2.840.10008.5.1.1.15", printBox},                                                        // Basic Annotation Box
		{"1.2.840.10008.5.1.1.16.376", []operation{{field: dicom.NGetRQ}}},                          // Printer Configuration Retrieval
		{"1.2.840.10008.5.1.1.23", []operation{{field: dicom.NCreateRQ}, {field: dicom.NDeleteRQ}}}, // Presentation LUT
	}
)

func (c *compiler) allowPrint(f *flowFile, _ *file.Verb, rule string) bool {
	for meta, members := range printMeta {
		for _, s := range members {
			for _, op := range s.operations {
				op.rule = rule
				f.dicom.allowNamed(meta, s.class, op)
			}
		}
	}
	for _, s := range printOptions {
		for _, op := range s.operations {
			op.rule = rule
			f.dicom.allow(s.class, op)
		}
	}
	return true
}

// normalizedFields are the operations that a normalized service may be allowed.
var normalizedFields = map[string]uint16{
	"N-CREATE": dicom.NCreateRQ, "N-SET": dicom.NSetRQ, "N-GET": dicom.NGetRQ, "N-ACTION": dicom.NActionRQ,
	"N-DELETE": dicom.NDeleteRQ, "N-EVENT-REPORT": dicom.NEventRQ,
}

// allowNormalized allows operations of any normalized SOP class. Operations come from whoever
// requested the association, event reports from the server.
func (c *compiler) allowNormalized(f *flowFile, v *file.Verb, rule string) bool {
	classes, ok := c.classes(v.Class)
	instances, known := c.classes(v.Instances)
	actions, right := c.types(v.Actions)
	events, fitting := c.types(v.Events)
	if !ok || !known || !right || !fitting || !c.typed(v) {
		return false
	}
	for _, name := range v.Operations.Values {
		op := operation{field: normalizedFields[name.Value], rule: rule}
		switch op.field {
		case dicom.NActionRQ:
			op.types = actions
		case dicom.NEventRQ:
			op.types, op.from = events, f.reports()
		}
		for _, class := range classes {
			f.dicom.allow(class, op)
			for _, instance := range instances {
				f.dicom.allowNamed(class, instance, op)
			}
		}
	}
	return true
}

// typed reports types of an operation that is not allowed.
func (c *compiler) typed(v *file.Verb) bool {
	for _, k := range []struct {
		types     file.Ints
		key, name string
	}{{v.Actions, "actions", "N-ACTION"}, {v.Events, "events", "N-EVENT-REPORT"}} {
		if k.types.Set() && !containsFold(v.Operations.Strings(), k.name) {
			c.Errorf(k.types.At, file.BadValue, "add "+k.name+" to operations", "%s are types of %s, which is not among the operations", k.key, k.name)
			return false
		}
	}
	return true
}

// classes finds SOP classes that are not storage: those have store.
func (c *compiler) classes(names file.Texts) (uids []string, ok bool) {
	ok = true
	for _, name := range names.Values {
		uid, known := c.uid(name, "SOP class")
		switch {
		case !known:
			ok = false
		case dict.IsStorage(uid) || dict.IsTransferSyntax(uid):
			ok = false
			c.Errorf(name.At, file.BadValue, "name a normalized SOP class, such as Instance Availability Notification", "%q has no N-services", name.Value)
		default:
			uids = append(uids, uid)
		}
	}
	return uids, ok
}

// types are action or event types; nil for a key that is not there.
func (c *compiler) types(list file.Ints) (types []uint16, ok bool) {
	for _, n := range list.Values {
		if n.Value > math.MaxUint16 {
			c.Errorf(n.At, file.BadValue, "write a number up to 65535", "%d is not a type", n.Value)
			return nil, false
		}
		types = append(types, uint16(n.Value))
	}
	return types, true
}
