package dicom

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"cordon/protocols"
	"cordon/protocols/reason"
	"cordon/protocols/wire"
)

// MaxCommandSet is the largest command set accepted, in bytes, over all its fragments. Real ones
// have a few hundred.
const MaxCommandSet = 64 << 10

// Parse reads a command set: group 0000, Implicit VR Little Endian, elements in ascending order
// with the group length first (PS3.7 §6.3.1). It fills c except for what describes where the
// command came from (From, ContextID, Abstract, Transfer). Slices alias set.
//
// Elements of group 0000 that c has no fact for are tolerated by their length: PS3.7 Annex E
// lists many that only some services use, and retired ones still occur. Elements of other groups
// behind it have no place there; that a response has some is a fact.
func (c *Command) Parse(set []byte) error {
	*c = Command{From: c.From, ContextID: c.ContextID, Abstract: c.Abstract, Transfer: c.Transfer}
	if len(set) > MaxCommandSet {
		return badCommand(0, "§6.3.1", "%d bytes, at most %d are accepted", len(set), MaxCommandSet)
	}
	r := commandReader{rest: set, size: len(set)}
	if err := r.groupLength(); err != nil {
		return err
	}
	for !r.rest.Empty() {
		if err := r.element(c); err != nil {
			return err
		}
	}
	if err := r.finish(c); err != nil || r.behind.Empty() {
		return err
	}
	return r.remainder(c)
}

// commandReader is the state of one Parse.
type commandReader struct {
	rest   wire.Cursor
	behind wire.Cursor // what the group length does not count
	size   int
	last   uint16 // element number of the element read last
	have   elements

	class, instance     [2][]byte // affected, requested
	id, responded, kind uint16
}

func (r *commandReader) at() int { return r.size - len(r.behind) - len(r.rest) }

// groupLength reads (0000,0000), which counts the bytes that follow it.
func (r *commandReader) groupLength() error {
	var group, elem uint16
	var length, count uint32
	if !r.rest.Uint16LE(&group) || !r.rest.Uint16LE(&elem) || !r.rest.Uint32LE(&length) || !r.rest.Uint32LE(&count) {
		return badCommand(0, "§6.3.1", "%d bytes have no room for the group length (0000,0000)", r.size)
	}
	if group != 0 || elem != 0 || length != 4 {
		return badCommand(0, "§6.3.1", "starts with (%04X,%04X) of %d bytes, not with the group length (0000,0000) of 4", group, elem, length)
	}
	if uint64(count) > uint64(len(r.rest)) {
		return badCommand(8, "§6.3.1", "group length (0000,0000) says %d bytes, %d follow", count, len(r.rest))
	}
	r.rest, r.behind = r.rest[:count], r.rest[count:]
	return nil
}

// remainder reads what follows the command set. Servers have been seen to send Failed SOP Instance UID
// List (0008,0058) there, which belongs into the identifier of the response.
func (r *commandReader) remainder(c *Command) error {
	last := uint32(0xFFFF) // of group 0000
	for b := r.behind; !b.Empty(); {
		at := r.size - len(b)
		var group, elem uint16
		var length uint32
		var value []byte
		if !b.Uint16LE(&group) || !b.Uint16LE(&elem) || !b.Uint32LE(&length) || uint64(length) > uint64(len(b)) || !b.Take(&value, int(length)) {
			return badCommand(at, "§6.3.1", "group length (0000,0000) leaves %d bytes over, which are no elements", len(r.behind))
		}
		tag := uint32(group)<<16 | uint32(elem)
		if tag <= last || !c.Response() {
			return badCommand(at, "§6.3.1", "element (%04X,%04X) behind a command set", group, elem)
		}
		last = tag
	}
	c.Remainder = true
	return nil
}

func (r *commandReader) element(c *Command) error {
	at := r.at()
	var group, elem uint16
	var length uint32
	if !r.rest.Uint16LE(&group) || !r.rest.Uint16LE(&elem) || !r.rest.Uint32LE(&length) {
		return badCommand(at, "§6.3.1", "%d bytes have no room for an element's tag and length", len(r.rest))
	}
	if group != 0 {
		return badCommand(at, "§6.3.1", "element (%04X,%04X) in a command set, which has group 0000 only", group, elem)
	}
	if elem <= r.last {
		return badCommand(at, "§6.3.1", "element (0000,%04X) after (0000,%04X), not in ascending order", elem, r.last)
	}
	r.last = elem
	if length%2 != 0 {
		return badCommand(at, "§6.3.1", "element (0000,%04X) has the odd length %d", elem, length)
	}
	var value []byte
	if uint64(length) > uint64(len(r.rest)) || !r.rest.Take(&value, int(length)) {
		return badCommand(at, "§6.3.1", "element (0000,%04X) says %d bytes, %d are left", elem, length, len(r.rest))
	}
	return r.value(c, at, elem, value)
}

// value stores an element that c has a fact for.
func (r *commandReader) value(c *Command, at int, elem uint16, v []byte) error {
	switch elem {
	case 0x0002:
		r.uid(&r.class[0], affectedClass, v)
	case 0x0003:
		r.uid(&r.class[1], requestedClass, v)
	case 0x0100:
		return r.short(&c.Field, commandField, at, elem, v)
	case 0x0110:
		return r.short(&r.id, messageID, at, elem, v)
	case 0x0120:
		return r.short(&r.responded, respondedTo, at, elem, v)
	case 0x0600:
		return r.title(&c.MoveAE, moveDestination, at, elem, v)
	case 0x0700:
		return r.short(&c.Priority, priority, at, elem, v)
	case 0x0800:
		var t uint16
		err := r.short(&t, dataSetType, at, elem, v)
		c.HasDataSet = t != noDataSet
		return err
	case 0x0900:
		return r.short(&c.Status, status, at, elem, v)
	case 0x0902:
		c.Refused = commented[string(TrimUID(v))]
	case 0x1000:
		r.uid(&r.instance[0], affectedInstance, v)
	case 0x1001:
		r.uid(&r.instance[1], requestedInstance, v)
	case 0x1002:
		return r.short(&c.TypeID, eventType, at, elem, v)
	case 0x1008:
		return r.short(&r.kind, actionType, at, elem, v)
	case 0x1020, 0x1021, 0x1022, 0x1023:
		s := &c.SubOperations
		return r.short([...]*uint16{&s.Remaining, &s.Completed, &s.Failed, &s.Warning}[elem-0x1020], subOperations, at, elem, v)
	case 0x1030:
		return r.title(&c.Originator, originator, at, elem, v)
	case 0x1031:
		return r.short(&c.OriginatorID, originatorID, at, elem, v)
	}
	return nil
}

// uid stores a UI value. Whether it is a valid UID is for the rules to judge. An empty value is
// an absent one.
func (r *commandReader) uid(out *[]byte, e elements, v []byte) {
	if v = TrimUID(v); len(v) > 0 {
		*out, r.have = v, r.have|e
	}
}

func (r *commandReader) title(out *[]byte, e elements, at int, elem uint16, v []byte) error {
	if v = TrimAE(v); len(v) > 16 {
		return badCommand(at, "Annex E", "element (0000,%04X) is an AE title of %d bytes, at most 16 are allowed", elem, len(v))
	}
	if len(v) > 0 {
		*out, r.have = v, r.have|e
	}
	return nil
}

// short stores a US value. An empty one is an absent one, as some peers send it.
func (r *commandReader) short(out *uint16, e elements, at int, elem uint16, v []byte) error {
	switch len(v) {
	case 0:
	case 2:
		*out, r.have = binary.LittleEndian.Uint16(v), r.have|e
	default:
		return badCommand(at, "Annex E", "element (0000,%04X) has %d bytes, 2 would be right", elem, len(v))
	}
	return nil
}

// finish checks what the command demands and settles which of two elements counts.
func (r *commandReader) finish(c *Command) error {
	if missing := (commandField | dataSetType) &^ r.have; missing != 0 {
		return badCommand(r.size, "§6.3.1", "%s is missing", missing)
	}
	f := forms[c.Field]
	if f == nil {
		return badCommand(r.size, "Annex E", "Command Field (0000,0100) %04XH is not one of PS3.7", c.Field)
	}
	if missing := f.demands &^ r.have; missing != 0 {
		return badCommand(r.size, "§9.3, §10.3", "%s without %s", f.name, missing)
	}
	if f.data == required && !c.HasDataSet || f.data == forbidden && c.HasDataSet {
		return badCommand(r.size, "§9.3, §10.3", "%s whose Command Data Set Type (0000,0800) says the contrary of what that command has", f.name)
	}
	if !sameUID(r.class[0], r.class[1]) || !sameUID(r.instance[0], r.instance[1]) {
		return badCommand(r.size, "Annex E", "%s whose Affected and Requested UIDs differ, so that two readers could disagree", f.name)
	}
	which := 0
	if requested(c.Field) {
		which = 1
	}
	c.SOPClass, c.SOPInstance = r.class[which], r.instance[which]
	c.InstanceSafe = c.SOPInstance == nil || ValidUID(c.SOPInstance)
	c.MessageID = r.id
	if f.demands&respondedTo != 0 {
		c.MessageID = r.responded
	}
	if r.have&eventType == 0 {
		c.TypeID = r.kind
	}
	c.SubOperations.Told = r.have&subOperations != 0
	return nil
}

var elementNames = []string{
	"Affected SOP Class UID (0000,0002)", "Requested SOP Class UID (0000,0003)",
	"Command Field (0000,0100)", "Message ID (0000,0110)",
	"Message ID Being Responded To (0000,0120)", "Move Destination (0000,0600)",
	"Priority (0000,0700)", "Command Data Set Type (0000,0800)", "Status (0000,0900)",
	"Affected SOP Instance UID (0000,1000)", "Requested SOP Instance UID (0000,1001)",
	"Event Type ID (0000,1002)", "Action Type ID (0000,1008)",
}

// String names the elements of e.
func (e elements) String() string {
	var b bytes.Buffer
	for i, name := range elementNames {
		if e&(1<<i) == 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		b.WriteString(name)
	}
	return b.String()
}

// Name returns the standard's name of the command: "C-STORE-RQ".
func (c *Command) Name() string { return CommandName(c.Field) }

// AppendCommand appends the command set that c describes, with its group length, as PS3.7 Annex E
// forms it. UIDs are padded with a NUL and AE titles with a space.
func AppendCommand(dst []byte, c *Command) []byte {
	start := len(dst)
	dst = appendElement(dst, 0x0000, 4)
	dst = append(dst, 0, 0, 0, 0)
	class, instance, id := uint16(0x0002), uint16(0x1000), uint16(0x0110)
	if requested(c.Field) {
		class, instance = 0x0003, 0x1001
	}
	var f form
	if known := forms[c.Field]; known != nil {
		f = *known
	}
	if f.demands&respondedTo != 0 {
		id = 0x0120
	}
	dst = appendText(dst, class, c.SOPClass, 0)
	dst = appendShort(dst, 0x0100, c.Field)
	dst = appendShort(dst, id, c.MessageID)
	dst = appendText(dst, 0x0600, c.MoveAE, ' ')
	if f.demands&priority != 0 {
		dst = appendShort(dst, 0x0700, c.Priority)
	}
	present := noDataSet
	if c.HasDataSet {
		present = dataSetPresent
	}
	dst = appendShort(dst, 0x0800, present)
	if f.demands&status != 0 {
		dst = appendShort(dst, 0x0900, c.Status)
		dst = appendText(dst, 0x0902, c.Comment, ' ')
	}
	dst = appendText(dst, instance, c.SOPInstance, 0)
	switch c.Field {
	case NEventRQ:
		dst = appendShort(dst, 0x1002, c.TypeID)
	case NActionRQ:
		dst = appendShort(dst, 0x1008, c.TypeID)
	}
	if c.SubOperations.Told {
		dst = c.SubOperations.append(dst, c.Status)
	}
	if c.Originator != nil {
		dst = appendText(dst, 0x1030, c.Originator, ' ')
		dst = appendShort(dst, 0x1031, c.OriginatorID)
	}
	binary.LittleEndian.PutUint32(dst[start+8:], uint32(len(dst)-start-12))
	return dst
}

// append appends the numbers of sub-operations. How many remain is told while some do (PS3.7
// §9.1.3.1, §9.1.4.1).
func (s *SubOperations) append(dst []byte, status uint16) []byte {
	if kind := statusRange(status); kind == StatusIsPending || kind == StatusIsCancel {
		dst = appendShort(dst, 0x1020, s.Remaining)
	}
	dst = appendShort(dst, 0x1021, s.Completed)
	dst = appendShort(dst, 0x1022, s.Failed)
	return appendShort(dst, 0x1023, s.Warning)
}

func appendElement(dst []byte, elem uint16, length int) []byte {
	dst = append(dst, 0, 0)
	dst = binary.LittleEndian.AppendUint16(dst, elem)
	return binary.LittleEndian.AppendUint32(dst, uint32(length))
}

func appendShort(dst []byte, elem, v uint16) []byte {
	return binary.LittleEndian.AppendUint16(appendElement(dst, elem, 2), v)
}

// appendText appends a value padded to even length; an absent one not at all.
func appendText(dst []byte, elem uint16, v []byte, pad byte) []byte {
	if v == nil {
		return dst
	}
	dst = append(appendElement(dst, elem, len(v)+len(v)%2), v...)
	if len(v)%2 != 0 {
		dst = append(dst, pad)
	}
	return dst
}

func badCommand(at int, section, format string, args ...any) *protocols.Malformed {
	return &protocols.Malformed{Reason: reason.DICOMCommandSet, Section: "PS3.7 " + section, Offset: at,
		Detail: fmt.Sprintf(format, args...)}
}
