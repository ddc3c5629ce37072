package dicom

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"cordon/protocols"
)

// scanIdentifier returns the query of an identifier, which must be the same however it is cut.
func scanIdentifier(t *testing.T, transfer string, b []byte) (Query, *DataSet) {
	t.Helper()
	scan := func(pieces ...[]byte) *DataSet {
		s := new(Scanner)
		s.Reset(transfer, Whole)
		s.Identifier()
		for _, p := range pieces {
			s.Feed(p)
		}
		s.End()
		return s.DataSet()
	}
	want := scan(b)
	for at := range b {
		if got := scan(b[:at], b[at:]); sawIn(got) != sawIn(want) {
			t.Fatalf("split at %d: %+v, whole %+v", at, got, want)
		}
	}
	if got := scan(slices.Collect(slices.Chunk(b, 1))...); sawIn(got) != sawIn(want) {
		t.Fatalf("byte by byte: %+v, whole %+v", got, want)
	}
	return want.Query, want
}

// worklistQuery asks a worklist for one modality and station.
func worklistQuery() []byte {
	d := &dataSet{encoding: encoding{implicit: true}}
	d.put(0x00080000, "UL", "\x0A\x00\x00\x00").put(0x00080005, "CS", "ISO_IR 100").put(0x00080050, "SH", "")
	d.open(0x00081110, "SQ").item().endItem().end()
	d.put(0x00100010, "PN", "DOE^*").put(0x00100020, "LO", "*")
	d.put(0x00321064, "SQ", "")
	d.open(0x00400100, "SQ").item()
	d.put(0x00080060, "CS", "CT").put(0x00400001, "AE", "CT1 ").put(0x00400002, "DA", "20260101-").put(0x00400003, "TM", "")
	d.open(0x00400008, "SQ").item().put(0x00080100, "SH", "X").endItem().end()
	d.open(0x0040000B, "SQ").end()
	d.endItem().end()
	return d.put(0x00401001, "SH", "").b
}

func TestKeysOfAnIdentifier(t *testing.T) {
	const steps = Tag(0x00400100)
	q, d := scanIdentifier(t, uidImplicit, worklistQuery())
	want := []Key{
		{0x00080050, 0, Universal}, {0x00081110, 0, Universal}, {0x00100010, 0, Wildcard}, {0x00100020, 0, Everything}, {0x00321064, 0, Universal},
		{steps, 0, Sequence}, {0x00080060, steps, Single}, {0x00400001, steps, Single}, {0x00400002, steps, Range}, {0x00400003, steps, Universal},
		{0x00400008, steps, Sequence}, {0x0040000B, steps, Universal}, {0x00401001, 0, Universal},
	}
	if !slices.Equal(q.Keys, want) || q.Level != nil || d.Fault != nil || !d.Complete {
		t.Errorf("%v %v\nwant %v", q.Keys, d.Fault, want)
	}
	e := new(dataSet).put(0x00080052, "CS", "STUDY ").put(TagStudyInstanceUID, "UI", `1.2\1.3`)
	q, _ = scanIdentifier(t, uidExplicit, e.b)
	if string(q.Level) != "STUDY" || !slices.Equal(q.Keys, []Key{{TagStudyInstanceUID, 0, List}}) {
		t.Errorf("%q %v", q.Level, q.Keys)
	}
	var s Scanner
	s.Reset(uidExplicit, Whole)
	s.Feed(e.b)
	if keys := s.DataSet().Query.Keys; len(keys) != 0 {
		t.Errorf("the data set of another command has keys: %v", keys)
	}
}

// A list of UIDs is longer than any UID.
func TestKeysMayBeLists(t *testing.T) {
	list := strings.Repeat(testInstance+`\`, 200) + testInstance
	d := new(dataSet).put(TagSOPInstanceUID, "UI", list+strings.Repeat("\x00", len(list)%2)).put(0x00080052, "CS", "IMAGE ")
	q, data := scanIdentifier(t, uidExplicit, d.b)
	if data.Fault != nil || data.SOPInstance != nil || string(q.Level) != "IMAGE" || !slices.Equal(q.Keys, []Key{{TagSOPInstanceUID, 0, List}}) {
		t.Errorf("%q %v %v", q.Level, q.Keys, data.Fault)
	}
}

// What no reader takes for anything else may be there.
func TestHarmlessDepartures(t *testing.T) {
	for name, d := range map[string]*dataSet{
		"a key of unknown VR without a value":  new(dataSet).put(0x00100020, "UN", ""),
		"numbers of the maker's, as UN":        new(dataSet).put(0x00091001, "UN", "\x00\x01\x02\x00"),
		"a text with the VR of another":        new(dataSet).put(0x00100020, "SH", "P1"),
		"a long text with the VR of another":   new(dataSet).put(0x0040E010, "UT", "http://x"),
		"a time zone of unknown VR":            new(dataSet).put(0x00080201, "UN", "+0100 "),
		"a key of unknown VR in an empty item": new(dataSet).open(0x00400100, "SQ").item().put(0x00080060, "UN", "").endItem().end(),
	} {
		if _, data := scanIdentifier(t, uidExplicit, d.b); data.Fault != nil {
			t.Errorf("%s: %v", name, data.Fault)
		}
	}
}

// What readers could take in more than one way is no identifier.
func TestFaultsOfIdentifiers(t *testing.T) {
	x := func() *dataSet { return new(dataSet) }
	for _, c := range []struct {
		name, detail string
		d            *dataSet
	}{
		{"a key behind the last tag that there is", "ascending", x().put(0x00100020, "LO", "P1").put(0xFFFD0010, "LO", "x ").put(0x00100010, "PN", "*")},
		{"a key behind padding", "ascending", x().put(0x00100020, "LO", "P1").put(0xFFFCFFFC, "OB", "").put(0x00100020, "LO", "")},
		{"NUL before the value", "NUL", x().put(0x00100020, "LO", "\x00P1 ")},
		{"NUL behind a wildcard", "NUL", x().put(0x00100020, "LO", "*\x00P1")},
		{"NUL in a list", "NUL", x().put(TagStudyInstanceUID, "UI", "\x00\\1.2")},
		{"a text that says it is of unknown VR", "should have LO", x().put(0x00100020, "UN", "P*")},
		{"a text that says it is bytes", "should have LO", x().put(0x00100020, "OB", "P1")},
		{"a text that says it is a number", "should have LO", x().put(0x00100020, "US", "P1")},
		{"a text that says it is a sequence", "should have PN", x().open(0x00100010, "SQ").item().endItem().end()},
		{"a sequence of two items", "second item", x().open(0x00400100, "SQ").item().endItem().item().endItem().end()},
		{"a key twice in an item", "ascending", x().open(0x00400100, "SQ").item().put(0x00080060, "CS", "").put(0x00080060, "CS", "CT").endItem().end()},
		{"keys of an item in any order", "ascending", x().open(0x00400100, "SQ").item().put(0x00400001, "AE", "CT1 ").put(0x00080060, "CS", "CT").endItem().end()},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, data := scanIdentifier(t, uidExplicit, c.d.b)
			if data.Fault == nil || !strings.Contains(data.Fault.Detail, c.detail) {
				t.Errorf("%v, want %q", data.Fault, c.detail)
			}
		})
	}
}

// What is wrong in an identifier may be right elsewhere: objects with such items exist.
func TestFormAlone(t *testing.T) {
	d := new(dataSet).put(TagSOPInstanceUID, "UI", strings.Repeat("1.2\\", 100))
	d.open(0x00081110, "SQ").item().put(0x00081155, "UI", "1.2\x00").put(0x00081150, "UI", "1.2\x00").endItem().item().endItem().end()
	var s Scanner
	s.Reset(uidExplicit, Whole)
	s.FormOnly()
	s.Feed(d.b)
	s.End()
	if got := s.DataSet(); got.Fault != nil || got.SOPInstance != nil || len(got.Query.Keys) != 0 || !got.Complete {
		t.Errorf("%+v", got)
	}
}

// What ends with a key that was asked for is read to its end.
func TestScanOfAnIdentifierEndsWithTheKeyAskedFor(t *testing.T) {
	var s Scanner
	b := worklistQuery()
	s.Reset(uidImplicit, 0x00400100)
	s.Identifier()
	for i := range b {
		if s.Feed(b[i : i+1]) {
			if left := len(b) - i - 1; left != 8 {
				t.Errorf("done with %d bytes left", left)
			}
			break
		}
	}
	if k := s.DataSet().Query.Keys; len(k) != 12 || k[5].Match != Sequence {
		t.Errorf("%v", k)
	}
}

func TestHowAKeyMatches(t *testing.T) {
	type key struct {
		vr, value string
		set       string // Specific Character Set
	}
	for want, keys := range map[Match][]key{
		Universal: {{"PN", "", ""}, {"LO", "  ", ""}, {"LO", "\t\r\n", ""}, {"UI", "\x00 ", ""}, {"UI", "\x00\x00", ""}, {"US", "", ""}, {"UN", "", ""}, {"CS", `\`, ""}, {"DA", " ", ""}},
		Everything: {{"PN", "*", ""}, {"PN", "**", ""}, {"LO", "* ", ""}, {"PN", "*^*", ""}, {"PN", "^^^^", ""}, {"SH", "?*?", ""}, {"CS", `CT\*`, ""}, {"CS", `*\MR`, ""}, {"LO", "%", ""}, {"SH", "%*", ""}, {"LO", "_*", ""}, {"LO", "_", ""}, {"SH", "\x81\\\\*", "GB18030"}, {"PN", "\xC9*", "GBK"},
			{"DA", "-", ""}, {"TM", "-", ""}, {"DA", "*", ""}, {"DA", ".-", ""}, {"TM", "-:", ""}, {"TM", "+-", ""}, {"UI", "*", ""}, {"IS", "*", ""}, {"UN", "* ", ""}, {"LO", "*", "GB18030"}, {"PN", "*", `\ISO 2022 IR 87`},
			{"PN", "\x1B$B;3ED\x1B(B\\*", `\ISO 2022 IR 87`}},
		Wildcard: {{"PN", "DOE*", ""}, {"PN", "*^JANE", ""}, {"LO", "A?", ""}, {"CS", `C?\MR`, ""}, {"UI", "1.2.*", ""}, {"DA", "202601*", ""}, {"LT", `a\*`, ""},
			{"PN", "\x1B$B;3ED\x1B(B*", `\ISO 2022 IR 87`}, {"PN", "\xC9\xBD*", "GB18030"}, {"PN", "\x1B$B;*", ""},
			{"PN", "\x1B$B;3*?\x1B(B", `\ISO 2022 IR 87`}, {"PN", "\x1B$B0?", `\ISO 2022 IR 87`}, {"PN", "\x1B$(D0*?\x1B(B^X", `\ISO 2022 IR 159`}, {"PN", "\xC9\x5C\x81\x30\x81\x2A", "GB18030"}, {"LO", "P_*", ""}},
		Range: {{"DA", "20260101-20260131", ""}, {"DA", "-20260131", ""}, {"DA", "20260101-", ""}, {"TM", "08-0900", ""}, {"DT", "2020-2021", ""}, {"DT", "20200101-0500-20200102-0500", ""}, {"DT", "-0500", ""}, {"DT", "20200101-0500-", ""}},
		List:  {{"UI", `1.2\1.3`, ""}, {"CS", `CT\MR`, ""}, {"US", "\x01\x00\x02\x00", ""}, {"AT", "12345678", ""}, {"FD", "1234567812345678", ""}, {"DA", `20260101\20260102`, ""}},
		Single: {{"PN", "DOE^JANE", ""}, {"UI", "1.2\x00", ""}, {"UI", "1.2.ab.3", ""}, {"US", "\x2A\x00", ""}, {"AT", "****", ""}, {"FD", "********", ""}, {"OB", "****", ""}, {"DA", "20260101", ""}, {"SH", "A-B", ""}, {"LO", "-", ""},
			{"DT", "20200101120000-0500", ""}, {"DT", "20200101120000+0500", ""}, {"LT", `a\b`, ""}, {"UR", "http://x/a-b", ""},
			{"LO", "P_1", ""}, {"CS", "ct_1", ""}, {"IS", "-12", ""}, {"DS", "1.5E+3", ""}, {"AS", "018M", ""},
			{"PN", "\x1B$B;3\x1B(B", `\ISO 2022 IR 87`}, {"PN", "\x1B$(D0!\x1B(B^X", `\ISO 2022 IR 159`}, {"PN", "\x1B$)C\xFB\xF3^\x1B$)C\xD1\xCE", `\ISO 2022 IR 149`}, {"PN", "\xC9\x5C", "GB18030"}},
	} {
		for _, k := range keys {
			d := new(dataSet).put(0x00080005, "CS", k.set).put(0x00091001, k.vr, k.value)
			q, data := scanIdentifier(t, uidExplicit, d.b)
			if data.Fault != nil || len(q.Keys) != 1 || q.Keys[0].Match != want {
				t.Errorf("%s %q in %q: %v %v, want %d", k.vr, k.value, k.set, q.Keys, data.Fault, want)
			}
		}
	}
}

// patients asks for studies by Patient ID in a character set.
func patients(set, id string) []byte {
	return new(dataSet).put(0x00080005, "CS", set).put(0x00080052, "CS", "STUDY ").put(0x00100020, "LO", id).b
}

// Decoders drop what is no character, so it leaves nothing out. Orthanc lists every patient for each
// of these, where it is not said otherwise.
func TestWhatDecodersDropDoesNotNarrow(t *testing.T) {
	for set, ids := range map[string][]string{
		"ISO_IR 192": {"\xFF*", "*\xFF", "\xFF\xFF", "\xC0\xAA", "\xED\xA0\x80*", "\xF4\x90\x80\x80*", "\xE2A*", "\xE2\x82A*", "\xF0\x9F\x98A*", "\xE2\xC3\xA4*", "\xF0\xE5\xB1\xB1*",
			// Blanks, and what is seen by nobody: some servers may trim or fold it.
			"\u00A0*", "*\u3000", "\u200B*", "\uFEFF*", "\u00AD*", "\u0301*", "\u2028", "\uFF0A", "\uFF1F*"},
		"ISO_IR 6":                          {"\xFF*", "\xFF\xFF", "\x7F*", "\x01*", "\x80?*"},
		"":                                  {"\xFF*", "\x7F*"}, // Orthanc takes it for Latin 1, unless it is told of another set
		"ISO_IR 100":                        {"\x85*", "\xA0*", "\x7F*"},
		"ISO_IR 203":                        {"\xC4*"}, // that Orthanc does not know
		"ISO_IR 999":                        {"\xC4*"},
		"ISO 2022 IR 192":                   {"\xE5\xB1\xB1*"},
		"ISO_IR 109":                        {"\xA5*", "\xF0*"},
		"ISO_IR 126":                        {"\xAE*", "\xD2*"},
		"ISO_IR 127":                        {"\xC0*", "\xFF*"},
		"ISO_IR 138":                        {"\xC4*", "\xFB*"},
		"ISO_IR 166":                        {"\xDB*", "\xFC\xFF", "\x80*"},
		"ISO_IR 13":                         {"\x81*", "\xE0*", "\xFC\xFC*"},
		"GB18030":                           {"\xFF*", "\x81*", "\xB0*\xA1", "\x80\x81*", "\xA1\xA1*", "\xA3\xAA*", "\x81\x30\x84\x32*"},
		"GBK":                               {"\xFF*", "\x81*", "\x81\x7F*"},
		"\\ISO 2022 IR 58":                  {"\xAA\xA1*", "\xD7\xFA*", "\xA1*"},
		"\\ISO 2022 IR 149":                 {"\xC9A*", "\xC9\xB0\xA1*", "\xA8\xB0\xA1*", "\xA2\xE8\xB0*", "\x1B(B*", "\x1B-A\xC4*", "\x1B$A*", "\x1B#3*", "\x1B$B**\x1B(B", "\x1B$B??\x1B(B", "\xC9\x1B$)CA*", "\x0E*"},
		"\\ISO 2022 IR 87":                  {"\x1B(B*", "\x1B(B", "\x1B*", "\x1B", "\x1B(\x83.x*", "\x1B$\x83B)!*", "\x1B$*", "\x1B$B*", "\x1B$(D*", "\x1B$B**\x1B(B", "\x1B$B)!\x1B(B*", "\x1B$B)0)0\x1B(B*", "\x1B$Bt'\x1B(B*", "*\x1B", "\xC4*"},
		"\\ISO 2022 IR 159":                 {"\x1B(B*", "\x1B$(D*", "\x1B$(Dn!\x1B(B*"},
		"ISO 2022 IR 13\\ISO 2022 IR 87":    {"\x1B(J*", "\x1B$B**\x1B(J", "\x1B$B??\x1B(J"},
		"ISO 2022 IR 6\\ISO 2022 IR 149":    {"\x1B$)C\xB0\xA1*"}, // for it the first set counts
		"\\ISO 2022 IR 87\\ISO 2022 IR 149": {"\xB0\xA1*"},
		"ISO_IR 192\\ISO_IR 100":            {"\xFF*", "\xE5[*"},
	} {
		for _, id := range ids {
			q, data := scanIdentifier(t, uidExplicit, patients(set, id))
			if data.Fault != nil || q.Keys[0].Match > Everything {
				t.Errorf("%q in %q: %v %v", id, set, q.Keys, data.Fault)
			}
		}
	}
}

func TestWhatEveryDecoderKeepsNarrows(t *testing.T) {
	for set, ids := range map[string][]string{
		"ISO_IR 192":                        {"山田*", "Ä*", "Ł*", "Ж*", "ي*", "ש*", "ก*", "가*", "힣*", "ế*", "ｱ*", "Ａ*", "𠀀*", "\xFFAB*"},
		"ISO_IR 6":                          {"A\xFF*", "\xFFAB*", "[*", "=*", "\x1B(BA*"},
		"":                                  {"M\xDCLLER*", "\xDCBER*"},
		"ISO_IR 100":                        {"\xC4*", "\x85A*"},
		"ISO 2022 IR 100":                   {"\xC4*"},
		"ISO_IR 101":                        {"\xA3*"},
		"ISO_IR 144":                        {"\xBB*"},
		"ISO_IR 126":                        {"\xC1*"},
		"ISO_IR 127":                        {"\xC7*"},
		"ISO_IR 138":                        {"\xE0*"},
		"ISO_IR 166":                        {"\xA1*", "\xDBA*"},
		"ISO_IR 13":                         {"\xD4*"},
		"GB18030":                           {"\xCD\xF5*", "\x81\x40*", "\x95\x32\x82\x36*", "\x82\x30\x81\x30*", "\xB0\x5C*"},
		"GBK":                               {"\xCD\xF5*", "\x81\x40*"},
		"\\ISO 2022 IR 58":                  {"\x1B$)A\xCD\xF5*"},
		"\\ISO 2022 IR 149":                 {"\x1B$)C\xB1\xE8*", "\xB1\xE8*"},
		"\\ISO 2022 IR 87":                  {"\x1B$B;3ED\x1B(B*", "\x1B$B%d%^\x1B(B*", "\x1B$B$d", "\x1B$@;3*"},
		"\\ISO 2022 IR 159":                 {"\x1B$(D0!\x1B(B*"},
		"ISO 2022 IR 13\\ISO 2022 IR 87":    {"\xD4\xCF\xC0\xDE*", "\x1B$B;3ED\x1B(J*"},
		"\\ISO 2022 IR 87\\ISO 2022 IR 159": {"\x1B$B;3\x1B$(D0!\x1B(B*"},
		"\\ISO 2022 IR 149\\ISO 2022 IR 87": {"\xB1\xE8*"},
	} {
		for _, id := range ids {
			q, data := scanIdentifier(t, uidExplicit, patients(set, id))
			if data.Fault != nil || q.Keys[0].Match < Wildcard {
				t.Errorf("%q in %q: %v %v", id, set, q.Keys, data.Fault)
			}
		}
	}
}

// A VR that Specific Character Set is not about has characters of its own (PS3.5 §6.2).
func TestKeysHaveTheCharactersOfTheirVR(t *testing.T) {
	for vr, values := range map[string][]string{
		"UI": {"\xFF\xFF", "\xFF*", "1.2\x7F", "\x1B(B", "\x0E", "1.2-3"},
		"DA": {"\xFF-", "-a", "x-y", "\x7F20260101", "2026010%"},
		"TM": {"\x7F-", "_-"},
		"DT": {"-\xB2"},
		"CS": {"\x1B(B*", "C\xD4", "\x7F*"},
		"AE": {"\x80*"},
		"AS": {"old"},
		"IS": {"\xB2", "1.0"},
		"DS": {"one"},
		"UR": {"http://\xC4"},
	} {
		for _, v := range values {
			d := new(dataSet).put(0x00080005, "CS", `\ISO 2022 IR 149`).put(0x00091001, vr, v)
			if _, data := scanIdentifier(t, uidExplicit, d.b); data.Fault == nil || !strings.Contains(data.Fault.Detail, "a character that a") {
				t.Errorf("%s %q: %v", vr, v, data.Fault)
			}
		}
	}
}

// A NUL is none of a character, also where a value of unknown VR may have one.
func TestNULBreaksACharacterOff(t *testing.T) {
	for _, v := range []string{"\xC3\x00\xA9\x00", "\xE5\x00\xB1\x00\xB1 "} {
		d := new(dataSet).put(0x00080005, "CS", "ISO_IR 192").put(0x00091001, "UN", v)
		q, data := scanIdentifier(t, uidExplicit, d.b)
		if m := q.Keys[len(q.Keys)-1].Match; data.Fault == nil && m >= Wildcard {
			t.Errorf("%q: %v", v, m)
		}
	}
}

// A character has one bit for each shape of it.
func TestShapesFitTheirBits(t *testing.T) {
	for term, r := range repertoires {
		if len(r.shapes) > 32 {
			t.Errorf("%s: %d", term, len(r.shapes))
		}
	}
	for name, shapes := range wideSets {
		if len(shapes) > 32 {
			t.Errorf("%c: %d", name, len(shapes))
		}
	}
}

func TestKeysAreCapped(t *testing.T) {
	d := new(dataSet).open(0x00081110, "SQ").item()
	for i := range maxKeys - 1 {
		d.put(0x00091001+Tag(i), "SH", "")
	}
	s := new(Scanner)
	for _, want := range []string{"", fmt.Sprintf("more than %d keys", maxKeys)} {
		s.Reset(uidExplicit, Whole)
		s.Identifier()
		s.Feed(d.b)
		if f := s.DataSet().Fault; want == "" && f != nil || want != "" && (f == nil || !strings.Contains(f.Detail, want)) {
			t.Errorf("%v, want %q", f, want)
		}
		d.put(0x00199999, "SH", "")
	}
}

// curious is Rules that look at all of every data set.
type curious struct{ *script }

func (curious) Needs(*Command) Tag { return Whole }

func TestKeysOfRequestsAreFactsInAConversation(t *testing.T) {
	set := (&dataSet{encoding: encoding{implicit: true}}).put(0x00080052, "CS", "STUDY ").put(0x00100010, "PN", "* ").b
	for field, want := range map[uint16][]Key{
		CFindRQ: {{0x00100010, 0, Everything}}, CMoveRQ: {{0x00100010, 0, Everything}}, CGetRQ: {{0x00100010, 0, Everything}}, CStoreRQ: nil,
	} {
		judged := 0
		rules := curious{&script{dataSet: func(c *Command, d *DataSet, _ *protocols.Verdict) {
			judged++
			if string(d.Query.Level) != "STUDY" || !slices.Equal(d.Query.Keys, want) || d.Fault != nil {
				t.Errorf("%s: %q %v %v, want %v", c.Name(), d.Query.Level, d.Query.Keys, d.Fault, want)
			}
		}}}
		rq := &Command{Field: field, MessageID: 1, HasDataSet: true, SOPClass: []byte(uidFind), SOPInstance: []byte(testInstance), MoveAE: []byte("WS1")}
		if field != CStoreRQ {
			rq.SOPInstance = nil
		}
		p := protocols.Play(New(Config{}, rules), established(near(pdu(cmdPDV(ctxFind, rq), dataPDV(ctxFind, true, set))))...)
		if judged != 1 {
			t.Errorf("%s: judged %d times, %v, %v", rq.Name(), judged, p.Err, p.Verdicts)
		}
	}
}
