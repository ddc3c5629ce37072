// Package bench measures what inspection costs: it generates load in the field's own terms, runs
// Cordon beside what a hospital would use instead, in one run, and writes the report.
//
//	client role   load ──plain──▶ gateway ──mTLS──▶ sink
//	server role   load ──mTLS───▶ gateway ──plain─▶ sink
//	pair          load ──plain──▶ gateway ──mTLS──▶ gateway ──plain──▶ sink
//	direct        load ──plain──▶ sink
//
// Load and sink are goroutines of this process and are built to be cheaper than any gateway: what
// they send was encoded before, and what they receive they only walk through. Gateways are
// processes of their own, so that their processor time and memory are theirs alone.
//
// Absolute figures move from machine to machine and from minute to minute. So all gateways run at
// once, the load visits them in turn (A B C, A B C, …), a figure is the fast quartile of its
// rounds, and what counts is a ratio of two figures of one run, with the interval that a bootstrap
// over the rounds gives it. Where RFC 9411 has a term, its term is used: throughput, connections
// per second, concurrent connections, time to last byte.
//
// What is measured is registered in one table (workload.go), and so is beside what (peer.go).
package bench
