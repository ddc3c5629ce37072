// Package endpoint is a small DICOM peer for demonstrations, tests and load: an SCU and an SCP
// over any connection. It stands at the ends of an association, never between them.
//
//	SCU                                    SCP
//	Associate ── A-ASSOCIATE-RQ ─────────▶ Server.Serve
//	          ◀───────── A-ASSOCIATE-AC ──
//	Store     ── C-STORE-RQ, data set ───▶ Server.Store(*Stored, io.Reader)
//	          ◀──────────── C-STORE-RSP ──
//	Query     ── C-FIND, -MOVE, -GET-RQ ─▶ Server.Find, Retrieve
//	          ◀──── pending responses, C-STORE-RQs of a C-GET ──
//	          ── C-CANCEL-RQ ────────────▶
//	Operate   ── N-CREATE-RQ … ──────────▶ Server.Operate
//	AwaitReport ◀──── N-EVENT-REPORT-RQ ── Server.Report
//	Release   ── A-RELEASE-RQ ───────────▶
//	          ◀─────────── A-RELEASE-RP ──
//
// Data sets stream in both directions. Deadlines belong to the caller: set them on the
// connection. An association is used by one goroutine at a time.
package endpoint
