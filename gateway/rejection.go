package gateway

import (
	"fmt"
	"strings"
	"time"

	"cordon/protocols/dicom"
	"cordon/protocols/reason"
)

// rejections are the associations that the end a flow connects to rejected by itself, the requests that
// it failed, and the sessions that it ended with requests unanswered, since it last accepted something.
// Cordon refused nothing, yet the device is as badly off.
type rejections struct {
	count       uint64
	since, last time.Time
}

// add takes one more into account. lastGood is when something was last accepted, zero for never.
func (r *rejections) add(now, lastGood time.Time) {
	if r.count == 0 || lastGood.After(r.last) {
		*r = rejections{since: now}
	}
	r.count++
	r.last = now
}

// refusedBy says what an A-ASSOCIATE-RJ of a peer, or its failure, means and what to do about it. The
// answer itself says whether it is permanent. found is that of its verdict; device says that the
// device rejected a server's association, and not the other way round.
func refusedBy(device bool, found string) (meaning, do string) {
	who, other := "the server", "the device"
	if device {
		who, other = other, who
	}
	if status, code, far := strings.Cut(found, "; refused by Cordon: "); far && reason.Known(reason.Code(code)) {
		return fmt.Sprintf("a far end before %s refused it (%s; %s): %s", who, status, code, strings.TrimSuffix(reason.Lookup(reason.Code(code)).Meaning, ".")),
			fmt.Sprintf("Ask the far end with `cordon explain %s`: it names the rule, and what would allow it.", code)
	}
	rj, ok := dicom.ParseBriefRJ(found)
	switch {
	case ok:
	case !device && (strings.Contains(found, "sub-operations") || strings.Contains(found, "Unable to process")):
		return found, "Where the device retrieves, see by `cordon status` whether the flow toward it that the objects come back by was refused or narrowed, too; else look into the log of the server for why."
	default:
		return found, fmt.Sprintf("Look into the log of %s for why.", who)
	}
	said := "it gave no reason that the standard has"
	do = fmt.Sprintf("Look into the log of %s for why it rejects %s.", who, other)
	switch [2]uint8{rj.Source, rj.Reason} {
	case [2]uint8{dicom.RejectSourceUser, 1}, [2]uint8{dicom.RejectSourceACSE, 1}:
		said = "it gave no reason"
	case [2]uint8{dicom.RejectSourceUser, 2}:
		said = "it does not support the application context"
	case [2]uint8{dicom.RejectSourceUser, 3}:
		said = "it does not know the AE title of " + other
		do = fmt.Sprintf("Have the AE title of %s admitted at %s.", other, who)
		if !device {
			do = "Ask the server's administrator to admit the device's AE title."
		}
	case [2]uint8{dicom.RejectSourceUser, 7}:
		said = "it does not go by the AE title that it was called by"
		do = "Correct the AE title that the device calls, and ae of the upstream in site.yaml."
		if device {
			do = "Correct ae.titles in the device's file, and the AE title that the server calls."
		}
	case [2]uint8{dicom.RejectSourceACSE, 2}:
		said = "it does not support the protocol version"
	case [2]uint8{dicom.RejectSourcePresentation, 1}:
		said = "temporary congestion"
		do = fmt.Sprintf("Check that %s runs and keeps up; where a far end stands before it, `cordon status` there says whether it is reached.", who)
	case [2]uint8{dicom.RejectSourcePresentation, 2}:
		said = "it has as many associations as it allows"
		do = fmt.Sprintf("Find out why associations stay open, or have %s allow more; where a far end stands before it, see `cordon status` there.", who)
	}
	kind := "neither permanent nor transient"
	switch rj.Result {
	case dicom.RejectedPermanent:
		kind = "permanent"
	case dicom.RejectedTransient:
		kind = "transient, " + other + " may try again"
	}
	return fmt.Sprintf("%s (%s; A-ASSOCIATE-RJ %d/%d/%d)", said, kind, rj.Result, rj.Source, rj.Reason), do
}
