package gateway

import (
	"bytes"
	"fmt"
	"strconv"
	"sync"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// lines is a conversation over lines, for tests of the pump alone. The first byte of a line says
// what becomes of it:
//
//	p…      pass it
//	d…      drop it and answer "no\n" to who sent it
//	bN …    pass it and the N bytes after it, which stream unseen
//	h…      hold it until a line "ok" follows, then pass both
//	x…      malformed
//	!…      panic
//	q…      pass it and end both legs
//
// A message that is not a whole line yet runs under the message timer.
type lines struct {
	mu   sync.Mutex
	told []protocols.Event
}

func (l *lines) Step(from protocols.Side, win []byte, p *protocols.Plan) error {
	for len(win) > 0 {
		i := bytes.IndexByte(win, '\n')
		if i < 0 {
			p.Wait(0, protocols.Message)
			return nil
		}
		line, n := win[:i], i+1
		var v protocols.Verdict
		v.Reset(from)
		v.Unit.Set("line")
		v.Bytes, v.Settled = int64(n), true
		switch win[0] {
		case 'd':
			p.Drop(n)
			p.Send(from, []byte("no\n"))
			v.Refuse(reason.PolicyDenied, "lines")
		case 'b':
			k, err := strconv.Atoi(string(bytes.Fields(line[1:])[0]))
			if err != nil {
				return err
			}
			p.Pass(n + k)
			p.Record(&v)
			p.Wait(0, protocols.Idle)
			return nil
		case 'h':
			j := bytes.Index(win, []byte("\nok\n"))
			if j < 0 {
				p.Wait(len(win)+1, protocols.Message)
				return nil
			}
			n = j + 4
			p.Pass(n)
		case 'x':
			return &protocols.Malformed{Reason: reason.PolicyDenied, Section: "lines", Detail: "x"}
		case '!':
			panic("a panic that was asked for")
		case 'q':
			p.Pass(n)
			p.End(protocols.FIN, protocols.FIN)
		default:
			p.Pass(n)
		}
		p.Record(&v)
		p.Wait(0, protocols.Idle)
		if win = win[min(n, len(win)):]; len(win) > 0 && bytes.IndexByte(win, '\n') < 0 {
			p.Wait(0, protocols.Message)
		}
	}
	return nil
}

func (l *lines) Tell(e protocols.Event, p *protocols.Plan) {
	l.mu.Lock()
	l.told = append(l.told, e)
	l.mu.Unlock()
	switch e.Kind {
	case protocols.Closed:
		if e.Side == protocols.Near {
			p.End(protocols.Open, protocols.FIN) // the server may still have something to say
			return
		}
		p.End(protocols.FIN, protocols.FIN)
	case protocols.Lost:
		p.End(protocols.RST, protocols.RST)
	case protocols.Shutdown:
	default:
		p.Send(protocols.Near, fmt.Appendf(nil, "sorry %d\n", e.Kind))
		p.End(protocols.FIN, protocols.FIN)
	}
}

func (l *lines) events() []protocols.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]protocols.Event(nil), l.told...)
}
