package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// sink is a file in memory that can be full, or stuck.
type sink struct {
	mu    sync.Mutex
	b     bytes.Buffer
	room  int // bytes until it is full; below 0 there is no end
	full  bool
	stuck chan struct{} // a Write waits until it is closed
	ended bool

	discard bool
}

func (s *sink) Write(b []byte) (int, error) {
	s.mu.Lock()
	stuck := s.stuck
	s.mu.Unlock()
	if stuck != nil {
		<-stuck
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.discard {
		return len(b), nil
	}
	if s.full && s.room < len(b) {
		n, _ := s.b.Write(b[:s.room])
		s.room = 0
		return n, &os.PathError{Op: "write", Path: "audit", Err: syscall.ENOSPC}
	}
	return s.b.Write(b)
}

func (s *sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	return nil
}

func (s *sink) set(change func(*sink)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *sink) lines(t testing.TB) (all []line) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	return lines(t, s.b.Bytes())
}

func lines(t testing.TB, b []byte) (all []line) {
	t.Helper()
	if len(b) > 0 && b[len(b)-1] != '\n' {
		t.Errorf("the last line is torn")
	}
	for _, l := range bytes.Split(bytes.TrimSuffix(b, []byte{'\n'}), []byte{'\n'}) {
		if len(l) > 0 {
			all = append(all, parse(t, l))
		}
	}
	return all
}

// start makes a Log over a sink.
func start(t testing.TB, s *sink, o Options) *Log {
	t.Helper()
	l, err := New(func() (io.WriteCloser, error) { return s, nil }, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(l) })
	return l
}

// end closes a Log without patience.
func end(l *Log) error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return l.Close(ctx)
}

// settled returns when nothing waits to be written.
func settled(l *Log) {
	for l.Waiting() > 0 {
		runtime.Gosched()
	}
}

// contiguous checks that every number up to last is there, or in a gap, in order; it returns how
// many are in gaps.
func contiguous(t *testing.T, all []line, last uint64) (lost uint64) {
	t.Helper()
	var seq uint64
	for _, l := range all {
		if l.Gap > 0 {
			seq, lost = seq+l.Gap, lost+l.Gap
			if l.Since.IsZero() || l.Since.After(l.Time) {
				t.Errorf("gap since %v, until %v", l.Since, l.Time)
			}
		} else {
			seq++
		}
		if l.Seq != seq {
			t.Fatalf("number %d where %d is due", l.Seq, seq)
		}
	}
	if seq != last {
		t.Errorf("ends at number %d, not %d", seq, last)
	}
	return lost
}

func put(l *Log, n int) {
	r := example()
	for range n {
		l.Put(&r)
	}
}

func TestRecordsAreWrittenInOrder(t *testing.T) {
	s := &sink{}
	l := start(t, s, Options{})
	put(l, 5000)
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if lost := contiguous(t, s.lines(t), 5000); lost != 0 || l.Lost() != 0 || !s.ended {
		t.Errorf("%d lost, closed %v", lost, s.ended)
	}
}

// G9
func TestFullDiskCostsRecordsOnlyAndIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var trouble []error
		s := &sink{full: true, room: 1000} // full in the middle of a line
		l := start(t, s, Options{Queue: 100, Trouble: func(err error) { trouble = append(trouble, err) }})
		synctest.Wait() // the writer waits, and takes the first records together with others
		began := time.Now()
		put(l, 150)
		settle()
		put(l, 50)
		time.Sleep(time.Hour) // of the bubble's clock: it goes on trying
		if !time.Now().After(began) || len(trouble) != 1 || !errors.Is(trouble[0], syscall.ENOSPC) {
			t.Fatalf("told %v", trouble)
		}
		if l.Lost() != 100 || l.Waiting() != 100 {
			t.Fatalf("%d lost, %d wait", l.Lost(), l.Waiting())
		}
		s.set(func(s *sink) { s.full = false })
		time.Sleep(lastRetry)
		settle()
		if len(trouble) != 2 || trouble[1] != nil {
			t.Errorf("told %v", trouble)
		}
		put(l, 3)
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if lost := contiguous(t, s.lines(t), 203); lost != 100 {
			t.Errorf("the file says %d are lost", lost)
		}
	})
}

// G9: a real full disk, as far as the kernel makes one.
func TestDevFull(t *testing.T) {
	open := File("/dev/full")
	if f, err := open(); err != nil {
		t.Skipf("LEFT OUT: no /dev/full: %v", err)
	} else {
		f.Close()
	}
	told := make(chan error, 16)
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	first := true
	l, err := New(func() (io.WriteCloser, error) {
		if first {
			first = false
			return open()
		}
		return File(path)()
	}, Options{Queue: 10, Trouble: func(err error) { told <- err }})
	if err != nil {
		t.Fatal(err)
	}
	put(l, 30)
	if err := <-told; !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("told %v", err)
	}
	l.Reopen() // on a disk with room
	if err := <-told; err != nil {
		t.Errorf("told %v", err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if lost := contiguous(t, lines(t, b), 30); lost != l.Lost() || lost != 20 {
		t.Errorf("%d lost, the file says %d", l.Lost(), lost)
	}
}

// G9
func TestStuckSinkHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &sink{stuck: release}
		l := start(t, s, Options{Queue: 64})
		put(l, 1)
		settle()     // the writer is stuck with one record
		put(l, 1000) // would never end if Put waited
		if l.Lost() != 1001-64 {
			t.Errorf("%d lost", l.Lost())
		}
		close(release)
		settle()
		put(l, 1)
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if lost := contiguous(t, s.lines(t), 1002); lost != l.Lost() {
			t.Errorf("the file says %d are lost", lost)
		}
	})
}

func TestGapIsWrittenThoughNoRecordFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &sink{stuck: release}
		l := start(t, s, Options{Queue: 1})
		put(l, 1)
		settle()
		put(l, 4)
		close(release)
		settle()
		all := s.lines(t)
		if lost := contiguous(t, all, 5); lost != 4 || len(all) != 2 {
			t.Errorf("the file says %+v", all)
		}
	})
}

func TestCloseGivesUpInTime(t *testing.T) {
	for _, tc := range []struct {
		name string
		sink func() *sink
	}{
		{"full", func() *sink { return &sink{full: true} }},
		{"stuck", func() *sink { return &sink{stuck: make(chan struct{})} }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := tc.sink() // its channel must be of the bubble
				l := start(t, s, Options{})
				put(l, 7)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				began := time.Now()
				err := l.Close(ctx)
				if !errors.Is(err, ErrLost) || l.Lost() != 7 {
					t.Errorf("got %v, %d lost", err, l.Lost())
				}
				if waited := time.Since(began); waited > time.Second+stuck {
					t.Errorf("waited %v", waited)
				}
				put(l, 1)
				if l.Lost() != 8 {
					t.Error("a record after the end is not counted")
				}
				if s.stuck != nil {
					close(s.stuck)
				}
			})
		})
	}
}

func TestReopenAfterRename(t *testing.T) {
	dir := t.TempDir()
	path, old := filepath.Join(dir, "audit.jsonl"), filepath.Join(dir, "audit.jsonl.1")
	l, err := New(File(path), Options{})
	if err != nil {
		t.Fatal(err)
	}
	put(l, 10)
	settled(l)
	if err := os.Rename(path, old); err != nil {
		t.Fatal(err)
	}
	put(l, 10) // still into the renamed one
	settled(l)
	l.Reopen()
	put(l, 10)
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(old)
	after, _ := os.ReadFile(path)
	if a := lines(t, after); len(a) != 10 || a[0].Seq != 21 {
		t.Errorf("the new file has %d lines", len(a))
	}
	contiguous(t, lines(t, append(before, after...)), 30)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

func TestReopenThatFailsKeepsTheOldFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := &sink{}, &sink{}
		var trouble []error
		opened := 0
		l, err := New(func() (io.WriteCloser, error) {
			switch opened++; opened {
			case 1:
				return first, nil
			case 2:
				return nil, fs()
			}
			return second, nil
		}, Options{Trouble: func(err error) { trouble = append(trouble, err) }})
		if err != nil {
			t.Fatal(err)
		}
		l.Reopen()
		put(l, 1)
		settle()
		put(l, 1)
		settle()
		if len(trouble) != 1 || len(first.lines(t)) != 2 {
			t.Fatalf("told %v; %d lines in the old file", trouble, len(first.lines(t)))
		}
		time.Sleep(lastRetry)
		put(l, 1)
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(trouble) != 2 || trouble[1] != nil || len(second.lines(t)) != 1 || !first.ended {
			t.Errorf("told %v; %d lines in the new file", trouble, len(second.lines(t)))
		}
	})
}

func fs() error { return &os.PathError{Op: "open", Path: "audit", Err: syscall.EACCES} }

func TestTornLineIsWrittenAgainInTheNewFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := &sink{full: true, room: 500}, &sink{}
		sinks := []*sink{first, second}
		l, err := New(func() (io.WriteCloser, error) {
			s := sinks[0]
			sinks = sinks[1:]
			return s, nil
		}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		put(l, 10)
		settle()
		l.Reopen()
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		whole := first.b.Bytes()[:bytes.LastIndexByte(first.b.Bytes(), '\n')+1]
		if len(whole) == first.b.Len() {
			t.Fatal("the old file ends with a whole line")
		}
		contiguous(t, append(lines(t, whole), second.lines(t)...), 10)
	})
}

func TestTornLastLineIsEnded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.WriteFile(path, []byte(`{"v":1,"seq":7,"ti`), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := New(File(path), Options{})
	if err != nil {
		t.Fatal(err)
	}
	put(l, 1)
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(path)
	if _, rest, _ := bytes.Cut(b, []byte{'\n'}); len(lines(t, rest)) != 1 {
		t.Errorf("got %q", b)
	}
}

func TestMissingFolderIsAnErrorAtTheStart(t *testing.T) {
	if _, err := New(File(filepath.Join(t.TempDir(), "none", "audit.jsonl")), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestManySessionsAtOnce(t *testing.T) {
	s := &sink{}
	l := start(t, s, Options{Queue: 500})
	var sessions sync.WaitGroup
	for i := range 8 {
		sessions.Go(func() {
			r := example()
			r.Session = fmt.Sprint(i)
			for range 500 {
				l.Put(&r)
				l.Reopen()
			}
			l.BySession(r.Session)
		})
	}
	sessions.Wait()
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if lost := contiguous(t, s.lines(t), 4000); lost != l.Lost() {
		t.Errorf("%d lost, the file says %d", l.Lost(), lost)
	}
}

func TestRecentRecordsAreKept(t *testing.T) {
	l := start(t, &sink{full: true}, Options{Recent: 10, Queue: 1})
	for i := range 25 {
		r := example()
		r.Session = fmt.Sprint(i % 2)
		l.Put(&r)
	}
	seqs := func(all []Record) (s []uint64) {
		for _, r := range all {
			s = append(s, r.Seq)
		}
		return s
	}
	if got := fmt.Sprint(seqs(l.Recent(3))); got != "[23 24 25]" {
		t.Errorf("the last three are %s", got)
	}
	if got := fmt.Sprint(seqs(l.BySession("1"))); got != "[16 18 20 22 24]" {
		t.Errorf("those of a session are %s", got)
	}
	if got := l.Recent(100); len(got) != 10 {
		t.Errorf("%d are kept", len(got))
	}
	if got := l.BySession("none"); got != nil {
		t.Errorf("got %v", got)
	}
}

// settle lets the bubble's clock run until the writer has taken what came together.
func settle() {
	time.Sleep(lingerFor)
	synctest.Wait()
}
