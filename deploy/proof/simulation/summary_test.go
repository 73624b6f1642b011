package simulation

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// summary returns what a run measured, as lines of text. real is how long the run took.
func (w *world) summary(real time.Duration, v verdict) string {
	m := w.measure()
	var b strings.Builder
	add := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	add("seed %d: queue %s, %d stations, %d jobs, %d workers, lease %s", w.seed, w.backEnd, len(w.clipsOf), len(w.clips),
		w.workers, w.lease)
	if w.fair {
		add("shares of the stations while all wait: Jain's index %.2f", v.jain)
	}
	add("jobs with two ends %d, lost %d, wrong %d, stuck %d, poisoned %d, overtaken %d",
		v.doubles, v.lost, v.wrong, v.stuck, v.poisoned, v.overtaken)
	last := quantile(m.ends, 0.99)
	add("99 %% ended after %.1f min, %.0f jobs a minute; all ended after %s",
		last, 0.99*float64(len(m.ends))/last, w.simulated.Round(time.Second))
	add("the run took %.1f s, %.0f jobs a second", real.Seconds(), float64(len(w.clips))/real.Seconds())
	add("from the cloud to the end: median %.1f s, 99th percentile %.1f s, longest %.1f s",
		quantile(m.total, 0.5), quantile(m.total, 0.99), quantile(m.total, 1))
	add("wait for a worker: median %.1f s, 99th percentile %.1f s, longest %.1f s",
		quantile(m.waits, 0.5), quantile(m.waits, 0.99), quantile(m.waits, 1))
	add("mean waits of the stations: median %.1f s, 99th percentile %.1f s, Jain's index %.2f",
		quantile(m.stationWaits, 0.5), quantile(m.stationWaits, 0.99), jain(m.stationWaits))
	add("wait of the station with %d clips at once: median %.1f s, longest %.1f s",
		len(m.largeWaits), quantile(m.largeWaits, 0.5), quantile(m.largeWaits, 1))
	add("wait of %d stations with one clip within 30 s of it: median %.1f s, longest %.1f s",
		len(m.neighborWaits), quantile(m.neighborWaits, 0.5), quantile(m.neighborWaits, 1))
	names := make([]string, 0, len(w.faults.n))
	for name := range w.faults.n {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", name, w.faults.n[name])
	}
	add("faults: %s", strings.Join(names, ", "))
	for _, e := range v.examples {
		add("  %s", e)
	}
	return b.String()
}

// measures are simulated times of clips, in seconds unless stated otherwise. A wait is the time from the arrival in the
// cloud until a worker begins.
type measures struct {
	ends          []float64 // minutes from the start of the run until a job ended
	total         []float64 // from the arrival in the cloud until the job ended
	waits         []float64 // of all clips
	stationWaits  []float64 // the mean of each station
	largeWaits    []float64 // of the large station
	neighborWaits []float64 // of stations with one clip, which arrived within 30 s of the large station's
}

func (w *world) measure() (m measures) {
	byStation := map[int][]float64{}
	for _, c := range w.clips {
		if c.begun.IsZero() {
			continue
		}
		x := c.begun.Sub(c.arrived).Seconds()
		m.waits = append(m.waits, x)
		byStation[c.station] = append(byStation[c.station], x)
		if !c.ended.IsZero() {
			m.ends = append(m.ends, c.ended.Sub(w.began).Minutes())
			m.total = append(m.total, c.ended.Sub(c.arrived).Seconds())
		}
		from := w.window / 4
		switch {
		case c.station == 0:
			m.largeWaits = append(m.largeWaits, x)
		case w.clipsOf[c.station] == 1 && c.arrives > from && c.arrives < from+30*time.Second:
			m.neighborWaits = append(m.neighborWaits, x)
		}
	}
	for _, xs := range byStation {
		m.stationWaits = append(m.stationWaits, sum(xs)/float64(len(xs)))
	}
	return m
}

func sum(xs []float64) (s float64) {
	for _, x := range xs {
		s += x
	}
	return s
}

// quantile returns the value that the given share of xs does not exceed, 0 to 1. Without values it returns NaN.
func quantile(xs []float64, share float64) float64 {
	if len(xs) == 0 {
		return math.NaN()
	}
	xs = slices.Sorted(slices.Values(xs))
	return xs[int(share*float64(len(xs)-1))]
}

// jain returns Jain's index of fairness: 1 when all values are equal, 1/n when one of n values has everything.
func jain(xs []float64) float64 {
	var squares float64
	for _, x := range xs {
		squares += x * x
	}
	return sum(xs) * sum(xs) / (float64(len(xs)) * squares)
}
