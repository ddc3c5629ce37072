package audit

const (
	chunkSize = 64 << 10 // bytes
	lineRoom  = 2 << 10  // bytes that a line rarely takes more of
	maxSpare  = 16       // chunks
)

// chunk is a piece of the log: whole lines. What is in it never changes, so the writer writes
// from it while sessions append to it.
type chunk struct {
	b       []byte
	records int
}

func (c *chunk) full() bool { return cap(c.b)-len(c.b) < lineRoom }

// chunks are the log's pieces in order: those that were written, of which the last are kept to be
// asked about, and those that wait.
type chunks struct {
	all   []*chunk
	keep  int      // records that were written and are kept at least
	kept  int      // records in all
	at    int      // where the writer is: in this piece,
	taken int      // behind so many bytes
	mark  int      // and records
	spare []*chunk // to be used again
}

// last is the piece to append to.
func (c *chunks) last() *chunk {
	if n := len(c.all); n > 0 && !c.all[n-1].full() {
		return c.all[n-1]
	}
	var next *chunk
	if n := len(c.spare); n > 0 {
		next, c.spare = c.spare[n-1], c.spare[:n-1]
	} else {
		next = &chunk{b: make([]byte, 0, chunkSize)}
	}
	c.all = append(c.all, next)
	return next
}

// take gives the writer what it has not had yet of one piece, and how many records that is.
func (c *chunks) take() (lines []byte, records int) {
	for c.at < len(c.all) {
		now := c.all[c.at]
		if lines, records = now.b[c.taken:], now.records-c.mark; len(lines) > 0 {
			c.taken, c.mark = len(now.b), now.records
			return lines, records
		}
		if !now.full() {
			break
		}
		c.at, c.taken, c.mark = c.at+1, 0, 0
	}
	return nil, 0
}

// forget lets go of the oldest pieces that the writer is done with.
func (c *chunks) forget() {
	for c.at > 0 && c.kept-c.all[0].records >= c.keep {
		old := c.all[0]
		c.all = append(c.all[:0], c.all[1:]...)
		c.at--
		c.kept -= old.records
		if len(c.spare) < maxSpare && cap(old.b) == chunkSize {
			old.b, old.records = old.b[:0], 0
			c.spare = append(c.spare, old)
		}
	}
}
