package agent

import (
	"math"
	"time"

	"cattlecounter/edge/clock"
	"cattlecounter/shared/topic"
)

// newClock connects the hints of the time; it asks nobody before it runs.
func (a *Agent) newClock() (err error) {
	c := a.cfg.Clock
	a.clock, err = clock.New(clock.Options{Store: a.spool.Clock, Synced: synced, NTP: c.NTP, NTPEvery: c.NTPEvery, NTPMetered: c.NTPMetered,
		Metered: func() bool { return a.budget.Metered() }, GPSD: c.GPSD, Messages: a.newestMessage, Log: a.log})
	return err
}

// newestMessage is the latest time that the cloud put into a message about a job
// with its own clock synced, zero without one.
func (a *Agent) newestMessage() time.Time {
	var newest time.Time
	for _, r := range a.spool.Records.All() {
		if j := r.Job; j != nil && j.Clock == topic.ClockSynced && j.At.After(newest) {
			newest = j.At
		}
	}
	return newest
}

// ClockHint is what the best source says about the time.
type ClockHint struct {
	Source topic.ClockSource `json:"source"`
	From   string            `json:"from"`
	Time   time.Time         `json:"time"` // by the source, now
	// Offset is what must be added to the clock to get Time; it is right within
	// Uncertainty, if the source is. Age is since the source said it.
	Offset      float64 `json:"offset_seconds"`
	Uncertainty float64 `json:"uncertainty_seconds"`
	Age         float64 `json:"age_seconds"`
	Text        string  `json:"text"` // the same for people
}

// clockHint is nil when nobody said what time it is.
func (a *Agent) clockHint() *ClockHint {
	e, ok := a.clock.Best()
	if !ok {
		return nil
	}
	return &ClockHint{Source: topic.ClockSource(e.Source), From: e.From, Time: e.Now, Offset: seconds(e.Ahead), Uncertainty: seconds(e.Uncertainty),
		Age: seconds(e.Age), Text: e.Text()}
}

// seconds has no more digits than a hint is worth.
func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }
