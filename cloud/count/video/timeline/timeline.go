// Package timeline turns the time stamps of decoded frames into the time of the clip. The stamps of a camera jump when
// its clock is set, and those of a stream restart; the time of the clip then continues by the usual step. The package
// also records which parts of a clip are missing or damaged. It is pure Go and does no I/O.
package timeline

import (
	"slices"
	"time"

	"cattlecounter/cloud/count/video"
)

// Record is one decoded frame, or one packet that cannot be decoded.
type Record struct {
	At            time.Duration // time stamp, from any origin
	Timed         bool          // At is known
	Width, Height int           // pixels as decoded; 0 for a lost packet
	Damaged       bool
	Lost          bool // a packet without a frame
}

// Timeline is the time of one clip. It belongs to one goroutine. Make it with New.
type Timeline struct {
	nominal time.Duration
	steps   []time.Duration // the last ones, as a ring
	place   int             // in steps
	usual   time.Duration   // median of steps, 0 when it must be computed

	began   bool
	stamp   time.Duration   // of the last frame
	stamped bool            // stamp is known
	now     time.Duration   // time of the last frame
	lost    int             // packets between the last two frames
	pending []time.Duration // time stamps of lost packets that are not before a frame yet
	suspect video.Span      // may be a gap, if the next step is a usual one
	width   int
	height  int
	reading video.Reading
}

// New returns a timeline for a clip with fps frames per second, 0 when unknown.
func New(fps float64) *Timeline {
	t := &Timeline{nominal: time.Second / 30}
	if fps > 0 {
		t.nominal = time.Duration(float64(time.Second) / fps)
	}
	return t
}

const (
	window     = 31 // steps
	mostGaps   = 100
	mostListed = 20
)

// Now is the time of the last frame from the start of the clip.
func (t *Timeline) Now() time.Duration { return t.now }

// Step is the median time between the last frames. Until there are some it is the time by the header.
func (t *Timeline) Step() time.Duration {
	const few = 5
	if len(t.steps) < few {
		return t.nominal
	}
	if t.usual == 0 {
		sorted := slices.Clone(t.steps)
		slices.Sort(sorted)
		t.usual = max(sorted[len(sorted)/2], time.Microsecond)
	}
	return t.usual
}

// Add adds the next record in the order of display.
func (t *Timeline) Add(r Record) {
	if r.Lost {
		t.lose(r)
		return
	}
	t.passLost(r)
	before := t.now
	if t.began {
		t.now += t.step(r)
	}
	if t.lost > 0 {
		t.gap(before, t.now)
	}
	if r.Damaged {
		t.reading.Damaged++
		t.gap(t.now, t.now+t.Step())
	}
	if t.began && (r.Width != t.width || r.Height != t.height) && len(t.reading.Resized) < mostListed {
		t.reading.Resized = append(t.reading.Resized, video.Size{At: t.now, Width: r.Width, Height: r.Height})
	}
	t.width, t.height = r.Width, r.Height
	t.stamp, t.stamped = r.At, r.Timed
	t.began, t.lost = true, 0
	t.reading.Decoded++
}

// lose records a lost packet. A decoder works on several frames at once, so frames before the packet may still follow.
func (t *Timeline) lose(r Record) {
	t.reading.Lost++
	const most = 256
	if r.Timed && len(t.pending) < most {
		t.pending = append(t.pending, r.At)
		return
	}
	t.lost++
}

// passLost counts the lost packets that belong before r.
func (t *Timeline) passLost(r Record) {
	if len(t.pending) == 0 {
		return
	}
	rest := t.pending[:0]
	for _, at := range t.pending {
		switch {
		case r.Timed && at > r.At:
			rest = append(rest, at)
		case !t.stamped || at >= t.stamp:
			t.lost++
		}
	}
	t.pending = rest
}

// step is the time from the last frame to r. It is never longer than a bound: with a wrong time the tracker would look
// for animals where they cannot be.
func (t *Timeline) step(r Record) time.Duration {
	usual := t.Step()
	if !r.Timed || !t.stamped {
		return usual * time.Duration(1+t.lost)
	}
	d := r.At - t.stamp
	// Lost packets explain a longer step.
	bound := max(time.Second, 4*usual) + 2*usual*time.Duration(t.lost)
	switch {
	case d > 0 && d <= bound:
		if t.lost == 0 {
			t.suspectGap(d, usual)
			t.remember(d)
		}
		return d
	case d > bound || d < -bound:
		t.reading.Jumps++
		if len(t.reading.Jumped) < mostListed {
			t.reading.Jumped = append(t.reading.Jumped, video.Jump{At: t.now + usual, By: d - usual})
		}
	}
	return usual * time.Duration(1+t.lost)
}

// suspectGap records a longer step between regular ones as a gap. A longer step after another one is a slower rate.
func (t *Timeline) suspectGap(d, usual time.Duration) {
	if t.suspect.To > 0 && d < 2*usual {
		t.gap(t.suspect.From, t.suspect.To)
	}
	t.suspect = video.Span{}
	if d > 4*usual && t.isRegular() {
		t.suspect = video.Span{From: t.now + usual, To: t.now + d}
	}
}

func (t *Timeline) remember(d time.Duration) {
	t.usual = 0
	if len(t.steps) < window {
		t.steps = append(t.steps, d)
		return
	}
	t.steps[t.place] = d
	t.place = (t.place + 1) % window
}

// isRegular reports whether the frames come at a fixed rate, so that a longer step means missing frames.
func (t *Timeline) isRegular() bool {
	if len(t.steps) < window {
		return false
	}
	usual, near := t.Step(), 0
	for _, s := range t.steps {
		if s > usual*3/4 && s < usual*5/4 {
			near++
		}
	}
	return near >= window-2
}

// gap records a missing or damaged part. Parts with less than a second between them become one.
func (t *Timeline) gap(from, to time.Duration) {
	g := t.reading.Gaps
	if n := len(g); n > 0 && (from-g[n-1].To < time.Second || n == mostGaps) {
		g[n-1].To = max(g[n-1].To, to)
		return
	}
	t.reading.Gaps = append(g, video.Span{From: from, To: to})
}

// Reading returns what is known so far. Its slices belong to the caller.
func (t *Timeline) Reading() video.Reading {
	r := t.reading
	r.Gaps, r.Jumped, r.Resized = slices.Clone(r.Gaps), slices.Clone(r.Jumped), slices.Clone(r.Resized)
	if t.began {
		r.Duration = t.now + t.Step()
	}
	r.LostAtEnd = t.lost + len(t.pending)
	return r
}

// End is Reading after the last record: packets lost after the last frame are a gap at the end.
func (t *Timeline) End() video.Reading {
	r := t.Reading()
	if t.began && r.LostAtEnd > 0 {
		t.gap(r.Duration, r.Duration+t.Step()*time.Duration(r.LostAtEnd))
	}
	return t.Reading()
}
