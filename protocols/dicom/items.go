package dicom

import (
	"fmt"

	"cordon/protocols"
	"cordon/protocols/reason"
	"cordon/protocols/wire"
)

// ItemType is the first byte of an item or sub-item of an association PDU.
type ItemType uint8

// The items (PS3.8 §9.3.2, §9.3.3), and the sub-items of user information (PS3.8 Annex D, PS3.7
// Annex D.3.3).
const (
	ItemApplicationContext ItemType = 0x10
	ItemContextRQ          ItemType = 0x20 // presentation context, proposed
	ItemContextAC          ItemType = 0x21 // presentation context, answered
	ItemAbstractSyntax     ItemType = 0x30
	ItemTransferSyntax     ItemType = 0x40
	ItemUserInformation    ItemType = 0x50

	ItemMaxLength          ItemType = 0x51
	ItemImplementationUID  ItemType = 0x52
	ItemAsyncWindow        ItemType = 0x53
	ItemRoleSelection      ItemType = 0x54
	ItemImplementationName ItemType = 0x55
	ItemExtended           ItemType = 0x56
	ItemCommonExtended     ItemType = 0x57
	ItemUserIdentityRQ     ItemType = 0x58
	ItemUserIdentityAC     ItemType = 0x59
)

// known tells whether the standard has items of that type. Others are skipped, and pass as they came
// (PS3.8 §9.3.1, D15).
func (t ItemType) known() bool {
	switch t {
	case ItemApplicationContext, ItemContextRQ, ItemContextAC, ItemAbstractSyntax, ItemTransferSyntax:
		return true
	}
	return ItemUserInformation <= t && t <= ItemUserIdentityAC
}

const (
	itemHeaderLen = 4 // type, reserved byte, length
	maxContexts   = 128
	// maxTransfers bounds the transfer syntaxes of one context: twice what the standard defines.
	// A list without bound would cost memory a multiple of the PDU.
	maxTransfers = 128
)

// Item is one item or sub-item as received: type, a byte that is reserved (the version of a
// common extended negotiation), a 16-bit length, value.
type Item struct {
	Type     ItemType
	Reserved uint8
	Value    []byte
	Off      int // of the item, in bytes from the PDU's start
}

func (it *Item) append(b *wire.Builder) {
	b.Uint8(uint8(it.Type))
	b.Uint8(it.Reserved)
	b.Uint16(uint16(len(it.Value)))
	b.Bytes(it.Value)
}

// wrap appends the item with another value.
func (it *Item) wrap(b *wire.Builder, fill func(*wire.Builder)) {
	b.Uint8(uint8(it.Type))
	b.Uint8(it.Reserved)
	b.Len16(fill)
}

func (it *Item) fault(section, format string, args ...any) error {
	return itemFault(it.Off, section, format, args...)
}

func itemFault(off int, section, format string, args ...any) error {
	return &protocols.Malformed{Reason: reason.DICOMItem, Section: section, Offset: off, Detail: fmt.Sprintf(format, args...)}
}

// items reads the items of an enclosing unit one after another.
type items struct {
	rest wire.Cursor
	off  int // where the next one starts in the PDU
}

// within reads the sub-items in the value of it, after its first skip bytes.
func (it *Item) within(skip int) items {
	return items{rest: it.Value[skip:], off: it.Off + itemHeaderLen + skip}
}

// next reads one item. It returns false at the end, and where what is left is not a whole item;
// trailing tells the two apart.
func (r *items) next(it *Item) bool {
	c := r.rest
	var typ uint8
	var n uint16
	if !c.Uint8(&typ) || !c.Uint8(&it.Reserved) || !c.Uint16(&n) || !c.Take(&it.Value, int(n)) {
		return false
	}
	it.Type, it.Off = ItemType(typ), r.off
	r.off += itemHeaderLen + int(n)
	r.rest = c
	return true
}

// trailing is the fault of what next could not read: an item that reaches beyond what encloses it.
func (r *items) trailing(section string) error {
	if r.rest.Empty() {
		return nil
	}
	if len(r.rest) < itemHeaderLen {
		return itemFault(r.off, section, "%d bytes after the last item; an item has at least %d", len(r.rest), itemHeaderLen)
	}
	return itemFault(r.off, section, "item %02XH of length %d where %d bytes are left",
		r.rest[0], int(r.rest[2])<<8|int(r.rest[3]), len(r.rest)-itemHeaderLen)
}

// checkUID says what is wrong with a UID of a negotiation item; "" when nothing is. It must have
// the form of a UID, so that whoever uses it as a name, a key or a format is safe; which UID it
// is, is for the rules (D13).
func checkUID(b []byte) string {
	switch {
	case len(b) > maxUID:
		return fmt.Sprintf("UID of %d bytes; a UID has at most %d", len(b), maxUID)
	case !ValidUID(TrimUID(b)):
		return "not a UID: components of digits with single periods between"
	}
	return ""
}
