package dicom

import "cordon/protocols/reason"

// AppendFragments appends P-DATA-TF PDUs that carry a whole command set or data set, one PDV to a
// PDU, so that no PDU has more than maxLength bytes after its header (0: no limit). A receiver
// whose maximum is too small even for two bytes of a fragment gets two.
func AppendFragments(dst []byte, contextID uint8, command bool, set []byte, maxLength uint32) []byte {
	most := len(set)
	if maxLength != 0 {
		most = max(2, min(most, int(min(maxLength, 1<<30))-pdvHeaderLen)&^1)
	}
	for {
		k := min(most, len(set))
		dst = AppendPDataHeader(dst, uint32(pdvHeaderLen+k))
		dst = AppendPDV(dst, contextID, command, k == len(set), set[:k])
		if set = set[k:]; len(set) == 0 {
			return dst
		}
	}
}

// Failure returns the response that refuses a request: its Message ID, SOP class and instance, a
// failure status that its service has, and no data set (PS3.7 §9.3, §10.3; D24). The UIDs alias the request's.
func (c *Command) Failure(code reason.Code) Command {
	return Command{
		From: c.From.Other(), ContextID: c.ContextID, Abstract: c.Abstract, Transfer: c.Transfer,
		Field: c.Field | responseBit, MessageID: c.MessageID, Status: refusal(c.Field, reason.Lookup(code).Status),
		SOPClass: c.SOPClass, SOPInstance: c.SOPInstance, InstanceSafe: c.InstanceSafe,
		Comment: errorComment(code),
	}
}

// errorComment is what whoever reads the response at the device is told (PS3.7 Annex C): who
// refused it, and the code that leads to the rule.
func errorComment(code reason.Code) []byte {
	if known := errorComments[code]; known != nil {
		return known
	}
	return commentOf(code)
}

// errorComments are made beforehand, so that a refusal allocates nothing.
var errorComments = func() map[reason.Code][]byte {
	m := map[reason.Code][]byte{}
	for _, i := range reason.All() {
		m[i.Code] = commentOf(i.Code)
	}
	return m
}()

// commented has the codes by their comments.
var commented = func() map[string]reason.Code {
	m := map[string]reason.Code{}
	for code, comment := range errorComments {
		m[string(comment)] = code
	}
	return m
}()

// commentOf makes an LO, which has at most 64 characters.
func commentOf(code reason.Code) []byte {
	comment := "refused by Cordon: " + string(code)
	return []byte(comment[:min(len(comment), 64)])
}

// appendFailure appends the PDUs of that response for a receiver that accepts maxLength.
func appendFailure(dst []byte, c *Command, code reason.Code, maxLength uint32) []byte {
	var room [512]byte
	rsp := c.Failure(code)
	return AppendFragments(dst, c.ContextID, true, AppendCommand(room[:0], &rsp), maxLength)
}
