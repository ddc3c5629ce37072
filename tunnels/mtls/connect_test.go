package mtls_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cordon/tunnels/mtls"
)

// BenchmarkConnect dials a server in another process, makes one exchange and ends; beside it
// crypto/tls by itself, which is the floor of what Cordon can do. cpu-µs/op is the processor time
// of the side that dials.
func BenchmarkConnect(b *testing.B) {
	b.Setenv("GODEBUG", "tlsmlkem=0") // as in a comparison with gateways that have no post-quantum key exchange
	for _, resumed := range []bool{false, true} {
		kind := map[bool]string{false: "full", true: "resumed"}[resumed]
		b.Run(kind+"/cordon", func(b *testing.B) {
			s := newSite(b)
			t := s.end("client", func(c *mtls.Config) {
				if !resumed {
					c.Sessions = -1
				}
			})
			dials(b, s.serveApart(), func(address string) (net.Conn, error) { return t.Dial(b.Context(), address) })
		})
		b.Run(kind+"/crypto-tls", func(b *testing.B) {
			s := newSite(b)
			cfg := s.config("client")
			if resumed {
				cfg.ClientSessionCache = tls.NewLRUClientSessionCache(16)
			}
			dials(b, s.serveApart(), func(address string) (net.Conn, error) { return tls.Dial("tcp", address, cfg) })
		})
	}
}

// dials makes connections with one exchange each.
func dials(b *testing.B, address string, dial func(address string) (net.Conn, error)) {
	buf := make([]byte, 300)
	began := busy()
	for b.Loop() {
		c, err := dial(address)
		if err == nil {
			_, err = c.Write(buf)
		}
		if err == nil {
			_, err = io.ReadFull(c, buf[:150])
		}
		if err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
	b.ReportAllocs()
	b.ReportMetric(float64(busy()-began)/1e3/float64(b.N), "cpu-µs/op")
}

// busy is the processor time of this process so far, in nanoseconds.
func busy() int64 {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t)
	return t.Nano()
}

// config is what crypto/tls needs to be an end of the site without Cordon.
func (s *site) config(name string) *tls.Config {
	s.t.Helper()
	pair, err := tls.LoadX509KeyPair(s.path(name+".crt"), s.path(name+".key"))
	if err != nil {
		s.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	ca, err := os.ReadFile(s.path("ca.pem"))
	if err != nil || !roots.AppendCertsFromPEM(ca) {
		s.t.Fatalf("ca.pem: %v", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, ClientCAs: roots,
		ClientAuth: tls.RequireAndVerifyClientCert, ServerName: "pacs.example", MinVersion: tls.VersionTLS13}
}

// servesIn names, in the environment, the folder of the site that this process is the server of.
const servesIn = "CORDON_TEST_SERVER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(servesIn); dir != "" {
		serveFrom(dir)
		return
	}
	os.Exit(m.Run())
}

// serveApart starts a process that answers each connection's 300 bytes with 150, and returns where
// it listens. It ends with the benchmark.
func (s *site) serveApart() (address string) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), servesIn+"="+s.dir)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { cancel(); cmd.Wait() })
	if address, err = bufio.NewReader(out).ReadString('\n'); err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(address)
}

// serveFrom is that process.
func serveFrom(dir string) {
	s := &site{t: new(testing.B), dir: dir}
	l, err := tls.Listen("tcp", "127.0.0.1:0", s.config("server"))
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	for {
		c, err := l.Accept()
		if err != nil {
			panic(err)
		}
		go func() {
			defer c.Close()
			buf := make([]byte, 300)
			if _, err := io.ReadFull(c, buf); err == nil {
				c.Write(buf[:150])
				io.Copy(io.Discard, c) // until the client ends
			}
		}()
	}
}
