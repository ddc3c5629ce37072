package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// ServeControl answers on the control socket until ctx ends. The socket is a Unix one with mode
// 0660: who may open it may ask. A socket that a dead gateway left behind is replaced; one that
// answers is an error.
func (g *Gateway) ServeControl(ctx context.Context, path string) (stop func(), err error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("control socket %s: its path has %d bytes, and the system takes %d; set a shorter control.socket in cordon.yaml", path, len(path), maxSocketPath)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return nil, fmt.Errorf("control socket %s: another cordon answers there; stop it, or set another control.socket in cordon.yaml", path)
	}
	os.Remove(path)
	old := unix.Umask(0o117)
	ln, err := net.Listen("unix", path)
	unix.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) { answer(w, g.Status(r.URL.Query()["device"]...), nil) })
	mux.HandleFunc("GET /explain", func(w http.ResponseWriter, r *http.Request) {
		e, err := g.Explain(r.URL.Query().Get("of"))
		answer(w, e, err)
	})
	mux.HandleFunc("GET /devices", func(w http.ResponseWriter, r *http.Request) {
		views, err := g.devices(r.URL.Query().Get("name"))
		answer(w, views, err)
	})
	mux.HandleFunc("GET /trace", g.serveTrace)
	srv := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if uid, ok := peerUID(c); ok {
				g.log.Debug("control socket opened", "uid", uid)
				ctx = context.WithValue(ctx, userKey{}, uid)
			}
			return ctx
		},
	}
	go srv.Serve(ln)
	return func() { srv.Close(); os.Remove(path) }, nil
}

// userKey is where a request's context has the user who asks, a uint32.
type userKey struct{}

// maxSocketPath is how long the path of a Unix socket may be (unix(7)), its final NUL excluded.
const maxSocketPath = 107 // bytes

// peerUID returns the user at the other end of a Unix socket.
func peerUID(c net.Conn) (uid uint32, ok bool) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return 0, false
	}
	rc, err := u.SyscallConn()
	if err != nil {
		return 0, false
	}
	var cred *unix.Ucred
	rc.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err != nil || cred == nil {
		return 0, false
	}
	return cred.Uid, true
}

// refused is the body of an answer that is an error.
type refused struct {
	Error string `json:"error"`
}

func answer(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		v = refused{err.Error()}
	}
	json.NewEncoder(w).Encode(v)
}

// Client asks a running gateway through its control socket.
type Client struct {
	Socket string
	// Doubt says why this may not be the gateway's socket; "" where nothing speaks against it.
	Doubt string
}

// ErrNotRunning says that nothing answers on the control socket.
var ErrNotRunning = errors.New("no gateway answers")

// Status asks how the gateway is.
func (c Client) Status(ctx context.Context, devices ...string) (st Status, err error) {
	return st, c.get(ctx, "/status?"+url.Values{"device": devices}.Encode(), &st)
}

// Explain asks about a reason code or a session.
func (c Client) Explain(ctx context.Context, of string) (e Explanation, err error) {
	return e, c.get(ctx, "/explain?of="+url.QueryEscape(of), &e)
}

// Devices asks for a device of the policy in force, or with "" for all of them.
func (c Client) Devices(ctx context.Context, name string) (views []DeviceView, err error) {
	return views, c.get(ctx, "/devices?name="+url.QueryEscape(name), &views)
}

func (c Client) get(ctx context.Context, path string, out any) error {
	resp, err := c.open(ctx, path, 10*time.Second)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(out)
}

// open asks for something and returns an answer that is no error. It may take as long as limit; 0
// is without end.
func (c Client) open(ctx context.Context, path string, limit time.Duration) (*http.Response, error) {
	hc := http.Client{Timeout: limit, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", c.Socket)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://cordon"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := hc.Do(req)
	if err != nil {
		err = fmt.Errorf("%w on %s: %w", ErrNotRunning, c.Socket, err)
		if c.Doubt != "" {
			err = fmt.Errorf("%w\n%s", err, c.Doubt)
		}
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	var r refused
	if json.NewDecoder(resp.Body).Decode(&r) == nil && r.Error != "" {
		return nil, errors.New(r.Error)
	}
	return nil, fmt.Errorf("control socket answered %s", resp.Status)
}
