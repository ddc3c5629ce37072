package mtls_test

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
)

// BenchmarkBulk sends 1 MiB writes one way; beside it crypto/tls by itself.
func BenchmarkBulk(b *testing.B) {
	b.Run("cordon", func(b *testing.B) {
		s := newSite(b)
		near, far := s.connect(s.end("client", nil), s.listen(s.end("server", nil)))
		bulk(b, near, far)
	})
	b.Run("crypto-tls", func(b *testing.B) {
		s := newSite(b)
		pair, err := tls.LoadX509KeyPair(s.path("server.crt"), s.path("server.key"))
		if err != nil {
			b.Fatal(err)
		}
		l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
		if err != nil {
			b.Fatal(err)
		}
		defer l.Close()
		accepted := make(chan net.Conn, 1)
		go func() {
			c, _ := l.Accept()
			c.(*tls.Conn).Handshake()
			accepted <- c
		}()
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			b.Fatal(err)
		}
		bulk(b, c, <-accepted)
	})
}

func bulk(b *testing.B, from, to net.Conn) {
	unit := make([]byte, 1<<20)
	buf := make([]byte, 256<<10)
	b.SetBytes(int64(len(unit)))
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.CopyBuffer(struct{ io.Writer }{io.Discard}, to, buf)
	}()
	for b.Loop() {
		if _, err := from.Write(unit); err != nil {
			b.Fatal(err)
		}
	}
	from.Close()
	<-done
}
