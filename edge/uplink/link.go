package uplink

import (
	"context"
	"errors"
	"time"
)

// LinkState is the state of the link to the cloud.
type LinkState string

// Link states.
const (
	LinkUnknown LinkState = "unknown" // before the first request
	LinkUp      LinkState = "up"
	LinkDown    LinkState = "down"
	LinkRefused LinkState = "refused" // the cloud answers, but refuses the token
	LinkPaused  LinkState = "paused"  // an operator paused the upload
	LinkHeld    LinkState = "held"    // outside the windows, or the data budget is used up
)

// Link is the state of the link and its reason.
type Link struct {
	State  LinkState `json:"state"`
	Detail string    `json:"detail,omitempty"`
	// Since is the begin of the state by this device's clock.
	Since time.Time `json:"since"`
}

// Link returns the state of the link.
func (u *Uplink) Link() Link {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.link
}

func (u *Uplink) setLink(s LinkState, detail string) {
	u.mu.Lock()
	was := u.link.State
	if u.paused && s != LinkPaused {
		u.mu.Unlock() // the result of a request from before the pause
		return
	}
	if was != s {
		u.link.Since = time.Now().UTC()
	}
	u.link.State, u.link.Detail = s, detail
	u.mu.Unlock()
	if was != s {
		u.o.Log.Info("state of the link to the cloud changed", "state", string(s), "detail", detail)
	}
}

// probe sends a request to the cloud when none was sent for a while.
func (u *Uplink) probe(ctx context.Context) {
	u.mu.Lock()
	due := u.link.State == LinkUnknown || time.Since(u.probed) >= probeEvery
	if due {
		u.probed = time.Now()
	}
	u.mu.Unlock()
	if !due {
		return
	}
	switch err := u.o.Cloud.Probe(ctx); {
	case ctx.Err() != nil, errors.Is(err, ErrBudget):
	case errors.Is(err, ErrLink):
		u.setLink(LinkDown, err.Error())
	case errors.Is(err, ErrToken):
		u.setLink(LinkRefused, err.Error())
	default:
		u.setLink(LinkUp, "")
	}
}
