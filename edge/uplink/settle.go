package uplink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
)

// Waits between tries.
const (
	firstWait   = time.Second
	longestWait = 5 * time.Minute
	// jitter is the part by which a wait is longer or shorter than its step.
	jitter     = 0.5
	tokenWait  = 5 * time.Minute
	probeEvery = 5 * time.Minute
	// maxHashFaults is how often content that arrives damaged is sent again.
	maxHashFaults = 3
)

// newWait doubles from a second on; with its jitter no wait is above longestWait.
func newWait() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.Multiplier, b.RandomizationFactor = firstWait, 2, jitter
	most := float64(longestWait) / (1 + jitter)
	b.MaxInterval = time.Duration(most)
	b.Reset()
	return b
}

// retry is when a piece of footage is tried again, and how long after that.
type retry struct {
	at   time.Time
	wait *backoff.ExponentialBackOff
}

// settle decides what follows from how a transfer ended, and returns how long
// the whole uplink rests: 0 when the link works.
func (u *Uplink) settle(ctx context.Context, r spool.Record, err error) time.Duration {
	log := u.o.Log.With("footage", r.ID, "name", r.Name)
	switch {
	case err == nil:
		u.forget(r.ID)
		u.setLink(LinkUp, "")
		return 0
	case isStop(err):
		u.stopped(r, err)
		return 0
	case errors.Is(err, spool.ErrDamaged):
		u.damaged(r, err)
		return 0
	case errors.Is(err, ErrHash):
		u.hashFault(ctx, r, err)
		return 0
	case errors.Is(err, ErrRefused):
		u.setLink(LinkUp, "")
		u.keep(r.ID, u.o.Spool.Recovery.Quarantine(r.ID, err.Error()))
		return 0
	case errors.Is(err, ErrToken):
		return u.tokenRefused(r, err)
	case errors.Is(err, ErrLink), errors.Is(err, ErrBusy):
		return u.interrupted(r, err)
	}
	// Something about this footage, or an answer nobody planned for: others may pass.
	wait := u.later(r.ID)
	u.o.Spool.Records.SetWaiting(r.ID, err.Error())
	log.Warn("upload put off", "err", err, "retry_in", wait.Round(time.Millisecond))
	return 0
}

// stopped says why footage waits that was on its way.
func (u *Uplink) stopped(r spool.Record, err error) {
	why := ErrOvertaken.Error()
	if errors.Is(err, ErrThumbnails) {
		why = ErrThumbnails.Error()
	}
	if h, _ := u.held(); h.cause != nil {
		why = h.detail
	}
	u.o.Spool.Records.SetWaiting(r.ID, why)
	u.o.Log.Info("upload stopped", "footage", r.ID, "name", r.Name, "why", why)
}

// tokenRefused waits for another token, which may be there by now.
func (u *Uplink) tokenRefused(r spool.Record, err error) time.Duration {
	if u.o.Cloud.token.renewed(u.o.Cloud.lastToken()) {
		return 0
	}
	u.setLink(LinkRefused, err.Error())
	u.o.Spool.Records.SetWaiting(r.ID, err.Error()+"; give the device a new token (cloud-api device renew, or add when it was revoked)")
	u.o.Log.Warn("token refused", "footage", r.ID, "err", err, "retry_in", tokenWait)
	return tokenWait
}

// interrupted waits for a link or a cloud that is away.
func (u *Uplink) interrupted(r spool.Record, err error) time.Duration {
	var a *Answer
	asked := time.Duration(0)
	if errors.As(err, &a) {
		asked = a.RetryAfter
	}
	wait := max(u.back.NextBackOff(), asked)
	if errors.Is(err, ErrLink) {
		u.setLink(LinkDown, err.Error())
	} else {
		u.setLink(LinkUp, err.Error())
		u.later(r.ID) // it may be this footage alone: others are tried before it
	}
	u.o.Spool.Records.SetWaiting(r.ID, err.Error())
	u.o.Log.Warn("upload interrupted", "footage", r.ID, "name", r.Name, "err", err, "retry_in", wait.Round(time.Millisecond))
	return wait
}

func (u *Uplink) later(id footage.ID) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	again := u.again[id]
	if again == nil {
		again = &retry{wait: newWait()}
		u.again[id] = again
	}
	d := again.wait.NextBackOff()
	again.at = time.Now().Add(d)
	return d
}

func (u *Uplink) forget(id footage.ID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.again, id)
}

// keep puts footage off whose state could not be written, so that Run does not spin.
func (u *Uplink) keep(id footage.ID, err error) {
	if err != nil {
		u.o.Log.Error("footage state cannot be written", "footage", id, "err", err)
		u.later(id)
	}
}

// damaged reads footage from the card again when its spooled content is spoilt;
// when the card is gone as well, ingest quarantines it.
func (u *Uplink) damaged(r spool.Record, err error) {
	u.o.Log.Error("spool content is damaged, the file is read from the card again", "footage", r.ID, "name", r.Name, "err", err)
	u.keep(r.ID, u.o.Spool.Recovery.Reread(r.ID))
}

// hashFault handles content that arrived with another digest: when ours is
// right it is sent again, a few times.
func (u *Uplink) hashFault(ctx context.Context, r spool.Record, err error) {
	if bad := u.o.Spool.Content.Verify(ctx, r.ID); bad != nil {
		if ctx.Err() == nil {
			u.damaged(r, bad)
		}
		return
	}
	n, kept := u.o.Spool.Recovery.CountHashFault(r.ID)
	if kept == nil && n > maxHashFaults {
		kept = u.o.Spool.Recovery.Quarantine(r.ID, fmt.Sprintf("arrived damaged %d times, the spool's copy is right; look for a faulty proxy or disk on the way: %v", n, err))
	}
	u.o.Log.Warn("content arrived damaged, it is sent again", "footage", r.ID, "attempt", n, "err", err)
	u.keep(r.ID, kept)
}
