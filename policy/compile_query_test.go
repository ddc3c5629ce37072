package policy

import (
	"bufio"
	"os"
	"slices"
	"strings"
	"testing"

	"cordon/protocols"
	"cordon/protocols/dicom"
	"cordon/protocols/dicom/dict"
	"cordon/protocols/reason"
)

// Services of the standard that have no model: verification, and those of N-operations, which have
// verbs of their own or normalized. The real-time ones are no DIMSE services at all (PS3.22).
const noModels = `
1.2.840.10008.1.1
1.2.840.10008.1.3.10
1.2.840.10008.1.9
1.2.840.10008.1.20.1 1.2.840.10008.1.20.2
1.2.840.10008.1.40 1.2.840.10008.1.42
1.2.840.10008.3.1.2.1.1 1.2.840.10008.3.1.2.1.4
1.2.840.10008.3.1.2.2.1
1.2.840.10008.3.1.2.3.1 1.2.840.10008.3.1.2.3.2 1.2.840.10008.3.1.2.3.3 1.2.840.10008.3.1.2.3.4 1.2.840.10008.3.1.2.3.5
1.2.840.10008.3.1.2.5.1 1.2.840.10008.3.1.2.5.4 1.2.840.10008.3.1.2.5.5
1.2.840.10008.3.1.2.6.1
1.2.840.10008.5.1.1.1 1.2.840.10008.5.1.1.2
1.2.840.10008.5.1.1.4 1.2.840.10008.5.1.1.4.1 1.2.840.10008.5.1.1.4.2
1.2.840.10008.5.1.1.9 1.2.840.10008.5.1.1.9.1
1.2.840.10008.5.1.1.14 1.2.840.10008.5.1.1.15
1.2.840.10008.5.1.1.16 1.2.840.10008.5.1.1.16.376
1.2.840.10008.5.1.1.18 1.2.840.10008.5.1.1.18.1
1.2.840.10008.5.1.1.22 1.2.840.10008.5.1.1.23
1.2.840.10008.5.1.1.24 1.2.840.10008.5.1.1.24.1
1.2.840.10008.5.1.1.26 1.2.840.10008.5.1.1.31 1.2.840.10008.5.1.1.32 1.2.840.10008.5.1.1.33 1.2.840.10008.5.1.1.40
1.2.840.10008.5.1.4.1.1.201.5
1.2.840.10008.5.1.4.32.2 1.2.840.10008.5.1.4.32.3
1.2.840.10008.5.1.4.33
1.2.840.10008.5.1.4.34.2 1.2.840.10008.5.1.4.34.3
1.2.840.10008.5.1.4.34.4.1 1.2.840.10008.5.1.4.34.4.4
1.2.840.10008.5.1.4.34.6.1 1.2.840.10008.5.1.4.34.6.4
1.2.840.10008.5.1.4.34.8 1.2.840.10008.5.1.4.34.9
1.2.840.10008.10.1 1.2.840.10008.10.2 1.2.840.10008.10.3 1.2.840.10008.10.4`

// standardClasses are the SOP classes of the dictionary.
func standardClasses(t testing.TB) (uids []string) {
	t.Helper()
	table, err := os.Open("../protocols/dicom/dict/uids.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	for lines := bufio.NewScanner(table); lines.Scan(); {
		if field := strings.Split(lines.Text(), "\t"); len(field) > 2 && strings.HasSuffix(field[2], "SOP Class") {
			uids = append(uids, field[0])
		}
	}
	return uids
}

// TestEveryQueryOfTheStandardCanBeAllowed: a SOP class of the dictionary is stored, is known to have
// no model, or is allowed by find, move or get of one. A later class fails until somebody has said
// which it is.
func TestEveryQueryOfTheStandardCanBeAllowed(t *testing.T) {
	without := strings.Fields(noModels)
	entries := map[string]string{"find": `find: {model: "%s"}`, "move": `move: {to: WS2, model: "%s"}`, "get": `get: {model: "%s"}`}
	for _, uid := range standardClasses(t) {
		ways := 0
		for i := range models {
			m := &models[i]
			for _, r := range []retrieval{finding, moving, getting} {
				class := r.of(m)
				if class != uid && (class == "" || findMeta[class] != uid) {
					continue
				}
				ways++
				for _, written := range []string{m.name, class, dict.Name(class)} {
					entry := strings.Replace(entries[r.verb], "%s", written, 1)
					s, c := allowing(t, entry), command(r.field, uid)
					c.SOPClass, c.MoveAE = []byte(class), []byte("WS2")
					var v protocols.Verdict
					if s.Command(c, &v); v.Refused() {
						t.Errorf("%s does not allow C-%s of %s: %s", entry, strings.ToUpper(r.verb), dict.Name(uid), v.Reason)
					}
				}
			}
		}
		if dict.IsStorage(uid) || slices.Contains(without, uid) {
			ways++
		}
		if ways != 1 {
			t.Errorf("%s (%s) is stored, has no model or is allowed by a verb: %d of these, not one", dict.Name(uid), uid, ways)
		}
	}
}

// TestPrivateModels: what the standard does not have is allowed by its UID, by what the policy says
// alone.
func TestPrivateModels(t *testing.T) {
	const private = "1.3.46.670589.11.99"
	one := dicom.Key{Tag: patientID, Match: dicom.Single}
	for _, tt := range []struct {
		name, allow string
		field       uint16
		keys        []dicom.Key
		want        expect
	}{
		{"a query by what the policy names", "find: {model: 1.3.46.670589.11.99, match: Patient ID}", dicom.CFindRQ, []dicom.Key{one}, allowed.about("", "x.allow[0]")},
		{"with a level", "find: {model: 1.3.46.670589.11.99, match: Patient ID}", dicom.CFindRQ, []dicom.Key{one, {Tag: tagLevel, Match: dicom.Single}}, allowed},
		{"by something else", "find: {model: 1.3.46.670589.11.99, match: Patient ID}", dicom.CFindRQ, []dicom.Key{one, {Tag: birthDate, Match: dicom.Single}}, refused(reason.DICOMQueryKey)},
		{"by nothing", "find: {model: 1.3.46.670589.11.99, match: Patient ID}", dicom.CFindRQ, []dicom.Key{{Tag: patientID, Match: dicom.Universal}}, refused(reason.DICOMQueryEverything)},
		{"in a sequence", "find: {model: 1.3.46.670589.11.99, match: Patient ID}", dicom.CFindRQ, []dicom.Key{{Tag: patientID, In: tagSteps, Match: dicom.Single}}, refused(reason.DICOMQueryEverything)},
		{"in a sequence, where everything may be asked for", "find: {model: 1.3.46.670589.11.99, match: Patient ID, everything: true}", dicom.CFindRQ, []dicom.Key{{Tag: patientID, In: tagSteps, Match: dicom.Single}}, allowed},
		{"for everything", "find: {model: 1.3.46.670589.11.99, everything: true}", dicom.CFindRQ, nil, allowed},
		{"a retrieval by what the policy names", "get: {model: 1.3.46.670589.11.99, match: Patient ID}", dicom.CGetRQ, []dicom.Key{one}, allowed},
		{"by part of it", "get: {model: 1.3.46.670589.11.99, match: Patient ID}", dicom.CGetRQ, []dicom.Key{{Tag: patientID, Match: dicom.Wildcard}}, refused(reason.DICOMQueryEverything)},
		{"by something else besides", "get: {model: 1.3.46.670589.11.99, match: Patient ID}", dicom.CGetRQ, []dicom.Key{one, {Tag: studyUID, Match: dicom.Single}}, refused(reason.DICOMQueryKey)},
		{"by nothing that is named", "move: {to: CT1, model: 1.3.46.670589.11.99, match: Patient ID}", dicom.CMoveRQ, nil, refused(reason.DICOMQueryEverything)},
		{"of anything", "move: {to: CT1, model: 1.3.46.670589.11.99, everything: true}", dicom.CMoveRQ, nil, allowed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, c := allowing(t, tt.allow), command(tt.field, private)
			c.MoveAE = []byte("CT1")
			var v protocols.Verdict
			if s.Command(c, &v); v.Refused() {
				t.Fatal(v.Reason)
			}
			v.Reset(protocols.Near)
			s.DataSet(c, &dicom.DataSet{Query: dicom.Query{Keys: tt.keys}}, &v)
			tt.want.check(t, &v)
		})
	}
	other := command(dicom.CMoveRQ, private)
	other.MoveAE = []byte("CT1")
	var v protocols.Verdict
	allowing(t, "find: {model: 1.3.46.670589.11.99, everything: true}").Command(other, &v)
	refused(reason.DICOMCommand).check(t, &v)
}

// TestModelsOfPatients: those whose queries must name a patient are not asked for everything.
func TestModelsOfPatients(t *testing.T) {
	for _, tt := range []struct {
		model string
		key   dicom.Key
		want  expect
	}{
		{"General Relevant Patient Information Query", dicom.Key{Tag: patientID, Match: dicom.Single}, allowed},
		{"Cardiac Relevant Patient Information Query", dicom.Key{Tag: patientName, Match: dicom.Single}, refused(reason.DICOMQueryEverything)},
		{"Substance Approval Query", dicom.Key{Tag: 0x00380010, Match: dicom.Single}, allowed},
		{"Substance Approval Query", dicom.Key{Tag: 0x00440001, Match: dicom.Single}, refused(reason.DICOMQueryEverything)},
		{"Product Characteristics Query", dicom.Key{Tag: 0x00440001, Match: dicom.Universal}, allowed},
		{"Inventory", dicom.Key{Tag: objectUID, Match: dicom.Universal}, allowed},
	} {
		s := allowing(t, "find: {model: "+tt.model+"}")
		uid, _ := dict.UID(tt.model)
		if uid == "" {
			uid, _ = dict.UID(tt.model + " - FIND")
		}
		c := command(dicom.CFindRQ, uid)
		var v protocols.Verdict
		if s.Command(c, &v); v.Refused() {
			t.Fatal(tt.model, v.Reason)
		}
		v.Reset(protocols.Near)
		s.DataSet(c, &dicom.DataSet{Query: dicom.Query{Keys: []dicom.Key{tt.key}}}, &v)
		t.Run(tt.model, func(t *testing.T) { tt.want.check(t, &v) })
	}
}
