package stations

import (
	"context"
	"sync"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

const (
	// announceEvery is how long a station that did not follow a rotation is left alone.
	announceEvery = 10 * time.Minute
	// mostAnnounced is how many stations are led to a new key at the same time. The others follow at the next round.
	mostAnnounced = mostOrders / 4
	// announcer gives the orders that lead stations to a new key.
	announcer = "cloud-api"
)

// announce sends an order to the online stations that report another key than the one with which orders are signed. With
// the order they pin the new key. It does not wait for their answers; wait has the goroutines.
func (t *Table) announce(ctx context.Context, known []ledger.Device, wait *sync.WaitGroup) {
	if t.o.Key == nil || !t.Up() {
		return
	}
	key, err := t.o.Key(ctx)
	if err != nil {
		if ctx.Err() == nil {
			t.o.Log.Warn("cannot read the key of orders; stations do not follow its rotation", "err", err)
		}
		return
	}
	for _, d := range t.behind(known, key) {
		wait.Go(func() {
			r, err := t.Order(ledger.By(ctx, announcer), d.Name, topic.CommandTrust, nil)
			if err == nil {
				t.answered(d, r)
			}
			switch {
			case ctx.Err() != nil:
			case err != nil:
				t.o.Log.Warn("a station did not follow to the new key of orders; trying again", "device", d.Name, "key", key, "err", err)
			case r.State != topic.Finished:
				t.o.Log.Warn("a station refuses the new key of orders; enrol it again", "device", d.Name, "key", key, "why", r.Text)
			default:
				t.o.Log.Info("a station has the new key of orders", "device", d.Name, "key", key)
			}
		})
	}
}

// behind returns the stations that the key is announced to now, and notes that.
func (t *Table) behind(known []ledger.Device, key string) []ledger.Device {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.o.Now()
	var behind []ledger.Device
	for _, d := range known {
		s, ok := t.stations[address(d)]
		if !ok || !isStation(d) || !s.online || s.vitals == nil || s.vitals.OrderKey == "" || s.vitals.OrderKey == key ||
			now.Sub(s.announced) < announceEvery {
			continue
		}
		if len(behind) >= mostAnnounced {
			break
		}
		s.announced = now
		behind = append(behind, d)
	}
	return behind
}

// answered notes whether a station refuses the key of orders.
func (t *Table) answered(d ledger.Device, r wire.StationReply) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.stations[address(d)]
	if !ok {
		return
	}
	s.refusesKey = r.State != topic.Finished
	s.changed = true
}
