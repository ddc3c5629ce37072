package dicom

import "cordon/protocols"

// follow looks at the form of what comes of a data set after its message was decided: a piece of n
// bytes, at a place of the window. It returns false when the association ended with it, or when more
// of it must come before it may be settled; bytes of a single value need not.
func (t *turn) follow(at, n int, last bool) bool {
	s := t.s
	scan := &s.msg.read.scan
	if s.msg.fate != passed || !s.msg.read.follows {
		return true
	}
	for !scan.Skip(n-s.walked, last) {
		from, to := at+s.walked, min(at+n, len(t.win))
		if from >= to && s.walked < n {
			return t.wait(from + min(n-s.walked, scan.ahead()))
		}
		s.walked += to - from
		ended := s.walked == n
		if !t.rest(t.win[from:to], last && ended) {
			return false
		}
		if ended || !s.msg.read.follows {
			break
		}
	}
	s.walked = 0
	return true
}

// rest is follow for bytes that have come. An object that turns out malformed never arrives whole.
func (t *turn) rest(b []byte, last bool) bool {
	m := &t.s.msg
	if fault := m.read.rest(b, last); fault != nil {
		m.read.follows = false
		if t.c.rules.Breach(fault.Reason, &m.verdict); m.verdict.Would == protocols.Refuse {
			m.verdict.Found.Set(fault.Detail)
		}
		if m.verdict.Refused() {
			t.c.abort(t.p, m.verdict.Reason)
		}
	}
	return !t.c.over
}
