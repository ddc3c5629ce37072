// Package gateway is the running heart of Cordon: listeners, the choice of device and flow,
// sessions with their pump, timers and caps, reload, status, metrics and the control socket.
//
// A session joins two connections. Each is read by one goroutine, its direction, which shows
// what it read to the session's conversation and carries out the plan that comes back:
//
//	         ┌────────────────────── session ──────────────────────┐
//	device ──┤ near leg ──▶ direction ─┐               ┌──▶ far leg ├──▶ server
//	         │     ▲                   ├─▶ Step, Tell ─┤            │
//	         │     └────── turn ◀──────┤   (one lock)  ├─ direction │
//	         └─────────────────────────┴───────────────┴────────────┘
//
// The lock covers Step and Tell, never I/O. Under it a plan also takes its place in the output
// order of each leg it writes to (see leg); it is written after the lock is given back, so a peer
// that does not read stops only those who write to it. A direction reads on when its plan is
// carried out: that is all the backpressure there is.
package gateway
