package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"cordon/protocols"
	"cordon/protocols/reason"
)

// UnmarshalJSON reads a line that AppendJSON made.
func (r *Record) UnmarshalJSON(line []byte) error {
	var l struct {
		Seq       uint64      `json:"seq"`
		Time      time.Time   `json:"time"`
		Session   string      `json:"session"`
		Device    string      `json:"device"`
		Flow      string      `json:"flow"`
		Peer      string      `json:"peer"`
		Mode      string      `json:"mode"`
		Policy    string      `json:"policy"`
		Direction Direction   `json:"direction"`
		Unit      string      `json:"unit"`
		Verdict   string      `json:"verdict"`
		Would     string      `json:"would"`
		Reason    reason.Code `json:"reason"`
		Rule      string      `json:"rule"`
		Bytes     int64       `json:"bytes"`
		Found     string      `json:"found"`
		Cut       bool        `json:"cut"`
	}
	if err := json.Unmarshal(line, &l); err != nil {
		return err
	}
	*r = Record{
		Seq: l.Seq, Time: l.Time, Direction: l.Direction, Reason: l.Reason, Rule: l.Rule, Bytes: l.Bytes, Cut: l.Cut,
		Source: Source{Session: l.Session, Device: l.Device, Flow: l.Flow, Peer: l.Peer, Mode: l.Mode, Policy: l.Policy},
	}
	r.Unit.Set(l.Unit)
	r.Found.Set(l.Found)
	var err error
	if r.Verdict, err = actionOf(l.Verdict); err != nil {
		return err
	}
	if r.Would = r.Verdict; l.Would != "" {
		r.Would, err = actionOf(l.Would)
	}
	return err
}

func actionOf(name string) (protocols.Action, error) {
	for _, a := range []protocols.Action{protocols.Allow, protocols.Refuse, protocols.Rewrite} {
		if a.String() == name {
			return a, nil
		}
	}
	return 0, fmt.Errorf("verdict is %q, not allow, refuse or rewrite", name)
}

// records reads the records in a piece of the log. Lines that stand for lost ones are none.
func records(lines []byte) (all []Record) {
	for line := range bytes.Lines(lines) {
		var r Record
		if !bytes.Contains(line, []byte(`,"gap":`)) && json.Unmarshal(line, &r) == nil {
			all = append(all, r)
		}
	}
	return all
}
