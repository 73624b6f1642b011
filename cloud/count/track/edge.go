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

// judge decides for each sighting that the edge of the frame cuts whether the middle of the animal is outside. From
// above an animal is about a rectangle, so the side of its box along the edge tells how it stands, and that tells how
// far it reaches across the edge.
func (l *lengths) judge(sightings []sighting, v view) {
	for i := range sightings {
		if s := &sightings[i]; s.strong && !s.cut {
			l.add(max(s.w, s.h))
		}
	}
	if len(l.recent) < fewestLengths {
		return
	}
	usual := median(append([]float64(nil), l.recent...)) / v.scale
	for i := range sightings {
		s := &sightings[i]
		b := s.box
		across := b.X1 < edgePixels || float64(b.X2) > v.width-edgePixels
		down := b.Y1 < edgePixels || float64(b.Y2) > v.height-edgePixels
		switch {
		case across && !down:
			s.outside = float64(b.Width()) < reach(usual, float64(b.Height()))/2
		case down && !across:
			s.outside = float64(b.Height()) < reach(usual, float64(b.Width()))/2
		}
	}
}

// reach is the length of one side of the box of an animal, for the length of the other.
func reach(length, other float64) float64 {
	const narrow, diagonal = 0.4, 1.15 // the width of an animal, and the square of its diagonal, by its length
	return math.Sqrt(max(diagonal*length*length-other*other, narrow*length*narrow*length))
}
