package dicom

import "cordon/protocols"

// reading is what is read of a data set before its message is decided: what the rules look at, and
// all of it where titles are looked for.
type reading struct {
	scan     Scanner
	scanning bool // for the rules
	titles   bool // the data set is to be whole: AE titles in it may have to be replaced
	whole    bool // it is
	cut      bool // it never will be: as much of it is held as may be
	follows  bool // the message passes, and the form of the rest is looked at
}

// reset prepares r for a data set in a transfer syntax, to be read up to a tag for the rules; 0: not
// at all.
func (r *reading) reset(transfer string, until Tag, titles bool) {
	r.scanning, r.titles, r.whole, r.cut, r.follows = until > 0, titles, false, false, false
	if r.scanning {
		r.scan.Reset(transfer, until)
	}
}

// feed reads the next bytes, as many as are needed, and returns how many.
func (r *reading) feed(b []byte) int {
	if !r.scanning {
		return len(b)
	}
	n := r.scan.feed(b)
	if r.titles {
		return len(b)
	}
	return n
}

// end says that the data set has no more bytes.
func (r *reading) end() {
	if r.whole = true; r.scanning {
		r.scan.End()
	}
}

// stop ends the reading because no more may be held.
func (r *reading) stop(m *protocols.Malformed) {
	if r.cut = true; r.scanning {
		r.scan.Stop(m)
	}
}

// done tells whether enough was read.
func (r *reading) done() bool {
	return (!r.scanning || r.scan.done) && (!r.titles || r.whole || r.cut)
}

// follow goes on behind what was needed, of a message that passes.
func (r *reading) follow() { r.follows = r.scanning && !r.titles && r.scan.Follow() }

// rest reads the next bytes of that; with the last the data set ends. It returns what is wrong.
func (r *reading) rest(b []byte, last bool) *protocols.Malformed {
	if r.scan.feed(b); last {
		r.scan.End()
	}
	return r.scan.Fault()
}
