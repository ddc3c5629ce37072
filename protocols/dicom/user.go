package dicom

import (
	"bytes"
	"fmt"

	"cordon/protocols/wire"
)

// UserInformation is a view of the user information item (PS3.8 §9.3.2.3 and Annex D, PS3.7
// Annex D.3.3). UIDs and names are trimmed.
type UserInformation struct {
	MaxLength          uint32 // of P-DATA-TF PDUs the sender accepts, bytes after the PDU header; 0: no limit
	HasMaxLength       bool
	ImplementationUID  []byte
	ImplementationName []byte

	HasAsync       bool   // absent means a window of 1 and 1 (D11)
	AsyncInvoked   uint16 // 0: no limit
	AsyncPerformed uint16

	Roles          []RoleSelection
	Extended       []ExtendedNegotiation
	CommonExtended []CommonExtendedNegotiation
	Identity       UserIdentity
	HasResponse    bool   // a user identity response is there (59H)
	Response       []byte // it may be empty

	Unknown []Item // sub-items of later editions; skipped by length and kept (D15)

	off     int         // of the item, in bytes from the PDU's start
	uids    [][]byte    // backs CommonExtended.Related
	classes []classItem // what was read of each SOP class
}

// RoleSelection is an SCP/SCU role selection sub-item (PS3.7 D.3.3.4).
type RoleSelection struct {
	SOPClass []byte
	SCU, SCP bool
}

// ExtendedNegotiation is a SOP class extended negotiation sub-item (PS3.7 D.3.3.5).
type ExtendedNegotiation struct {
	SOPClass []byte
	Info     []byte // service-class-application-information
}

// CommonExtendedNegotiation is a SOP class common extended negotiation sub-item (PS3.7 D.3.3.6).
type CommonExtendedNegotiation struct {
	SOPClass     []byte
	ServiceClass []byte
	Related      [][]byte // related general SOP classes
}

// UserIdentity is a user identity sub-item of a request (PS3.7 D.3.3.7). Its fields are secrets.
type UserIdentity struct {
	Type            uint8 // 0: absent
	ResponseWanted  bool
	Primary, Second []byte
}

// classItem is a sub-item about one SOP class; several of one type about one class must agree.
type classItem struct {
	typ          ItemType
	class, value []byte
}

func (u *UserInformation) reset() {
	*u = UserInformation{Roles: u.Roles[:0], Extended: u.Extended[:0], CommonExtended: u.CommonExtended[:0],
		Unknown: u.Unknown[:0], uids: u.uids[:0], classes: u.classes[:0]}
}

// direction tells in which PDU a sub-item may stand.
type direction uint8

const (
	inRQ direction = 1 << iota
	inAC
)

// userSubItems says how each sub-item of user information is read. parse returns what is wrong
// with the value, "" when nothing is.
var userSubItems = map[ItemType]struct {
	section string
	in      direction
	many    bool // else at most one: readers could differ on which of two counts
	parse   func(u *UserInformation, v []byte) string
}{
	ItemMaxLength:          {"PS3.8 §D.1", inRQ | inAC, false, (*UserInformation).parseMaxLength},
	ItemImplementationUID:  {"PS3.7 §D.3.3.2", inRQ | inAC, false, (*UserInformation).parseImplementationUID},
	ItemAsyncWindow:        {"PS3.7 §D.3.3.3", inRQ | inAC, false, (*UserInformation).parseAsync},
	ItemRoleSelection:      {"PS3.7 §D.3.3.4", inRQ | inAC, true, (*UserInformation).parseRole},
	ItemImplementationName: {"PS3.7 §D.3.3.2", inRQ | inAC, false, (*UserInformation).parseImplementationName},
	ItemExtended:           {"PS3.7 §D.3.3.5", inRQ | inAC, true, (*UserInformation).parseExtended},
	ItemCommonExtended:     {"PS3.7 §D.3.3.6", inRQ | inAC, true, (*UserInformation).parseCommonExtended},
	ItemUserIdentityRQ:     {"PS3.7 §D.3.3.7", inRQ, false, (*UserInformation).parseIdentity},
	ItemUserIdentityAC:     {"PS3.7 §D.3.3.7", inAC, false, (*UserInformation).parseResponse},
}

// maxUserInformation leaves room in the 16-bit length for a maximum length sub-item, which may
// have to be put in where a peer left it out.
const maxUserInformation = 1<<16 - 1 - maxLengthItem

// maxLengthItem is the length of a maximum length sub-item, header included.
const maxLengthItem = itemHeaderLen + 4

func (u *UserInformation) parse(it *Item, in direction) error {
	u.off = it.Off
	var seen [256]bool
	r := it.within(0)
	for sub := (Item{}); r.next(&sub); seen[sub.Type] = true {
		kind, known := userSubItems[sub.Type]
		switch {
		case !known:
			u.Unknown = append(u.Unknown, sub)
			continue
		case kind.in&in == 0:
			return sub.fault(kind.section, "user information sub-item %02XH, which belongs to the other PDU", uint8(sub.Type))
		case seen[sub.Type] && !kind.many:
			return sub.fault(kind.section, "a second user information sub-item %02XH; there is at most one", uint8(sub.Type))
		}
		if wrong := kind.parse(u, sub.Value); wrong != "" {
			return sub.fault(kind.section, "user information sub-item %02XH: %s", uint8(sub.Type), wrong)
		}
	}
	if !u.HasMaxLength && len(it.Value) > maxUserInformation {
		return it.fault("PS3.8 §D.1", "user information of %d bytes without a maximum length, and no room for one", len(it.Value))
	}
	return r.trailing("PS3.8 §9.3.2.3")
}

func (u *UserInformation) parseMaxLength(v []byte) string {
	c := wire.Cursor(v)
	if !c.Uint32(&u.MaxLength) || !c.Empty() {
		return wrongLength(v, 4)
	}
	u.HasMaxLength = true
	return ""
}

func (u *UserInformation) parseImplementationUID(v []byte) string {
	u.ImplementationUID = TrimUID(v)
	return checkUID(v)
}

// parseImplementationName takes any length: names over 16 bytes are seen in the field.
func (u *UserInformation) parseImplementationName(v []byte) string {
	u.ImplementationName = TrimAE(v)
	return ""
}

func (u *UserInformation) parseAsync(v []byte) string {
	c := wire.Cursor(v)
	if !c.Uint16(&u.AsyncInvoked) || !c.Uint16(&u.AsyncPerformed) || !c.Empty() {
		return wrongLength(v, 4)
	}
	u.HasAsync = true
	return ""
}

func (u *UserInformation) parseRole(v []byte) string {
	c := wire.Cursor(v)
	var class []byte
	var scu, scp uint8
	if !takeUID(&c, &class) || !c.Uint8(&scu) || !c.Uint8(&scp) || !c.Empty() {
		return uidLengthWrong
	}
	if scu > 1 || scp > 1 {
		return fmt.Sprintf("roles %d and %d; a role is 0 or 1", scu, scp)
	}
	u.Roles = append(u.Roles, RoleSelection{SOPClass: TrimUID(class), SCU: scu == 1, SCP: scp == 1})
	return u.about(ItemRoleSelection, class, v)
}

func (u *UserInformation) parseExtended(v []byte) string {
	c := wire.Cursor(v)
	var class []byte
	if !takeUID(&c, &class) {
		return uidLengthWrong
	}
	u.Extended = append(u.Extended, ExtendedNegotiation{SOPClass: TrimUID(class), Info: c})
	return u.about(ItemExtended, class, v)
}

// parseCommonExtended leaves what follows the related classes unread: the standard reserves it.
func (u *UserInformation) parseCommonExtended(v []byte) string {
	c := wire.Cursor(v)
	var class, service []byte
	var related wire.Cursor
	var n uint16
	if !takeUID(&c, &class) || !takeUID(&c, &service) || !c.Uint16(&n) || !c.Sub(&related, int(n)) {
		return uidLengthWrong
	}
	if wrong := checkUID(service); wrong != "" {
		return wrong
	}
	from := len(u.uids)
	for !related.Empty() {
		var uid []byte
		if !takeUID(&related, &uid) {
			return uidLengthWrong
		}
		if wrong := checkUID(uid); wrong != "" {
			return wrong
		}
		u.uids = append(u.uids, TrimUID(uid))
	}
	u.CommonExtended = append(u.CommonExtended, CommonExtendedNegotiation{
		SOPClass: TrimUID(class), ServiceClass: TrimUID(service), Related: u.uids[from:len(u.uids):len(u.uids)]})
	return u.about(ItemCommonExtended, class, v)
}

func (u *UserInformation) parseIdentity(v []byte) string {
	c := wire.Cursor(v)
	var wanted uint8
	var n, m uint16
	id := &u.Identity
	if !c.Uint8(&id.Type) || !c.Uint8(&wanted) || !c.Uint16(&n) || !c.Take(&id.Primary, int(n)) ||
		!c.Uint16(&m) || !c.Take(&id.Second, int(m)) || !c.Empty() {
		return fieldLengthWrong
	}
	if id.Type == 0 {
		return "user identity type 0; the types begin at 1"
	}
	id.ResponseWanted = wanted != 0
	return ""
}

func (u *UserInformation) parseResponse(v []byte) string {
	c := wire.Cursor(v)
	var n uint16
	if !c.Uint16(&n) || !c.Take(&u.Response, int(n)) || !c.Empty() {
		return fieldLengthWrong
	}
	u.HasResponse = true
	return ""
}

// about checks a sub-item's SOP class, that there are not more of them than contexts can need,
// and that an earlier one about the same class says the same: senders that repeat themselves
// exist, but of two that differ readers could take either.
func (u *UserInformation) about(typ ItemType, class, value []byte) string {
	if wrong := checkUID(class); wrong != "" {
		return wrong
	}
	same := 0
	for _, c := range u.classes {
		if c.typ != typ {
			continue
		}
		if same++; bytes.Equal(c.class, TrimUID(class)) && !bytes.Equal(c.value, value) {
			return "differs from an earlier one about the same SOP class"
		}
	}
	if same == maxContexts {
		return fmt.Sprintf("more than %d of them, the number of presentation contexts there can be", maxContexts)
	}
	u.classes = append(u.classes, classItem{typ, TrimUID(class), value})
	return ""
}

// takeUID reads a 16-bit length and as many bytes.
func takeUID(c *wire.Cursor, out *[]byte) bool {
	var n uint16
	return c.Uint16(&n) && c.Take(out, int(n))
}

const (
	uidLengthWrong   = "its UID lengths disagree with the length of the sub-item"
	fieldLengthWrong = "its field lengths disagree with the length of the sub-item"
)

func wrongLength(v []byte, want int) string {
	return fmt.Sprintf("%d bytes; it has %d", len(v), want)
}
