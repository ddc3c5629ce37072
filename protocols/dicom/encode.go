package dicom

import "cordon/protocols/wire"

// edit says what to change while an association PDU is encoded anew. Its zero value changes
// nothing; what it does not name is encoded as received, in the order received.
type edit struct {
	called    []byte                            // the called AE title field, 16 bytes
	calling   []byte                            // the calling AE title field, likewise
	maxLength uint32                            // the most that the maximum length may be
	context   func(b *wire.Builder, it *Item)   // appends a presentation context item, or what stands for it
	missing   func(b *wire.Builder)             // appends to a PDU that has no presentation context item
	drops     func(class []byte) bool           // whether a sub-item about a SOP class goes
	roles     func(RoleSelection) RoleSelection // what stays of a role selection
	omits     ItemType                          // a sub-item of user information that goes; 0: none
}

func (a *associate) encode(dst []byte, e *edit) []byte {
	b := wire.Builder{B: dst}
	b.Bytes(a.raw[:2])
	b.Len32(func(b *wire.Builder) {
		called, calling := a.CalledAE, a.CallingAE
		if e.called != nil {
			called = e.called
		}
		if e.calling != nil {
			calling = e.calling
		}
		b.Uint16(a.Version)
		b.Bytes(a.reserved[0])
		b.Bytes(called)
		b.Bytes(calling)
		b.Bytes(a.reserved[1])
		a.encodeItems(b, e)
	})
	return b.B
}

func (a *associate) encodeItems(b *wire.Builder, e *edit) {
	const at = PDUHeaderLen + associateFixed
	r := items{rest: a.raw[at:], off: at}
	var it Item
	for r.next(&it) {
		switch {
		case it.Type == ItemUserInformation:
			if e.missing != nil {
				e.missing(b)
			}
			a.User.encode(b, &it, e)
		case it.Type != ItemContextRQ && it.Type != ItemContextAC:
			it.append(b)
		case e.context != nil:
			e.context(b, &it)
		default:
			it.encodeContext(b, nil)
		}
	}
}

// encodeContext appends a presentation context item. keep, when set, says which of its transfer
// syntaxes stay.
func (it *Item) encodeContext(b *wire.Builder, keep []bool) {
	it.wrap(b, func(b *wire.Builder) {
		b.Bytes(it.Value[:contextFixed])
		r := it.within(contextFixed)
		i := 0
		var sub Item
		for r.next(&sub) {
			if sub.Type == ItemTransferSyntax {
				if i++; keep != nil && !keep[i-1] {
					continue
				}
			}
			sub.append(b)
		}
	})
}

func (u *UserInformation) encode(b *wire.Builder, it *Item, e *edit) {
	it.wrap(b, func(b *wire.Builder) {
		lowered := LowerMaxLength(u.MaxLength, e.maxLength)
		maxLength := func(b *wire.Builder) { b.Uint32(lowered) }
		if !u.HasMaxLength && e.maxLength != 0 {
			(&Item{Type: ItemMaxLength}).wrap(b, maxLength)
		}
		r := it.within(0)
		var sub Item
		for r.next(&sub) {
			switch {
			case sub.Type == ItemMaxLength:
				sub.wrap(b, maxLength)
			case e.omits != 0 && sub.Type == e.omits, e.drops != nil && e.drops(sub.sopClass()):
			case sub.Type == ItemRoleSelection && e.roles != nil:
				sub.encodeRole(b, e.roles)
			default:
				sub.append(b)
			}
		}
	})
}

// encodeRole appends a role selection sub-item with the roles that are left of it. They are its
// last two bytes.
func (it *Item) encodeRole(b *wire.Builder, roles func(RoleSelection) RoleSelection) {
	at := len(it.Value) - 2
	left := roles(RoleSelection{SOPClass: it.sopClass(), SCU: it.Value[at] == 1, SCP: it.Value[at+1] == 1})
	it.wrap(b, func(b *wire.Builder) {
		b.Bytes(it.Value[:at])
		for _, role := range [...]bool{left.SCU, left.SCP} {
			if role {
				b.Uint8(1)
			} else {
				b.Uint8(0)
			}
		}
	})
}

// sopClass returns the SOP class that a sub-item of user information is about, nil for one that
// is not about any.
func (it *Item) sopClass() []byte {
	switch it.Type {
	case ItemRoleSelection, ItemExtended, ItemCommonExtended:
		c := wire.Cursor(it.Value)
		var uid []byte
		takeUID(&c, &uid)
		return TrimUID(uid)
	}
	return nil
}

// LowerMaxLength returns a maximum PDU length that both sides can hold: value, as its sender told
// it, lowered to limit (D1, D2). A value of 0, or one that was not told, means no limit and is
// therefore not the smaller of the two; a limit of 0 lowers nothing.
func LowerMaxLength(value, limit uint32) uint32 {
	if limit != 0 && (value == 0 || value > limit) {
		return limit
	}
	return value
}
