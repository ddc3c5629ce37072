package gateway

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cordon/protocols/dicom/endpoint"
)

// openFiles counts the open files of the process; 0 where the system does not tell.
func openFiles() int {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(fds)
}

// D18, D23: a thousand associations of a hundred objects each leave nothing behind: no session,
// goroutine, file, memory.
func TestThousandAssociationsLeaveNothing(t *testing.T) {
	const (
		objects = 100
		kept    = 2 << 20 // bytes
	)
	associations := 1000
	if raceEnabled { // twelve times slower
		associations = 100
	}
	w := newWorld(t, nil)
	ln := w.listen("pacs")
	var serving sync.WaitGroup
	var stored atomic.Int64
	archive := &endpoint.Server{AE: "PACS", Store: func(_ *endpoint.Stored, data io.Reader) uint16 {
		io.Copy(io.Discard, data)
		stored.Add(1)
		return endpoint.StatusSuccess
	}}
	serve(&serving, ln, func(c net.Conn) { archive.Serve(c) })
	writeSite(t, w.dir, map[string]string{"site.yaml": fmt.Sprintf(worldSite, ln.Addr(), w.his.address)})
	if err := w.gw.Reload(); err != nil {
		t.Fatal(err)
	}
	dataSet := image(ctImage, "1.2.3.1", "1.2.3", "X", 64)
	study := func() error {
		c, err := net.Dial("tcp", w.dicom)
		if err != nil {
			return err
		}
		a, err := endpoint.Associate(c, endpoint.Request{Called: "PACS", Calling: "CT1",
			Contexts: []endpoint.Context{{Abstract: ctImage, Transfer: []string{explicitVRLittle}}}})
		if err != nil {
			return err
		}
		for range objects {
			status, err := a.Store(ctImage, "1.2.3.1", explicitVRLittle, strings.NewReader(dataSet), int64(len(dataSet)))
			if err != nil || status != 0 {
				a.Abort()
				return fmt.Errorf("status %04X, %w", status, err)
			}
		}
		return a.Release()
	}
	run := func(n int) {
		next := make(chan struct{}, n)
		for range n {
			next <- struct{}{}
		}
		close(next)
		var workers sync.WaitGroup
		for range 8 {
			workers.Go(func() {
				for range next {
					if err := study(); err != nil {
						t.Error(err)
					}
				}
			})
		}
		workers.Wait()
		eventually(t, "free of sessions", func() bool { return w.gw.sessionCount() == 0 })
		eventually(t, "written to the audit", func() bool { return w.gw.audit.Waiting() == 0 })
		w.sink.empty()
		w.log.empty()
	}
	run(40) // pools, caches of TLS sessions, the audit's ring: what a gateway at work holds
	eventually(t, "quiet", func() bool { return w.gw.budget.used.Load() == 0 })
	held, goroutines, files := memory(), runtime.NumGoroutine(), openFiles()
	stored.Store(0)
	run(associations)

	if n := stored.Load(); n != int64(associations)*objects {
		t.Errorf("%d objects arrived, want %d", n, associations*objects)
	}
	eventually(t, "back to the goroutines before", func() bool { return runtime.NumGoroutine() <= goroutines })
	eventually(t, "back to the open files before", func() bool { return openFiles() <= files })
	if n := w.gw.budget.used.Load(); n != 0 {
		t.Errorf("%d bytes of the windows' budget are still taken", n)
	}
	grown := memory() - held
	if grown > kept {
		t.Errorf("%d KiB more are held than before, want at most %d", grown>>10, kept>>10)
	}
	t.Logf("%d KiB more are held, %d files, %d goroutines", grown>>10, openFiles(), runtime.NumGoroutine())
}
