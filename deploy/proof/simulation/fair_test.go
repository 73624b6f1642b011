package simulation

import (
	"fmt"
	"time"

	"cattlecounter/deploy/testkit/queuetest"
)

// A fair world has stations that want the same few workers at the same time.
const (
	rivals       = 10
	rivalWorkers = 3
	manyClips    = 25 // of the first station
	fewClips     = 8  // of each other one
)

// drawRivals adds the clips of a fair world. Those of the first station come at once, those of the others just after it.
func (w *world) drawRivals(add func(station int)) {
	for s := range rivals {
		n := fewClips
		if s == 0 {
			n = manyClips
		}
		for i := range n {
			add(s)
			c := w.clips[len(w.clips)-1]
			c.truncated, c.arrives = false, time.Duration(i)*time.Millisecond
			if s > 0 {
				c.arrives += time.Second
			}
		}
	}
	w.waiting, w.window = manyClips, time.Second
}

// deviceOf returns the device of a clip. Without turns all stations are one device to the queue.
func (w *world) deviceOf(c *clip) string {
	if w.without.turns {
		return "station"
	}
	return fmt.Sprint("station-", c.station)
}

// shares returns Jain's index of how often each station was served while clips of every station waited.
func (w *world) shares() float64 {
	var from, to time.Time // all clips were sent; the first station had none left
	last := map[int]time.Time{}
	for _, c := range w.clips {
		if c.sent.After(from) && !c.messageLost {
			from = c.sent
		}
		if c.delivered.After(last[c.station]) {
			last[c.station] = c.delivered
		}
	}
	for _, at := range last {
		if to.IsZero() || at.Before(to) {
			to = at
		}
	}
	served := map[int]int{}
	for s := range rivals {
		served[s] = 0
	}
	for _, c := range w.clips {
		if c.delivered.After(from) && !c.delivered.After(to) {
			served[c.station]++
		}
	}
	return queuetest.Jain(served)
}
