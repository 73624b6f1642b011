package flightlog

import (
	"math"
	"slices"
	"sort"
	"time"
)

// Span is a part of a log by its offsets.
type Span struct{ From, To time.Duration }

// Recordings are the parts in which the log says that the camera recorded a video, in order.
func (l *Log) Recordings() []Span {
	var all []Span
	on := false
	for i := range l.Samples {
		switch s := &l.Samples[i]; {
		case s.Recording && !on:
			all, on = append(all, Span{From: s.Offset, To: s.Offset}), true
		case on:
			all[len(all)-1].To = s.Offset // the first sample without it is the end
			on = s.Recording
		}
	}
	return all
}

// Fit makes the offsets of a log of a whole flight count from the first picture of a video, and leaves out what
// lies more than 5 s outside of it. The log's own recordings have priority, by their length and, where several have
// that, by captured: the wall clock at the first picture, or the zero time. Without one that fits, captured alone
// decides, in the log's own zone. It changes nothing and returns false where nothing fits. A log of a video is left
// as it is.
func (l *Log) Fit(captured time.Time, length time.Duration) bool {
	const slack = 2500 * time.Millisecond // of a clock with whole seconds, and of a camera that starts late
	if l.OfVideo {
		return true
	}
	var fitting []Span
	for _, r := range l.Recordings() {
		if d := r.To - r.From - length; d >= -slack && d <= slack {
			fitting = append(fitting, r)
		}
	}
	start := l.Captured()
	switch {
	case len(fitting) > 1 && !captured.IsZero() && !start.IsZero():
		far := func(r Span) float64 { return math.Abs(start.Add(r.From).Sub(captured).Seconds()) }
		slices.SortStableFunc(fitting, func(a, b Span) int { return int(math.Round(far(a) - far(b))) })
		return l.cut(-fitting[0].From, length)
	case len(fitting) == 1:
		return l.cut(-fitting[0].From, length)
	}
	return l.Align(captured, length)
}

// Align makes the offsets of a log of a whole flight count from captured, the wall clock at the first picture of a
// video in the log's own zone, and leaves out what lies more than 5 s outside of the video's length. It changes
// nothing and returns false where the log has no times, or no sample of the video's time.
func (l *Log) Align(captured time.Time, length time.Duration) bool {
	if captured.IsZero() || l.Captured().IsZero() {
		return false
	}
	return l.cut(l.Captured().Sub(captured), length)
}

// cut keeps the samples of a video, after adding shift to their offsets. Other logs that share the samples stay as
// they are.
func (l *Log) cut(shift, length time.Duration) bool {
	const around = 5 * time.Second
	from := sort.Search(len(l.Samples), func(i int) bool { return l.Samples[i].Offset+shift >= -around })
	to := sort.Search(len(l.Samples), func(i int) bool { return l.Samples[i].Offset+shift > length+around })
	if from == to {
		return false
	}
	l.Samples = slices.Clone(l.Samples[from:to])
	for i := range l.Samples {
		l.Samples[i].Offset += shift
	}
	l.End, l.OfVideo = l.Samples[len(l.Samples)-1].Offset, true
	return true
}
