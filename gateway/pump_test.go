package gateway

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cordon/policy"
	"cordon/protocols"
	"cordon/protocols/reason"
	"cordon/tunnels"
	"cordon/tunnels/buffer"
)

// rig is a gateway with one session over connections in memory, and both peers of it.
type rig struct {
	t       *testing.T
	gw      *Gateway
	s       *session
	conv    *lines
	device  *memConn
	server  *memConn // the server's end once the session has dialled
	dialled chan struct{}
	done    chan struct{}
	sink    *sink
}

type rigOption func(*rig, *policy.Flow)

func inMode(m string) rigOption { return func(r *rig, f *policy.Flow) { f.Mode = modes[m] } }

var modes = map[string]policy.Mode{"enforce": policy.Enforce, "shadow": policy.Shadow}

// newRig starts a session; buffers of the connections take size bytes.
func newRig(t *testing.T, size int, dialError error, options ...rigOption) *rig {
	t.Helper()
	p := testPolicy(t)
	r := &rig{t: t, conv: &lines{}, dialled: make(chan struct{}), done: make(chan struct{}), sink: &sink{}}
	for _, o := range options {
		o(r, p.Flows[0])
	}
	g := &Gateway{
		opts: Options{Policy: p}, log: slog.New(slog.DiscardHandler), store: policy.NewStore(p), began: time.Now(),
		listeners: map[string]*listener{}, sessions: map[*session]struct{}{}, holders: map[string]*holder{},
		stopped: make(chan struct{}), ctx: context.Background(),
	}
	g.audit = r.sink.log(t)
	g.clock.Store(1)
	g.budget.limit.Store(p.Box.Budget)
	g.empty = sync.NewCond(&g.mu)
	g.accounts.init()
	g.metrics = newMetrics(g)
	g.tunnels = newTunnelSet(g.log)
	g.dialUpstream = func(context.Context, *policy.Flow) (tunnels.Conn, error) {
		if dialError != nil {
			return nil, dialError
		}
		near, far := pipe(size)
		r.server = far
		close(r.dialled)
		return near, nil
	}
	var ours *memConn
	ours, r.device = pipe(size)
	r.gw = g
	r.s = newSession(g, p.Listeners[0], p.Flows[:1], ours, "10.0.0.1")
	r.s.conv = r.conv
	r.s.use(p.Flows[0])
	g.admit(r.s)
	go g.sweep()
	go func() { r.s.run() }()
	return r
}

// end waits until the session is over and stops the sweeper.
func (r *rig) end() {
	r.t.Helper()
	if !r.gw.waitEmpty(5 * time.Minute) {
		r.t.Error("the session did not end")
		r.s.kill()
	}
	close(r.gw.stopped)
	closeAudit(r.gw.audit)
}

// testPolicy is a policy of one device with one DICOM flow.
func testPolicy(t *testing.T) *policy.Policy {
	t.Helper()
	dir := t.TempDir()
	writeSite(t, dir, map[string]string{
		"cordon.yaml": "box: {name: test}\nlisteners:\n  imaging: {address: \"127.0.0.1:0\", protocol: dicom}\n",
		"site.yaml":   "upstreams:\n  pacs: {ae: PACS, address: \"127.0.0.1:104\", tunnel: plain}\n",
		"devices/ct-1.yaml": "device: ct-1\nmode: enforce\nidentify: {ip: 10.0.0.1}\nae: {titles: [CT1]}\n" +
			"flows:\n  archive: {to: pacs, allow: [echo]}\n",
	})
	p, diags := policy.Load(dir + "/cordon.yaml")
	if p == nil {
		t.Fatal(diags.String())
	}
	return p
}

func write(t *testing.T, c io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Errorf("writing: %v", err)
	}
}

func readN(t *testing.T, c io.Reader, n int) string {
	t.Helper()
	b := make([]byte, n)
	k, err := io.ReadFull(c, b)
	if err != nil {
		t.Errorf("reading %d bytes: got %d, %v", n, k, err)
	}
	return string(b[:k])
}

func readAll(t *testing.T, c io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("reading to the end: %v", err)
	}
	return string(b)
}

func TestPassesAllowedAndAnswersRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1<<16, nil)
		write(t, r.device, "p1\nd2\np3\nq4\n")
		<-r.dialled
		if got := readAll(t, r.server); got != "p1\np3\nq4\n" {
			t.Errorf("server got %q", got)
		}
		if got := readAll(t, r.device); got != "no\n" {
			t.Errorf("device got %q", got)
		}
		r.device.Close()
		r.server.Close()
		r.end()
		if got := r.sink.String(); strings.Count(got, `"verdict":"refuse"`) != 1 || strings.Count(got, `"verdict":"allow"`) != 3 {
			t.Errorf("audit:\n%s", got)
		}
	})
}

// G1: one byte at a time gives the same as all at once.
func TestTinyWritesGiveTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1, nil)
		go func() {
			write(t, r.device, "p1\nd2\nb5 x\n12345h6\nok\nq\n")
		}()
		<-r.dialled
		var got string
		var wg sync.WaitGroup
		wg.Go(func() { got = readAll(t, r.server) })
		answer := readAll(t, r.device)
		wg.Wait()
		if got != "p1\nb5 x\n12345h6\nok\nq\n" || answer != "no\n" {
			t.Errorf("server got %q, device got %q", got, answer)
		}
		r.device.Close()
		r.server.Close()
		r.end()
	})
}

func TestDialsOnlyWhenBytesArePlannedForTheUpstream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1<<10, nil)
		write(t, r.device, "d\nd\nd\n")
		if got := readN(t, r.device, 9); got != "no\nno\nno\n" {
			t.Errorf("device got %q", got)
		}
		select {
		case <-r.dialled:
			t.Error("dialled for refused units")
		default:
		}
		r.device.Close()
		r.end()
	})
}

// H18 in general: when the upstream cannot be reached the conversation answers, and what was
// planned for it is not kept.
func TestDialFailureIsTold(t *testing.T) {
	for _, c := range []struct {
		err  error
		want reason.Code
	}{
		{tunnels.ErrUnreachable, reason.UpstreamUnreachable},
		{tunnels.ErrIdentity, reason.UpstreamIdentity},
		{tunnels.ErrRefused, reason.UpstreamRefusesUs},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 1<<10, fmt.Errorf("dialling: %w", c.err))
			write(t, r.device, "p1\np2\n")
			if got := readAll(t, r.device); got != fmt.Sprintf("sorry %d\n", protocols.DialFailed) {
				t.Errorf("device got %q", got)
			}
			r.device.Close()
			r.end()
			e := r.conv.events()
			if len(e) != 1 || e[0].Kind != protocols.DialFailed || e[0].Reason != c.want {
				t.Errorf("told %+v, want DialFailed because of %s", e, c.want)
			}
		})
	}
}

// G2: the device may shut down sending and still receive all that comes.
func TestHalfCloseKeepsTheReturnPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 4<<10, nil)
		write(t, r.device, "p1\n")
		<-r.dialled
		r.device.CloseWrite()
		if got := readAll(t, r.server); got != "p1\n" {
			t.Errorf("server got %q", got)
		}
		const n = 1 << 20
		go func() {
			write(t, r.server, fmt.Sprintf("b%d \n", n)+strings.Repeat("y", n)+"p2\n")
			r.server.CloseWrite()
		}()
		got := readAll(t, r.device)
		if !strings.HasSuffix(got, "yp2\n") || strings.Count(got, "y") != n {
			t.Errorf("device got %d bytes after its FIN", len(got))
		}
		r.device.Close()
		r.server.Close()
		r.end()
	})
}

// G3: a reset on either leg frees both at once.
func TestResetFreesBothLegs(t *testing.T) {
	for _, side := range []string{"device", "server"} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 1<<10, nil)
			write(t, r.device, "p1\n")
			<-r.dialled
			readN(t, r.server, 3)
			began := time.Now()
			gone, left := r.device, r.server
			if side == "server" {
				gone, left = r.server, r.device
			}
			gone.Reset()
			if _, err := left.Read(make([]byte, 1)); err == nil {
				t.Errorf("%s reset: the other leg still delivers", side)
			}
			r.end()
			if d := time.Since(began); d > 0 {
				t.Errorf("%s reset: freed after %v, want at once", side, d)
			}
		})
	}
}

// G3, D17: a device that resets while the gateway is stuck in a write toward the server is found
// out too, though nobody reads it.
func TestResetIsFoundWhileAWriterIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 64, nil)
		go r.device.Write([]byte("b4000 \n" + strings.Repeat("z", 4000)))
		<-r.dialled
		synctest.Wait() // the server does not read: the near direction is stuck
		began := time.Now()
		r.device.Reset()
		io.Copy(io.Discard, r.server)
		r.end()
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("freed after %v", d)
		}
	})
}

// A reset in the middle of what passes unseen is told as one: a socket says it once, and whoever
// read on would take it for an orderly end.
func TestResetInTheMiddleOfWhatPassesUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1<<10, nil)
		write(t, r.device, "b4000 \nzzz")
		<-r.dialled
		synctest.Wait()
		r.device.Reset()
		io.Copy(io.Discard, r.server)
		r.end()
		events := r.conv.events()
		if len(events) == 0 || events[0].Kind != protocols.Lost || events[0].Side != protocols.Near {
			t.Errorf("told %+v", events)
		}
	})
}

// A peer that does not read stops the one that writes to it, and memory stays bounded.
func TestBackpressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1<<10, nil)
		wrote := make(chan int, 1)
		go func() {
			n, _ := io.WriteString(r.device, strings.Repeat("p234567\n", 1<<17))
			wrote <- n
		}()
		<-r.dialled
		synctest.Wait()
		select {
		case n := <-wrote:
			t.Fatalf("device wrote all %d bytes though nobody reads", n)
		default:
		}
		if n := len(r.s.near.win.buf); n > buffer.Large {
			t.Errorf("window grew to %d bytes", n)
		}
		var total int
		for total < 8<<17 {
			total += len(readN(t, r.server, 1<<10))
		}
		<-wrote
		r.device.Reset()
		r.end()
	})
}

// A made reply never lands inside bytes that stream from the other side.
func TestReplyWaitsForBytesThatStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1<<10, nil)
		write(t, r.device, "p1\n")
		<-r.dialled
		readN(t, r.server, 3)
		write(t, r.server, "b20 \n0123456789") // half of it
		synctest.Wait()
		write(t, r.device, "d\n")
		synctest.Wait()
		write(t, r.server, "abcdefghij")
		if got := readN(t, r.device, 5+20+3); got != "b20 \n0123456789abcdefghijno\n" {
			t.Errorf("device got %q", got)
		}
		r.device.Reset()
		r.end()
	})
}

func TestTimers(t *testing.T) {
	for _, c := range []struct {
		name  string
		play  func(r *rig)
		timer protocols.Timer
		after time.Duration
		code  reason.Code
	}{
		{"setup: nothing is ever said", func(r *rig) {}, protocols.Setup, 30 * time.Second, reason.TimerSetup},
		{"idle: between messages", func(r *rig) { write(r.t, r.device, "p\n"); <-r.dialled; readN(r.t, r.server, 2) }, protocols.Idle, 10 * time.Minute, reason.TimerIdle},
		{"message: half of one", func(r *rig) { write(r.t, r.device, "p with no end") }, protocols.Message, time.Minute, reason.TimerMessage},
		{"message: dripping less than 4 KiB a minute", func(r *rig) {
			go func() {
				drip := time.NewTicker(500 * time.Millisecond)
				defer drip.Stop()
				for {
					select {
					case <-drip.C:
						r.device.Write([]byte("p"))
					case <-r.gw.stopped:
						return
					}
				}
			}()
		}, protocols.Message, time.Minute, reason.TimerMessage},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 1<<16, nil)
				began := time.Now()
				c.play(r)
				if got := readAll(t, r.device); got != fmt.Sprintf("sorry %d\n", protocols.Expired) {
					t.Errorf("device got %q", got)
				}
				if d := time.Since(began); d < c.after || d > c.after+3*time.Second {
					t.Errorf("expired after %v, want %v", d, c.after)
				}
				if e := r.conv.events(); len(e) == 0 || e[0].Kind != protocols.Expired || e[0].Timer != c.timer {
					t.Errorf("told %+v, want %v expired", e, c.timer)
				}
				r.device.Close()
				if r.server != nil {
					r.server.Close()
				}
				r.end()
				if got := r.sink.String(); !strings.Contains(got, string(c.code)) {
					t.Errorf("audit has no %s:\n%s", c.code, got)
				}
			})
		})
	}
}

// D8: a slow transfer that moves is not idle, however long it takes.
func TestSlowButMovingIsNotCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 64<<10, nil)
		const n = 40 * 5000
		write(t, r.device, fmt.Sprintf("b%d \n", n))
		<-r.dialled
		go func() {
			slow := time.NewTicker(50 * time.Second)
			defer slow.Stop()
			for range 40 {
				<-slow.C
				write(t, r.device, strings.Repeat("s", 5000))
			}
			write(t, r.device, "q\n")
		}()
		got := readAll(t, r.server)
		if strings.Count(got, "s") != n {
			t.Errorf("server got %d of %d bytes; events %+v", strings.Count(got, "s"), n, r.conv.events())
		}
		r.device.Close()
		r.server.Close()
		r.end()
	})
}

// reason.SessionRevoked: a session of a device that may not talk any longer is told and ended at once,
// though neither of its peers does anything.
func TestRevocationEndsASessionAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1<<10, nil)
		write(t, r.device, "p1\n")
		<-r.dialled
		readN(t, r.server, 3)
		began := time.Now()
		quarantine := testPolicy(t)
		quarantine.Devices[0].State = policy.Quarantined
		r.gw.revoke(quarantine)
		for name, c := range map[string]*memConn{"device": r.device, "server": r.server} {
			io.Copy(io.Discard, c)
			if d := time.Since(began); d > 0 {
				t.Errorf("the %s was cut off after %v", name, d)
			}
			c.Close()
		}
		r.end()
		if e := r.conv.events(); len(e) == 0 || e[0].Kind != protocols.Revoked || e[0].Reason != reason.SessionRevoked {
			t.Errorf("told %+v", e)
		}
	})
}

// A peer that never closes is closed by the release timer.
func TestReleaseTimerEndsALegThatStaysOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1<<10, nil)
		write(t, r.device, "q\n")
		<-r.dialled
		began := time.Now()
		r.end()
		if d := time.Since(began); d < 29*time.Second || d > 33*time.Second {
			t.Errorf("ended after %v, want about 30 s", d)
		}
		if got := r.sink.String(); !strings.Contains(got, string(reason.TimerRelease)) {
			t.Errorf("audit has no record of the release timer:\n%s", got)
		}
	})
}

func TestHoldingTooMuchIsToldAndEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		opt  rigOption
		want reason.Code
	}{
		{"cap of the flow", func(r *rig, f *policy.Flow) { f.Limits.Hold, f.Limits.MaxPDU = 1<<20, 16<<10 }, reason.CapHold},
		{"budget of the process", func(r *rig, f *policy.Flow) { f.Limits.Hold = 64 << 20 }, reason.CapBudget},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 1<<20, nil, c.opt)
				if c.want == reason.CapBudget {
					r.gw.budget.limit.Store(1 << 20)
				}
				go io.WriteString(r.device, "h"+strings.Repeat("z", 8<<20))
				got := readAll(t, r.device)
				if got != fmt.Sprintf("sorry %d\n", protocols.Overflow) {
					t.Errorf("device got %q", got)
				}
				r.device.Reset()
				r.end()
				if e := r.conv.events(); e[0].Reason != c.want {
					t.Errorf("told %+v, want %s", e, c.want)
				}
				if used := r.gw.budget.used.Load(); used != 0 {
					t.Errorf("%d bytes of the budget were not given back", used)
				}
			})
		})
	}
}

func TestMalformedIsRefusedInEnforce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1<<10, nil)
		write(t, r.device, "x\n")
		if got := readAll(t, r.device); got != fmt.Sprintf("sorry %d\n", protocols.Failed) {
			t.Errorf("device got %q", got)
		}
		r.device.Close()
		r.end()
		if got := r.sink.String(); !strings.Contains(got, `"verdict":"refuse"`) {
			t.Errorf("audit: %s", got)
		}
	})
}

// reason.SessionOpaque: in shadow what cannot be read passes, and that is recorded.
func TestMalformedTurnsOpaqueInShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1<<10, nil, inMode("shadow"))
		write(t, r.device, "p1\nx2\nd3\n")
		<-r.dialled
		if got := readN(t, r.server, 9); got != "p1\nx2\nd3\n" {
			t.Errorf("server got %q", got)
		}
		write(t, r.server, "d back")
		if got := readN(t, r.device, 6); got != "d back" {
			t.Errorf("device got %q", got)
		}
		r.device.Close()
		r.server.Close()
		r.end()
		got := r.sink.String()
		if !strings.Contains(got, `"would":"refuse"`) || !strings.Contains(got, string(reason.SessionOpaque)) {
			t.Errorf("audit: %s", got)
		}
	})
}

// reason.EngineFailure: a panic of the protocol's code ends that session alone; with on_failure:
// pass it goes on unread.
func TestPanicIsRecovered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1<<10, nil)
		write(t, r.device, "!\n")
		readAll(t, r.device)
		r.device.Close()
		r.end()
		if got := r.sink.String(); !strings.Contains(got, string(reason.EngineFailure)) {
			t.Errorf("audit: %s", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1<<10, nil, func(r *rig, f *policy.Flow) { f.PassOnFail = true })
		write(t, r.device, "!\n")
		<-r.dialled
		if got := readN(t, r.server, 2); got != "!\n" {
			t.Errorf("server got %q", got)
		}
		r.device.Close()
		r.server.Close()
		r.end()
	})
}

// Malformed input never passes because of on_failure: an attacker could choose it.
func TestOnFailurePassIsNotForMalformedInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1<<10, nil, func(r *rig, f *policy.Flow) { f.PassOnFail = true })
		write(t, r.device, "x\n")
		if got := readAll(t, r.device); got != fmt.Sprintf("sorry %d\n", protocols.Failed) {
			t.Errorf("device got %q", got)
		}
		r.device.Close()
		r.end()
	})
}

// Both directions at once, with passes, refusals, streams and held lines cut at random: each
// side gets whole lines in the order they were sent, replies only between them.
func TestOrderUnderLoad(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		script := func(tag string) (sent, want string, replies int) {
			for i := range 300 {
				line := fmt.Sprintf("p%s%d\n", tag, i)
				switch rnd.IntN(6) {
				case 0:
					sent += "d" + line
					replies++
					continue
				case 1:
					n := rnd.IntN(5000)
					line = fmt.Sprintf("b%d %s\n", n, tag) + strings.Repeat("z", n)
				case 2:
					line = "h" + line + "ok\n"
				}
				sent, want = sent+line, want+line
			}
			return sent, want, replies
		}
		up, wantUp, noUp := script("u")
		down, wantDown, noDown := script("d")
		r := newRig(t, 777, nil)
		feed := func(c io.Writer, s string, rnd *rand.Rand) {
			for len(s) > 0 {
				k := min(len(s), 1+rnd.IntN(900))
				if _, err := io.WriteString(c, s[:k]); err != nil {
					t.Error(err)
					return
				}
				s = s[k:]
			}
		}
		var wg sync.WaitGroup
		var gotUp, gotDown string
		wg.Go(func() { feed(r.device, up, rand.New(rand.NewPCG(seed, 2))) })
		<-r.dialled
		wg.Go(func() { feed(r.server, down, rand.New(rand.NewPCG(seed, 3))) })
		wg.Go(func() { gotUp = readN(t, r.server, len(wantUp)+3*noDown) })
		wg.Go(func() { gotDown = readN(t, r.device, len(wantDown)+3*noUp) })
		wg.Wait()
		for _, c := range []struct {
			got, want string
			replies   int
		}{{gotUp, wantUp, noDown}, {gotDown, wantDown, noUp}} {
			if n := strings.Count(c.got, "no\n"); n != c.replies {
				t.Errorf("seed %d: %d replies, want %d", seed, n, c.replies)
			}
			if strings.ReplaceAll(c.got, "no\n", "") != c.want {
				t.Errorf("seed %d: lines were lost, altered, reordered or split", seed)
			}
		}
		r.device.Reset()
		r.end()
	}
}
