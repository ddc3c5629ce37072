package demo

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"cordon/protocols/dicom/endpoint"
	"cordon/protocols/hl7"
	mllp "cordon/protocols/hl7/endpoint"
	"cordon/tunnels"
)

// quiet is how long the embedded servers wait for a peer that says nothing.
const quiet = 15 * time.Minute

// servers are the embedded PACS and HIS. They keep what they receive in folders and remember it
// in order, so that the play can compare it with what was sent.
type servers struct {
	pacs   endpoint.Server
	folder endpoint.Folder
	his    mllp.Receiver
	inbox  string // folder of messages

	mu       sync.Mutex
	received []Received
	conns    map[net.Conn]struct{}
	closed   bool
	wg       sync.WaitGroup
	messages int // received
}

// Received is an object or a message that a server has taken.
type Received struct {
	File     string
	Instance string // SOP Instance UID of an object, "" for a message
	Transfer string // its transfer syntax
}

// newServers makes the servers with folders under dir.
func newServers(dir, ae string) (*servers, error) {
	s := &servers{inbox: filepath.Join(dir, "hl7"), conns: map[net.Conn]struct{}{}}
	s.folder = endpoint.Folder{Dir: filepath.Join(dir, "dicom"), Stored: s.stored}
	s.pacs = endpoint.Server{AE: ae, Store: s.folder.Store}
	s.his = mllp.Receiver{Take: s.keep, Now: time.Now}
	for _, d := range []string{s.folder.Dir, s.inbox} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// serve hands the connections of both listeners to the servers until stop is called.
func (s *servers) serve(pacs, his net.Listener) (stop func()) {
	s.wg.Add(2)
	go s.accept(pacs, func(c net.Conn) error { return s.pacs.Serve(c) })
	go s.accept(his, func(c net.Conn) error { return mllp.Serve(c, s.his.Handle) })
	return func() {
		pacs.Close()
		his.Close()
		s.mu.Lock()
		s.closed = true
		for c := range s.conns {
			c.Close()
		}
		s.mu.Unlock()
		s.wg.Wait()
	}
}

func (s *servers) accept(l net.Listener, serve func(net.Conn) error) {
	defer s.wg.Done()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		if !s.track(c) {
			c.Close()
			return
		}
		go func() {
			defer s.wg.Done()
			defer s.forget(c)
			if shake(c) == nil {
				_ = serve(patience{c}) // however it ends: the play looks at what arrived
			}
		}()
	}
}

// shake lets a tunnel's connection prove who its peer is.
func shake(c net.Conn) error {
	t, ok := c.(tunnels.Conn)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), quiet)
	defer cancel()
	return t.Handshake(ctx)
}

// track notes a connection; it returns false when the servers are being stopped.
func (s *servers) track(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	return true
}

func (s *servers) forget(c net.Conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	c.Close()
}

// patience is a connection whose reads and writes end when the peer is quiet for too long.
type patience struct{ net.Conn }

func (p patience) Read(b []byte) (int, error) {
	p.SetReadDeadline(time.Now().Add(quiet))
	return p.Conn.Read(b)
}

func (p patience) Write(b []byte) (int, error) {
	p.SetWriteDeadline(time.Now().Add(quiet))
	return p.Conn.Write(b)
}

func (s *servers) stored(file string, o *endpoint.Stored, _ int64) {
	s.note(Received{File: file, Instance: o.SOPInstance, Transfer: o.Transfer})
}

func (s *servers) note(r Received) {
	s.mu.Lock()
	s.received = append(s.received, r)
	s.mu.Unlock()
}

// take returns what was received since the last call.
func (s *servers) take() []Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.received
	s.received = nil
	return r
}

// keep is the HL7 receiver's: it stores each message in a file of the next number.
func (s *servers) keep(message []byte, _ *hl7.Message) error {
	s.mu.Lock()
	s.messages++
	file := filepath.Join(s.inbox, fmt.Sprintf("%06d.hl7", s.messages))
	s.mu.Unlock()
	if err := os.WriteFile(file, message, 0o644); err != nil {
		return err
	}
	s.note(Received{File: file})
	return nil
}
