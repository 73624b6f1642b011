package survey

import (
	"math"
	"time"
)

// look is when a part saw its ground.
type look struct {
	first, last time.Time // of its start and its animals; zero when not known
	animals     []Animal  // with a time; only of a part that is longer than the window
}

func looksOf(parts []Part) []look {
	looks := make([]look, len(parts))
	for i, p := range parts {
		l := look{first: p.At, last: p.At}
		for _, a := range p.Animals {
			if a.At.IsZero() {
				continue
			}
			if l.first.IsZero() || a.At.Before(l.first) {
				l.first = a.At
			}
			if a.At.After(l.last) {
				l.last = a.At
			}
			l.animals = append(l.animals, a)
		}
		if l.last.Sub(l.first) <= Window {
			l.animals = nil
		}
		looks[i] = l
	}
	return looks
}

// at is when the part saw the ground of an animal: its start, and for a long part the time of its animal that is
// nearest. A footprint has no times, so the nearest animal stands for the picture that saw the ground.
func (l look) at(a Animal) time.Time {
	at, nearest := l.first, math.Inf(1)
	across := math.Cos(a.Lat * math.Pi / 180)
	for _, o := range l.animals {
		if d := math.Hypot(o.Lat-a.Lat, (o.Lon-a.Lon)*across); d < nearest {
			at, nearest = o.At, d
		}
	}
	return at
}
