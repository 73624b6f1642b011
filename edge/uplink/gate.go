package uplink

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"cattlecounter/shared/footage"
)

// Causes of a stop that nothing is wrong with.
var (
	// ErrPaused is the cause of a transfer that an operator stopped.
	ErrPaused = errors.New("paused by an operator")
	// ErrWindow is the cause of a transfer that came to the end of its window.
	ErrWindow = errors.New("outside the windows")
	// ErrOvertaken is the cause of a transfer that makes room for another one.
	ErrOvertaken = errors.New("other footage goes first")
)

// lookEvery is how often a bound by the wall clock is looked at again: that
// clock may be set while somebody waits.
const lookEvery = 30 * time.Second

// hold is why nothing may be sent just now.
type hold struct {
	cause  error // nil: nothing holds
	detail string
	until  time.Time // zero: not known
}

// held says what holds the uplink, and when to look again at the latest.
func (u *Uplink) held() (hold, time.Duration) {
	if u.Paused() {
		return hold{cause: ErrPaused, detail: ErrPaused.Error()}, lookEvery
	}
	h, change := u.window()
	if h.cause == nil {
		if h = u.o.Cloud.budget.held(); h.cause != nil {
			change = h.until
		}
	}
	if change.IsZero() {
		return h, lookEvery
	}
	return h, min(lookEvery, max(change.Sub(u.o.Now()), time.Millisecond))
}

// window says whether the hours of the day hold the uplink, and when that
// changes. Without a synced clock nobody knows the hour: then a metered link
// waits, for what goes at the wrong hour costs money, and any other is used, for
// footage must not stay on a board whose clock is never set.
func (u *Uplink) window() (h hold, change time.Time) {
	w := u.o.Windows
	if w.Always() {
		return hold{}, time.Time{}
	}
	texts := strings.Join(w.Texts(), ", ")
	if !u.o.Synced() {
		if u.o.Cloud.budget.Metered() {
			h = hold{cause: ErrWindow, detail: fmt.Sprintf("the clock is not synced; a metered link waits until it can tell the windows %s", texts)}
		}
		return h, time.Time{}
	}
	now := u.o.Now() // only here: the clock is set before it is called synced
	open, change := w.At(now)
	if !open {
		h = hold{cause: ErrWindow, until: change,
			detail: fmt.Sprintf("outside the windows %s, goes on at %s", texts, clockTime(now.In(w.Zone()), change))}
	}
	return h, change
}

// show makes the hold the state of the link, and takes it back when it is over.
func (u *Uplink) show(h hold) {
	switch {
	case errors.Is(h.cause, ErrPaused):
		u.setLink(LinkPaused, h.detail)
	case h.cause != nil:
		u.setLink(LinkHeld, h.detail)
	case u.Link().State == LinkHeld:
		u.setLink(LinkUnknown, "")
	}
}

// guard stops a transfer when something begins to hold the uplink. It returns
// when ctx ends.
func (u *Uplink) guard(ctx context.Context, id footage.ID, stop context.CancelCauseFunc) {
	for {
		h, again := u.held()
		if h.cause != nil {
			u.show(h)
			stop(h.cause)
			return
		}
		if r, ok := u.o.Spool.Records.Get(id); ok && u.waits(r) {
			stop(ErrThumbnails)
			return
		}
		timer := time.NewTimer(again)
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

// isStop reports whether a transfer ended because it had to, not by a fault.
func isStop(err error) bool {
	for _, stop := range []error{ErrPaused, ErrWindow, ErrBudget, ErrOvertaken, ErrThumbnails} {
		if errors.Is(err, stop) {
			return true
		}
	}
	return false
}
