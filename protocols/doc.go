// Package protocols is the contract between a protocol and the pump that moves its bytes.
//
// A protocol is a [Conversation]: a pure machine over bytes that follows one connection in both
// directions. It has no socket, clock, goroutine, lock, log or mode. The pump (package gateway)
// hands it, for one side at a time, all bytes of that side that are not settled yet; the
// conversation settles a prefix of them by writing a [Plan]: pass so many bytes, drop so many,
// send these bytes of our own, record this verdict, end.
//
//	device                     pump                       conversation
//	  │  bytes                   │                              │
//	  ├─────────────────────────▶│  Step(Near, win, plan)       │
//	  │                          ├─────────────────────────────▶│ parse, ask Rules
//	  │                          │   Pass 74 · Record · Wait    │
//	  │                          │◀─────────────────────────────┤
//	  │                          │                              │
//	  │                          ├──── win[:74] ───▶ server     │
//
// The packages below this one read and write one protocol each and declare the small Rules
// interface that they consult; they never import who implements it. [Play] drives a
// conversation in tests, without a pump.
package protocols
