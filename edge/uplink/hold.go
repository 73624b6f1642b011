package uplink

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"cattlecounter/shared/footage"
)

// Causes of a stop that is not a fault.
var (
	// ErrPaused stops a transfer because of an operator's order.
	ErrPaused = errors.New("paused by an operator")
	// ErrWindow stops a transfer at the end of its window.
	ErrWindow = errors.New("outside the windows")
	// ErrPreempted stops a transfer for footage with a higher priority.
	ErrPreempted = errors.New("other footage has priority")
)

// checkEvery is how often to check what depends on the wall clock, because that clock may
// be set during a wait.
const checkEvery = 30 * time.Second

// hold is the reason why nothing may be sent now.
type hold struct {
	cause  error // nil without a hold
	detail string
	until  time.Time // zero when unknown
}

// currentHold returns the hold of the uplink, and when to check again at the latest.
func (u *Uplink) currentHold() (hold, time.Duration) {
	if u.Paused() {
		return hold{cause: ErrPaused, detail: ErrPaused.Error()}, checkEvery
	}
	h, change := u.window()
	if h.cause == nil {
		if h = u.o.Cloud.budget.hold(); h.cause != nil {
			change = h.until
		}
	}
	if change.IsZero() {
		return h, checkEvery
	}
	return h, min(checkEvery, max(change.Sub(u.o.Now()), time.Millisecond))
}

// window returns the hold outside the windows, and when that changes. Without a synced
// clock the hour is unknown. A metered link then waits, because the wrong hour costs money.
// Any other link is used, so that footage does not stay on a board without a clock.
func (u *Uplink) window() (h hold, change time.Time) {
	w := u.o.Windows
	if w.Always() {
		return hold{}, time.Time{}
	}
	texts := strings.Join(w.Texts(), ", ")
	if !u.o.Synced() {
		if u.o.Cloud.budget.Metered() {
			h = hold{cause: ErrWindow,
				detail: fmt.Sprintf("the clock is not synced; a metered link waits for a synced clock because of the windows %s",
					texts)}
		}
		return h, time.Time{}
	}
	now := u.o.Now() // after Synced: a time service sets the clock before it marks it as synced
	open, change := w.At(now)
	if !open {
		h = hold{cause: ErrWindow, until: change,
			detail: fmt.Sprintf("outside the windows %s, resumes at %s", texts, clockTime(now.In(w.Zone()), change))}
	}
	return h, change
}

// showHold sets the state of the link to the hold, and resets it after the hold.
func (u *Uplink) showHold(h hold) {
	switch {
	case errors.Is(h.cause, ErrPaused):
		u.setLink(LinkPaused, h.detail)
	case h.cause != nil:
		u.setLink(LinkHeld, h.detail)
	case u.Link().State == LinkHeld:
		u.setLink(LinkUnknown, "")
	}
}

// guard stops a transfer when a hold begins. It returns when ctx ends.
func (u *Uplink) guard(ctx context.Context, id footage.ID, stop context.CancelCauseFunc) {
	for {
		h, recheck := u.currentHold()
		if h.cause != nil {
			u.showHold(h)
			stop(h.cause)
			return
		}
		if r, ok := u.o.Spool.Records.Get(id); ok && u.nothingToSend(r) {
			stop(ErrThumbnails)
			return
		}
		timer := time.NewTimer(recheck)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-u.recheck.C():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// isStop reports whether err is the cause of a stop, not a fault.
func isStop(err error) bool {
	for _, stop := range []error{ErrPaused, ErrWindow, ErrBudget, ErrPreempted, ErrThumbnails} {
		if errors.Is(err, stop) {
			return true
		}
	}
	return false
}
