package bench

import (
	"testing"
	"time"

	"cordon/protocols/dicom"
)

// What the queries of a load bring is what the sink sent.
func TestQueriesAreAnswered(t *testing.T) {
	for name, least := range map[string]int64{"dicom-find": 1, "dicom-get": 2 * objectsOfGet, "dicom-move": 2 * objectsOfGet} {
		t.Run(name, func(t *testing.T) {
			w := Find(name)
			sink, err := NewSink("127.0.0.1:0", nil, w)
			if err != nil {
				t.Fatal(err)
			}
			defer sink.Close()
			sink.sends(&Target{Address: sink.Address()})
			sample, err := w.run(t.Context(), &Load{Target: Target{Address: sink.Address()}, Connections: 1,
				Count: objectsOfGet + 1, Duration: 5 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			arrived, err := sink.Drain(t.Context(), sample.Units)
			if w.returns { // what it sent came back to itself
				arrived.Units /= 2
			}
			if err != nil || arrived.Units != sample.Units || sample.Units < least || sample.Bytes == 0 {
				t.Errorf("%+v, the sink counts %+v, %v", sample, arrived, err)
			}
		})
	}
}

// A mixed study is read as what it says it is.
func TestMixedStudyIsObjectsOfThreeKinds(t *testing.T) {
	bytes := map[string]int{}
	for i, o := range mixedStudy(10) {
		bytes[o.class] += len(o.data)
		var s dicom.Scanner
		s.Reset(o.transfer, dicom.TagStudyInstanceUID)
		s.Feed(o.data)
		if d := s.DataSet(); string(d.SOPClass) != o.class || string(d.SOPInstance) != o.instance || d.Fault != nil {
			t.Errorf("object %d reads as %s %s: %v", i, d.SOPClass, d.SOPInstance, d.Fault)
		}
		judge(t, []object{{class: o.class, transfer: o.transfer}}, studyBytes([]object{o}), 1)
	}
	if us, sr := bytes[usMultiFrame], bytes[textReport]; len(bytes) != 3 || us < 3_600_000 || us > 3_800_000 || sr < 3*5000 || sr > 3*8000 {
		t.Errorf("%v", bytes)
	}
}

// The whole report is a tree that any reader walks to its end.
func TestReportIsWellFormed(t *testing.T) {
	var s dicom.Scanner
	s.Reset(explicitLE, 0xFFFFFFFF)
	s.Feed(report("2.25.1").data)
	s.End()
	if d := s.DataSet(); d.Fault != nil {
		t.Error(d.Fault)
	}
}
