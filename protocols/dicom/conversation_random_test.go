package dicom

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// shuffled is a source of associations that nobody would write down.
type shuffled struct{ *rand.Rand }

// items cuts a message into PDV items of any size, empty ones included.
func (r shuffled) items(ctx uint8, c *Command, set []byte) (items [][]byte) {
	parts := [][]byte{AppendCommand(nil, c)}
	if c.HasDataSet {
		parts = append(parts, set)
	}
	for i, b := range parts {
		for last := false; !last; {
			k := len(b)
			if r.IntN(2) == 0 && k > 0 {
				k = r.IntN(k/2+1) * 2
			}
			last = k == len(b)
			items = append(items, AppendPDV(nil, ctx, i == 0, last, b[:k]))
			b = b[k:]
		}
	}
	return items
}

// pack puts items into PDUs, some with several, so that messages share them.
func (r shuffled) pack(items [][]byte) (stream []byte) {
	for len(items) > 0 {
		n := 1
		if r.IntN(2) == 0 {
			n += r.IntN(min(len(items), 6))
		}
		stream = append(stream, pdu(items[:n]...)...)
		items = items[n:]
	}
	return stream
}

// cut adds a piece of a stream to chunks, and returns what is left of it.
func (r shuffled) cut(chunks *[]protocols.Chunk, from protocols.Side, stream []byte) []byte {
	k := 1 + r.IntN(len(stream))
	*chunks = append(*chunks, protocols.From(from, stream[:k]))
	return stream[k:]
}

// arrived is a message as its receiver reads it.
type arrived struct {
	cmd Command
	set []byte
}

// messages reads what a side was sent. It must be whole messages, one after another.
func messages(t *testing.T, stream []byte) (all []arrived) {
	t.Helper()
	var m arrived
	var set []byte
	var ctx uint8
	state := between
	for ; len(stream) > 0; stream = stream[PDUHeaderLen+pduLen(stream):] {
		if PDUType(stream[0]) != TypePDataTF {
			continue
		}
		pdvs, err := ParsePDataTF(stream[:PDUHeaderLen+pduLen(stream)])
		if err != nil {
			t.Fatal(err)
		}
		for v := (PDV{}); pdvs.Next(&v); {
			if state == between {
				m, set, ctx, state = arrived{}, nil, v.ContextID, inCommand
			}
			if v.ContextID != ctx || v.Command != (state == inCommand) {
				t.Fatalf("a fragment on context %d in the middle of a message on %d", v.ContextID, ctx)
			}
			if state == inData {
				m.set = append(m.set, v.Data...)
			} else if set = append(set, v.Data...); v.Last {
				if err := m.cmd.Parse(set); err != nil {
					t.Fatal(err)
				}
			}
			if !v.Last {
				continue
			}
			if state == inCommand && m.cmd.HasDataSet {
				state = inData
				continue
			}
			all, state = append(all, m), between
		}
	}
	if state != between {
		t.Fatal("the last message is cut")
	}
	return all
}

// Whatever is sent in whatever pieces, what is allowed arrives as it was, in order and once, nothing
// else does, and each request is answered once: by the server where it got there, else by us.
func TestNothingIsLostAlteredOrAnsweredTwice(t *testing.T) { // D4, D6, D24
	for seed := range uint64(2000) {
		r := shuffled{rand.New(rand.NewPCG(seed, 0))}
		sets, refused := map[uint16][]byte{}, map[uint16]bool{}
		var order []uint16
		var sent, answers [][]byte
		for i := range 1 + r.IntN(6) {
			c, instance := storeRQ(uint16(2*i+1)), goodInstance
			switch r.IntN(4) {
			case 0: // refused for its command
				c.MessageID++
				refused[c.MessageID] = true
			case 1: // refused for its data set
				instance = badInstance
				refused[c.MessageID] = true
			}
			if r.IntN(2) == 0 {
				c.Originator, c.OriginatorID = []byte("PACS"), 3
			}
			order, sets[c.MessageID] = append(order, c.MessageID), image(instance, 2*r.IntN(400))
			sent = append(sent, r.items(ctxCT, c, sets[c.MessageID])...)
		}
		for _, i := range r.Perm(len(order)) {
			if !refused[order[i]] {
				answers = append(answers, r.items(ctxCT, storeRSP(order[i], 0), nil)...)
			}
		}
		// Meanwhile the server sends an object of its own.
		chunks := established()
		device, server := r.pack(sent), r.pack(r.items(ctxCT, storeRQ(77), image(goodInstance, 600)))
		for len(device)+len(server) > 0 {
			if len(server) == 0 || len(device) > 0 && r.IntN(2) == 0 {
				device = r.cut(&chunks, protocols.Near, device)
			} else {
				server = r.cut(&chunks, protocols.Far, server)
			}
		}
		for stream := r.pack(answers); len(stream) > 0; {
			stream = r.cut(&chunks, protocols.Far, stream)
		}
		rules := checked()
		rules.titles = map[string]string{"PACS": "ARCHIVE2"}
		rules.command = func(c *Command, v *protocols.Verdict) {
			if !c.Response() && c.MessageID%2 == 0 {
				v.Refuse(reason.DICOMCommand, "rule")
			}
		}
		p := protocols.Play(New(Config{}, rules), chunks...)
		if p.Err != nil {
			t.Fatalf("seed %d: %v", seed, p.Err)
		}
		got := messages(t, p.Toward[protocols.Far])
		for _, id := range order {
			if refused[id] {
				continue
			}
			if len(got) == 0 || got[0].cmd.MessageID != id || !bytes.Equal(got[0].set, sets[id]) || string(got[0].cmd.Originator) == "PACS" {
				t.Fatalf("seed %d: message %d did not arrive", seed, id)
			}
			got = got[1:]
		}
		if len(got) > 0 {
			t.Fatalf("seed %d: %d more messages arrive", seed, len(got))
		}
		heard, want := map[string]int{}, map[string]int{fmt.Sprint("C-STORE-RQ 77 failed ", false): 1}
		for _, m := range messages(t, p.Toward[protocols.Near]) {
			heard[fmt.Sprint(m.cmd.Name(), " ", m.cmd.MessageID, " failed ", m.cmd.Status != 0)]++
		}
		for _, id := range order {
			want[fmt.Sprint("C-STORE-RSP ", id, " failed ", refused[id])]++
		}
		if !maps.Equal(heard, want) {
			t.Fatalf("seed %d: the device hears %v, want %v", seed, heard, want)
		}
	}
}
