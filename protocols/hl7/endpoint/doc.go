// Package endpoint is an MLLP sender and a receiver, for demonstrations, tests and load. It is
// not on the data path: what passes through the gateway is read by package hl7 alone.
//
// Deadlines belong to the caller, who sets them on the connection.
package endpoint
