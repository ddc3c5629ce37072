package policy

import (
	"testing"

	"cordon/protocols"
	"cordon/protocols/dicom"
	"cordon/protocols/reason"
)

const (
	patientName dicom.Tag = 0x00100010
	patientID   dicom.Tag = 0x00100020
	birthDate   dicom.Tag = 0x00100030
	studyDate   dicom.Tag = 0x00080020
	studyUID    dicom.Tag = 0x0020000D
	objectUID   dicom.Tag = 0x00080018
	station     dicom.Tag = 0x00400001
	worklist              = "1.2.840.10008.5.1.4.31"
	patientFind           = "1.2.840.10008.5.1.4.1.2.1.1"
)

// TestIdentifiers covers what queries and retrievals may ask.
func TestIdentifiers(t *testing.T) {
	type key struct {
		tag dicom.Tag
		how dicom.Match
	}
	type keys []key
	const steps dicom.Tag = 1 << 31 // added to a tag: in the sequence of scheduled procedure steps
	const (
		open   = "find: {model: Study Root, everything: true}"
		narrow = "find: {model: Study Root, levels: [STUDY, SERIES], match: [Patient ID, Study Date, Patient's Birth Date], return: [PatientName]}"
		work   = "find: {model: Modality Worklist}"
		strict = "find: {model: Modality Worklist, everything: false}"
	)
	for _, tt := range []struct {
		name, allow string
		field       uint16
		class       string
		level       string
		keys        keys
		want        expect
	}{
		{"by patient", "find: {model: Study Root}", dicom.CFindRQ, studyFind, "STUDY", keys{{studyDate, dicom.Universal}, {patientID, dicom.Single}}, allowed.about("", "x.allow[0]")},
		{"by day", "find: {model: Study Root}", dicom.CFindRQ, studyFind, "STUDY", keys{{studyDate, dicom.Range}}, allowed},
		{"by part of a name", "find: {model: Study Root}", dicom.CFindRQ, studyFind, "STUDY", keys{{patientName, dicom.Wildcard}}, allowed},
		{"for everything", "find: {model: Study Root}", dicom.CFindRQ, studyFind, "STUDY", keys{{studyDate, dicom.Universal}, {patientName, dicom.Everything}}, refused(reason.DICOMQueryEverything).about("", "x.allow[0]")},
		{"for nothing at all", "find: {model: Study Root}", dicom.CFindRQ, studyFind, "STUDY", nil, refused(reason.DICOMQueryEverything)},
		{"by what a server may ignore", "find: {model: Study Root}", dicom.CFindRQ, studyFind, "STUDY", keys{{birthDate, dicom.Single}}, refused(reason.DICOMQueryEverything)},
		{"by a character set", "find: {model: Study Root}", dicom.CFindRQ, studyFind, "STUDY", keys{{tagCharacterSet, dicom.Single}, {tagLevel, dicom.Single}}, refused(reason.DICOMQueryEverything)},
		{"a series by its study", "find: {model: Study Root}", dicom.CFindRQ, studyFind, "SERIES", keys{{studyUID, dicom.Single}}, allowed},
		{"a series by its patient", "find: {model: Study Root}", dicom.CFindRQ, studyFind, "SERIES", keys{{patientID, dicom.Single}}, refused(reason.DICOMQueryEverything)},
		{"a series by the date of its study", "find: {model: Study Root}", dicom.CFindRQ, studyFind, "SERIES", keys{{studyDate, dicom.Single}}, refused(reason.DICOMQueryEverything)},
		{"a study by what series have", "find: {model: Study Root}", dicom.CFindRQ, studyFind, "STUDY", keys{{0x00080060, dicom.Single}, {0x0020000E, dicom.Single}, {objectUID, dicom.Single}}, refused(reason.DICOMQueryEverything)},
		{"a patient by what studies have", "find: {model: Patient Root}", dicom.CFindRQ, patientFind, "PATIENT", keys{{studyDate, dicom.Single}}, refused(reason.DICOMQueryEverything)},
		{"a study by its patient", "find: {model: Patient Root}", dicom.CFindRQ, patientFind, "STUDY", keys{{patientID, dicom.Single}}, allowed},
		{"a study by its patient's name", "find: {model: Patient Root}", dicom.CFindRQ, patientFind, "STUDY", keys{{patientName, dicom.Single}}, refused(reason.DICOMQueryEverything)},
		{"at a level that the model has not", "find: {model: Study Root}", dicom.CFindRQ, studyFind, "PATIENT", keys{{patientID, dicom.Single}}, refused(reason.DICOMQueryLevel).about("PATIENT", "")},
		{"at no level, where levels are not limited", "find: {model: Study Root}", dicom.CFindRQ, studyFind, "", keys{{patientID, dicom.Single}}, refused(reason.DICOMQueryLevel)},
		{"by an attribute of the policy, at any level", "find: {model: Study Root, match: [Patient's Birth Date]}", dicom.CFindRQ, studyFind, "SERIES", keys{{birthDate, dicom.Single}}, allowed},
		{"a study by its patient's name, where the policy says that the server takes it", "find: {model: Patient Root, match: [Patient's Name, Patient ID]}", dicom.CFindRQ, patientFind, "STUDY", keys{{patientName, dicom.Wildcard}}, allowed},
		{"by a series' attribute that the policy names, at its study's level", "find: {model: Study Root, match: [Modality]}", dicom.CFindRQ, studyFind, "STUDY", keys{{0x00080060, dicom.Single}}, refused(reason.DICOMQueryEverything)},
		{"everything is allowed", open, dicom.CFindRQ, studyFind, "STUDY", nil, allowed},

		{"by what the policy names", narrow, dicom.CFindRQ, studyFind, "STUDY", keys{{tagCharacterSet, dicom.Single}, {birthDate, dicom.Single}, {patientName, dicom.Universal}}, allowed},
		{"by what it does not name", narrow, dicom.CFindRQ, studyFind, "STUDY", keys{{patientID, dicom.Single}, {patientName, dicom.Wildcard}}, refused(reason.DICOMQueryKey).about("match: [Patient's Name]", "x.allow[0]")},
		{"asks for what it does not name", narrow, dicom.CFindRQ, studyFind, "STUDY", keys{{patientID, dicom.Single}, {0x00321032, dicom.Universal}}, refused(reason.DICOMQueryKey).about("return: [Requesting Physician]", "")},
		{"by several and asks for several", narrow, dicom.CFindRQ, studyFind, "STUDY",
			keys{{0x00080080, dicom.Universal}, {patientID, dicom.Single}, {0x00100040, dicom.Single}, {0x00101010, dicom.Everything}, {0x00101010, dicom.Universal}},
			refused(reason.DICOMQueryKey).about("match: [Patient's Sex], return: [Institution Name, Patient's Age]", "x.allow[0]")},
		{"by more than there is room for", narrow, dicom.CFindRQ, studyFind, "STUDY",
			keys{{0x00080080, dicom.Universal}, {0x00082229, dicom.Single}, {0x00321032, dicom.Single}, {0x00080090, dicom.Single}, {0x00100040, dicom.Single}},
			refused(reason.DICOMQueryKey).about(`match: ["Anatomic Structure, Space or Region Sequence", Requesting Physician] (+3 more)`, "x.allow[0]")},
		{"asks for what may be matched", narrow, dicom.CFindRQ, studyFind, "STUDY", keys{{patientID, dicom.Single}, {birthDate, dicom.Everything}}, allowed},
		{"asks for a private attribute", narrow, dicom.CFindRQ, studyFind, "STUDY", keys{{0x00091001, dicom.Universal}}, refused(reason.DICOMQueryKey).about("return: [(0009,1001)]", "")},
		{"a sequence, whose attributes are judged", narrow, dicom.CFindRQ, studyFind, "STUDY", keys{{patientID, dicom.Single}, {0x00081110, dicom.Sequence}}, allowed},
		{"matches deep inside a sequence", narrow, dicom.CFindRQ, studyFind, "STUDY", keys{{patientID, dicom.Single}, {steps | 0x00081110, dicom.Sequence}}, refused(reason.DICOMQueryKey)},
		{"at another level", narrow, dicom.CFindRQ, studyFind, "IMAGE", keys{{patientID, dicom.Single}}, refused(reason.DICOMQueryLevel).about("IMAGE", "x.allow[0]")},
		{"at a level that is a name", narrow, dicom.CFindRQ, studyFind, "DOE^JOHN", keys{{patientID, dicom.Single}}, refused(reason.DICOMQueryLevel).about("no known level", "")},
		{"at no level", narrow, dicom.CFindRQ, studyFind, "", keys{{patientID, dicom.Single}}, refused(reason.DICOMQueryLevel)},

		{"a worklist as a whole", work, dicom.CFindRQ, worklist, "", keys{{tagSteps, dicom.Sequence}, {steps | station, dicom.Universal}}, allowed},
		{"not where it must be narrowed", strict, dicom.CFindRQ, worklist, "", keys{{tagSteps, dicom.Sequence}, {steps | station, dicom.Universal}}, refused(reason.DICOMQueryEverything)},
		{"a station's worklist", strict, dicom.CFindRQ, worklist, "", keys{{tagSteps, dicom.Sequence}, {steps | station, dicom.Single}}, allowed},
		{"a station where it does not belong", strict, dicom.CFindRQ, worklist, "", keys{{station, dicom.Single}}, refused(reason.DICOMQueryEverything)},
		{"a patient's worklist", strict, dicom.CFindRQ, worklist, "", keys{{patientID, dicom.Single}}, allowed},
		{"a patient where archives do not look", "find: {model: Study Root}", dicom.CFindRQ, studyFind, "STUDY", keys{{steps | patientID, dicom.Single}}, refused(reason.DICOMQueryEverything)},

		{"the second of two entries", narrow + ", find: {model: Study Root, levels: IMAGE}", dicom.CFindRQ, studyFind, "IMAGE", keys{{0x0020000D, dicom.Single}}, allowed.about("", "x.allow[1]")},

		{"a study moves", "move: {to: CT1}", dicom.CMoveRQ, studyMove, "STUDY", keys{{0x0020000D, dicom.List}}, allowed},
		{"what moves must be named", "move: {to: CT1}", dicom.CMoveRQ, studyMove, "STUDY", keys{{studyDate, dicom.Range}, {patientID, dicom.Wildcard}}, refused(reason.DICOMQueryEverything)},
		{"moves at a level", "move: {to: CT1, levels: SERIES}", dicom.CMoveRQ, studyMove, "STUDY", keys{{0x0020000D, dicom.Single}}, refused(reason.DICOMQueryLevel)},
		{"a series is got", "get: {levels: SERIES}", dicom.CGetRQ, studyGet, "SERIES", keys{{0x0020000E, dicom.Single}}, allowed},
		{"a study by an object of it", "get", dicom.CGetRQ, studyGet, "STUDY", keys{{objectUID, dicom.Single}}, refused(reason.DICOMQueryEverything)},
		{"a patient by a study", "get: {model: Patient Root}", dicom.CGetRQ, "1.2.840.10008.5.1.4.1.2.1.3", "PATIENT", keys{{studyUID, dicom.Single}}, refused(reason.DICOMQueryEverything)},
		{"a patient", "get: {model: Patient Root}", dicom.CGetRQ, "1.2.840.10008.5.1.4.1.2.1.3", "PATIENT", keys{{patientID, dicom.Single}}, allowed},
		{"objects", "get", dicom.CGetRQ, studyGet, "IMAGE", keys{{objectUID, dicom.List}}, allowed},
		{"a series of all objects", "get", dicom.CGetRQ, studyGet, "IMAGE", keys{{0x0020000E, dicom.Single}}, refused(reason.DICOMQueryEverything)},
		{"frames of an object", "get: {model: Composite Instance Root}", dicom.CGetRQ, "1.2.840.10008.5.1.4.1.2.4.3", "FRAME", keys{{objectUID, dicom.Single}}, allowed},
		{"a hanging protocol", "get: {model: Hanging Protocol}", dicom.CGetRQ, "1.2.840.10008.5.1.4.38.4", "", keys{{objectUID, dicom.Single}}, allowed},
		{"all hanging protocols", "get: {model: Hanging Protocol}", dicom.CGetRQ, "1.2.840.10008.5.1.4.38.4", "", keys{{0x00720002, dicom.Wildcard}}, refused(reason.DICOMQueryEverything)},
		{"what is got must be named", "get", dicom.CGetRQ, studyGet, "STUDY", nil, refused(reason.DICOMQueryEverything)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := allowing(t, tt.allow)
			c := command(tt.field, tt.class)
			c.MoveAE = []byte("CT1")
			var v protocols.Verdict
			if s.Command(c, &v); v.Refused() {
				t.Fatal(v.Reason)
			}
			d := &dicom.DataSet{Query: dicom.Query{Level: []byte(tt.level)}}
			for _, k := range tt.keys {
				in := dicom.Tag(0)
				if k.tag&steps != 0 {
					in = tagSteps
				}
				d.Query.Keys = append(d.Query.Keys, dicom.Key{Tag: k.tag &^ steps, In: in, Match: k.how})
			}
			if s.Needs(c) != dicom.Whole {
				t.Errorf("looks as far as %08X", s.Needs(c))
			}
			v.Reset(protocols.Near)
			s.DataSet(c, d, &v)
			tt.want.check(t, &v)
		})
	}
}

func TestIdentifierThatCannotBeRead(t *testing.T) {
	s := allowing(t, "find: {model: Study Root}")
	c := command(dicom.CFindRQ, studyFind)
	var v protocols.Verdict
	s.Command(c, &v)
	s.DataSet(c, &dicom.DataSet{Fault: &protocols.Malformed{Reason: reason.CapHold}}, &v)
	refused(reason.CapHold).check(t, &v)
}
