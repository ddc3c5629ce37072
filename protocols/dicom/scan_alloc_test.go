//go:build !race

package dicom

import "testing"

func TestScanAllocatesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		transfer   string
		until      Tag
		b          []byte
		identifier bool
	}{
		"headers":      {uidExplicit, TagStudyInstanceUID, object(encoding{}), false},
		"implicit":     {uidImplicit, tagPixelData, picture(encoding{implicit: true}, "IS").native(), false},
		"native":       {uidExplicit, tagPixelData, picture(encoding{}, "IS").native(), false},
		"big endian":   {uidBigEndian, Whole, picture(encoding{bigEndian: true}, "IS").native(), false},
		"encapsulated": {uidRLE, Whole, picture(encoding{}, "IS").fragments("abcd", rleFragment(2, 64, 66)), false},
		"identifier":   {uidImplicit, Whole, worklistQuery(), true},
		"Kanji":        {uidExplicit, Whole, patients("ISO 2022 IR 13\\ISO 2022 IR 87", "\x1B$B;3ED\x1B(J*"), true},
	} {
		t.Run(name, func(t *testing.T) {
			var s Scanner
			scan := func() {
				s.Reset(c.transfer, c.until)
				if c.identifier {
					s.Identifier()
				}
				s.Feed(c.b[:len(c.b)/2])
				s.Feed(c.b[len(c.b)/2:])
				s.End()
				s.DataSet()
			}
			scan()
			if s.DataSet().Fault != nil {
				t.Fatal(s.DataSet().Fault)
			}
			if n := testing.AllocsPerRun(100, scan); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}
