package dicom

import (
	"fmt"
	"strings"

	"cordon/protocols/reason"
)

// Results, sources and reasons of an A-ASSOCIATE-RJ (PS3.8 Table 9-21).
const (
	RejectedPermanent uint8 = 1
	RejectedTransient uint8 = 2

	RejectSourceUser         uint8 = 1 // DICOM UL service-user
	RejectSourceACSE         uint8 = 2 // DICOM UL service-provider (ACSE related function)
	RejectSourcePresentation uint8 = 3 // DICOM UL service-provider (presentation related function)
)

var rejectResults = map[uint8]string{
	RejectedPermanent: "rejected-permanent",
	RejectedTransient: "rejected-transient",
}

var rejectSources = map[uint8]string{
	RejectSourceUser:         "service-user",
	RejectSourceACSE:         "service-provider (ACSE)",
	RejectSourcePresentation: "service-provider (presentation)",
}

// rejectReasons are keyed by source and reason: what a reason means depends on its source.
var rejectReasons = map[[2]uint8]string{
	{RejectSourceUser, 1}:         "no-reason-given",
	{RejectSourceUser, 2}:         "application-context-name-not-supported",
	{RejectSourceUser, 3}:         "calling-AE-title-not-recognized",
	{RejectSourceUser, 7}:         "called-AE-title-not-recognized",
	{RejectSourceACSE, 1}:         "no-reason-given",
	{RejectSourceACSE, 2}:         "protocol-version-not-supported",
	{RejectSourcePresentation, 1}: "temporary-congestion",
	{RejectSourcePresentation, 2}: "local-limit-exceeded",
}

// Sources of an A-ABORT (PS3.8 Table 9-26).
const (
	AbortSourceUser     uint8 = 0
	AbortSourceProvider uint8 = 2
)

var abortSources = map[uint8]string{
	AbortSourceUser:     "service-user",
	AbortSourceProvider: "service-provider",
}

// abortReasons are those of the service-provider; a service-user gives none.
var abortReasons = map[uint8]string{
	0: "reason-not-specified",
	1: "unrecognized-PDU",
	2: "unexpected-PDU",
	4: "unrecognized-PDU-parameter",
	5: "unexpected-PDU-parameter",
	6: "invalid-PDU-parameter-value",
}

// ParseRJ reads a whole A-ASSOCIATE-RJ PDU (PS3.8 §9.3.4). Values that the standard does not
// define are returned as they are: they are the peer's answer, to be passed on.
func ParseRJ(pdu []byte) (reason.RJ, error) {
	if err := whole(pdu, TypeAssociateRJ); err != nil {
		return reason.RJ{}, err
	}
	return reason.RJ{Result: pdu[7], Source: pdu[8], Reason: pdu[9]}, nil
}

// AppendRJ appends an A-ASSOCIATE-RJ PDU.
func AppendRJ(dst []byte, rj reason.RJ) []byte {
	return append(AppendPDUHeader(dst, TypeAssociateRJ, fixedPDU), 0, rj.Result, rj.Source, rj.Reason)
}

// DescribeRJ says an A-ASSOCIATE-RJ in the standard's words.
func DescribeRJ(rj reason.RJ) string {
	return named(rejectResults, rj.Result) + ", " + named(rejectSources, rj.Source) + ", " +
		named(rejectReasons, [2]uint8{rj.Source, rj.Reason})
}

// BriefRJ says an A-ASSOCIATE-RJ so that it fits a label: its numbers, which ParseBriefRJ reads
// back, whether it is permanent, and its reason.
func BriefRJ(rj reason.RJ) string {
	kind := strings.TrimPrefix(named(rejectResults, rj.Result), "rejected-")
	return fmt.Sprintf("%d/%d/%d %s: %s", rj.Result, rj.Source, rj.Reason, kind, named(rejectReasons, [2]uint8{rj.Source, rj.Reason}))
}

// ParseBriefRJ reads what BriefRJ wrote.
func ParseBriefRJ(s string) (rj reason.RJ, ok bool) {
	n, err := fmt.Sscanf(s, "%d/%d/%d ", &rj.Result, &rj.Source, &rj.Reason)
	return rj, err == nil && n == 3
}

// AppendReleaseRQ appends an A-RELEASE-RQ PDU (PS3.8 §9.3.6).
func AppendReleaseRQ(dst []byte) []byte {
	return append(AppendPDUHeader(dst, TypeReleaseRQ, fixedPDU), 0, 0, 0, 0)
}

// AppendReleaseRP appends an A-RELEASE-RP PDU (PS3.8 §9.3.7).
func AppendReleaseRP(dst []byte) []byte {
	return append(AppendPDUHeader(dst, TypeReleaseRP, fixedPDU), 0, 0, 0, 0)
}

// ParseAbort reads a whole A-ABORT PDU (PS3.8 §9.3.8). Values that the standard does not define
// are returned as they are.
func ParseAbort(pdu []byte) (reason.Abort, error) {
	if err := whole(pdu, TypeAbort); err != nil {
		return reason.Abort{}, err
	}
	return reason.Abort{Source: pdu[8], Reason: pdu[9]}, nil
}

// AppendAbort appends an A-ABORT PDU.
func AppendAbort(dst []byte, a reason.Abort) []byte {
	return append(AppendPDUHeader(dst, TypeAbort, fixedPDU), 0, 0, a.Source, a.Reason)
}

// DescribeAbort says an A-ABORT in the standard's words.
func DescribeAbort(a reason.Abort) string {
	if a.Source == AbortSourceUser {
		return abortSources[a.Source] // its reason is not significant
	}
	return named(abortSources, a.Source) + ", " + named(abortReasons, a.Reason)
}

func named[K comparable](names map[K]string, k K) string {
	if s, ok := names[k]; ok {
		return s
	}
	return fmt.Sprintf("undefined %v", k)
}
