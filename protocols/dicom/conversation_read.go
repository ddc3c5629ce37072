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
}

// reset prepares r for a data set in a transfer syntax, to be read up to a tag for the rules; 0: not
// at all.
func (r *reading) reset(transfer string, until Tag, titles bool) {
	r.scanning, r.titles, r.whole, r.cut = until > 0, titles, false, false
	if r.scanning {
		r.scan.Reset(transfer, until)
	}
}

// feed reads the next bytes.
func (r *reading) feed(b []byte) {
	if r.scanning {
		r.scan.Feed(b)
	}
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
