package uplink

import (
	"cmp"
	"slices"
	"time"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
)

// Order is which footage of the same priority is sent first, in the order of capture on
// this device. It does not depend on the clock.
type Order string

// Orders.
const (
	Oldest Order = "oldest"
	Newest Order = "newest"
)

// compare sorts a before b when a must be sent first.
func (o Order) compare(a, b spool.Record) int {
	seq := cmp.Compare(a.Seq, b.Seq)
	if o == Newest {
		seq = -seq
	}
	return cmp.Or(cmp.Compare(b.Priority, a.Priority), seq)
}

// next returns the footage to send now, or how long to wait for one.
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
		if r.LogOf != "" && (u.videoUnsent(r.LogOf) || olderLogUnsent(list, r)) {
			continue
		}
		if u.nothingToSend(r) {
			u.o.Spool.Records.SetWaiting(r.ID, ErrThumbnails.Error())
			continue
		}
		if retry := u.retries[r.ID]; retry != nil && retry.at.After(now) {
			wait = min(wait, retry.at.Sub(now))
			continue
		}
		return &r, 0
	}
	return nil, wait
}

// Prioritise saves the priority of footage and ends its wait for a retry. The highest
// priority is sent first. With now it preempts a running transfer of a lower priority, which
// resumes later; otherwise that one is finished first.
func (u *Uplink) Prioritise(id footage.ID, priority int, now bool) error {
	if err := u.o.Spool.Records.SetPriority(id, priority); err != nil {
		return err
	}
	u.mu.Lock()
	delete(u.retries, id)
	running, stop := u.running, u.cancel
	u.mu.Unlock()
	if now && stop != nil && running != id {
		r, _ := u.o.Spool.Records.Get(id)
		other, _ := u.o.Spool.Records.Get(running)
		if r.State.HasContent() && r.Priority > other.Priority {
			stop(ErrPreempted)
		}
	}
	u.Wake()
	return nil
}
