//go:build !race

package policy

import (
	"strings"
	"testing"

	"cordon/protocols"
	"cordon/protocols/dicom"
	"cordon/protocols/reason"
)

// TestJudgingDoesNotAllocate holds what is called once a message to no allocation, allowed or
// refused, in steady state.
func TestJudgingDoesNotAllocate(t *testing.T) {
	s := begun(t, NewStore(site(t, ct1)), "10.0.0.1", "PACS2", "CT1")
	l := begun(t, NewStore(site(t, limited("instances_per_day: 9999, bytes_per_study: 1GiB", "bytes_per_day: 1GiB, outstanding: 2"))), "10.0.0.1", "PACS2", "CT1")
	h := connect(t, NewStore(site(t, strings.Replace(lab, "%M", "enforce", 1))), "results", "10.0.0.4")
	var v protocols.Verdict
	store, bad := command(dicom.CStoreRQ, ctImage), command(dicom.CStoreRQ, ctImage)
	bad.SOPClass = []byte("1.2.840.113619.1234567890.1234567890.1234567890.1234567890")
	private := command(dicom.CStoreRQ, "1.2.840.113619.1234567890.1234567890.1234567890.1234567890")
	move := command(dicom.CMoveRQ, studyMove)
	move.MoveAE = []byte("SOMEBODY")
	pacs := []byte("PACS2")
	answer := &dicom.Command{From: protocols.Far, Field: dicom.CStoreRSP, MessageID: 7, Abstract: ctImage, InstanceSafe: true}
	data := &dicom.DataSet{SOPClass: store.SOPClass, SOPInstance: store.SOPInstance, InstanceSafe: true, StudySafe: true, SeriesSafe: true}
	find := command(dicom.CFindRQ, studyFind)
	everything := &dicom.DataSet{Query: dicom.Query{Level: []byte("STUDY"), Keys: []dicom.Key{{Tag: 0x00100010, Match: dicom.Everything}}}}
	narrow := &dicom.DataSet{Query: dicom.Query{Level: []byte("STUDY"), Keys: []dicom.Key{{Tag: 0x00100020, Match: dicom.Single}}}}
	named := allowing(t, "find: {model: Study Root, match: [Patient ID]}")
	byName := &dicom.DataSet{Query: dicom.Query{Keys: []dicom.Key{{Tag: 0x00100010, Match: dicom.Single}, {Tag: 0x00091001, Match: dicom.Single},
		{Tag: 0x00321032, Match: dicom.Single}, {Tag: 0x00082229, Match: dicom.Single}, {Tag: 0x00100040, Match: dicom.Single}}}}
	a, keep := associate("PACS2", "CT1", ctImage, mrImage), make([]bool, 2)
	h.Message(message("LAB", "EAST", "HIS", "ORU^R01"), &v) // chooses the flow
	good, odd := message("LAB", "EAST^1^L", "HIS", "ORU^R01"), message("X", "EAST", "HIS", "ORM^O01")
	studied := *data
	studied.StudyInstance = []byte("1.2.840.113619.2.55.3.604688119")
	for name, f := range map[string]func(){
		"Command":         func() { s.Command(store, &v) },
		"Command refused": func() { s.Command(bad, &v); s.Command(private, &v); s.Command(move, &v) },
		"response":        func() { s.Command(answer, &v) },
		"Needs":           func() { s.Needs(store) },
		"Title":           func() { s.Title(protocols.Near, move.MoveAE); s.Title(protocols.Far, pacs) },
		"DataSet":         func() { s.DataSet(store, data, &v) },
		"query":           func() { s.Command(find, &v); s.Needs(find); s.DataSet(find, narrow, &v) },
		"query refused":   func() { s.Command(find, &v); s.DataSet(find, everything, &v) },
		"key refused":     func() { named.Command(find, &v); named.DataSet(find, byName, &v) },
		"Context": func() {
			for i := range a.Contexts {
				s.Context(a, &a.Contexts[i], keep, &v)
			}
		},
		"Message":         func() { h.Message(good, &v) },
		"Message refused": func() { h.Message(odd, &v) },
		"Acknowledgment":  func() { h.Acknowledgment(good, &v) },
		"Breach":          func() { h.Breach(reason.HL7AckMismatch, &v) },
		"Tolerance":       func() { h.Tolerance(protocols.Near) },
		"Flow":            func() { h.Flow(); h.Policy(); h.Mode(); h.Device() },
		"limited": func() {
			v.Reset(protocols.Near)
			l.Command(store, &v)
			l.DataSet(store, &studied, &v)
			v.Settled = true
			l.Settle(&v)
			l.Command(answer, new(protocols.Verdict))
		},
	} {
		f()
		if n := testing.AllocsPerRun(100, func() { v.Reset(protocols.Near); f() }); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}
