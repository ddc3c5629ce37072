package bench

import (
	"os"
	"slices"
	"testing"
	"time"
)

func TestSchedstatIsRead(t *testing.T) {
	if d, err := parseSchedstat([]byte("1234567890 42 17\n")); err != nil || d != 1234567890 {
		t.Errorf("%v, %v", d, err)
	}
	for _, bad := range []string{"", "1 2", "x 2 3", "1 2 3 4"} {
		if _, err := parseSchedstat([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestStatIsReadWhateverTheName(t *testing.T) {
	pid, parent, ok := parseStat([]byte("4711 (a) b (c)) S 42 4711 0"))
	if !ok || pid != 4711 || parent != 42 {
		t.Errorf("%d, %d, %v", pid, parent, ok)
	}
	for _, bad := range []string{"", "4711", "4711 (x", "x (y) S 1", "1 (y)"} {
		if _, _, ok := parseStat([]byte(bad)); ok {
			t.Errorf("%q was read", bad)
		}
	}
}

// The clock of a process has all that schedstat says of its threads, and of threads that ended.
func TestProcessTimeHoldsThatOfItsThreads(t *testing.T) {
	threads, err := threadTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	process, err := processTime(os.Getpid())
	if err != nil || threads <= 0 || process < threads {
		t.Errorf("process %v, threads %v, %v", process, threads, err)
	}
	if _, err := processTime(1 << 22); err == nil {
		t.Error("a process that cannot be has a time")
	}
}

func TestOwnFamilyAndMemory(t *testing.T) {
	pids := family(os.Getpid())
	if !slices.Contains(pids, os.Getpid()) {
		t.Errorf("family %v", pids)
	}
	u := measure([]int{os.Getpid()})
	if u.cpu <= 0 || u.cpu > 24*time.Hour || u.resident < 1<<20 || u.peak < u.resident/2 {
		t.Errorf("%+v", u)
	}
}
