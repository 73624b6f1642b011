package look

import "slices"

// sizes holds the lengths of the animals of the last looks. The zero value knows none.
type sizes struct {
	recent []float64 // ground pixels, a ring
	next   int
	sorted []float64
	fresh  bool    // sorted holds recent
	last   float64 // seconds of the last animal
	empty  int     // looks since then
}

const (
	fewestSizes = 4 // with fewer the size of the animals is unknown
	mostSizes   = 200
)

// stale reports whether so much time and so many looks have passed without an animal that the known size may be the
// reason: in tiles for near animals far ones are not seen.
func (s *sizes) stale(now float64) bool {
	const long, looks = 5.0, 3
	return len(s.recent) > 0 && s.empty >= looks && now-s.last > long
}

// none reports whether no animal was seen.
func (s *sizes) none() bool { return len(s.recent) == 0 }

func (s *sizes) looked() { s.empty++ }

func (s *sizes) seen(now float64) { s.last, s.empty = max(s.last, now), 0 }

func (s *sizes) add(length float64) {
	s.fresh = false
	if len(s.recent) < mostSizes {
		s.recent = append(s.recent, length)
		return
	}
	s.recent[s.next] = length
	s.next = (s.next + 1) % mostSizes
}

func (s *sizes) quantile(q float64) float64 {
	if !s.fresh {
		s.sorted = append(s.sorted[:0], s.recent...)
		slices.Sort(s.sorted)
		s.fresh = true
	}
	return s.sorted[int(q*float64(len(s.sorted)-1))]
}

// length is the length of the smaller animals of the herd in ground pixels, and whether it is known.
func (s *sizes) length() (float64, bool) {
	if len(s.recent) < fewestSizes {
		return 0, false
	}
	return s.quantile(0.25), true
}

// typical is the usual length of an animal in ground pixels, 0 when unknown.
func (s *sizes) typical() float64 {
	if len(s.recent) < fewestSizes {
		return 0
	}
	return s.quantile(0.5)
}
