package bench

import (
	"context"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// worthSettling is the number of connections from which the memory of one can be told from the
// noise of the whole.
const worthSettling = 1000

// measureConnections measures messages on a number of open connections, and what these hold.
func measureConnections(ctx context.Context, s *scale, p *Point) error {
	n := int(p.At)
	w := &Workload{Name: fmt.Sprintf("%s-%d", byConnections, n), Protocol: "hl7", serve: serveHL7, run: bounded(newMessages(300))}
	return s.fresh(ctx, w, nil, func(st *stage, g *gateway) error {
		one, err := s.held(ctx, st, g)
		if err != nil {
			return err
		}
		e, err := s.exchange(ctx, st, g, n, n >= worthSettling)
		if err != nil {
			return err
		}
		e.put(p, s.Size.Messages)
		p.Measures.put("resident", "MiB", mebibytes(e.resident))
		p.Measures.put("peak", "MiB", mebibytes(measure(g.pids()).peak))
		if n >= worthSettling {
			p.Measures.put("memory", "KiB", float64(e.resident-one)/1024/float64(n-1))
		}
		return nil
	})
}

// held is the resident memory of a gateway with one connection.
func (s *scale) held(ctx context.Context, st *stage, g *gateway) (resident int64, err error) {
	_, err = st.visit(ctx, g, &Load{Target: g.target, Connections: 1,
		Holding: func() { resident = measure(g.pids()).resident }})
	return resident, err
}

// descriptors tells whether this process may hold both its ends of n connections, the load's and
// the sink's. The gateway, which holds two as well, has the same limit.
func descriptors(n int64) error {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	const others = 256
	if need := uint64(2*n + others); need > l.Cur {
		return fmt.Errorf("they need %d open files, and the limit is %d; raise it with ulimit -n", need, l.Cur)
	}
	return nil
}

// measureSize measures objects of one size.
func measureSize(ctx context.Context, s *scale, p *Point) error {
	w := &Workload{Name: fmt.Sprintf("%s-%d", bySize, p.At), Protocol: "dicom", serve: serveDICOM, run: again(smallPDU)}
	return s.fresh(ctx, w, nil, func(st *stage, g *gateway) error {
		l := &Load{Target: g.target, Connections: 1, Bytes: p.At, Count: objectsOf(p.At, s.Size)}
		warm := *l
		warm.Bytes, warm.Count = min(l.Bytes, 1<<20), 1
		if _, err := st.visit(ctx, g, &warm); err != nil {
			return err
		}
		return s.transferred(ctx, st, g, l, p)
	})
}

// objectsOf is how many objects of a size a round sends.
func objectsOf(size int64, s Size) int {
	return int(min(max(s.Bytes/size, 1), int64(s.Objects)))
}

// transferred measures a load of objects.
func (s *scale) transferred(ctx context.Context, st *stage, g *gateway, l *Load, p *Point) error {
	pids := g.pids()
	before := used(pids)
	sample, err := st.visit(ctx, g, l)
	if err != nil {
		return err
	}
	u := measure(pids)
	cost := u.cpu - before
	p.Measures.put("cpu", "s/GiB", cost.Seconds()/(float64(sample.Bytes)/(1<<30)))
	p.Measures.put("throughput", "MB/s", float64(sample.Bytes)/1e6/sample.Wall.Seconds())
	p.Measures.put("object", "µs/object", micro(cost, int(sample.Units)))
	p.Measures.put("peak", "MiB", mebibytes(u.peak))
	return nil
}

// cores are 1, 2, 4 and so on, and all that the machine has.
func cores() []int64 { return doubling(int64(runtime.NumCPU())) }

func doubling(all int64) (list []int64) {
	for n := int64(1); n < all; n *= 2 {
		list = append(list, n)
	}
	return append(list, all)
}

// limited lets a gateway use so many cores.
func limited(n int64) func(*Peer) {
	return func(p *Peer) { p.env = []string{fmt.Sprintf("GOMAXPROCS=%d", n)} }
}

// associations are how many carry bulk at a time when cores are counted.
const associations = 4

func measureCoresDICOM(ctx context.Context, s *scale, p *Point) error {
	w := &Workload{Name: fmt.Sprintf("%s-%d", byCoresDICOM, p.At), Protocol: "dicom", serve: serveDICOM, run: beside(bulk(largePDU))}
	return s.fresh(ctx, w, limited(p.At), func(st *stage, g *gateway) error {
		return s.transferred(ctx, st, g, &Load{Target: g.target, Connections: associations, Bytes: s.Size.Bytes}, p)
	})
}

// beside runs a load on as many connections at a time as are asked for.
func beside(run func(context.Context, *Load) (Sample, error)) func(context.Context, *Load) (Sample, error) {
	return func(ctx context.Context, l *Load) (Sample, error) {
		parts := make([]Sample, l.Connections)
		err := inParallel(len(parts), len(parts), func(i int) (err error) {
			parts[i], err = run(ctx, l)
			return err
		})
		s := merge(parts, 0)
		for _, p := range parts {
			s.Wall = max(s.Wall, p.Wall)
		}
		return s, err
	}
}

func measureCoresHL7(ctx context.Context, s *scale, p *Point) error {
	w := &Workload{Name: fmt.Sprintf("%s-%d", byCoresHL7, p.At), Protocol: "hl7", serve: serveHL7, run: bounded(newMessages(300))}
	return s.fresh(ctx, w, limited(p.At), func(st *stage, g *gateway) error {
		e, err := s.exchange(ctx, st, g, 32, false)
		if err == nil {
			e.put(p, s.Size.Messages)
		}
		return err
	})
}
