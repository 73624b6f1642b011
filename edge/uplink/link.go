package uplink

import (
	"context"
	"errors"
	"time"
)

// LinkState says how the link to the cloud is.
type LinkState string

// Link states.
const (
	LinkUnknown LinkState = "unknown" // nothing was asked yet
	LinkUp      LinkState = "up"
	LinkDown    LinkState = "down"
	LinkRefused LinkState = "refused" // the cloud answers, but refuses the token
	LinkPaused  LinkState = "paused"  // an operator stopped the upload
	LinkHeld    LinkState = "held"    // outside the windows, or the data budget is used up
)

// Link is the state of the link and why it is so.
type Link struct {
	State  LinkState `json:"state"`
	Detail string    `json:"detail,omitempty"`
	// Since is when the state began, by this device's clock.
	Since time.Time `json:"since"`
}

// Link says how the link is.
func (u *Uplink) Link() Link {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.link
}

func (u *Uplink) setLink(s LinkState, detail string) {
	u.mu.Lock()
	was := u.link.State
	if u.paused && s != LinkPaused {
		u.mu.Unlock() // what was under way when the operator stopped it
		return
	}
	if was != s {
		u.link.Since = time.Now().UTC()
	}
	u.link.State, u.link.Detail = s, detail
	u.mu.Unlock()
	if was != s {
		u.o.Log.Info("link to the cloud", "state", string(s), "detail", detail)
	}
}

// probe asks the cloud for a sign of life when nothing else did for a while.
func (u *Uplink) probe(ctx context.Context) {
	u.mu.Lock()
	due := u.link.State == LinkUnknown || time.Since(u.asked) >= probeEvery
	if due {
		u.asked = time.Now()
	}
	u.mu.Unlock()
	if !due {
		return
	}
	switch err := u.o.Cloud.Probe(ctx); {
	case ctx.Err() != nil, errors.Is(err, ErrBudget):
	case errors.Is(err, ErrLink):
		u.setLink(LinkDown, err.Error())
	default:
		u.setLink(LinkUp, "")
	}
}
