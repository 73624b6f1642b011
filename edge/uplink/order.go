package uplink

import (
	"cmp"
	"slices"
	"time"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
)

// Order says which of several pieces of footage with the same priority goes
// first. The order is that of capture on this device, whatever the clock said.
type Order string

// Orders.
const (
	Oldest Order = "oldest"
	Newest Order = "newest"
)

// compare sorts a before b when it is to be sent first.
func (o Order) compare(a, b spool.Record) int {
	seq := cmp.Compare(a.Seq, b.Seq)
	if o == Newest {
		seq = -seq
	}
	return cmp.Or(cmp.Compare(b.Priority, a.Priority), seq)
}

// next returns the footage that is sent now, or how long to wait for one.
func (u *Uplink) next(now time.Time) (*spool.Record, time.Duration) {
	const idle = time.Minute
	list := u.o.Spool.Records.All()
	slices.SortFunc(list, u.o.Order.compare)
	u.mu.Lock()
	defer u.mu.Unlock()
	wait := idle
	for _, r := range list {
		if !r.State.HasContent() || r.State == spool.Confirmed {
			continue
		}
		if u.waits(r) {
			u.o.Spool.Records.SetWaiting(r.ID, ErrThumbnails.Error())
			continue
		}
		if again := u.again[r.ID]; again != nil && again.at.After(now) {
			wait = min(wait, again.at.Sub(now))
			continue
		}
		return &r, 0
	}
	return nil, wait
}

// Prioritise keeps a priority, the higher the earlier, and ends the footage's
// wait for its next try. A running transfer goes on to its end, unless now is
// set: then it makes room when it has the lower priority, and goes on later
// where it stood.
func (u *Uplink) Prioritise(id footage.ID, priority int, now bool) error {
	if err := u.o.Spool.Records.SetPriority(id, priority); err != nil {
		return err
	}
	u.mu.Lock()
	delete(u.again, id)
	running, stop := u.running, u.cancel
	u.mu.Unlock()
	if now && stop != nil && running != id {
		r, _ := u.o.Spool.Records.Get(id)
		other, _ := u.o.Spool.Records.Get(running)
		if r.State.HasContent() && r.Priority > other.Priority {
			stop(ErrOvertaken)
		}
	}
	u.Wake()
	return nil
}
