package endpoint

import (
	"fmt"
	"slices"
	"strings"

	"cordon/protocols/dicom"
	"cordon/protocols/wire"
)

// appendAssociate appends an A-ASSOCIATE-RQ or -AC (PS3.8 §9.3.2, §9.3.3); contexts appends its
// presentation context items.
func appendAssociate(dst []byte, t dicom.PDUType, called, calling string, maxLength uint32, roles []dicom.RoleSelection, contexts func(*wire.Builder)) []byte {
	b := wire.Builder{B: dst}
	b.Uint8(uint8(t))
	b.Zero(1)
	b.Len32(func(b *wire.Builder) {
		b.Uint16(1) // protocol version 1
		b.Zero(2)
		b.String(fmt.Sprintf("%-16.16s%-16.16s", called, calling))
		b.Zero(32)
		item(b, dicom.ItemApplicationContext, dicom.ApplicationContextName)
		contexts(b)
		group(b, dicom.ItemUserInformation, func(b *wire.Builder) {
			group(b, dicom.ItemMaxLength, func(b *wire.Builder) { b.Uint32(maxLength) })
			item(b, dicom.ItemImplementationUID, ImplementationClassUID)
			for _, r := range roles {
				group(b, dicom.ItemRoleSelection, func(b *wire.Builder) { appendRole(b, r) })
			}
			item(b, dicom.ItemImplementationName, ImplementationVersionName)
		})
	})
	return b.B
}

// appendRole appends the value of a role selection sub-item (PS3.7 §D.3.3.4).
func appendRole(b *wire.Builder, r dicom.RoleSelection) {
	b.Len16(func(b *wire.Builder) { b.Bytes(r.SOPClass) })
	for _, has := range []bool{r.SCU, r.SCP} {
		var role uint8
		if has {
			role = 1
		}
		b.Uint8(role)
	}
}

// group appends an item whose value fill appends.
func group(b *wire.Builder, t dicom.ItemType, fill func(*wire.Builder)) {
	b.Uint8(uint8(t))
	b.Zero(1)
	b.Len16(fill)
}

func item(b *wire.Builder, t dicom.ItemType, value string) {
	group(b, t, func(b *wire.Builder) { b.String(value) })
}

func appendRequest(dst []byte, r Request) []byte {
	var roles []dicom.RoleSelection
	for _, class := range r.Serves {
		roles = append(roles, dicom.RoleSelection{SOPClass: []byte(class), SCP: true})
	}
	return appendAssociate(dst, dicom.TypeAssociateRQ, r.Called, r.Calling, announced(r.MaxLength), roles, func(b *wire.Builder) {
		for i, c := range r.Contexts {
			group(b, dicom.ItemContextRQ, func(b *wire.Builder) {
				b.Uint8(uint8(2*i + 1))
				b.Zero(3)
				item(b, dicom.ItemAbstractSyntax, c.Abstract)
				for _, t := range c.Transfer {
					item(b, dicom.ItemTransferSyntax, t)
				}
			})
		}
	})
}

// accepted reads the A-ASSOCIATE-AC in a.pdu.
func (a *Association) accepted(r Request) error {
	var ac dicom.AssociateAC
	if err := ac.Parse(a.pdu); err != nil {
		return err
	}
	for i, c := range r.Contexts {
		a.Contexts = append(a.Contexts, Negotiated{ID: uint8(2*i + 1), Abstract: c.Abstract, Result: dicom.NoReason})
	}
	for _, c := range ac.Contexts {
		i := int(c.ID) / 2
		if i >= len(a.Contexts) {
			return fmt.Errorf("presentation context %d is answered, which was not proposed", c.ID)
		}
		a.Contexts[i].Result, a.Contexts[i].Transfer = c.Result, string(c.Transfer)
	}
	a.PeerMax = ac.User.MaxLength // 0, no limit, when absent
	return nil
}

// negotiate answers each proposed presentation context with the first entry of the server's that
// has its abstract syntax, and the first transfer syntax proposed that the entry has.
func (s *Server) negotiate(rq *dicom.AssociateRQ) []Negotiated {
	answers := make([]Negotiated, 0, len(rq.Contexts))
	for _, pc := range rq.Contexts {
		n := Negotiated{ID: pc.ID, Abstract: string(pc.Abstract), Result: dicom.AbstractSyntaxNotSupported}
		for _, has := range s.contexts() {
			if has.takes(n.Abstract) {
				n.Result, n.Transfer = has.choose(pc.Transfer)
				break
			}
		}
		answers = append(answers, n)
	}
	return answers
}

// StandardStorage as an abstract syntax of a Server stands for all storage SOP classes of the
// standard (PS3.4 §B.5), which share this root.
const StandardStorage = "1.2.840.10008.5.1.4.1.1."

func (c Context) takes(abstract string) bool {
	return c.Abstract == abstract || c.Abstract == StandardStorage && strings.HasPrefix(abstract, StandardStorage)
}

// choose picks a transfer syntax; a context without any takes the first.
func (c Context) choose(proposed [][]byte) (dicom.Result, string) {
	for _, p := range proposed {
		if len(c.Transfer) == 0 {
			return dicom.Acceptance, string(p)
		}
		for _, t := range c.Transfer {
			if t == string(p) {
				return dicom.Acceptance, t
			}
		}
	}
	return dicom.TransferSyntaxesNotSupported, ""
}

// AppendAccept appends the A-ASSOCIATE-AC with which s answers a request, for a peer that reads
// what follows in a way of its own.
func (s *Server) AppendAccept(dst []byte, rq *dicom.AssociateRQ) []byte {
	return appendAccept(dst, rq, announced(s.MaxLength), s.negotiate(rq))
}

// appendAccept appends the A-ASSOCIATE-AC. A rejected context gets a transfer syntax too, which
// is not significant but must be there (PS3.8 §9.3.3.2). Roles are taken as they are proposed.
func appendAccept(dst []byte, rq *dicom.AssociateRQ, maxLength uint32, answers []Negotiated) []byte {
	var roles []dicom.RoleSelection
	for _, r := range rq.User.Roles {
		if slices.ContainsFunc(answers, func(n Negotiated) bool {
			return n.Result == dicom.Acceptance && n.Abstract == string(r.SOPClass)
		}) {
			roles = append(roles, r)
		}
	}
	return appendAssociate(dst, dicom.TypeAssociateAC, string(rq.CalledAE), string(rq.CallingAE), maxLength, roles, func(b *wire.Builder) {
		for i, n := range answers {
			group(b, dicom.ItemContextAC, func(b *wire.Builder) {
				b.Uint8(n.ID)
				b.Zero(1)
				b.Uint8(uint8(n.Result))
				b.Zero(1)
				transfer := n.Transfer
				if n.Result != dicom.Acceptance {
					transfer = string(rq.Contexts[i].Transfer[0])
				}
				item(b, dicom.ItemTransferSyntax, transfer)
			})
		}
	})
}
