package look

import "slices"

// sizes holds the lengths of the animals of the last looks.
type sizes struct {
	recent []float64 // pixels of the frame, a ring
	next   int
	sorted []float64
	fresh  bool // sorted holds recent
}

const (
	fewestSizes = 4 // with fewer the size of the animals is unknown
	mostSizes   = 200
)

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

// length is the length of the smaller animals of the herd in pixels, and whether it is known.
func (s *sizes) length() (float64, bool) {
	if len(s.recent) < fewestSizes {
		return 0, false
	}
	return s.quantile(0.25), true
}

// typical is the usual length of an animal in pixels, 0 when unknown.
func (s *sizes) typical() float64 {
	if len(s.recent) < fewestSizes {
		return 0
	}
	return s.quantile(0.5)
}
