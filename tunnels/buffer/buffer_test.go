package buffer

import "testing"

func TestAppetiteFollowsWhatReadsBring(t *testing.T) {
	var a Appetite
	if a.Size() != Small {
		t.Fatalf("it starts with %d", a.Size())
	}
	for range 10 {
		a.Fed(a.Size(), a.Size())
	}
	if a.Size() != Large {
		t.Errorf("after full reads it is %d", a.Size())
	}
	a.Fed(a.Size()/2, a.Size())
	if a.Size() != Large {
		t.Errorf("half a read made it %d", a.Size())
	}
	a.Fed(300, a.Size())
	if a.Size() != Large {
		t.Errorf("one small read made it %d", a.Size())
	}
	for range 100 {
		a.Fed(300, a.Size())
	}
	if a.Size() != Small {
		t.Errorf("after small reads it is %d", a.Size())
	}
	a.Fed(100, 100) // the rest of a buffer says nothing
	if a.Size() != Small {
		t.Errorf("a full read of little room made it %d", a.Size())
	}
}

func TestBuffersOfAllSizesComeBack(t *testing.T) {
	for _, size := range []int{Small, Large, 8 << 20, 9 << 20, 1} {
		b := Take(size)
		if len(*b) != size {
			t.Errorf("%d bytes for %d", len(*b), size)
		}
		Give(b)
	}
}
