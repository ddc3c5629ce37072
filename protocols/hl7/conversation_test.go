package hl7

import (
	"strings"
	"testing"

	"cordon/protocols"
	"cordon/protocols/reason"
)

func TestRelay(t *testing.T) {
	oru, adt := msg("ORU^R01", "1", ""), msg("ADT^A01", "2", "")
	runAll(t, []scene{
		{
			name:     "H5: a message and its acknowledgment pass as they came",
			chunks:   []protocols.Chunk{from(near, block(oru)), from(far, block(ack("AA", "1")))},
			far:      block(oru),
			near:     block(ack("AA", "1")),
			verdicts: []string{"near ORU^R01 allow", "far ACK AA allow"},
			timer:    protocols.Idle,
		},
		{
			name:     "H5: a missing last CR stays missing, and more than one stay",
			rules:    testRules{},
			chunks:   []protocols.Chunk{from(near, blocks(strings.TrimSuffix(oru, "\r"), adt+"\r\r"))},
			far:      blocks(strings.TrimSuffix(oru, "\r"), adt+"\r\r"),
			verdicts: []string{"near ORU^R01 allow", "near ADT^A01 allow"},
			timer:    protocols.Message,
		},
		{
			name:     "H2: several blocks in one read",
			rules:    testRules{refused: map[string]reason.Code{"ADT^A01": reason.HL7MessageType}},
			chunks:   []protocols.Chunk{from(near, blocks(adt, adt, adt))},
			near:     refusal("AR", "ADT^A01", "2", reason.HL7MessageType, 1) + refusal("AR", "ADT^A01", "2", reason.HL7MessageType, 2) + refusal("AR", "ADT^A01", "2", reason.HL7MessageType, 3),
			verdicts: []string{"near ADT^A01 refuse hl7.message-type", "near ADT^A01 refuse hl7.message-type", "near ADT^A01 refuse hl7.message-type"},
			timer:    protocols.Idle,
		},
		{
			name: "orders flow toward the device as results flow from it",
			chunks: []protocols.Chunk{from(far, block(adt)), from(near, block(oru)),
				from(near, block(ack("AE", "2"))), from(far, block(ack("AA", "1")))},
			far:      block(oru) + block(ack("AE", "2")),
			near:     block(adt) + block(ack("AA", "1")),
			verdicts: []string{"far ADT^A01 allow", "near ORU^R01 allow", "near ACK AE allow", "far ACK AA allow"},
			timer:    protocols.Idle,
		},
		{
			name:     "types that are not codes are not repeated in verdicts",
			chunks:   []protocols.Chunk{from(near, blocks(msg("Doe^Jane", "1", ""), msg("ADT^Doe", "2", ""), msg("", "3", "")))},
			far:      blocks(msg("Doe^Jane", "1", ""), msg("ADT^Doe", "2", ""), msg("", "3", "")),
			verdicts: []string{"near ?^? allow", "near ADT^? allow", "near ? allow"},
		},
		{
			name:     "an unfinished block is held",
			chunks:   []protocols.Chunk{from(near, strings.TrimSuffix(block(oru), "\r"))},
			timer:    protocols.Message,
			verdicts: nil,
		},
	})
}

func TestRefusals(t *testing.T) {
	oru, adt := msg("ORU^R01", "1", ""), msg("ADT^A01", "2", "")
	noADT := testRules{refused: map[string]reason.Code{"ADT^A01": reason.HL7Trigger}}
	ar := refusal("AR", "ADT^A01", "2", reason.HL7Trigger, 1)
	tooMany := strings.Repeat(block(msg("ADT^A01", "2", "")), 300)
	runAll(t, []scene{
		{
			name:     "H10: no byte of a refused message passes, the next allowed one does",
			rules:    noADT,
			chunks:   []protocols.Chunk{from(near, blocks(adt, oru)), from(far, block(ack("AA", "1")))},
			near:     ar + block(ack("AA", "1")),
			far:      block(oru),
			verdicts: []string{"near ADT^A01 refuse hl7.trigger-event", "near ORU^R01 allow", "far ACK AA allow"},
		},
		{
			name:     "a refusal waits for the acknowledgments that are owed before it",
			rules:    noADT,
			chunks:   []protocols.Chunk{from(near, blocks(oru, adt)), from(far, block(ack("AA", "1")))},
			near:     block(ack("AA", "1")) + ar,
			far:      block(oru),
			verdicts: []string{"near ORU^R01 allow", "near ADT^A01 refuse hl7.trigger-event", "far ACK AA allow"},
			timer:    protocols.Idle,
		},
		{
			name:  "a refusal of the other side waits for nothing of this one",
			rules: noADT,
			chunks: []protocols.Chunk{from(near, block(oru)), from(far, block(adt)),
				from(far, block(ack("AA", "1")))},
			near:     block(ack("AA", "1")),
			far:      block(oru) + ar,
			verdicts: []string{"near ORU^R01 allow", "far ADT^A01 refuse hl7.trigger-event", "far ACK AA allow"},
		},
		{
			name:  "H9: enhanced mode is refused with a commit reject",
			rules: noADT,
			chunks: []protocols.Chunk{from(near, blocks(msg("ADT^A01", "2", "AL|NE"), msg("ADT^A01", "2", "NE|AL"))),
				from(near, block(oru))},
			near:     refusal("CR", "ADT^A01", "2", reason.HL7Trigger, 1) + refusal("AR", "ADT^A01", "2", reason.HL7Trigger, 2),
			far:      block(oru),
			verdicts: []string{"near ADT^A01 refuse hl7.trigger-event", "near ADT^A01 refuse hl7.trigger-event", "near ORU^R01 allow"},
		},
		{
			name:     "H9: where no acknowledgment is wanted a refusal closes, so that it is noticed",
			rules:    noADT,
			chunks:   []protocols.Chunk{from(near, block(msg("ADT^A01", "2", "NE|NE"))), from(near, block(oru))},
			verdicts: []string{"near ADT^A01 refuse hl7.trigger-event cut"},
			ending:   finFIN,
		},
		{
			name:     "reasons that the registry does not answer close",
			rules:    testRules{refused: map[string]reason.Code{"ADT^A01": reason.SessionLimit}},
			chunks:   []protocols.Chunk{from(near, block(adt))},
			verdicts: []string{"near ADT^A01 refuse session.limit cut"},
			ending:   finFIN,
		},
		{
			name:     "a message without a control ID is refused at MSH-10",
			chunks:   []protocols.Chunk{from(near, block(msg("ADT^A01", "", "")))},
			near:     refusal("AR", "ADT^A01", "", reason.HL7Header, 1),
			verdicts: []string{"near ADT^A01 refuse hl7.header"},
		},
		{
			name:     "made acknowledgments are bounded",
			rules:    noADT,
			cfg:      Config{MaxReplies: 2 * len(ar)},
			chunks:   []protocols.Chunk{from(near, blocks(oru, adt, adt, adt))},
			far:      block(oru),
			verdicts: []string{"near ORU^R01 allow", "near ADT^A01 refuse hl7.trigger-event", "near ADT^A01 refuse hl7.trigger-event", "near ORU^R01 refuse session.cut cut"},
			ending:   finFIN,
			err:      reason.CapReplies,
		},
		{
			name:   "so is one that would repeat a giant header",
			rules:  noADT,
			cfg:    Config{MaxReplies: len(ar)},
			chunks: []protocols.Chunk{from(near, block(strings.Replace(adt, "|LAB|", "|"+strings.Repeat("x", 99)+"|", 1)))},
			ending: finFIN,
			err:    reason.CapReplies,
		},
		{
			name:     "a header that cannot be read is not acknowledged",
			chunks:   []protocols.Chunk{from(near, blocks(oru, "PID|1||Doe"))},
			far:      block(oru),
			verdicts: []string{"near ORU^R01 allow", "near ORU^R01 refuse session.cut cut"},
			ending:   finFIN,
			err:      reason.HL7Header,
		},
	})
	got := protocols.Play(New(config(), &noADT), from(near, block(oru)+tooMany))
	if protocols.ReasonOf(got.Err) != reason.CapReplies {
		t.Errorf("300 refusals behind an acknowledgment that does not come: %v", got.Err)
	}
}

func TestFraming(t *testing.T) {
	oru, adt := msg("ORU^R01", "1", ""), msg("ADT^A01", "2", "")
	tolerant := testRules{tolerate: Tolerance{Strays: true}}
	both := []string{"near ORU^R01 allow", "near ADT^A01 allow"}
	runAll(t, []scene{
		{
			name:     "H3: strays between blocks are dropped where tolerated",
			rules:    tolerant,
			chunks:   []protocols.Chunk{from(near, "\r\n"+block(oru)+"\n \r"+block(adt)+"\r\n")},
			far:      blocks(oru, adt),
			verdicts: both,
			timer:    protocols.Message, // acknowledgments are owed
		},
		{
			name:     "H3: else they are malformed, and what came before them passes",
			chunks:   []protocols.Chunk{from(near, block(oru)+"\n"+block(adt))},
			far:      block(oru),
			verdicts: []string{"near ORU^R01 allow", "near ORU^R01 refuse session.cut cut"},
			ending:   finFIN,
			err:      reason.HL7Framing,
		},
		{
			name:     "H3: shadow goes on reading and reports each gap once",
			rules:    testRules{shadow: true},
			chunks:   []protocols.Chunk{from(near, block(oru)+"\r\n \n"+block(adt)+"\n")},
			far:      blocks(oru, adt),
			verdicts: []string{"near ORU^R01 allow", "near strays allow would refuse hl7.framing", "near ADT^A01 allow", "near strays allow would refuse hl7.framing"},
		},
		{
			name:   "H3: other bytes between blocks never pass",
			rules:  tolerant,
			chunks: []protocols.Chunk{from(near, "\nx"+block(oru))},
			ending: finFIN,
			err:    reason.HL7Framing,
		},
		{
			name:   "H4: VT inside a block",
			rules:  tolerant,
			chunks: []protocols.Chunk{from(near, "\vMSH|Doe"+block(oru))},
			ending: finFIN,
			err:    reason.HL7Framing,
		},
		{
			name:   "H4: FS inside a block",
			chunks: []protocols.Chunk{from(near, "\v"+oru+"\x1cDoe\x1c\r")},
			ending: finFIN,
			err:    reason.HL7Framing,
		},
		{
			name:     "H7: an acknowledgment without a block",
			chunks:   []protocols.Chunk{from(near, block(oru)), from(far, ack("AA", "1"))},
			far:      block(oru),
			verdicts: []string{"near ORU^R01 allow", "near ORU^R01 refuse session.cut cut"},
			ending:   finFIN,
			err:      reason.HL7AckUnframed,
		},
		{
			name:     "H7: MSA alone, behind strays",
			rules:    tolerant,
			chunks:   []protocols.Chunk{from(near, block(oru)), from(far, "\r\nMSA|AA|1\r")},
			far:      block(oru),
			verdicts: []string{"near ORU^R01 allow", "near ORU^R01 refuse session.cut cut"},
			ending:   finFIN,
			err:      reason.HL7AckUnframed,
		},
		{
			name:     "H7: other bytes are not an acknowledgment",
			chunks:   []protocols.Chunk{from(near, block(oru)), from(far, "MSX")},
			far:      block(oru),
			verdicts: []string{"near ORU^R01 allow", "near ORU^R01 refuse session.cut cut"},
			ending:   finFIN,
			err:      reason.HL7Framing,
		},
		{
			name:   "H7: nor is anything where none is owed",
			chunks: []protocols.Chunk{from(far, ack("AA", "1"))},
			ending: finFIN,
			err:    reason.HL7Framing,
		},
		{
			name:   "H16: a block over the cap",
			rules:  testRules{tolerate: Tolerance{MaxMessage: len(block(oru)) - 1}},
			chunks: []protocols.Chunk{from(near, block(oru))},
			ending: finFIN,
			err:    reason.HL7TooLong,
		},
		{
			name:     "H16: a block as large as the cap",
			rules:    testRules{tolerate: Tolerance{MaxMessage: len(block(oru))}},
			chunks:   []protocols.Chunk{from(near, block(oru))},
			far:      block(oru),
			verdicts: both[:1],
		},
		{
			name:     "H16: a block that stops half-way",
			chunks:   []protocols.Chunk{from(near, block(oru)[:40]), timeout(protocols.Message)},
			verdicts: []string{"near unfinished block refuse " + string(reason.TimerMessage) + " cut"},
			ending:   finFIN,
		},
		{
			name:     "H17: a commit block is refused, and never made up",
			chunks:   []protocols.Chunk{from(near, block(oru)), from(far, "\v\x06\x1c\r")},
			far:      block(oru),
			verdicts: []string{"near ORU^R01 allow", "far commit block refuse " + string(reason.HL7CommitBlock) + " cut", "near ORU^R01 refuse session.cut cut"},
			ending:   finRST,
		},
		{
			name:     "H17: NAK from near",
			chunks:   []protocols.Chunk{from(near, "\v\x15\x1c\r")},
			verdicts: []string{"near commit block refuse hl7.commit-block cut"},
			ending:   rstFIN,
		},
		{
			name:     "H17: shadow passes it",
			rules:    testRules{shadow: true},
			chunks:   []protocols.Chunk{from(near, block(oru)), from(far, "\v\x06\x1c\r"), from(far, block(ack("AA", "1")))},
			far:      block(oru),
			near:     "\v\x06\x1c\r" + block(ack("AA", "1")),
			verdicts: []string{"near ORU^R01 allow", "far commit block allow would refuse hl7.commit-block", "far ACK AA allow"},
		},
	})
}

func TestDeviations(t *testing.T) {
	lf := strings.ReplaceAll(msg("ORU^R01", "1", ""), "\r", "\n")
	two := msg("ORU^R01", "1", "") + msg("ADT^A01", "2", "")
	batch := "BHS|^~\\&|LAB|HOSP\r" + msg("ORU^R01", "1", "") + "BTS|1\r"
	runAll(t, []scene{
		{
			name:     "H6: LF between segments is refused by default",
			chunks:   []protocols.Chunk{from(near, block(lf))},
			near:     refusal("AR", "ORU^R01", "1", reason.HL7SegmentEnd, 1),
			verdicts: []string{"near ORU^R01 refuse hl7.segment-end"},
		},
		{
			name:     "H6: and passes as it came where tolerated",
			rules:    testRules{tolerate: Tolerance{SegmentEnds: true}},
			chunks:   []protocols.Chunk{from(near, block(lf))},
			far:      block(lf),
			verdicts: []string{"near ORU^R01 allow"},
		},
		{
			name:     "H6: the flow that the first message chooses says what is tolerated",
			rules:    testRules{tolerate: Tolerance{SegmentEnds: true}, chosen: &Tolerance{}},
			chunks:   []protocols.Chunk{from(near, block(lf))},
			near:     refusal("AR", "ORU^R01", "1", reason.HL7SegmentEnd, 1),
			verdicts: []string{"near ORU^R01 refuse hl7.segment-end"},
		},
		{
			name:     "H16: and how long a message may be",
			rules:    testRules{tolerate: Tolerance{MaxMessage: 999}, chosen: &Tolerance{MaxMessage: 99}},
			chunks:   []protocols.Chunk{from(near, block(msg("ORU^R01", "1", "")+strings.Repeat("NTE|1\r", 20)))},
			verdicts: []string{"near ORU^R01 refuse hl7.too-long cut"},
			ending:   finFIN,
		},
		{
			name:     "H6: shadow says what it would refuse",
			rules:    testRules{shadow: true},
			chunks:   []protocols.Chunk{from(near, block(lf))},
			far:      block(lf),
			verdicts: []string{"near ORU^R01 allow would refuse hl7.segment-end"},
		},
		{
			name:     "H13: a block with several MSH is refused with the first one's control ID",
			chunks:   []protocols.Chunk{from(near, block(two))},
			near:     refusal("AR", "ORU^R01", "1", reason.HL7Batch, 1),
			verdicts: []string{"near ORU^R01 refuse hl7.batch"},
		},
		{
			name:     "H13: a batch has no MSH to answer, so it closes",
			chunks:   []protocols.Chunk{from(near, block(batch))},
			verdicts: []string{"near batch refuse hl7.batch cut"},
			ending:   finFIN,
		},
		{
			name:  "H13: shadow passes batches and waits for no acknowledgment",
			rules: testRules{shadow: true},
			chunks: []protocols.Chunk{from(near, blocks(batch, two)),
				from(far, blocks(ack("AA", "1"), ack("AA", "2")))},
			far:  blocks(batch, two),
			near: blocks(ack("AA", "1"), ack("AA", "2")),
			verdicts: []string{"near batch allow would refuse hl7.batch", "near ORU^R01 allow would refuse hl7.batch",
				"far ACK AA allow", "far ACK AA allow would refuse hl7.ack-mismatch"},
			timer: protocols.Idle,
		},
		{
			name:     "what the rules refuse already keeps its reason",
			rules:    testRules{refused: map[string]reason.Code{"ORU^R01": reason.HL7MessageType}},
			chunks:   []protocols.Chunk{from(near, block(lf))},
			near:     refusal("AR", "ORU^R01", "1", reason.HL7MessageType, 1),
			verdicts: []string{"near ORU^R01 refuse hl7.message-type"},
		},
	})
}
