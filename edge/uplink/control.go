package uplink

import (
	"fmt"

	"cattlecounter/edge/spool"
)

// Values of SetLimit other than a number of bytes per second.
const (
	LimitConfigured int64 = 0  // the configured limit
	LimitNone       int64 = -1 // no limit
	// LeastLimit allows one request within the shortest time-outs.
	LeastLimit int64 = 4 << 10
)

// SetPaused pauses or resumes the upload. It also stops a running transfer.
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

// Paused reports whether an operator paused the upload.
func (u *Uplink) Paused() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.paused
}

// SetLimit limits the bytes per second of footage, also of a running transfer. The order
// survives restarts and overrides the configuration until LimitConfigured withdraws it.
func (u *Uplink) SetLimit(bytesPerSecond int64) error {
	if n := bytesPerSecond; n < LimitNone || n > 0 && n < LeastLimit {
		return fmt.Errorf("limit of %d bytes per second is not valid: use at least %d, %d for none, or %d for the "+
			"configured one", n, LeastLimit, LimitNone, LimitConfigured)
	}
	err := u.changeOrders(func(o *spool.LinkOrders) { o.Limit = bytesPerSecond })
	if err == nil {
		u.limit.set(u.effectiveLimit())
	}
	return err
}

// SetMetered sets whether the link is paid by volume. The order survives restarts and
// overrides the configuration until ResetMetered.
func (u *Uplink) SetMetered(metered bool) error {
	err := u.changeOrders(func(o *spool.LinkOrders) { o.Metered = &metered })
	if err == nil {
		u.o.Cloud.budget.setMetered(metered)
		u.recheckHold()
	}
	return err
}

// ResetMetered withdraws the order of SetMetered.
func (u *Uplink) ResetMetered() error {
	err := u.changeOrders(func(o *spool.LinkOrders) { o.Metered = nil })
	if err == nil {
		u.o.Cloud.budget.setMetered(u.o.Cloud.budget.configured())
		u.recheckHold()
	}
	return err
}

// changeOrders saves a change of the orders before it takes effect.
func (u *Uplink) changeOrders(change func(*spool.LinkOrders)) error {
	u.ordersMu.Lock()
	defer u.ordersMu.Unlock()
	next := u.orders
	change(&next)
	if err := u.o.Spool.Link.SetOrders(next); err != nil {
		return err
	}
	u.orders = next
	return nil
}

func (u *Uplink) currentOrders() spool.LinkOrders {
	u.ordersMu.Lock()
	defer u.ordersMu.Unlock()
	return u.orders
}

// effectiveLimit is the current limit, 0 for none.
func (u *Uplink) effectiveLimit() int64 {
	switch n := u.currentOrders().Limit; n {
	case LimitConfigured:
		return u.o.RateLimit
	case LimitNone:
		return 0
	default:
		return n
	}
}

// recheckHold checks for a hold now, in a transfer and in a wait.
func (u *Uplink) recheckHold() {
	u.recheck.Set()
	u.Kick()
}
