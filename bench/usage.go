package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// processTime is the processor time of a process: the scheduler's own account in nanoseconds, over
// all threads, those that have ended included. /proc/PID/schedstat is that of the first thread
// alone, and a program that starts a thread for each connection would hide most of its time there.
func processTime(pid int) (time.Duration, error) {
	const scheduler = 2 // CPUCLOCK_SCHED, of the whole process
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduler), &ts); err != nil {
		return threadTime(pid)
	}
	return time.Duration(ts.Nano()), nil
}

// threadTime is the same from schedstat, without the threads that have ended, for where the clock
// of another process may not be read.
func threadTime(pid int) (sum time.Duration, err error) {
	names, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return 0, err
	}
	if len(names) == 0 {
		return 0, fmt.Errorf("no process %d, or no schedstat in this kernel", pid)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // the thread has ended
		}
		if err != nil {
			return 0, err
		}
		ran, err := parseSchedstat(text)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		sum += ran
	}
	return sum, nil
}

// parseSchedstat reads the first of three numbers: nanoseconds on a processor, nanoseconds
// waiting for one, time slices.
func parseSchedstat(text []byte) (time.Duration, error) {
	fields := bytes.Fields(text)
	if len(fields) != 3 {
		return 0, fmt.Errorf("schedstat has %d fields, not 3", len(fields))
	}
	ran, err := strconv.ParseInt(string(fields[0]), 10, 64)
	return time.Duration(ran), err
}

// family returns the processes of a tree by their root.
func family(root int) []int {
	names, _ := filepath.Glob("/proc/[0-9]*/stat")
	children := map[int][]int{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		if pid, parent, ok := parseStat(text); ok {
			children[parent] = append(children[parent], pid)
		}
	}
	all := []int{root}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// parseStat reads the process and its parent from /proc/PID/stat. The name between them may hold
// anything, parentheses too.
func parseStat(text []byte) (pid, parent int, ok bool) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return 0, 0, false
	}
	rest := bytes.Fields(text[end+1:])
	if len(rest) < 2 {
		return 0, 0, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:open])))
	if err != nil {
		return 0, 0, false
	}
	parent, err = strconv.Atoi(string(rest[1]))
	return pid, parent, err == nil
}

// usage is what a family of processes has used up to now, and holds now.
type usage struct {
	cpu      time.Duration
	resident int64 // bytes: proportional set size
	peak     int64 // bytes: the sum of the largest resident sets so far
}

// used adds up processor time over processes; those that ended meanwhile are left out.
func used(pids []int) (sum time.Duration) {
	for _, pid := range pids {
		if t, err := processTime(pid); err == nil {
			sum += t
		}
	}
	return sum
}

// measure reads all of usage.
func measure(pids []int) (u usage) {
	u.cpu = used(pids)
	for _, pid := range pids {
		u.resident += kibibytes(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss:")
		u.peak += kibibytes(fmt.Sprintf("/proc/%d/status", pid), "VmHWM:")
	}
	return u
}

// kibibytes finds a line such as "Pss:  123 kB" in a file and returns bytes; 0 without it.
func kibibytes(name, key string) int64 {
	f, err := os.Open(name)
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) >= 2 && fields[0] == key {
			n, _ := strconv.ParseInt(fields[1], 10, 64)
			return n << 10
		}
	}
	return 0
}
