package track

import "math"

// lengths are the lengths of the animals that were seen whole, in ground pixels of the current segment.
type lengths struct {
	recent []float64 // a ring
	next   int
}

const (
	fewestLengths = 5
	mostLengths   = 100
)

// From above an animal is about an ellipse: the squares of the sides of its box add up to diagonal times the square of its
// length, whatever its heading. narrow is its width by its length, and leastCorner the area of the part of its box in a
// corner of the frame, by the square of its length, below which its middle is outside.
const narrow, diagonal, leastCorner = 0.4, 1.15, 0.16

func (l *lengths) add(v float64) {
	if len(l.recent) < mostLengths {
		l.recent = append(l.recent, v)
		return
	}
	l.recent[l.next] = v
	l.next = (l.next + 1) % mostLengths
}

// scale takes the lengths into ground that is drawn k times as large.
func (l *lengths) scale(k float64) {
	for i := range l.recent {
		l.recent[i] *= k
	}
}

// judge decides for each sighting that the edge of the frame cuts whether the middle of the animal is outside. The side of
// its box along the edge tells how it stands, and that tells how far it reaches across the edge.
func (l *lengths) judge(sightings []sighting, v view) {
	for i := range sightings {
		if s := &sightings[i]; s.strong && !s.cut {
			l.add(math.Sqrt((s.w*s.w + s.h*s.h) / diagonal))
		}
	}
	if len(l.recent) < fewestLengths {
		return
	}
	usual := median(append([]float64(nil), l.recent...)) / v.scale
	for i := range sightings {
		s := &sightings[i]
		b := s.box
		across, down := s.across, s.down
		switch {
		case across && !down:
			s.outside = float64(b.Width()) < reach(usual, float64(b.Height()))/2
		case down && !across:
			s.outside = float64(b.Height()) < reach(usual, float64(b.Width()))/2
		case across && down:
			w, h := float64(b.Width()), float64(b.Height())
			s.outside = min(w, h) < narrow/2*usual || w*h < leastCorner*usual*usual
		}
	}
}

// reach is the length of one side of the box of an animal, for the length of the other.
func reach(length, other float64) float64 {
	return math.Sqrt(max(diagonal*length*length-other*other, narrow*length*narrow*length))
}
