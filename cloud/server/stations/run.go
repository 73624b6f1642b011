package stations

import (
	"context"
	"maps"
	"sync"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

const (
	tickEvery    = 250 * time.Millisecond
	sendEvery    = time.Second // between two reports of one station
	devicesEvery = 10 * time.Second
	// touchEvery is how often the ledger stores when a station was heard, so that a restart does not forget it.
	touchEvery = 5 * time.Minute
)

// Run hears the stations and reports those that change until ctx ends. It then returns nil.
func (t *Table) Run(ctx context.Context) error {
	var link sync.WaitGroup
	if t.link != nil {
		link.Go(func() { _ = t.link.Run(ctx) }) // it only ends with ctx, and then without an error
	}
	defer link.Wait()
	var announcing sync.WaitGroup
	defer announcing.Wait()
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	var known []ledger.Device
	var listed time.Time
	failing, recalled := false, false
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		t.remember(last, known, true)
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if now := t.o.Now(); now.Sub(listed) >= devicesEvery {
			ds, err := t.o.Devices.List(ctx)
			if err == nil && !recalled {
				err = t.recall(ctx, ds)
				recalled = err == nil
			}
			if err != nil {
				if !failing && ctx.Err() == nil {
					t.o.Log.Warn("cannot list the stations; trying again", "err", err)
				}
			} else {
				known = ds
				t.forgetOthers(ds)
				t.announce(ctx, ds, &announcing)
			}
			failing, listed = err != nil, now
		}
		for _, v := range t.due(known) {
			t.o.Changed(v)
		}
		t.touch(ctx, known)
		t.remember(ctx, known, false)
	}
}

// due returns the stations to report now: those that changed and were not reported within a second.
func (t *Table) due(known []ledger.Device) []wire.Station {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.o.Now()
	var due []wire.Station
	for _, d := range known {
		s, ok := t.stations[address(d)]
		if !ok || !isStation(d) || now.Sub(s.sent) < sendEvery {
			continue
		}
		seen := s.heard
		if d.LastSeen != nil && d.LastSeen.After(seen) {
			seen = *d.LastSeen
		}
		state, _, _ := t.state(s, d, seen)
		if !s.changed && state == s.state {
			continue
		}
		s.changed, s.sent, s.state = false, now, state
		due = append(due, t.view(d, wire.StationFootage))
	}
	return due
}

// forgetOthers removes stations that the ledger does not know any more, or under another site.
func (t *Table) forgetOthers(known []ledger.Device) {
	may := map[topic.Device]bool{}
	for _, d := range known {
		if isStation(d) {
			may[address(d)] = true
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.stations, func(d topic.Device, s *station) bool {
		if !may[d] {
			t.pieces -= len(s.footage)
		}
		return !may[d]
	})
	if len(t.stations) < maxStations {
		t.full = false
	}
}

// touch stores when stations were heard.
func (t *Table) touch(ctx context.Context, known []ledger.Device) {
	heard := map[string]time.Time{}
	t.mu.Lock()
	for _, d := range known {
		s, ok := t.stations[address(d)]
		if !ok || !isStation(d) || s.heard.Sub(s.touched) < touchEvery {
			continue
		}
		s.touched = s.heard
		if d.LastSeen == nil || s.heard.Sub(*d.LastSeen) >= touchEvery {
			heard[d.Name] = s.heard
		}
	}
	t.mu.Unlock()
	for name, at := range heard {
		if err := t.o.Devices.Touch(ctx, name, at.UTC()); err != nil && ctx.Err() == nil {
			t.o.Log.Warn("cannot record when the station was heard", "device", name, "err", err)
		}
	}
}
