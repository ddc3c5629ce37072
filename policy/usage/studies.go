package usage

import (
	"hash/maphash"
	"sync"
)

// studies counts objects and bytes by study for the studies seen last. It has room for
// [Studies] and takes no more memory than that: the one of its set that was not seen for longest
// makes way, and begins anew when it comes again. A study is known by a hash, so nobody can choose
// which one that is.
type studies struct {
	seed maphash.Seed
	sets [studySets]studySet
}

const (
	studySets = 512
	studyWays = 8
	// Studies is how many studies are remembered, over all devices.
	Studies = studySets * studyWays
)

type studySet struct {
	mu    sync.Mutex
	clock uint64 // counts uses
	ways  [studyWays]study
}

type study struct {
	key              uint64 // 0: none
	used             uint64 // by the set's clock
	instances, bytes int64
}

func newStudies() *studies { return &studies{seed: maphash.MakeSeed()} }

// hash returns what a study is known by, never 0 or [nameless].
func (s *studies) hash(uid []byte) uint64 { return maphash.Bytes(s.seed, uid) | 2 }

// store counts an object of a study unless a limit is used up, which it returns.
func (s *studies) store(key uint64, l *Limits) *Limit {
	set := s.set(key)
	set.mu.Lock()
	defer set.mu.Unlock()
	st := set.find(key)
	if st == nil {
		st = set.oldest()
		*st = study{key: key}
	}
	set.clock++
	st.used = set.clock
	if over := l.exceeded(InstancesPerStudy, st.instances+1); over != nil {
		return over
	}
	if over := l.exceeded(BytesPerStudy, st.bytes+1); over != nil {
		return over
	}
	st.instances++
	return nil
}

// count corrects what was counted of a study, if it is still known.
func (s *studies) count(key uint64, instances, bytes int64) {
	set := s.set(key)
	set.mu.Lock()
	defer set.mu.Unlock()
	if st := set.find(key); st != nil {
		st.instances = max(0, st.instances+instances)
		st.bytes += bytes
	}
}

// set returns the set that a study belongs to. The lowest bits of a key are not all its hash's.
func (s *studies) set(key uint64) *studySet { return &s.sets[key>>8%studySets] }

func (s *studySet) find(key uint64) *study {
	for i := range s.ways {
		if s.ways[i].key == key {
			return &s.ways[i]
		}
	}
	return nil
}

func (s *studySet) oldest() *study {
	oldest := &s.ways[0]
	for i := range s.ways {
		if s.ways[i].used < oldest.used {
			oldest = &s.ways[i]
		}
	}
	return oldest
}
