package dicom

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"cordon/protocols"
	"cordon/protocols/dicom/dict"
	"cordon/protocols/reason"
)

// renamed is a hospital whose archive and workstation have new titles.
var renamed = map[string]string{"PACS": "ARCHIVE2", "WS1": "W", "SAME": "SAME"}

// el encodes an element in an encoding, with undefined length where value is nil.
func el(e encoding, tag Tag, vr string, value []byte) []byte {
	var order binary.AppendByteOrder = binary.LittleEndian
	if e.bigEndian {
		order = binary.BigEndian
	}
	b := order.AppendUint16(order.AppendUint16(nil, uint16(tag>>16)), uint16(tag))
	length := uint32(len(value))
	if value == nil {
		length = undefinedLength
	}
	switch {
	case e.implicit || tag>>16 == 0xFFFE:
		b = order.AppendUint32(b, length)
	case dict.VROf(vr[0], vr[1]).Long():
		b = order.AppendUint32(append(b, vr[0], vr[1], 0, 0), length)
	default:
		b = order.AppendUint16(append(b, vr[0], vr[1]), uint16(length))
	}
	return append(b, value...)
}

func join(parts ...[]byte) []byte { return append([]byte{}, bytes.Join(parts, nil)...) }

var testEncodings = map[string]encoding{
	"1.2.840.10008.1.2":   {implicit: true},
	"1.2.840.10008.1.2.1": {},
	"1.2.840.10008.1.2.2": {bigEndian: true},
}

// retitled runs a data set through the editor.
func retitled(set []byte, e encoding, in *places) (out []byte, found, read bool) {
	var r retitler
	r.reset(&script{titles: renamed}, protocols.Near)
	read = r.dataSet(set, e, in)
	return r.out, r.found, read
}

func TestRetrieveAETitlesAreReplaced(t *testing.T) {
	for name, e := range testEncodings {
		before := join(el(e, 0x00080005, "CS", []byte("ISO_IR 100")), el(e, 0x00080052, "CS", []byte("STUDY ")))
		// A sequence of undefined length in a sequence of undefined length, to be skipped.
		code := join(el(e, tagItem, "", nil), el(e, 0x00080100, "SH", []byte("X1")), el(e, 0x00401012, "SQ", nil), el(e, tagItem, "", []byte{}),
			el(e, tagSequenceDelimiter, "", []byte{}), el(e, tagItemDelimiter, "", []byte{}), el(e, tagSequenceDelimiter, "", []byte{}))
		skipped := join(el(e, 0x00081032, "SQ", nil), code)
		if !e.implicit {
			// An UN of undefined length holds Implicit VR Little Endian (PS3.5 §6.2.2).
			i := encoding{implicit: true}
			skipped = join(skipped, el(e, 0x00081040, "UN", nil), el(i, tagItem, "", nil), el(i, 0x00090102, "", []byte("LO")),
				el(i, tagItemDelimiter, "", []byte{}), el(i, tagSequenceDelimiter, "", []byte{}))
		}
		after := join(el(e, 0x0020000D, "UI", []byte(testStudy+"\x00")), []byte("not read"))
		title := func(v string) []byte { return el(e, tagRetrieveAETitle, "AE", []byte(v)) }
		ref := el(e, 0x00081155, "UI", []byte(testInstance+"\x00"))
		// defined and undefined make a Referenced SOP Sequence of items with titles.
		defined := func(titles ...string) []byte {
			items := []byte{}
			for _, v := range titles {
				items = append(items, el(e, tagItem, "", join(title(v), ref))...)
			}
			return el(e, tagReferencedSequence, "SQ", join(items))
		}
		undefined := func(titles ...string) []byte {
			b := el(e, tagReferencedSequence, "SQ", nil)
			for i, v := range titles {
				if i%2 == 0 {
					b = join(b, el(e, tagItem, "", nil), title(v), ref, el(e, tagItemDelimiter, "", []byte{}))
				} else {
					b = join(b, el(e, tagItem, "", join(title(v), ref)))
				}
			}
			return join(b, el(e, tagSequenceDelimiter, "", []byte{}))
		}
		for what, c := range map[string][2][]byte{
			"top level":             {join(before, title("PACS"), skipped, after), join(before, title("ARCHIVE2"), skipped, after)},
			"padded":                {join(before, title(" WS1  "), after), join(before, title("W "), after)},
			"one of several":        {join(title(`CT3\PACS\ WS1\SAME`), after), join(title(`CT3\ARCHIVE2\W\SAME `), after)},
			"none":                  {join(before, title("CT3 "), skipped, defined("SAME", ""), after), nil},
			"no title at all":       {join(before, skipped, after), nil},
			"sequence":              {join(skipped, defined("PACS", "CT3 ", "WS1 ")), join(skipped, defined("ARCHIVE2", "CT3 ", "W "))},
			"sequence without end":  {join(undefined("PACS", "PACS", "CT3 ", "CT3 "), after), join(undefined("ARCHIVE2", "ARCHIVE2", "CT3 ", "CT3 "), after)},
			"both":                  {join(title("PACS"), defined("PACS"), after), join(title("ARCHIVE2"), defined("ARCHIVE2"), after)},
			"an empty sequence":     {join(title("PACS"), defined(), undefined()), join(title("ARCHIVE2"), defined(), undefined())},
			"behind what ends them": {join(before, after, title("PACS")), nil},
			"nothing":               {[]byte{}, nil},
		} {
			out, found, read := retitled(c[0], e, &inReferences)
			want := c[1]
			if want == nil {
				want = c[0]
			}
			if !read || found != (c[1] != nil) || !bytes.Equal(out, want) {
				t.Errorf("%s, %s: read %v, found %v\n% x\nwant\n% x", name, what, read, found, out, want)
			}
		}
		// What is cut anywhere before its end is either read to a place where an element ends, or not.
		whole := join(before, title("PACS"), skipped, undefined("PACS", "PACS"), defined("WS1 "))
		for n := range whole {
			retitled(whole[:n:n], e, &inReferences)
		}
	}
}

func TestDataSetsThatCannotBeRewritten(t *testing.T) {
	e := encoding{}
	title := el(e, tagRetrieveAETitle, "AE", []byte("PACS"))
	deep := []byte{}
	for range MaxDepth {
		deep = join(deep, el(e, 0x00081032, "SQ", nil), el(e, tagItem, "", nil))
	}
	for name, set := range map[string][]byte{
		"a header cut":                  title[:7],
		"a long header cut":             el(e, tagReferencedSequence, "SQ", []byte{})[:10],
		"a value cut":                   title[:9],
		"not a VR":                      join(title, []byte{8, 0, 0x55, 0, '?', '?', 0, 0}),
		"an item at the end":            join(title, el(e, 0x00081032, "SQ", nil), el(e, tagItem, "", nil)),
		"an element in a sequence":      join(title, el(e, 0x00081032, "SQ", nil), title),
		"an item in an item":            join(title, el(e, 0x00081032, "SQ", nil), el(e, tagItem, "", nil), el(e, tagItem, "", nil)),
		"an element among the items":    join(title, el(e, tagReferencedSequence, "SQ", nil), title),
		"items without end":             join(title, el(e, tagReferencedSequence, "SQ", nil), el(e, tagItem, "", []byte{})),
		"an item without end":           join(title, el(e, tagReferencedSequence, "SQ", el(e, tagItem, "", nil))),
		"an item beyond its sequence":   join(title, el(e, tagReferencedSequence, "SQ", el(e, tagItem, "", title)[:14]), title),
		"a sequence beyond the set":     join(title, el(e, tagReferencedSequence, "SQ", title)[:14]),
		"a delimiter in a known length": join(title, el(e, tagReferencedSequence, "SQ", el(e, tagSequenceDelimiter, "", []byte{}))),
		"a delimiter in a known item":   join(title, el(e, tagReferencedSequence, "SQ", el(e, tagItem, "", el(e, tagItemDelimiter, "", []byte{})))),
		"sequences without end":         join(title, deep, deep),
		"values that grow too long":     el(e, tagRetrieveAETitle, "AE", []byte(strings.Repeat(`PACS\`, 12000))),
	} {
		if _, _, read := retitled(set, e, &inReferences); read {
			t.Errorf("%s is read", name)
		}
	}
}

// titled are data sets with a Retrieve AE Title, by how it is written.
func titled(e encoding, title string) map[string][]byte {
	in := func(e encoding, vr string) []byte {
		return join(el(e, tagRetrieveAETitle, vr, []byte(title)), el(e, 0x00081155, "UI", []byte(testInstance+"\x00")))
	}
	// open and closed are a sequence of undefined and of defined length, as are their items.
	open := func(e, items encoding, vr, title string) []byte {
		return join(el(e, tagReferencedSequence, vr, nil), el(items, tagItem, "", nil), in(items, title), el(items, tagItemDelimiter, "", []byte{}),
			el(items, tagItem, "", in(items, title)), el(items, tagSequenceDelimiter, "", []byte{}))
	}
	closed := func(e, items encoding, vr, title string) []byte {
		return el(e, tagReferencedSequence, vr, join(el(items, tagItem, "", nil), in(items, title), el(items, tagItemDelimiter, "", []byte{}), el(items, tagItem, "", in(items, title))))
	}
	sets := map[string][]byte{"AE": in(e, "AE"), "AE in a sequence": open(e, e, "SQ", "AE"), "AE in a sequence of a known length": closed(e, e, "SQ", "AE")}
	if !e.implicit {
		// A sequence that is sent as UN is implicit VR little endian, whatever is around it (PS3.5 §6.2.2).
		i := encoding{implicit: true}
		sets["UN"], sets["UN in a sequence"] = in(e, "UN"), closed(e, e, "SQ", "UN")
		sets["in an UN"], sets["in an UN of a known length"] = open(e, i, "UN", ""), closed(e, i, "UN", "")
	}
	for how, set := range sets {
		sets[how] = join(el(e, 0x00080005, "CS", []byte("ISO_IR 100")), set, el(e, 0x0020000D, "UI", []byte(testStudy+"\x00")))
	}
	return sets
}

// FuzzRetitle: what is rewritten reads the same way again, has nothing more to rewrite (the new
// titles are nobody's old ones), and differs from what came in titles alone.
func FuzzRetitle(f *testing.F) {
	for _, e := range testEncodings {
		for _, set := range titled(e, "PACS") {
			f.Add(set, e.implicit, e.bigEndian)
		}
		title := el(e, tagRetrieveAETitle, "AE", []byte("PACS"))
		f.Add(join(title, el(e, tagReferencedSequence, "SQ", el(e, tagItem, "", title))), e.implicit, e.bigEndian)
		f.Add(join(el(e, 0x00081032, "SQ", nil), el(e, tagItem, "", nil), title, el(e, tagItemDelimiter, "", []byte{}), el(e, tagSequenceDelimiter, "", []byte{}),
			el(e, tagReferencedSequence, "SQ", nil), el(e, tagItem, "", nil), title, el(e, tagItemDelimiter, "", []byte{}), el(e, tagSequenceDelimiter, "", []byte{})), e.implicit, e.bigEndian)
	}
	for _, open := range []bool{false, true} {
		f.Add(inside(encoding{}, open, "PACS", tagSeriesSequence, tagReferencedSequence), false, false)
		f.Add(inside(encoding{}, open, "PACS", tagPerformedSequence, tagOutputSequence, tagRetrievalSequence), false, false)
	}
	f.Fuzz(func(t *testing.T, set []byte, implicit, bigEndian bool) {
		e := encoding{implicit: implicit, bigEndian: bigEndian && !implicit}
		for _, in := range []*places{&inReferences, &inAvailable, &inPerformed, &inUnified} {
			out, found, read := retitled(set, e, in)
			switch {
			case !read:
				continue
			case !found:
				if !bytes.Equal(out, set) {
					t.Fatalf("% x became % x", set, out)
				}
				continue
			}
			if back, whole := inflated(deflated(out), len(out)); !whole || !bytes.Equal(back, out) {
				t.Fatalf("% x, deflated, inflates to % x (all of it: %v)", out, back, whole)
			}
			again, found, read := retitled(out, e, in)
			if !read || found || !bytes.Equal(again, out) {
				t.Fatalf("% x became % x, then % x (found %v, read %v)", set, out, again, found, read)
			}
		}
	})
}

// moveRQ is a C-MOVE-RQ and its identifier.
func moveRQ(to string) []byte {
	return withData(ctxMove, &Command{Field: CMoveRQ, MessageID: 3, SOPClass: []byte(uidMove), MoveAE: []byte(to)}, make([]byte, 20))
}

// originated is a C-STORE-RQ that a C-MOVE caused, in PDUs of at most maxLength.
func originated(by string, set []byte, maxLength uint32) []byte {
	rq := storeRQ(1)
	rq.Originator, rq.OriginatorID = []byte(by), 77
	b := AppendFragments(nil, ctxCT, true, AppendCommand(nil, rq), maxLength)
	return AppendFragments(b, ctxCT, false, set, maxLength)
}

// match is a C-FIND response that says who has the object.
func match(at string) []byte {
	e := encoding{}
	return join(el(e, 0x00080052, "CS", []byte("IMAGE ")), el(e, tagRetrieveAETitle, "AE", []byte(at)), el(e, 0x0020000D, "UI", []byte(testStudy+"\x00")))
}

// references is what storage commitment commits, n objects.
func references(at string, n int) []byte {
	e := encoding{implicit: true}
	var items []byte
	for range n {
		items = append(items, el(e, tagItem, "", join(el(e, tagRetrieveAETitle, "AE", []byte(at)), el(e, 0x00081155, "UI", []byte(testInstance+"\x00"))))...)
	}
	return join(el(e, tagRetrieveAETitle, "AE", []byte(at)), el(e, 0x00081195, "UI", []byte("1.2.3.")), el(e, tagReferencedSequence, "SQ", items))
}

func withTitles() *script { return &script{titles: renamed} }

func TestMessagesAreRetitled(t *testing.T) {
	find := withData(ctxFind, findRQ(5), make([]byte, 20))
	pending := AppendFragments(nil, ctxFind, true, AppendCommand(nil, findRSP(5, StatusPending, true)), 0)
	action := AppendFragments(nil, ctxCommit, true, AppendCommand(nil, &Command{Field: NActionRQ, MessageID: 1, TypeID: 1, HasDataSet: true, SOPClass: []byte(uidStorageCommitment), SOPInstance: []byte(testInstance)}), 0)
	report := eventRQ(1)
	report.HasDataSet = true
	event := AppendFragments(nil, ctxCommit, true, AppendCommand(nil, report), 0)
	object := image(goodInstance, 400)
	echo := cmdPDV(ctxEcho, echoRQ(20))
	part := func(b []byte, from, to int) []byte { return dataPDV(ctxFind, to == len(b), b[from:to]) }
	async := info(testItem(0x53, 0, 0))
	for name, c := range map[string]struct {
		before  []protocols.Chunk
		in, out protocols.Chunk
		last    string
	}{
		"move destination":         {nil, near(moveRQ("PACS")), near(moveRQ("ARCHIVE2")), "C-MOVE-RQ rewrite policy.rewrite"},
		"move destination stays":   {nil, near(moveRQ("CT3")), near(moveRQ("CT3")), "C-MOVE-RQ allow"},
		"move destination, padded": {nil, near(moveRQ(" WS1 ")), near(moveRQ("W")), "C-MOVE-RQ rewrite policy.rewrite"},
		"move originator":          {nil, near(originated("PACS", object, 0)), near(originated("ARCHIVE2", object, 0)), "C-STORE-RQ rewrite policy.rewrite"},
		"move originator, in small PDUs": {nil, near(originated("PACS", object, 40)),
			near(originated("ARCHIVE2", nil, 16384)[:len(originated("ARCHIVE2", nil, 16384))-12], AppendFragments(nil, ctxCT, false, object, 40)), "C-STORE-RQ rewrite policy.rewrite"},
		"match":            {[]protocols.Chunk{near(find)}, far(pending, pdu(part(match("PACS"), 0, len(match("PACS"))))), far(pending, pdu(part(match("ARCHIVE2"), 0, len(match("ARCHIVE2"))))), "C-FIND-RSP rewrite policy.rewrite"},
		"match in pieces":  {[]protocols.Chunk{near(find)}, far(pending, pdu(part(match("PACS"), 0, 20), part(match("PACS"), 20, 24)), pdu(part(match("PACS"), 24, len(match("PACS"))))), far(pending, pdu(part(match("ARCHIVE2"), 0, len(match("ARCHIVE2"))))), "C-FIND-RSP rewrite policy.rewrite"},
		"match stays":      {[]protocols.Chunk{near(find)}, far(pending, pdu(part(match("CT3 "), 0, 20)), pdu(part(match("CT3 "), 20, len(match("CT3 "))))), far(pending, pdu(part(match("CT3 "), 0, 20)), pdu(part(match("CT3 "), 20, len(match("CT3 "))))), "C-FIND-RSP allow"},
		"match not read":   {[]protocols.Chunk{near(find)}, far(pending, pdu(dataPDV(ctxFind, true, match("PACS")[:22]))), far(pending, pdu(dataPDV(ctxFind, true, match("PACS")[:22]))), "C-FIND-RSP allow"},
		"no match":         {[]protocols.Chunk{near(find)}, far(pdu(cmdPDV(ctxFind, findRSP(5, 0, false)))), far(pdu(cmdPDV(ctxFind, findRSP(5, 0, false)))), "C-FIND-RSP allow"},
		"commitment asked": {nil, near(action, AppendFragments(nil, ctxCommit, false, references("PACS", 3), 100)), near(action, AppendFragments(nil, ctxCommit, false, references("ARCHIVE2", 3), 16384)), "N-ACTION-RQ rewrite policy.rewrite"},
		"commitment reported": {nil, far(event, AppendFragments(nil, ctxCommit, false, references("PACS", 80), 3000)), far(event, AppendFragments(nil, ctxCommit, false, references("ARCHIVE2", 80), 16384)),
			"N-EVENT-REPORT-RQ rewrite policy.rewrite"},
		"in one PDU with others": {nil, near(pdu(echo, cmdPDV(ctxCT, &Command{Field: CStoreRQ, MessageID: 1, HasDataSet: true, SOPClass: []byte(uidCT), SOPInstance: []byte(testInstance), Originator: []byte("PACS"), OriginatorID: 77}),
			dataPDV(ctxCT, false, object[:100]), dataPDV(ctxCT, true, object[100:]))),
			near(pdu(echo), originated("ARCHIVE2", nil, 0)[:len(originated("ARCHIVE2", nil, 0))-12], pdu(dataPDV(ctxCT, false, object[:100]), dataPDV(ctxCT, true, object[100:]))),
			"C-STORE-RQ rewrite policy.rewrite"},
		"matches in one PDU": {[]protocols.Chunk{near(find)}, far(pdu(cmdPDV(ctxFind, findRSP(5, StatusPending, true)), part(match("CT3 "), 0, len(match("CT3 "))), cmdPDV(ctxFind, findRSP(5, StatusPending, true)), part(match("PACS"), 0, len(match("PACS"))))),
			far(pdu(cmdPDV(ctxFind, findRSP(5, StatusPending, true)), part(match("CT3 "), 0, len(match("CT3 "))), cmdPDV(ctxFind, findRSP(5, StatusPending, true))), pdu(part(match("ARCHIVE2"), 0, len(match("ARCHIVE2"))))),
			"C-FIND-RSP rewrite policy.rewrite"},
	} {
		t.Run(name, func(t *testing.T) {
			for what, rules := range map[string]func() *script{
				"not read by the rules": withTitles,
				"read by them": func() *script {
					r := withTitles()
					r.reads = TagStudyInstanceUID
					return r
				},
			} {
				chunks := append(workstation(async, c.before...), c.in, near(pdu(cmdPDV(ctxEcho, echoRQ(21)))))
				p := playEveryWay(t, Config{}, rules, chunks...)
				if p.Err != nil {
					t.Fatalf("%s: %v", what, p.Err)
				}
				from := c.in.From
				want := append([]byte{}, chunks[from].Bytes...)
				for _, ch := range append(append([]protocols.Chunk{}, c.before...), c.out, near(pdu(cmdPDV(ctxEcho, echoRQ(21))))) {
					if ch.From == from {
						want = append(want, ch.Bytes...)
					}
				}
				wantToward(t, p, from.Other(), want)
				if got := verdicts(p)[len(p.Verdicts)-2]; got != c.last {
					t.Errorf("%s: %v, want %s", what, verdicts(p), c.last)
				}
				if v := p.Verdicts[len(p.Verdicts)-2]; v.Action == protocols.Rewrite && v.Found.String() != "PACS as ARCHIVE2" && v.Found.String() != "WS1 as "+renamed["WS1"] {
					t.Errorf("found %q", v.Found.String())
				}
				wellFormed(t, p.Toward[from.Other()])
			}
		})
	}
}

// However a title is written, it is replaced, and nothing is where there is none to replace.
func TestTitlesAreReplacedInEveryEncoding(t *testing.T) {
	for _, syntax := range []string{uidImplicit, uidExplicit, uidBigEndian, uidDeflated} {
		before, packed := titled(encodingOf(syntax), "PACS"), encodingOf(syntax).deflated
		after, others := titled(encodingOf(syntax), "ARCHIVE2"), titled(encodingOf(syntax), "CT3 ")
		for how := range before {
			t.Run(dict.Name(syntax)+", "+how, func(t *testing.T) {
				user := testUser(testMaxLength(16384), testItem(0x53, 0, 0))
				agreed := []protocols.Chunk{near(testRQ(testApplication(), testContextRQ(ctxCommit, uidStorageCommitment, syntax), user)),
					far(testAC(testApplication(), testContextAC(ctxCommit, 0, syntax), user))}
				rules := func() *script {
					return &script{titles: renamed, reads: Whole, dataSet: func(_ *Command, d *DataSet, _ *protocols.Verdict) {
						if d.Fault != nil {
							t.Error(d.Fault)
						}
					}}
				}
				asked := func(set []byte) ([]byte, protocols.Played) {
					if packed {
						set = deflate(set)
					}
					rq := AppendFragments(nil, ctxCommit, true, AppendCommand(nil, &Command{Field: NActionRQ, MessageID: 1, TypeID: 1, HasDataSet: true, SOPClass: []byte(uidStorageCommitment), SOPInstance: []byte(testInstance)}), 0)
					rq = AppendFragments(rq, ctxCommit, false, set, 60)
					return rq, playEveryWay(t, Config{}, rules, append(agreed, near(rq))...)
				}
				rq, p := asked(others[how])
				wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "N-ACTION-RQ allow")
				wantToward(t, p, protocols.Far, agreed[0].Bytes, rq)

				_, p = asked(before[how])
				wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "N-ACTION-RQ rewrite policy.rewrite")
				got := messages(t, p.Toward[protocols.Far])[0].set
				if len(got)%2 != 0 {
					t.Errorf("%d bytes", len(got))
				}
				if packed {
					got, _ = inflated(got, 1000)
				}
				if !bytes.Equal(got, after[how]) {
					t.Errorf("% x\nbecame\n% x\nwant\n% x", before[how], got, after[how])
				}
			})
		}
	}
}

// inside is a data set with a Retrieve AE Title in a sequence of a sequence …, each with a second
// item, of undefined or defined lengths.
func inside(e encoding, open bool, title string, path ...Tag) []byte {
	set := join(el(e, tagRetrieveAETitle, "AE", []byte(title)), el(e, 0x00081150, "UI", []byte("1.2.3\x00")))
	for _, tag := range slices.Backward(path) {
		if open {
			set = join(el(e, tag, "SQ", nil), el(e, tagItem, "", nil), set, el(e, tagItemDelimiter, "", []byte{}),
				el(e, tagItem, "", nil), set, el(e, tagItemDelimiter, "", []byte{}), el(e, tagSequenceDelimiter, "", []byte{}))
		} else {
			set = el(e, tag, "SQ", join(el(e, tagItem, "", set), el(e, tagItem, "", set)))
		}
	}
	return join(el(e, 0x00080005, "CS", []byte("ISO_IR 100")), set, el(e, 0x00880130, "SH", []byte("DISK")))
}

// Titles are replaced where the services have them, and at no other place.
func TestTitlesAreReplacedInEveryService(t *testing.T) {
	const (
		uidWorklist   = "1.2.840.10008.5.1.4.31"
		uidNotify     = "1.2.840.10008.3.1.2.3.5"
		uidPush       = "1.2.840.10008.5.1.4.34.6.1"
		uidWatch      = "1.2.840.10008.5.1.4.34.6.2"
		uidPull       = "1.2.840.10008.5.1.4.34.6.3"
		procedureStep = 0x00081111 // Referenced Performed Procedure Step Sequence
	)
	input, output := []Tag{tagInputSequence, tagRetrievalSequence}, []Tag{tagPerformedSequence, tagOutputSequence, tagRetrievalSequence}
	for name, c := range map[string]struct {
		class string
		field uint16
		path  []Tag
		stays bool
	}{
		"a step begins":                       {uidPerformedStep, NCreateRQ, []Tag{tagPerformedSeries}, false},
		"a step ends":                         {uidPerformedStep, NSetRQ, []Tag{tagPerformedSeries}, false},
		"a step as the server has it":         {uidPerformedStep, NSetRSP, []Tag{tagPerformedSeries}, false},
		"a step is read":                      {uidStepRetrieve, NGetRSP, []Tag{tagPerformedSeries}, false},
		"deeper in a step":                    {uidPerformedStep, NCreateRQ, []Tag{tagPerformedSeries, tagReferencedSequence}, true},
		"a sequence that steps do not have":   {uidPerformedStep, NCreateRQ, []Tag{tagReferencedSequence}, true},
		"what a notification has":             {uidNotify, NEventRQ, []Tag{tagPerformedSeries}, true},
		"objects are available":               {uidAvailability, NCreateRQ, []Tag{tagSeriesSequence, tagReferencedSequence}, false},
		"a series, which has none":            {uidAvailability, NCreateRQ, []Tag{procedureStep}, true},
		"a unified step is ordered":           {uidPush, NCreateRQ, input, false},
		"a unified step is done":              {uidPull, NSetRQ, output, false},
		"a unified step is read":              {uidWatch, NGetRSP, output, false},
		"a unified step is found":             {uidPull, CFindRSP, input, false},
		"a unified step that is reported":     {uidPush, NEventRQ, input, true},
		"a study that is found":               {uidFind, CFindRSP, nil, false},
		"a study that is found in a sequence": {uidFind, CFindRSP, []Tag{tagPerformedSeries}, true},
		"a study of a repository":             {uidRepositoryQuery, CFindRSP, nil, false},
		"a worklist":                          {uidWorklist, CFindRSP, nil, true},
		"objects to commit":                   {uidStorageCommitment, NActionRQ, []Tag{tagReferencedSequence}, false},
	} {
		for _, syntax := range []string{uidImplicit, uidExplicit, uidBigEndian, uidDeflated} {
			for _, open := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, open %v", name, dict.Name(syntax), open), func(t *testing.T) {
					const ctx = 1
					e, user := encodingOf(syntax), testUser(testMaxLength(16384))
					chunks := []protocols.Chunk{near(testRQ(testApplication(), testContextRQ(ctx, c.class, syntax), user)),
						far(testAC(testApplication(), testContextAC(ctx, 0, syntax), user))}
					m := Command{Field: c.field, MessageID: 1, SOPClass: []byte(c.class), SOPInstance: []byte(testInstance)}
					from := protocols.Near
					switch c.field {
					case NActionRQ:
						m.TypeID = 1
					case NEventRQ:
						m.TypeID, from = 1, protocols.Far
					case CFindRSP, NGetRSP, NSetRSP:
						rq := m
						rq.Field &^= responseBit
						if from = protocols.Far; c.field == CFindRSP {
							m.Status, m.SOPInstance, rq.SOPInstance = StatusPending, nil, nil
						}
						if c.field == NGetRSP {
							chunks = append(chunks, near(pdu(cmdPDV(ctx, &rq))))
						} else {
							chunks = append(chunks, near(withData(ctx, &rq, inside(encoding{}, false, "CT3 "))))
						}
					}
					sent := func(title string) ([]byte, protocols.Played) {
						set := inside(e, open, title, c.path...)
						if e.deflated {
							set = deflate(set)
						}
						b := AppendFragments(nil, ctx, true, AppendCommand(nil, withSet(m)), 0)
						b = AppendFragments(b, ctx, false, set, 60)
						return b, playEveryWay(t, Config{}, withTitles, append(slices.Clone(chunks), protocols.Chunk{From: from, Bytes: b})...)
					}
					last := func(p protocols.Played) (string, []byte) {
						if p.Err != nil {
							t.Fatal(p.Err)
						}
						all := messages(t, p.Toward[from.Other()])
						return verdicts(p)[len(p.Verdicts)-1], all[len(all)-1].set
					}
					titles := []string{"CT3 "}
					if c.stays {
						titles = append(titles, "PACS")
					}
					for _, title := range titles {
						b, p := sent(title)
						if v, _ := last(p); !strings.HasSuffix(v, " allow") || !bytes.HasSuffix(p.Toward[from.Other()], b) {
							t.Errorf("%s: %s, and not as it came", title, v)
						}
					}
					if c.stays {
						return
					}
					_, p := sent("PACS")
					v, got := last(p)
					if e.deflated {
						got, _ = inflated(got, 4000)
					}
					if want := inside(e, open, "ARCHIVE2", c.path...); !strings.HasSuffix(v, " rewrite policy.rewrite") || !bytes.Equal(got, want) {
						t.Errorf("%s\n% x\nwant\n% x", v, got, want)
					}
				})
			}
		}
	}
}

func withSet(c Command) *Command { c.HasDataSet = true; return &c }

// What a deflated data set holds beyond what may be inflated, or what cannot be inflated, is not
// looked at: it passes as it came, where no rule wants it sound.
func TestDeflatedDataSetsThatCannotBeRewritten(t *testing.T) {
	const most = 1000
	filled := func(n int) []byte { // n bytes that begin with a title
		set := el(encoding{}, tagRetrieveAETitle, "AE", []byte("PACS"))
		return join(set, el(encoding{}, 0x7FE00010, "OB", make([]byte, n-len(set)-12)))
	}
	whole := deflate(filled(most))
	for name, c := range map[string]struct {
		set  []byte
		want string
		code reason.Code // that a rule sees
	}{
		"as much as may be": {whole, "rewrite policy.rewrite", ""},
		"more":              {deflate(filled(most + 2)), "allow", reason.CapDataSet},
		"cut":               {whole[:len(whole)-4], "allow", reason.DICOMDataSet},
		"not deflated":      {filled(100), "allow", reason.DICOMDataSet},
		"nothing":           {nil, "allow", reason.DICOMDataSet},
	} {
		t.Run(name, func(t *testing.T) {
			rq := withData(ctxPacked, &Command{Field: NActionRQ, MessageID: 1, TypeID: 1, SOPClass: []byte(uidStorageCommitment), SOPInstance: []byte(testInstance)}, c.set)
			chunks := workstation(nil, near(rq))
			cfg := Config{Scan: ScanLimits{Inflated: most}}
			p := playEveryWay(t, cfg, withTitles, chunks...)
			wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "N-ACTION-RQ "+c.want)
			if c.code == "" {
				return
			}
			wantToward(t, p, protocols.Far, chunks[0].Bytes, rq)
			p = playEveryWay(t, cfg, func() *script {
				return &script{titles: renamed, reads: Whole, dataSet: unsafeInstance}
			}, chunks...)
			wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "N-ACTION-RQ refuse "+string(c.code))
		})
	}
}

func TestDataSetsAreDeflated(t *testing.T) {
	for _, n := range []int{0, 1, 2, storedBlock - 1, storedBlock, storedBlock + 1, 2 * storedBlock, 2*storedBlock + 1} {
		set := bytes.Repeat([]byte{0x5A}, n)
		b := deflated(set)
		if back, whole := inflated(b, n); !whole || !bytes.Equal(back, set) || len(b)%2 != 0 {
			t.Errorf("%d bytes, deflated to %d, inflate to %d (all: %v)", n, len(b), len(back), whole)
		}
		if len(b) > storedBlock+6 {
			t.Errorf("%d bytes that compress well leave as %d", n, len(b))
		}
	}
}

func TestRetitledMessageStaysWithinItsReceiversMaximum(t *testing.T) { // D1
	chunks := workstation(nil, near(moveRQ("PACS")))
	ac := bytes.Clone(chunks[1].Bytes)
	copy(ac[bytes.Index(ac, testMaxLength(16384)):], testMaxLength(50))
	set := AppendCommand(nil, &Command{Field: CMoveRQ, MessageID: 3, SOPClass: []byte(uidMove), MoveAE: []byte("PACS"), HasDataSet: true})
	identifier := AppendFragments(nil, ctxMove, false, make([]byte, 20), 50)
	ask := Command{Field: NActionRQ, MessageID: 4, TypeID: 1, HasDataSet: true, SOPClass: []byte(uidStorageCommitment), SOPInstance: []byte(testInstance)}
	action := func(at string) []byte {
		b := AppendFragments(nil, ctxCommit, true, AppendCommand(nil, &ask), 50)
		return AppendFragments(b, ctxCommit, false, references(at, 20), 50)
	}
	answer := pdu(cmdPDV(ctxMove, &Command{Field: CMoveRSP, MessageID: 3}))
	p := playEveryWay(t, Config{}, withTitles, chunks[0], far(ac), near(AppendFragments(nil, ctxMove, true, set, 50), identifier), far(answer), near(action("PACS")))
	set = AppendCommand(nil, &Command{Field: CMoveRQ, MessageID: 3, SOPClass: []byte(uidMove), MoveAE: []byte("ARCHIVE2"), HasDataSet: true})
	wantToward(t, p, protocols.Far, chunks[0].Bytes, AppendFragments(nil, ctxMove, true, set, 50), identifier, action("ARCHIVE2"))
}

// A data set of which more would have to be held than may be is refused when it names a title that
// is to be replaced, and passes as it came when its beginning names none.
func TestRetitlingIsCapped(t *testing.T) {
	for ctx, set := range map[uint8]func(at string) []byte{
		ctxCommit: func(at string) []byte { return references(at, 100) },
		ctxPacked: func(at string) []byte {
			noise := make([]byte, 4000) // does not become less
			rand.NewChaCha8([32]byte{}).Read(noise)
			return deflate(join(match(at), el(encoding{}, 0x7FE00010, "OB", noise)))
		},
	} {
		testRetitlingIsCapped(t, ctx, set)
	}
}

func testRetitlingIsCapped(t *testing.T, ctx uint8, set func(at string) []byte) {
	action := func(at string) []byte {
		return withData(ctx, &Command{Field: NActionRQ, MessageID: 1, TypeID: 1, SOPClass: []byte(uidStorageCommitment), SOPInstance: []byte(testInstance)}, set(at))
	}
	echo := pdu(cmdPDV(ctxEcho, echoRQ(2)))
	cfg := Config{HoldCap: 2000}
	async := info(testItem(0x53, 0, 0))
	chunks := workstation(async, near(action("PACS"), echo))
	p := playEveryWay(t, cfg, withTitles, chunks...)
	wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "N-ACTION-RQ refuse cap.hold", "C-ECHO-RQ allow")
	wantToward(t, p, protocols.Far, chunks[0].Bytes, echo)
	rq := Command{Field: NActionRQ, MessageID: 1, ContextID: ctx, SOPClass: []byte(uidStorageCommitment), SOPInstance: []byte(testInstance)}
	wantToward(t, p, protocols.Near, chunks[1].Bytes, appendFailure(nil, &rq, reason.CapHold, 16384))
	for _, c := range []struct {
		at    string
		rules func() *script
		want  string
	}{
		{"CT3 ", withTitles, "N-ACTION-RQ allow"},
		{"PACS", func() *script { return &script{titles: renamed, lenient: true} }, "N-ACTION-RQ allow cap.hold"},
	} {
		chunks := workstation(async, near(action(c.at), echo))
		p := playEveryWay(t, cfg, c.rules, chunks...)
		wantToward(t, p, protocols.Far, chunks[0].Bytes, action(c.at), echo)
		wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", c.want, "C-ECHO-RQ allow")
	}
}

func TestRefusedMessageIsNotRetitled(t *testing.T) {
	p := playEveryWay(t, Config{}, func() *script {
		return &script{titles: renamed, command: refuse(CMoveRQ, reason.DICOMMoveDestination)}
	}, workstation(nil, near(moveRQ("PACS")))...)
	wantVerdicts(t, p, "A-ASSOCIATE-RQ allow", "C-MOVE-RQ refuse dicom.move-destination")
}

func TestCallingTitleIsReplacedAndComesBack(t *testing.T) { // D16
	rules := func() *script {
		return &script{associate: func(a *Association, v *protocols.Verdict) {
			a.CallAs, a.CallingAs, v.Action = "ARCHIVE2", "W", protocols.Rewrite
		}}
	}
	context, user := testContextRQ(1, uidCT, uidImplicit), testUser(testMaxLength(16384))
	answered := testContextAC(1, 0, uidImplicit)
	p := playEveryWay(t, Config{}, rules, near(testAssociate(1, "PACS", " WS1", testApplication(), context, user)),
		far(testAssociate(2, "ARCHIVE2", "W", testApplication(), answered, user)))
	wantToward(t, p, protocols.Far, testAssociate(1, "ARCHIVE2", "W", testApplication(), context, user))
	wantToward(t, p, protocols.Near, testAssociate(2, "PACS", " WS1", testApplication(), answered, user))
}
