package bench

import (
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// swarm holds connections that lead nowhere: each sends the same few bytes and no more. Every new
// one takes the place of the oldest. It uses plain system calls and never reads, so that the flood
// costs the machine that it shares with what is measured as little as can be.
type swarm struct {
	to      netip.AddrPort
	sources []netip.Addr // of this host, in turn
	first   []byte
	held    []int // descriptors in the order of their age, around next; 0: none
	next    int
	opened  int64
}

func newSwarm(to netip.AddrPort, sources []netip.Addr, first []byte, hold int) *swarm {
	return &swarm{to: to, sources: sources, first: first, held: make([]int, hold)}
}

// loopback is a number of addresses of this host, from first on.
func loopback(first string, n int) []netip.Addr {
	all := make([]netip.Addr, n)
	for i, a := 0, netip.MustParseAddr(first); i < n; i, a = i+1, a.Next() {
		all[i] = a
	}
	return all
}

// halfHello is the start of a TLS record that declares a ClientHello of ordinary length (RFC 8446
// §5.1, §4.1.2), without its end.
func halfHello() []byte {
	const record, sent = 512, 256 // bytes
	b := make([]byte, sent)
	copy(b, []byte{22, 3, 1, record >> 8, record & 0xff, 1, 0, (record - 4) >> 8, (record - 4) & 0xff, 3, 3})
	return b
}

// fill opens as many as are to be held.
func (s *swarm) fill() error {
	for range s.held {
		if err := s.renew(); err != nil {
			return err
		}
	}
	return nil
}

// renew opens one connection in the place of the oldest.
func (s *swarm) renew() error {
	if len(s.held) == 0 {
		return nil
	}
	from := s.sources[s.opened%int64(len(s.sources))]
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("a connection of the flood: %w", err)
	}
	// A reset leaves no port behind in TIME_WAIT.
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: from.As4()}); err != nil {
		unix.Close(fd)
		return fmt.Errorf("a connection of the flood from %s: %w", from, err)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: s.to.Addr().As4(), Port: int(s.to.Port())}); err != nil {
		unix.Close(fd)
		return fmt.Errorf("a connection of the flood to %s: %w", s.to, err)
	}
	if len(s.first) > 0 {
		unix.SendmsgN(fd, s.first, nil, nil, unix.MSG_NOSIGNAL) // it may be closed already
	}
	if old := s.held[s.next]; old != 0 {
		unix.Close(old)
	}
	s.held[s.next], s.next = fd, (s.next+1)%len(s.held)
	s.opened++
	return nil
}

func (s *swarm) close() {
	for i, fd := range s.held {
		if fd != 0 {
			unix.Close(fd)
		}
		s.held[i] = 0
	}
}

// threadUsage is the processor time of the calling thread.
func threadUsage() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
