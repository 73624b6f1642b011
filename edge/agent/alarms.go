package agent

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"cattlecounter/edge/spool"
)

// Names of alarms; topic.Vitals lists them for subscribers.
const (
	alarmSpace      = "space"
	alarmSpool      = "spool"
	alarmQuarantine = "quarantine"
	alarmCloud      = "cloud"
	alarmClock      = "clock"
)

// alarmEvery is how often the reasons for alarms are looked at.
const alarmEvery = 5 * time.Second

// alarms knows what a person should look at. It is safe for concurrent use.
type alarms struct {
	mu    sync.Mutex
	level int // of the space alarm: 0, 80, 90 or 100
	now   map[string]string
}

// watchAlarms looks at the reasons for alarms until ctx ends, logs each one that
// begins or ends, and has vitals published at once.
func (a *Agent) watchAlarms(ctx context.Context) error {
	tick := time.NewTicker(alarmEvery)
	defer tick.Stop()
	for {
		before, now := a.alarms.set(a.findAlarms())
		for name, text := range now {
			if before[name] != text {
				a.log.Warn("alarm", "alarm", name, "detail", text)
			}
		}
		for name := range before {
			if now[name] == "" {
				a.log.Info("alarm is over", "alarm", name)
			}
		}
		if a.beacon != nil && !maps.Equal(before, now) {
			a.beacon.VitalsNow()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (x *alarms) set(now map[string]string) (before, after map[string]string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	before, x.now = x.now, now
	return before, now
}

// all returns the alarms by name, and in one line.
func (x *alarms) all() (map[string]string, string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	var line []string
	for _, name := range slices.Sorted(maps.Keys(x.now)) {
		line = append(line, x.now[name])
	}
	return maps.Clone(x.now), strings.Join(line, "; ")
}

// spaceLevel is the step of the space alarm: it rises at 80, 90 and 100 % and
// falls two percent below, so that it does not come and go with every chunk.
func spaceLevel(percent float64, was int) int {
	const slack = 2
	for _, level := range []int{100, 90, 80} {
		if percent >= float64(level) || was >= level && percent >= float64(level-slack) {
			return level
		}
	}
	return 0
}

func (a *Agent) findAlarms() map[string]string {
	found := map[string]string{}
	a.spaceAlarm(found)
	if s := a.spool.Salvaged(); s != nil {
		found[alarmSpool] = fmt.Sprintf("the spool was broken when the agent started: %d entries saved, %d damaged parts, %d pieces of footage read again from the card",
			s.Entries, s.Damaged, s.Reread)
	}
	if text := a.clock.Alarm(); text != "" {
		found[alarmClock] = text
	}
	quarantined := 0
	for _, r := range a.spool.Records.All() {
		if r.State == spool.Quarantined {
			quarantined++
		}
	}
	if quarantined > 0 {
		found[alarmQuarantine] = fmt.Sprintf("%d pieces of footage are in quarantine", quarantined)
	}
	if c := a.uplink.Report().Reconciliation; c.Lost+c.Different > 0 {
		found[alarmCloud] = fmt.Sprintf("compared with the cloud: %d pieces of footage are lost there and not here either, %d have other content there", c.Lost, c.Different)
	}
	return found
}

// spaceAlarm says the same as long as the step is the same, so that only a new
// step is told.
func (a *Agent) spaceAlarm(found map[string]string) {
	sp, err := a.spool.Disk.Space()
	if err != nil {
		found[alarmSpace] = err.Error()
		return
	}
	a.alarms.mu.Lock()
	a.alarms.level = spaceLevel(sp.Percent(), a.alarms.level)
	level := a.alarms.level
	a.alarms.mu.Unlock()
	switch {
	case level == 100:
		found[alarmSpace] = fmt.Sprintf("the spool is full, no footage is taken in until the cloud has confirmed some; it may take %s", inBytes(a.limit(sp)))
	case level > 0:
		found[alarmSpace] = fmt.Sprintf("the spool is more than %d %% full: it may take %s", level, inBytes(a.limit(sp)))
	}
}

// limit is the spool's quota, or the size of its disk.
func (a *Agent) limit(sp spool.Space) int64 {
	if q := int64(a.cfg.Spool.Quota); q > 0 {
		return q
	}
	return sp.Total - int64(a.cfg.Spool.MinFree)
}
