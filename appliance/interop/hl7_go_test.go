package interop

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"cordon/protocols/hl7/endpoint"
)

// goSender and goReceiver are ends of our own, which read nothing of a message but its header, so
// that all of the corpus can be sent.
type goSender struct {
	patience time.Duration
	conns    map[string]net.Conn // by port
}

func newGoSender(t *testing.T, patience time.Duration) sender {
	s := goSender{patience, map[string]net.Conn{}}
	t.Cleanup(func() {
		for _, c := range s.conns {
			c.Close()
		}
	})
	return s
}

func (s goSender) send(t *testing.T, port string, message []byte) (exchange, error) {
	t.Helper()
	conn := s.conns[port]
	if conn == nil {
		var err error
		if conn, err = net.DialTimeout("tcp", "127.0.0.1:"+port, s.patience); err != nil {
			t.Fatal(err)
		}
		s.conns[port] = conn
	}
	conn.SetDeadline(time.Now().Add(s.patience))
	ack, err := endpoint.Send(conn, message)
	if err != nil {
		conn.Close()
		delete(s.conns, port)
		return exchange{}, err
	}
	return exchange{message, slices.Clone(ack)}, nil
}

type goReceiver struct {
	at   string
	seen chan exchange
}

// newGoReceiver starts a receiver that acknowledges each message as HL7 v2 §2.9 says.
func newGoReceiver(t *testing.T, files *tlsFiles) receiver {
	t.Helper()
	receiver := endpoint.Receiver{Now: time.Now}
	return listenHL7(t, files, receiver.Handle)
}

// listenHL7 starts a receiver that answers with what the handler returns.
func listenHL7(t *testing.T, files *tlsFiles, handle func(message []byte) []byte) receiver {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if files != nil {
		l = tls.NewListener(l, serverTLS(t, files))
	}
	r := goReceiver{port, make(chan exchange, 1)}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				endpoint.Serve(conn, func(message []byte) []byte {
					ack := handle(message)
					if ack != nil {
						r.seen <- exchange{slices.Clone(message), slices.Clone(ack)}
					}
					return ack
				})
			}()
		}
	}()
	return r
}

// unanswered tells whether the Go receiver leaves a message without an acknowledgment: it cannot
// read it, or the message asks for none (MSH-15, MSH-16).
func unanswered(message []byte) bool {
	var r endpoint.Receiver
	return r.Handle(message) == nil
}

func (r goReceiver) port() string { return r.at }

func (r goReceiver) next(t *testing.T) exchange {
	t.Helper()
	select {
	case e := <-r.seen:
		return e
	case <-time.After(patience):
		t.Fatal("the receiver acknowledged a message that it has not seen")
	}
	panic("not reached")
}

func serverTLS(t *testing.T, files *tlsFiles) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(files.certificate, files.key)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(files.ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
}
