package policy

import (
	"sort"

	"cordon/protocols"
	"cordon/protocols/hl7"
	"cordon/protocols/reason"
)

// hl7Rules is what a flow allows in HL7 v2: message types with their trigger events.
type hl7Rules struct {
	types     []messageType // by code
	tolerance hl7.Tolerance
}

// messageType is one message code (MSH-9.1) with what it may be triggered by.
type messageType struct {
	code     string
	any      bool // any trigger event: "ORU^*"
	anyRule  string
	triggers []trigger // by event
}

type trigger struct {
	event string // MSH-9.2; "" for a message without one
	rule  string
}

// add allows a message type; "*" as the event allows any.
func (r *hl7Rules) add(code, event, rule string) {
	i := sort.Search(len(r.types), func(i int) bool { return r.types[i].code >= code })
	if i == len(r.types) || r.types[i].code != code {
		r.types = append(r.types, messageType{})
		copy(r.types[i+1:], r.types[i:])
		r.types[i] = messageType{code: code}
	}
	t := &r.types[i]
	if event == "*" {
		t.any, t.anyRule = true, rule
		return
	}
	k := sort.Search(len(t.triggers), func(k int) bool { return t.triggers[k].event >= event })
	t.triggers = append(t.triggers, trigger{})
	copy(t.triggers[k+1:], t.triggers[k:])
	t.triggers[k] = trigger{event, rule}
}

// allowing returns the rule that allows a message type, or why none does.
func (r *hl7Rules) allowing(code, event []byte) (rule string, why reason.Code) {
	i, n := 0, len(r.types)
	for i < n {
		if h := int(uint(i+n) >> 1); r.types[h].code < string(code) {
			i = h + 1
		} else {
			n = h
		}
	}
	if i == len(r.types) || r.types[i].code != string(code) {
		return "", reason.HL7MessageType
	}
	t := &r.types[i]
	for k := range t.triggers {
		if t.triggers[k].event == string(event) {
			return t.triggers[k].rule, ""
		}
	}
	if t.any {
		return t.anyRule, ""
	}
	return "", reason.HL7Trigger
}

// message judges a message of the side that connected; the other side only acknowledges.
func (p *program) message(m *hl7.Message, v *protocols.Verdict) {
	labelType(v, m)
	if m.Batch {
		v.Refuse(reason.HL7Batch, ruleOneMessage)
		return
	}
	if m.EndsWithLF && !p.hl7.tolerance.SegmentEnds {
		v.Refuse(reason.HL7SegmentEnd, ruleSegmentEnd)
		return
	}
	if m.From != protocols.Near {
		v.Refuse(reason.HL7MessageType, p.allowRule)
		return
	}
	if got := p.fitsMessage(m); got != fitsAll {
		p.refuseMisfit(got, reason.HL7Sender, reason.HL7Receiver, v)
		return
	}
	rule, why := p.hl7.allowing(m.Type, m.Trigger)
	if why != "" {
		v.Refuse(why, p.allowRule)
		return
	}
	v.Rule = rule
}

// acknowledgment judges the answer to a message that was allowed; the conversation has matched
// the two. What HL7 calls a response (RSP^K22 to QBP^Q22) comes as one too.
func (p *program) acknowledgment(m *hl7.Message, v *protocols.Verdict) {
	labelType(v, m)
	switch {
	case m.Batch:
		v.Refuse(reason.HL7Batch, ruleOneMessage)
	case m.EndsWithLF && !p.hl7.tolerance.SegmentEnds:
		v.Refuse(reason.HL7SegmentEnd, ruleSegmentEnd)
	}
}

// labelType notes the message type, unless it is none: HL7 tables 0076 and 0003 have codes of
// three characters, and anything longer might be text that was put there.
func labelType(v *protocols.Verdict, m *hl7.Message) {
	if !v.Found.Empty() {
		return
	}
	if !isCode(m.Type) || len(m.Trigger) > 0 && !isCode(m.Trigger) {
		v.Found.Set("no message type")
		return
	}
	v.Found.AppendBytes(m.Type)
	if len(m.Trigger) > 0 {
		v.Found.Append("^")
		v.Found.AppendBytes(m.Trigger)
	}
}

func isCode(b []byte) bool {
	if len(b) != 3 {
		return false
	}
	for _, c := range b {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
