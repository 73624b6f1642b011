package uplink

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

const (
	compareEvery = 24 * time.Hour
	compareAgain = 5 * time.Minute // after a comparison that a fault stopped
	// compareMost bounds the questions of one comparison, an answer to each is
	// about a kilobyte; the newest footage counts.
	compareMost        = 200
	compareMostMetered = 50
	// compareFaults in a row end a comparison for now.
	compareFaults = 3
	maxNamed      = 20
)

// Reconciliation is how the last comparison of the spool's books with the
// cloud's ended. Counts are of footage.
type Reconciliation struct {
	At        time.Time `json:"at,omitzero"` // by this device's clock, zero before the first
	Checked   int       `json:"checked"`     // the cloud was asked
	Confirmed int       `json:"confirmed"`   // believed unsent, the cloud has it whole
	Resent    int       `json:"resent"`      // the cloud lost it, sent again from the spool
	Reread    int       `json:"reread"`      // the cloud lost it, read again from the card
	Lost      int       `json:"lost"`        // the cloud lost it, and it is neither here nor on the card
	Different int       `json:"different"`   // the cloud has other content under the same id
	Faults    []string  `json:"faults,omitempty"`
	// Pending is how many are still to be asked for, and Detail why.
	Pending int    `json:"pending"`
	Detail  string `json:"detail,omitempty"`
}

// comparison is the book of a comparison that may be interrupted.
type comparison struct {
	next    time.Time    // monotonic; zero: now
	pending []footage.ID // of the one under way; of Run alone
	begun   bool

	mu   sync.Mutex
	last Reconciliation // what is shown
	now  Reconciliation // under way; of Run alone
}

// mayAsk reports whether a comparison is due and may use the link. It is small
// enough to go outside the windows.
func (u *Uplink) mayAsk(h hold) bool {
	if errors.Is(h.cause, ErrPaused) || errors.Is(h.cause, ErrBudget) || u.Link().State == LinkDown {
		return false
	}
	return !time.Now().Before(u.compared.next)
}

// compare asks the cloud about footage that the spool calls confirmed, and about
// footage that waits to be sent, between two transfers. What a fault cuts short
// goes on later where it stood.
func (u *Uplink) compare(ctx context.Context) {
	c := &u.compared
	if !c.begun {
		c.begun, c.pending, c.now = true, u.comparable(), Reconciliation{}
	}
	faults := 0
	var last error
	for len(c.pending) > 0 && faults < compareFaults && ctx.Err() == nil && !u.Paused() {
		id := c.pending[0]
		last = u.compareOne(ctx, id)
		if errors.Is(last, ErrLink) || errors.Is(last, ErrToken) || errors.Is(last, ErrBudget) {
			break
		}
		c.pending = c.pending[1:]
		if faults++; last == nil {
			faults = 0
		} else {
			u.o.Log.Warn("footage is not compared with the cloud", "footage", id, "err", last)
		}
	}
	if ctx.Err() != nil {
		return
	}
	c.now.Pending, c.now.Detail = len(c.pending), ""
	c.next = time.Now().Add(compareAgain)
	switch {
	case len(c.pending) == 0:
		c.begun, c.next = false, time.Now().Add(u.o.CompareEvery)
		c.now.At = u.o.Now().UTC()
		u.o.Log.Info("spool and cloud compared", "checked", c.now.Checked, "confirmed", c.now.Confirmed, "resent", c.now.Resent,
			"reread", c.now.Reread, "lost", c.now.Lost, "different", c.now.Different)
	case last != nil:
		c.now.Detail = last.Error()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = c.now
	c.last.Faults = slices.Clone(c.now.Faults)
}

// comparable returns the newest footage that can be compared.
func (u *Uplink) comparable() []footage.ID {
	most := compareMost
	if u.o.Cloud.budget.Metered() {
		most = compareMostMetered
	}
	var ids []footage.ID
	for _, r := range slices.Backward(u.o.Spool.Records.All()) {
		if len(ids) == most {
			break
		}
		if r.State == spool.Reclaimed || r.State.HasContent() {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// compareOne asks about one piece of footage and puts right what differs.
func (u *Uplink) compareOne(ctx context.Context, id footage.ID) error {
	r, ok := u.o.Spool.Records.Get(id)
	sent := r.State == spool.Reclaimed || r.State == spool.Confirmed
	if !ok || !sent && !r.State.HasContent() {
		return nil // it went on meanwhile
	}
	got, err := u.stored(ctx, id)
	c := &u.compared.now
	switch {
	case isUnknown(err):
		c.Checked++
		if sent {
			return u.lost(r)
		}
		return nil // which is why it waits to be sent
	case err != nil:
		return err
	}
	c.Checked++
	switch {
	case !sent && got.SHA256.IsZero(): // it came only in part
	case got.SHA256 != r.SHA256 || got.Size != r.Source.Size:
		c.Different++
		u.blame(r, fmt.Sprintf("the cloud has other content under this id: %d bytes with sha256 %s, here %d with %s",
			got.Size, got.SHA256, r.Source.Size, r.SHA256))
	case !sent:
		return u.believe(r, got)
	}
	return nil
}

// isUnknown reports whether the cloud itself says that it has nothing under the
// id. Any other page that is not found, a portal's or a proxy's, is no answer.
func isUnknown(err error) bool {
	var a *Answer
	return errors.Is(err, ErrGone) && errors.As(err, &a) && a.Problem.Slug() == wire.SlugNotFound
}

// believe confirms footage that the cloud has whole.
func (u *Uplink) believe(r spool.Record, got wire.Footage) error {
	if _, err := u.o.Spool.Uploads.Begin(r.ID); err != nil {
		return err
	}
	if err := u.o.Spool.Uploads.Confirm(r.ID, got.DuplicateOf); err != nil {
		return err
	}
	u.compared.now.Confirmed++
	u.o.Log.Info("the cloud has footage that was thought unsent", "footage", r.ID, "name", r.Name)
	return u.o.Spool.Uploads.Release(r.ID)
}

// lost sends footage again that the cloud confirmed and does not know any more.
func (u *Uplink) lost(r spool.Record) error {
	c := &u.compared.now
	log := u.o.Log.With("footage", r.ID, "name", r.Name)
	switch {
	case r.State == spool.Confirmed:
		c.Resent++
		log.Warn("the cloud lost footage, it is sent again from the spool")
		return u.o.Spool.Recovery.Resend(r.ID)
	case u.o.OnCard(r.Source):
		c.Reread++
		log.Warn("the cloud lost footage, it is read again from the card")
		return u.o.Spool.Recovery.Reread(r.ID)
	}
	c.Lost++
	u.blame(r, "the cloud lost it, and it is neither in the spool nor on the card any more")
	return nil
}

// blame says loudly what nothing here can put right.
func (u *Uplink) blame(r spool.Record, why string) {
	u.o.Log.Error("footage and cloud do not agree", "footage", r.ID, "name", r.Name, "reason", why)
	c := &u.compared.now
	if len(c.Faults) < maxNamed {
		c.Faults = append(c.Faults, fmt.Sprintf("%s (%s): %s", r.Name, r.ID, why))
	}
}

// onCard reports whether the file is what it was when it was captured.
func onCard(s spool.Source) bool {
	info, err := os.Stat(s.Path)
	return err == nil && s.Same(spool.Source{Path: s.Path, Size: info.Size(), ModTime: info.ModTime()})
}
