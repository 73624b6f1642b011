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

// Waits between retries.
const (
	firstWait   = time.Second
	longestWait = 5 * time.Minute
	// jitter is the share by which a wait is longer or shorter than its step.
	jitter     = 0.5
	tokenWait  = 5 * time.Minute
	probeEvery = 5 * time.Minute
	// maxHashFaults is how often to send content again that arrives damaged.
	maxHashFaults = 3
	// maxNewIDs is how many new ids to choose for one piece of footage. A cloud that refuses
	// all of them refuses the footage for another reason.
	maxNewIDs = 3
)

// newWait returns waits that double from a second. With jitter no wait is above longestWait.
func newWait() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.Multiplier, b.RandomizationFactor = firstWait, 2, jitter
	most := float64(longestWait) / (1 + jitter)
	b.MaxInterval = time.Duration(most)
	b.Reset()
	return b
}

// retry is when to retry a piece of footage, and the wait after that.
type retry struct {
	at   time.Time
	wait *backoff.ExponentialBackOff
}

// handleResult handles the result of a transfer and returns how long the whole uplink must
// wait: 0 while the link works.
func (u *Uplink) handleResult(ctx context.Context, r spool.Record, err error) time.Duration {
	log := u.o.Log.With("footage", r.ID, "name", r.Name)
	switch {
	case err == nil:
		u.clearRetry(r.ID)
		u.setLink(LinkUp, "")
		return 0
	case isStop(err):
		u.recordStop(r, err)
		return 0
	case errors.Is(err, spool.ErrDamaged):
		u.rereadDamaged(r, err)
		return 0
	case errors.Is(err, ErrHash):
		u.handleHashFault(ctx, r, err)
		return 0
	case errors.Is(err, ErrIDTaken) && r.LogOf == "":
		u.chooseID(r, err)
		return 0
	case errors.Is(err, ErrRefused):
		u.setLink(LinkUp, "")
		u.postponeOnError(r.ID, u.o.Spool.Recovery.Quarantine(r.ID, err.Error()))
		return 0
	case errors.Is(err, ErrToken):
		return u.waitForToken(r, err)
	case errors.Is(err, ErrLink), errors.Is(err, ErrBusy):
		return u.waitForCloud(r, err)
	}
	// A fault of this footage, or an unexpected answer: other footage may still be sent.
	wait := u.postpone(r.ID)
	u.o.Spool.Records.SetWaiting(r.ID, err.Error())
	log.Warn("upload postponed", "err", err, "retry_in", wait.Round(time.Millisecond))
	return 0
}

// chooseID chooses a new id for footage whose id the cloud uses for other footage. Run sends
// it under the new id.
func (u *Uplink) chooseID(r spool.Record, err error) {
	u.setLink(LinkUp, "")
	if r.IDsTaken >= maxNewIDs {
		u.postponeOnError(r.ID, u.o.Spool.Recovery.Quarantine(r.ID,
			fmt.Sprintf("the cloud refuses this footage under %d new ids: %v", r.IDsTaken, err)))
		return
	}
	renamed, saved := u.o.Spool.Recovery.ChooseID(r.ID)
	if saved != nil {
		u.postponeOnError(r.ID, saved)
		return
	}
	u.o.Log.Warn("the cloud uses the footage id for other footage; uploading under a new id", "footage", r.ID, "name",
		r.Name, "uploaded_as", renamed.UploadedAs, "err", err)
}

// recordStop records why a transfer was stopped.
func (u *Uplink) recordStop(r spool.Record, err error) {
	why := ErrPreempted.Error()
	if errors.Is(err, ErrThumbnails) {
		why = ErrThumbnails.Error()
	}
	if h, _ := u.currentHold(); h.cause != nil {
		why = h.detail
	}
	u.o.Spool.Records.SetWaiting(r.ID, why)
	u.o.Log.Info("upload stopped", "footage", r.ID, "name", r.Name, "why", why)
}

// waitForToken returns the wait for a new token, 0 when the file has one already.
func (u *Uplink) waitForToken(r spool.Record, err error) time.Duration {
	if u.o.Cloud.token.renewed(u.o.Cloud.lastToken()) {
		return 0
	}
	u.setLink(LinkRefused, err.Error())
	u.o.Spool.Records.SetWaiting(r.ID,
		err.Error()+"; give the device a new token (cloud-api device renew, or device add after a revocation)")
	u.o.Log.Warn("the cloud refuses the token", "footage", r.ID, "err", err, "retry_in", tokenWait)
	return tokenWait
}

// waitForCloud returns the wait for a link that is down or a cloud that is busy.
func (u *Uplink) waitForCloud(r spool.Record, err error) time.Duration {
	var a *Answer
	asked := time.Duration(0)
	if errors.As(err, &a) {
		asked = a.RetryAfter
	}
	wait := max(u.linkWait.NextBackOff(), asked)
	if errors.Is(err, ErrLink) {
		u.setLink(LinkDown, err.Error())
	} else {
		u.setLink(LinkUp, err.Error())
		u.postpone(r.ID) // perhaps only this footage fails: others are tried first
	}
	u.o.Spool.Records.SetWaiting(r.ID, err.Error())
	u.o.Log.Warn("upload interrupted", "footage", r.ID, "name", r.Name, "err", err, "retry_in",
		wait.Round(time.Millisecond))
	return wait
}

// postpone makes footage wait for its next retry, and returns the wait.
func (u *Uplink) postpone(id footage.ID) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	next := u.retries[id]
	if next == nil {
		next = &retry{wait: newWait()}
		u.retries[id] = next
	}
	d := next.wait.NextBackOff()
	next.at = time.Now().Add(d)
	return d
}

// clearRetry ends the wait of footage.
func (u *Uplink) clearRetry(id footage.ID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.retries, id)
}

// postponeOnError postpones footage whose state could not be saved, so that Run does not
// spin.
func (u *Uplink) postponeOnError(id footage.ID, err error) {
	if err != nil {
		u.o.Log.Error("cannot save the state of footage", "footage", id, "err", err)
		u.postpone(id)
	}
}

// rereadDamaged reads footage with damaged content from the card again. Without the card
// ingest quarantines it.
func (u *Uplink) rereadDamaged(r spool.Record, err error) {
	u.o.Log.Error("spool content is damaged; reading the file from the card again", "footage", r.ID, "name", r.Name, "err",
		err)
	u.postponeOnError(r.ID, u.o.Spool.Recovery.Reread(r.ID))
}

// handleHashFault handles content that arrived with another digest. It is sent again a few
// times, if the spool's copy is right.
func (u *Uplink) handleHashFault(ctx context.Context, r spool.Record, err error) {
	if bad := u.o.Spool.Content.Verify(ctx, r.ID); bad != nil {
		if ctx.Err() == nil {
			u.rereadDamaged(r, bad)
		}
		return
	}
	n, saved := u.o.Spool.Recovery.CountHashFault(r.ID)
	if saved == nil && n > maxHashFaults {
		saved = u.o.Spool.Recovery.Quarantine(r.ID,
			fmt.Sprintf("arrived damaged %d times, but the spool's copy is right; look for a faulty proxy or disk on the "+
				"way: %v", n, err))
	}
	u.o.Log.Warn("content arrived damaged; sending it again", "footage", r.ID, "attempt", n, "err", err)
	u.postponeOnError(r.ID, saved)
}
