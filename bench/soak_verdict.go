package bench

import (
	"math"
	"slices"
	"time"
)

// Soaked is what a long run found out.
type Soaked struct {
	Seconds  float64     `json:"seconds"` // of load
	Every    float64     `json:"every"`   // seconds between changes
	Before   Moment      `json:"before"`  // the load
	After    Moment      `json:"after"`   // it, once nothing was left
	Messages Messages    `json:"messages"`
	DICOM    Delivered   `json:"dicom"`
	Strands  []StrandRan `json:"strands"`
	Growth   []Growth    `json:"growth"` // empty for a run that is too short to tell
	Changes  []Change    `json:"changes"`
	Moments  []Moment    `json:"moments"`
}

// Delivered counts C-STORE and C-ECHO: those that were answered with success, and those that
// arrived.
type Delivered struct {
	Sent    int64 `json:"sent"`
	Arrived int64 `json:"arrived"`
}

// StrandRan is what one strand of the mix did. Latencies are in microseconds; of open connections
// they count from the arrival of a request, also while it waits for the one before.
type StrandRan struct {
	Name        string  `json:"name"`
	About       string  `json:"about"`
	Connections int     `json:"connections,omitempty"` // held open
	Rate        float64 `json:"rate,omitempty"`        // arrivals a second
	Units       int64   `json:"units"`
	Bytes       int64   `json:"bytes"`
	P50         float64 `json:"p50"`
	P99         float64 `json:"p99"`
	Most        float64 `json:"max"`
}

// Kinds of changes.
const (
	Reload    = "reload"    // of the policy
	Rotation  = "rotation"  // of both certificates
	Reopening = "reopening" // of the audit file
)

// Change is one that was made during the run.
type Change struct {
	At   float64 `json:"at"` // seconds since the load began
	Kind string  `json:"kind"`
	Took float64 `json:"took"` // seconds until it was in force
}

// count says how many changes of a kind were made.
func (s *Soaked) count(kind string) (n int) {
	for _, c := range s.Changes {
		if c.Kind == kind {
			n++
		}
	}
	return n
}

// steady is what must not grow. A figure may be above that of the second quarter of the run, by
// which everything is warm, by a part of it and by a number: garbage comes and goes, and so do
// connections.
var steady = []struct {
	name, unit string
	of         func(*Moment) float64
	part, room float64
}{
	{"resident memory", "MiB", func(m *Moment) float64 { return m.Resident }, 0.10, 3},
	{"heap", "MiB", func(m *Moment) float64 { return m.Heap }, 0.10, 3},
	{"goroutines", "", func(m *Moment) float64 { return m.Goroutines }, 0.02, 6},
	{"open files", "", func(m *Moment) float64 { return m.Files }, 0.02, 6},
}

// Growth compares the medians of the second and the last quarter of a run, and has the slope over
// the last three quarters with its 95 % interval.
type Growth struct {
	Name    string  `json:"name"`
	Unit    string  `json:"unit,omitempty"`
	Second  float64 `json:"second_quarter"`
	Last    float64 `json:"last_quarter"`
	Allowed float64 `json:"allowed"` // of the last quarter
	Slope   float64 `json:"slope_per_hour"`
	Lo      float64 `json:"lo"`
	Hi      float64 `json:"hi"`
	Flat    bool    `json:"flat"`
}

// longEnough is the load after which growth can be told from warming up; with fewer than two looks
// for each block of a slope it cannot be told at all.
const longEnough = time.Minute

// growth judges each of steady. A figure grows when it ends above what is allowed, and also when it
// rose by half of that so evenly that chance does not explain it: in a longer run it would get there.
func growth(moments []Moment) []Growth {
	list := []Growth{}
	n := len(moments)
	for _, m := range steady {
		values, at := make([]float64, n), make([]float64, n)
		for i := range moments {
			values[i], at[i] = m.of(&moments[i]), moments[i].At
		}
		g := Growth{Name: m.name, Unit: m.unit, Second: median(values[n/4 : n/2]), Last: median(values[n-n/4:])}
		g.Allowed = g.Second*(1+m.part) + m.room
		perSecond, lo, hi := slope(at[n/4:], values[n/4:])
		surely := lo * (at[n-1] - at[n/4])
		g.Slope, g.Lo, g.Hi = 3600*perSecond, 3600*lo, 3600*hi
		g.Flat = g.Last <= g.Allowed && surely <= (g.Allowed-g.Second)/2
		list = append(list, g)
	}
	return list
}

func median(values []float64) float64 { return quantile(slices.Sorted(slices.Values(values)), 0.5) }

// slopeBlocks are the pieces of a series whose medians a slope goes through: neighbouring values
// are too alike to count each.
const slopeBlocks = 30

// slope is the median of the slopes between all pairs of blocks (Theil, Sen), with the 95 %
// interval that Kendall's variance gives it. Single peaks do not move it.
func slope(at, values []float64) (value, lo, hi float64) {
	var x, y []float64
	blocks := min(slopeBlocks, len(values))
	for b := range blocks {
		from, to := b*len(values)/blocks, (b+1)*len(values)/blocks
		x, y = append(x, median(at[from:to])), append(y, median(values[from:to]))
	}
	var all []float64
	for i := range x {
		for k := range i {
			all = append(all, (y[i]-y[k])/(x[i]-x[k]))
		}
	}
	slices.Sort(all)
	n := float64(blocks)
	half := 1.96 * math.Sqrt(n*(n-1)*(2*n+5)/18) / float64(2*len(all))
	return quantile(all, 0.5), quantile(all, max(0, 0.5-half)), quantile(all, min(1, 0.5+half))
}

// judge turns what was found into problems.
func (s *soak) judge() {
	r := s.result
	if err := r.Messages.problem(); err != nil {
		s.problem("%v", err)
	}
	if r.DICOM.Sent != r.DICOM.Arrived {
		s.problem("%d C-STORE and C-ECHO were answered with success, %d arrived", r.DICOM.Sent, r.DICOM.Arrived)
	}
	for _, who := range []struct {
		what  string
		shown *sightings
	}{{"that the gateway dials with", s.device}, {"that it listens with", s.box}} {
		if n := who.shown.old(); n > 0 {
			s.problem("%d handshakes showed a certificate %s that had been replaced twice", n, who.what)
		}
	}
	if done := r.After.Reloads - r.Before.Reloads; int(done) != r.count(Reload) {
		s.problem("the policy was changed %d times, and the gateway counts %.0f reloads", r.count(Reload), done)
	}
	if r.After.AuditLost > 0 {
		s.problem("%.0f audit records were lost", r.After.AuditLost)
	}
	if text := s.process.output.String(); text != "" && !s.ended() {
		s.problem("the gateway reported errors: %s", text)
	}
	for _, left := range []struct {
		what          string
		before, after float64
	}{
		{"sessions", r.Before.Sessions, r.After.Sessions}, {"goroutines", r.Before.Goroutines, r.After.Goroutines},
		{"open files", r.Before.Files, r.After.Files}, {"bytes held for undecided units", r.Before.Held, r.After.Held},
	} {
		if left.after > left.before {
			s.problem("%.0f %s before the load, %.0f when nothing was left of it", left.before, left.what, left.after)
		}
	}
	if time.Duration(r.Seconds*float64(time.Second)) < longEnough || len(r.Moments) < 2*slopeBlocks {
		return
	}
	r.Growth = growth(r.Moments)
	for _, g := range r.Growth {
		if !g.Flat {
			s.problem("%s grew from %s in the second quarter of the run to %s in the last, where %s is allowed; its slope is %.1f an hour [%.1f to %.1f]",
				g.Name, figure(g.Second), figure(g.Last), figure(g.Allowed), g.Slope, g.Lo, g.Hi)
		}
	}
}
