package dicom

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// pdus cuts a stream into whole PDUs.
func pdus(t testing.TB, stream []byte) (out [][]byte) {
	t.Helper()
	for len(stream) > 0 {
		typ, length, ok := ParsePDUHeader(stream)
		if !ok || CheckPDUHeader(typ, length, 0) != nil || int(length) > len(stream)-PDUHeaderLen {
			t.Fatalf("%s of %d with %d bytes left", typ, length, len(stream))
		}
		out = append(out, stream[:PDUHeaderLen+length])
		stream = stream[PDUHeaderLen+length:]
	}
	return out
}

// readPDU parses a PDU of any type and checks that it is encoded anew as it was.
func readPDU(t testing.TB, pdu []byte) PDUType {
	t.Helper()
	var made []byte
	typ := PDUType(pdu[0])
	switch typ {
	case TypeAssociateRQ:
		made = mustParseRQ(t, pdu).Append(nil)
	case TypeAssociateAC:
		made = mustParseAC(t, pdu).Append(nil)
	case TypePDataTF:
		pdvs, err := ParsePDataTF(pdu)
		if err != nil {
			t.Fatal(err)
		}
		made = AppendPDataHeader(nil, uint32(len(pdu)-PDUHeaderLen))
		for v := (PDV{}); pdvs.Next(&v); {
			made = AppendPDV(made, v.ContextID, v.Command, v.Last, v.Data)
		}
	case TypeReleaseRQ:
		made = AppendReleaseRQ(nil)
	case TypeReleaseRP:
		made = AppendReleaseRP(nil)
	default:
		t.Fatalf("%s in the corpus", typ)
	}
	if !bytes.Equal(made, pdu) {
		t.Errorf("a %s of %d bytes is encoded anew otherwise", typ, len(pdu))
	}
	return typ
}

func TestRecordedRequestorsAreRead(t *testing.T) {
	for _, name := range []string{"dicom_echo.raw", "dicom_get.raw", "dicom_store.raw"} {
		t.Run(name, func(t *testing.T) {
			stream := corpus(t, "dicom/profuzzbench/ul-stream/"+name)
			if m := Sniff(stream); m != nil {
				t.Error(m)
			}
			units := pdus(t, stream)
			if readPDU(t, units[0]) != TypeAssociateRQ || readPDU(t, units[len(units)-1]) != TypeReleaseRQ {
				t.Error("not an association from request to release")
			}
			for _, pdu := range units[1 : len(units)-1] {
				if typ := readPDU(t, pdu); typ != TypePDataTF {
					t.Errorf("a %s in between", typ)
				}
			}
		})
	}
}

// D14: the answers of a real server pass the check against what was asked, also when some of it
// was stripped and the server's answer is reduced likewise.
func TestRecordedAssociationsAreNarrowedAndRestored(t *testing.T) {
	for _, name := range []string{"dicom_echo.pcap", "dicom_get.pcap", "dicom_store.pcap"} {
		t.Run(name, func(t *testing.T) {
			fromDevice, fromServer := recorded(t, corpus(t, "pcap/profuzzbench/"+name), 5158)
			device, server := pdus(t, fromDevice), pdus(t, fromServer)
			for _, pdu := range append(device[1:len(device):len(device)], server...) {
				readPDU(t, pdu)
			}
			rq, ac := mustParseRQ(t, device[0]), mustParseAC(t, server[0])
			n := narrowing(rq)
			if err := ac.Check(rq.Offer(n)); err != nil {
				t.Fatal(err)
			}
			// Strip the first context: the server's answer is now one too many.
			n.Keep[0].Result = AbstractSyntaxNotSupported
			o := rq.Offer(n)
			if err := ac.Check(o); err == nil {
				t.Error("an answer to a stripped context was let through")
			}
			reduced := ac.encode(nil, &edit{context: without(rq.Contexts[0].ID)})
			ac = mustParseAC(t, reduced)
			if err := ac.Check(o); err != nil {
				t.Fatal(err)
			}
			_ = mustParseRQ(t, rq.AppendNarrowed(nil, n))
			answer := mustParseAC(t, ac.AppendRestored(nil, o, limit))
			if len(answer.Contexts) != len(rq.Contexts) || answer.Contexts[0].Result != AbstractSyntaxNotSupported {
				t.Errorf("the device gets %v", answer.Contexts)
			}
		})
	}
}

// Requests of another maker, one with 123 contexts, that fill one and two segments.
func TestRecordedRequestsAreReadAndNarrowed(t *testing.T) {
	for name, contexts := range map[string]int{"dicom_arq_1_find_testclient.pcap": 4, "dicom_arq_2_get_testclient.pcap": 123} {
		t.Run(name, func(t *testing.T) {
			pdu := frames(corpus(t, "pcap/tapirx/"+name))
			rq := mustParseRQ(t, pdu)
			if readPDU(t, pdu); len(rq.Contexts) != contexts {
				t.Errorf("%d contexts", len(rq.Contexts))
			}
			for i := range rq.Contexts {
				n := narrowing(rq)
				n.Keep[i].Result, n.MaxLength = AbstractSyntaxNotSupported, 4096
				if server := mustParseRQ(t, rq.AppendNarrowed(nil, n)); len(server.Contexts) != contexts-1 {
					t.Errorf("the server is offered %d", len(server.Contexts))
				}
			}
		})
	}
}

// frames joins what the packets of a capture in the newer format carry over TCP; those captures
// have loopback frames with 56 bytes of headers.
func frames(b []byte) (stream []byte) {
	const packet, headers = 6, 56
	for len(b) >= 28 {
		n := binary.LittleEndian.Uint32(b[4:])
		if binary.LittleEndian.Uint32(b) == packet {
			stream = append(stream, b[28+headers:28+binary.LittleEndian.Uint32(b[20:])]...)
		}
		b = b[n:]
	}
	return stream
}

// recorded reads a capture in the classic format with one TCP connection over IPv4 and Ethernet,
// and returns the bytes toward and from a port. Retransmissions are dropped; a gap fails.
func recorded(t testing.TB, b []byte, port uint16) (toward, from []byte) {
	t.Helper()
	if len(b) < 24 || binary.LittleEndian.Uint32(b) != 0xA1B2C3D4 || binary.LittleEndian.Uint32(b[20:]) != 1 {
		t.Fatal("not a capture of Ethernet frames in the classic format")
	}
	next := map[uint16]uint32{} // by source port
	for b = b[24:]; len(b) >= 16; {
		n := binary.LittleEndian.Uint32(b[8:])
		frame := b[16 : 16+n]
		b = b[16+n:]
		ip := frame[14:]
		tcp := ip[int(ip[0]&15)*4 : binary.BigEndian.Uint16(ip[2:])]
		src, seq := binary.BigEndian.Uint16(tcp), binary.BigEndian.Uint32(tcp[4:])
		data := tcp[int(tcp[12]>>4)*4:]
		if syn := tcp[13]&2 != 0; syn {
			next[src] = seq + 1
			continue
		}
		if len(data) == 0 {
			continue // an acknowledgment, or the end
		}
		if expected, ok := next[src]; !ok {
			next[src] = seq
		} else if seq != expected {
			if int32(seq-expected) > 0 {
				t.Fatalf("%d bytes are missing", seq-expected)
			}
			continue
		}
		next[src] = seq + uint32(len(data))
		if src == port {
			from = append(from, data...)
		} else {
			toward = append(toward, data...)
		}
	}
	return toward, from
}
