package uplink

import "time"

// meter computes the rate of a transfer, smoothed over about ten seconds.
type meter struct {
	at   time.Time
	last int64
	rate float64 // bytes per second
}

const (
	updateEvery = 500 * time.Millisecond
	smoothing   = 10 * time.Second
)

func newMeter(offset int64) *meter { return &meter{at: time.Now(), last: offset} }

// moved notes the newest offset and reports whether the rate was updated.
func (m *meter) moved(offset int64) bool {
	d := time.Since(m.at)
	if d < updateEvery {
		return false
	}
	now := float64(offset-m.last) / d.Seconds()
	weight := min(1, d.Seconds()/smoothing.Seconds())
	if m.rate == 0 {
		weight = 1
	}
	m.rate += (now - m.rate) * weight
	m.at, m.last = time.Now(), offset
	return true
}
