package gateway

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"cordon/gateway/audit"
)

// sink keeps what is written to it, and fails while it is told to be full.
type sink struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	full    bool
	changed chan struct{} // closed at the next write
}

func (s *sink) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		return 0, io.ErrShortWrite
	}
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
	return s.buf.Write(b)
}

func (s *sink) Close() error { return nil }

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// makeRoom lets a full sink take records again.
func (s *sink) makeRoom() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = false
}

// empty returns what was written, and forgets it.
func (s *sink) empty() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.buf.String()
	s.buf = bytes.Buffer{}
	return text
}

// log opens an audit log on the sink.
func (s *sink) log(t *testing.T) *audit.Log {
	t.Helper()
	l, err := audit.New(func() (io.WriteCloser, error) { return s, nil }, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func closeAudit(l *audit.Log) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	l.Close(ctx)
}

// await waits until a line holds all of texts, and returns it; "" when that takes too long.
func (s *sink) await(texts ...string) string {
	late := time.After(patience)
	for {
		s.mu.Lock()
		text := s.buf.String()
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		for line := range strings.SplitSeq(text, "\n") {
			if line != "" && containsAll(line, texts) {
				return line
			}
		}
		select {
		case <-changed:
		case <-late:
			return ""
		}
	}
}

func containsAll(s string, texts []string) bool {
	for _, t := range texts {
		if !strings.Contains(s, t) {
			return false
		}
	}
	return true
}
