package hl7

import (
	"fmt"
	"strings"
	"testing"

	"cordon/protocols"
	"cordon/protocols/reason"
)

func TestAcknowledgmentsAreMatched(t *testing.T) { // H8
	one, two := msg("ORU^R01", "1", ""), msg("ADT^A01", "2", "")
	shadow := testRules{shadow: true}
	late := " refuse " + string(reason.HL7AckLate) + " cut"
	mismatch := " refuse " + string(reason.HL7AckMismatch) + " cut"
	runAll(t, []scene{
		{
			name:     "one that answers another message is not forwarded, and the upstream is dropped",
			chunks:   []protocols.Chunk{from(near, block(one)), from(far, blocks(ack("AA", "7"), ack("AA", "1")))},
			far:      block(one),
			verdicts: []string{"near ORU^R01 allow", "far ACK AA" + mismatch, "near ORU^R01 refuse session.cut cut"},
			ending:   finRST,
		},
		{
			name:     "one that nobody waits for",
			chunks:   []protocols.Chunk{from(near, block(ack("AA", "1")))},
			verdicts: []string{"near ACK AA refuse hl7.ack-mismatch cut"},
			ending:   rstFIN,
		},
		{
			name:     "one comes once",
			chunks:   []protocols.Chunk{from(near, block(one)), from(far, blocks(ack("AA", "1"), ack("AA", "1")))},
			far:      block(one),
			near:     block(ack("AA", "1")),
			verdicts: []string{"near ORU^R01 allow", "far ACK AA allow", "far ACK AA refuse hl7.ack-mismatch cut"},
			ending:   finRST,
		},
		{
			name:     "control IDs match byte for byte",
			chunks:   []protocols.Chunk{from(near, block(msg("ORU^R01", "01", ""))), from(far, block(ack("AA", "1")))},
			far:      block(msg("ORU^R01", "01", "")),
			verdicts: []string{"near ORU^R01 allow", "far ACK AA refuse hl7.ack-mismatch cut", "near ORU^R01 refuse session.cut cut"},
			ending:   finRST,
		},
		{
			name:     "several may be under way, and be answered in any order",
			chunks:   []protocols.Chunk{from(near, blocks(one, two)), from(far, blocks(ack("AE", "2"), ack("AA", "1")))},
			far:      blocks(one, two),
			near:     blocks(ack("AE", "2"), ack("AA", "1")),
			verdicts: []string{"near ORU^R01 allow", "near ADT^A01 allow", "far ACK AE allow", "far ACK AA allow"},
			timer:    protocols.Idle,
		},
		{
			name:     "a side does not answer itself",
			chunks:   []protocols.Chunk{from(near, blocks(one, ack("AA", "1")))},
			far:      block(one),
			verdicts: []string{"near ORU^R01 allow", "near ACK AA refuse hl7.ack-mismatch cut", "near ORU^R01 refuse session.cut cut"},
			ending:   rstFIN,
		},
		{
			name:     "one that the rules refuse leaves its sender without an answer",
			rules:    testRules{refused: map[string]reason.Code{"ACK": reason.HL7Sender}},
			chunks:   []protocols.Chunk{from(near, block(one)), from(far, block(ack("AA", "1")))},
			far:      block(one),
			verdicts: []string{"near ORU^R01 allow", "far ACK AA refuse hl7.sender cut", "near ORU^R01 refuse session.cut cut"},
			ending:   finRST,
		},
		{
			name:     "late: both legs close without an acknowledgment, so it is never credited to the next",
			chunks:   []protocols.Chunk{from(near, blocks(one, two)), timeout(protocols.Message), from(far, block(ack("AA", "1")))},
			far:      blocks(one, two),
			verdicts: []string{"near ORU^R01 allow", "near ADT^A01 allow", "near ORU^R01" + late, "near ADT^A01" + late},
			ending:   finRST,
		},
		{
			name:     "late from the device",
			chunks:   []protocols.Chunk{from(far, block(one)), timeout(protocols.Message)},
			near:     block(one),
			verdicts: []string{"far ORU^R01 allow", "far ORU^R01 refuse hl7.ack-late cut"},
			ending:   rstFIN,
		},
		{
			name:     "shadow: a receiver that never acknowledges",
			rules:    shadow,
			chunks:   []protocols.Chunk{from(near, block(one)), timeout(protocols.Message), from(near, block(two))},
			far:      blocks(one, two),
			verdicts: []string{"near ORU^R01 allow", "far ACK allow would refuse hl7.ack-late cut", "near ADT^A01 allow"},
			timer:    protocols.Message,
		},
		{
			name:  "shadow: what was late still passes",
			rules: shadow,
			chunks: []protocols.Chunk{from(near, block(one)), timeout(protocols.Message),
				from(far, blocks(ack("AA", "1"), ack("AA", "9")))},
			far:      block(one),
			near:     blocks(ack("AA", "1"), ack("AA", "9")),
			verdicts: []string{"near ORU^R01 allow", "far ACK allow would refuse hl7.ack-late cut", "far ACK AA allow", "far ACK AA allow would refuse hl7.ack-mismatch"},
			timer:    protocols.Idle,
		},
		{
			name:     "codes that are not in table 0008",
			chunks:   []protocols.Chunk{from(near, block(one)), from(far, block(ack("Doe", "1")))},
			far:      block(one),
			near:     block(ack("Doe", "1")),
			verdicts: []string{"near ORU^R01 allow", "far ACK ? allow"},
			timer:    protocols.Idle,
		},
	})
}

func TestEnhancedMode(t *testing.T) { // H9
	both := msg("ORU^R01", "1", "AL|AL")
	refuseADT := testRules{refused: map[string]reason.Code{"ADT^A01": reason.HL7Trigger}}
	runAll(t, []scene{
		{
			name:     "commit, then application acknowledgment",
			chunks:   []protocols.Chunk{from(near, block(both)), from(far, block(ack("CA", "1")))},
			far:      block(both),
			near:     block(ack("CA", "1")),
			verdicts: []string{"near ORU^R01 allow", "far ACK CA allow"},
			timer:    protocols.Idle, // the application takes its time
		},
		{
			name:     "both pass",
			chunks:   []protocols.Chunk{from(near, block(both)), from(far, blocks(ack("CA", "1"), ack("AA", "1")))},
			far:      block(both),
			near:     blocks(ack("CA", "1"), ack("AA", "1")),
			verdicts: []string{"near ORU^R01 allow", "far ACK CA allow", "far ACK AA allow"},
			timer:    protocols.Idle,
		},
		{
			name:     "each comes once",
			chunks:   []protocols.Chunk{from(near, block(both)), from(far, blocks(ack("CA", "1"), ack("AA", "1"), ack("CA", "1")))},
			far:      block(both),
			near:     blocks(ack("CA", "1"), ack("AA", "1")),
			verdicts: []string{"near ORU^R01 allow", "far ACK CA allow", "far ACK AA allow", "far ACK CA refuse hl7.ack-mismatch cut"},
			ending:   finRST,
		},
		{
			name:     "behind a commit reject nothing comes",
			chunks:   []protocols.Chunk{from(near, block(both)), from(far, blocks(ack("CR", "1"), ack("AA", "1")))},
			far:      block(both),
			near:     block(ack("CR", "1")),
			verdicts: []string{"near ORU^R01 allow", "far ACK CR allow", "far ACK AA refuse hl7.ack-mismatch cut"},
			ending:   finRST,
		},
		{
			name:     "where none is wanted nobody waits, and one that comes passes",
			chunks:   []protocols.Chunk{from(near, block(msg("ORU^R01", "1", "NE|NE"))), from(far, block(ack("AA", "1")))},
			far:      block(msg("ORU^R01", "1", "NE|NE")),
			near:     block(ack("AA", "1")),
			verdicts: []string{"near ORU^R01 allow", "far ACK AA allow"},
			timer:    protocols.Idle,
		},
		{
			name:     "errors only: nobody waits",
			chunks:   []protocols.Chunk{from(near, block(msg("ORU^R01", "1", "ER|NE")))},
			far:      block(msg("ORU^R01", "1", "ER|NE")),
			verdicts: []string{"near ORU^R01 allow"},
			timer:    protocols.Idle,
		},
		{
			name:  "a refusal does not wait for acknowledgments that nobody waits for",
			rules: refuseADT,
			chunks: []protocols.Chunk{from(near, blocks(msg("ORU^R01", "1", "NE|NE"), msg("ADT^A01", "2", ""))),
				from(far, block(ack("AA", "1")))},
			far:      block(msg("ORU^R01", "1", "NE|NE")),
			near:     refusal("AR", "ADT^A01", "2", reason.HL7Trigger, 1) + block(ack("AA", "1")),
			verdicts: []string{"near ORU^R01 allow", "near ADT^A01 refuse hl7.trigger-event", "far ACK AA allow"},
		},
		{
			name: "an application acknowledgment may ask for a commit of its own",
			chunks: []protocols.Chunk{from(near, block(both)),
				from(far, block(`MSH|^~\&|HIS||||||ACK|A7|P|2.5|||AL|NE`+"\rMSA|AA|1\r")), from(near, block(ack("CA", "A7")))},
			far:      block(both) + block(ack("CA", "A7")),
			near:     block(`MSH|^~\&|HIS||||||ACK|A7|P|2.5|||AL|NE` + "\rMSA|AA|1\r"),
			verdicts: []string{"near ORU^R01 allow", "far ACK AA allow", "near ACK CA allow"},
			timer:    protocols.Idle,
		},
	})
}

func TestSendersThatDoNotWait(t *testing.T) {
	many := func(asks string, n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(block(msg("ORU^R01", fmt.Sprint(i), asks)))
		}
		return b.String()
	}
	var strict, shadow = testRules{}, testRules{shadow: true}

	got := protocols.Play(New(config(), &strict), from(near, many("", maxWaiting+1)))
	if protocols.ReasonOf(got.Err) != reason.HL7Unacknowledged || string(got.Toward[far]) != many("", maxWaiting) {
		t.Errorf("%d messages wait: %v", maxWaiting+1, got.Err)
	}
	got = protocols.Play(New(config(), &shadow), from(near, many("", 2*maxWaiting)))
	if got.Err != nil || string(got.Toward[far]) != many("", 2*maxWaiting) {
		t.Errorf("in shadow: %v", got.Err)
	}
	c := New(config(), &strict)
	got = protocols.Play(c, from(near, many("NE|NE", 3*maxWaiting)), from(far, block(ack("AA", fmt.Sprint(3*maxWaiting-1)))))
	if got.Err != nil || string(got.Toward[far]) != many("NE|NE", 3*maxWaiting) || len(got.Toward[near]) == 0 {
		t.Errorf("no acknowledgment wanted: %v", got.Err)
	}
	if n := len(c.legs[near].sent.entries); n != maxWaiting-1 {
		t.Errorf("%d messages are remembered, want %d", n, maxWaiting-1)
	}
}

func TestEnds(t *testing.T) {
	one, adt := msg("ORU^R01", "1", ""), msg("ADT^A01", "2", "")
	cut := []string{"near ORU^R01 allow", "near ORU^R01 refuse " + string(reason.SessionCut) + " cut"}
	closed := func(s protocols.Side) protocols.Chunk { return told(protocols.Closed, s) }
	runAll(t, []scene{
		{name: "G2: closed by near with nothing owed", chunks: []protocols.Chunk{closed(near)}, ending: finFIN},
		{name: "closed by far with nothing owed", chunks: []protocols.Chunk{closed(far)}, ending: finFIN}, // H15
		{
			name:     "G2: near may end sending and still gets its acknowledgment",
			chunks:   []protocols.Chunk{from(near, block(one)), closed(near), from(far, block(ack("AA", "1")))},
			far:      block(one),
			near:     block(ack("AA", "1")),
			verdicts: []string{"near ORU^R01 allow", "far ACK AA allow"},
			ending:   finFIN,
		},
		{
			name:     "G2: far is not told of the end before it acknowledged",
			chunks:   []protocols.Chunk{from(near, block(one)), closed(near)},
			far:      block(one),
			verdicts: []string{"near ORU^R01 allow"},
			timer:    protocols.Message,
		},
		{
			name:     "G2: also not before the application acknowledged",
			chunks:   []protocols.Chunk{from(near, block(msg("ORU^R01", "1", "AL|AL"))), closed(near), from(far, block(ack("CA", "1")))},
			far:      block(msg("ORU^R01", "1", "AL|AL")),
			near:     block(ack("CA", "1")),
			verdicts: []string{"near ORU^R01 allow", "far ACK CA allow"},
			timer:    protocols.Message,
		},
		{
			name:     "an order for a device that has ended is not passed",
			chunks:   []protocols.Chunk{from(near, block(one)), closed(near), from(far, blocks(adt, ack("AA", "1")))},
			far:      block(one),
			near:     block(ack("AA", "1")),
			verdicts: []string{"near ORU^R01 allow", "far ADT^A01 refuse session.cut cut", "far ACK AA allow"},
			ending:   finFIN,
		},
		{
			name:     "near ends in the middle of a block",
			chunks:   []protocols.Chunk{from(near, block(one)[:30]), closed(near)},
			verdicts: []string{"near unfinished block refuse session.cut cut"},
			ending:   finFIN,
		},
		{
			name:     "H18: far closes while it owes an acknowledgment",
			chunks:   []protocols.Chunk{from(near, block(one)), closed(far)},
			far:      block(one),
			verdicts: cut,
			ending:   finFIN,
		},
		{
			name:     "H18: the upstream is not reached",
			chunks:   []protocols.Chunk{from(near, blocks(one, msg("ADT^A01", "2", "NE|NE"))), told(protocols.DialFailed, far)},
			far:      blocks(one, msg("ADT^A01", "2", "NE|NE")), // planned, never sent
			verdicts: []string{"near ORU^R01 allow", "near ADT^A01 allow", "near ORU^R01 refuse upstream.unreachable cut", "near ADT^A01 refuse upstream.unreachable cut"},
			ending:   finFIN,
		},
		{
			name:     "G3: a lost leg frees both",
			chunks:   []protocols.Chunk{from(near, block(one)), told(protocols.Lost, near)},
			far:      block(one),
			verdicts: cut,
			ending:   rstRST,
		},
		{
			name:     "a lost leg with an unfinished block",
			chunks:   []protocols.Chunk{from(near, block(one)[:9]), told(protocols.Lost, far)},
			verdicts: []string{"near unfinished block refuse session.cut cut"},
			ending:   rstRST,
		},
		{
			name:     "more than may be held",
			chunks:   []protocols.Chunk{from(near, block(one)[:9]), protocols.Told(protocols.Event{Kind: protocols.Overflow, Side: near, Reason: reason.CapBudget})},
			verdicts: []string{"near unfinished block refuse cap.budget cut"},
			ending:   finFIN,
		},
		{
			name:     "revoked",
			chunks:   []protocols.Chunk{from(near, block(one)), protocols.Told(protocols.Event{Kind: protocols.Revoked, Reason: reason.SessionRevoked})},
			far:      block(one),
			verdicts: []string{"near ORU^R01 allow", "near ORU^R01 refuse session.revoked cut"},
			ending:   rstRST,
		},
		{name: "idle", chunks: []protocols.Chunk{timeout(protocols.Idle)}, ending: finFIN},
		{name: "G8: shutdown with nothing under way", chunks: []protocols.Chunk{told(protocols.Shutdown, near)}, ending: finFIN},
		{
			name: "G8: shutdown lets what is owed come, and begins nothing",
			chunks: []protocols.Chunk{from(near, block(one)), told(protocols.Shutdown, near),
				from(near, block(adt)), from(far, block(ack("AA", "1"))), from(near, block(adt))},
			far:      block(one),
			near:     block(ack("AA", "1")),
			verdicts: []string{"near ORU^R01 allow", "near ADT^A01 refuse session.shutdown cut", "far ACK AA allow"},
			ending:   finFIN,
		},
		{
			name: "G8: shutdown lets an unfinished block finish",
			chunks: []protocols.Chunk{from(near, block(one)[:9]), told(protocols.Shutdown, near),
				from(near, block(one)[9:]), from(far, block(ack("AA", "1")))},
			far:      block(one),
			near:     block(ack("AA", "1")),
			verdicts: []string{"near ORU^R01 allow", "far ACK AA allow"},
			ending:   finFIN,
		},
	})
}
