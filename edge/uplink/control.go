package uplink

import (
	"fmt"

	"cattlecounter/edge/spool"
)

// Values of SetLimit beside a number of bytes per second.
const (
	LimitConfigured int64 = 0  // what the configuration says
	LimitNone       int64 = -1 // no limit
	// LeastLimit lets one request through within the shortest time-outs.
	LeastLimit int64 = 4 << 10
)

// SetPaused stops the upload, also a running one, or lets it go on.
func (u *Uplink) SetPaused(p bool) {
	u.mu.Lock()
	u.paused = p
	cancel := u.cancel
	u.mu.Unlock()
	if p {
		u.setLink(LinkPaused, ErrPaused.Error())
		if cancel != nil {
			cancel(ErrPaused)
		}
		return
	}
	u.setLink(LinkUnknown, "")
	u.Kick()
}

// Paused reports whether an operator stopped the upload.
func (u *Uplink) Paused() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.paused
}

// SetLimit bounds the bytes per second of footage from now on, also of a running
// transfer. The order outlives restarts and wins over the configuration until
// LimitConfigured takes it back.
func (u *Uplink) SetLimit(bytesPerSecond int64) error {
	if n := bytesPerSecond; n < LimitNone || n > 0 && n < LeastLimit {
		return fmt.Errorf("limit of %d bytes a second: at least %d, %d for none, %d for the configured one", n, LeastLimit, LimitNone, LimitConfigured)
	}
	err := u.order(func(o *spool.LinkOrders) { o.Limit = bytesPerSecond })
	if err == nil {
		u.limit.set(u.wantedLimit())
	}
	return err
}

// SetMetered says that bytes cost from now on, or that they do not. The order
// outlives restarts and wins over the configuration until ResetMetered.
func (u *Uplink) SetMetered(metered bool) error {
	err := u.order(func(o *spool.LinkOrders) { o.Metered = &metered })
	if err == nil {
		u.o.Cloud.budget.setMetered(metered)
		u.reconsider()
	}
	return err
}

// ResetMetered takes SetMetered back.
func (u *Uplink) ResetMetered() error {
	err := u.order(func(o *spool.LinkOrders) { o.Metered = nil })
	if err == nil {
		u.o.Cloud.budget.setMetered(u.o.Cloud.budget.configured())
		u.reconsider()
	}
	return err
}

// order keeps a change of the orders in the spool before it takes effect.
func (u *Uplink) order(change func(*spool.LinkOrders)) error {
	u.ordering.Lock()
	defer u.ordering.Unlock()
	next := u.orders
	change(&next)
	if err := u.o.Spool.Link.SetOrders(next); err != nil {
		return err
	}
	u.orders = next
	return nil
}

func (u *Uplink) ordered() spool.LinkOrders {
	u.ordering.Lock()
	defer u.ordering.Unlock()
	return u.orders
}

// wantedLimit is the limit in force, 0 for none.
func (u *Uplink) wantedLimit() int64 {
	switch n := u.ordered().Limit; n {
	case LimitConfigured:
		return u.o.RateLimit
	case LimitNone:
		return 0
	default:
		return n
	}
}

// reconsider looks again at what holds the uplink, in a transfer and in a wait.
func (u *Uplink) reconsider() {
	u.recheck.Set()
	u.Kick()
}
