// Package hl7 follows one MLLP connection that carries HL7 v2 messages: it finds the blocks,
// reads each message's header, asks [Rules], and passes the block on byte for byte or drops it
// and answers in HL7's own words.
//
//	sender                        Conversation                    receiver
//	  │ VT MSH|…|ORU^R01|42|… FS CR   │                               │
//	  ├──────────────────────────────▶│ whole block, judged           │
//	  │                               ├──────────────────────────────▶│
//	  │                               │   VT MSH|… MSA|AA|42 … FS CR  │
//	  │                               │◀──────────────────────────────┤
//	  │   matched: MSA-2 = MSH-10     │                               │
//	  │◀──────────────────────────────┤                               │
//	  │ VT MSH|…|ADT^A01|43|… FS CR   │                               │
//	  ├──────────────────────────────▶│ refused: drained              │
//	  │   VT MSH|… MSA|AR|43 ERR … FS CR                              │
//	  │◀──────────────────────────────┤                               │
//
// Both sides may send messages; orders flow toward a device as results flow from it. A block is
// held until it is whole, so no byte of a refused message reaches the other side, and nothing is
// acknowledged here that the receiver has not acknowledged: the only acknowledgments made are
// refusals. What cannot be answered (no readable MSH, no acknowledgment wanted, a receiver that
// is away) ends in closing without an acknowledgment, after which a sender sends again.
//
// Sections named HL7 v2 are those of chapter 2 in version 2.5.1 and later.
package hl7
