package dicom

import (
	"fmt"
	"strings"
	"testing"
)

// table910 is Table 9-10 of PS3.8 typed in anew, action/next state as the standard prints it.
// "-" is a blank cell. AR-8 goes to Sta9 for the association-requestor, else to Sta10.
const table910 = `
Evt1   AE-1/4  -       -       -       -       -       -       -       -       -       -       -       -
Evt2   -       -       -       AE-2/5  -       -       -       -       -       -       -       -       -
Evt3   -       AA-1/13 AA-8/13 -       AE-3/6  AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-6/13
Evt4   -       AA-1/13 AA-8/13 -       AE-4/1  AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-6/13
Evt5   AE-5/2  -       -       -       -       -       -       -       -       -       -       -       -
Evt6   -       AE-6/3  AA-8/13 -       AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-7/13
Evt7   -       -       AE-7/6  -       -       -       -       -       -       -       -       -       -
Evt8   -       -       AE-8/13 -       -       -       -       -       -       -       -       -       -
Evt9   -       -       -       -       -       DT-1/6  -       AR-7/8  -       -       -       -       -
Evt10  -       AA-1/13 AA-8/13 -       AA-8/13 DT-2/6  AR-6/7  AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-6/13
Evt11  -       -       -       -       -       AR-1/7  -       -       -       -       -       -       -
Evt12  -       AA-1/13 AA-8/13 -       AA-8/13 AR-2/8  AR-8/9|10 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-6/13
Evt13  -       AA-1/13 AA-8/13 -       AA-8/13 AA-8/13 AR-3/1  AA-8/13 AA-8/13 AR-10/12 AR-3/1 AA-8/13 AA-6/13
Evt14  -       -       -       -       -       -       -       AR-4/13 AR-9/11 -       -       AR-4/13 -
Evt15  -       -       AA-1/13 AA-2/1  AA-1/13 AA-1/13 AA-1/13 AA-1/13 AA-1/13 AA-1/13 AA-1/13 AA-1/13 -
Evt16  -       AA-2/1  AA-3/1  -       AA-3/1  AA-3/1  AA-3/1  AA-3/1  AA-3/1  AA-3/1  AA-3/1  AA-3/1  AA-2/1
Evt17  -       AA-5/1  AA-4/1  AA-4/1  AA-4/1  AA-4/1  AA-4/1  AA-4/1  AA-4/1  AA-4/1  AA-4/1  AA-4/1  AR-5/1
Evt18  -       AA-2/1  -       -       -       -       -       -       -       -       -       -       AA-2/1
Evt19  -       AA-1/13 AA-8/13 -       AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-8/13 AA-7/13
`

// D9
func TestEveryCellOfTable910(t *testing.T) {
	rows := strings.Split(strings.TrimSpace(table910), "\n")
	if len(rows) != int(Evt19) {
		t.Fatalf("%d rows", len(rows))
	}
	for i, row := range rows {
		e := Event(i + 1)
		cells := strings.Fields(row)
		if cells[0] != e.String() || len(cells) != 1+int(Sta13) {
			t.Fatalf("row %d is %q", i, row)
		}
		for s := Sta1; s <= Sta13; s++ {
			for _, requestor := range []bool{false, true} {
				want := strings.Replace(cells[s], "9|10", map[bool]string{true: "9", false: "10"}[requestor], 1)
				got := "-"
				a, next, ok := Next(s, e, requestor)
				if ok {
					got = fmt.Sprintf("%s/%d", a, next)
				} else if next != s {
					t.Errorf("%s in %s goes to %s although it cannot happen", e, s, next)
				}
				if got != want {
					t.Errorf("%s in %s (requestor %v): %s, want %s", e, s, requestor, got, want)
				}
			}
		}
	}
}

// D9: a second A-ASSOCIATE-RQ is a PDU out of turn in every state of an association.
func TestSecondAssociateRQIsAborted(t *testing.T) {
	for _, s := range []State{Sta3, Sta5, Sta6, Sta7, Sta8, Sta9, Sta10, Sta11, Sta12} {
		if a, next, ok := Next(s, Received(TypeAssociateRQ), false); a != AA8 || next != Sta13 || !ok {
			t.Errorf("%s: %s, %s", s, a, next)
		}
	}
}

func TestReceivedPDUsAreEvents(t *testing.T) {
	for typ, want := range map[PDUType]Event{0: Evt19, 1: Evt6, 2: Evt3, 3: Evt4, 4: Evt10, 5: Evt12, 6: Evt13, 7: Evt16, 8: Evt19, 255: Evt19} {
		if got := Received(typ); got != want {
			t.Errorf("%s is %s, want %s", typ, got, want)
		}
	}
}

func TestOutsideOfTheTable(t *testing.T) {
	for _, c := range []struct {
		s State
		e Event
	}{{0, Evt1}, {Sta13 + 1, Evt1}, {Sta1, 0}, {Sta1, Evt19 + 1}} {
		if _, _, ok := Next(c.s, c.e, false); ok {
			t.Errorf("%d, %d is in the table", c.s, c.e)
		}
	}
}

func TestEverythingOfTheTableHasTheStandardsText(t *testing.T) {
	for s := Sta1; s <= Sta13; s++ {
		if s.Text() == "" {
			t.Error(s)
		}
	}
	for e := Evt1; e <= Evt19; e++ {
		if e.Text() == "" {
			t.Error(e)
		}
	}
	for a := AE1; a <= AA8; a++ {
		if a.Text() == "" || a.String() == "" {
			t.Error(uint8(a))
		}
	}
}
