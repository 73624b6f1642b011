package uplink

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"cattlecounter/edge/cardfile"
	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

const (
	compareEvery = 24 * time.Hour
	compareRetry = 5 * time.Minute // after a comparison that a fault stopped
	// compareMost bounds the requests of one comparison, with answers of about a kilobyte.
	// The newest footage comes first.
	compareMost        = 200
	compareMostMetered = 50
	// compareFaults in a row interrupt a comparison.
	compareFaults = 3
	maxNamed      = 20
)

// Reconciliation is the result of the last comparison of spool and cloud. Counts are of
// footage.
type Reconciliation struct {
	At        time.Time `json:"at,omitzero"` // by this device's clock, zero before the first
	Checked   int       `json:"checked"`     // compared with the cloud
	Confirmed int       `json:"confirmed"`   // waited to be sent, but the cloud has it
	Resent    int       `json:"resent"`      // lost by the cloud, sent again from the spool
	Reread    int       `json:"reread"`      // lost by the cloud, read again from the card
	Lost      int       `json:"lost"`        // lost by the cloud, and neither in the spool nor on the card
	Different int       `json:"different"`   // the cloud has other content under the id
	Faults    []string  `json:"faults,omitempty"`
	// Pending is how many are still to compare, Detail is why.
	Pending int    `json:"pending"`
	Detail  string `json:"detail,omitempty"`
}

// comparison is the state of a comparison, which may be interrupted. Only Run uses it,
// but for last.
type comparison struct {
	next    time.Time    // monotonic; zero means now
	pending []footage.ID // of the current comparison
	begun   bool
	now     Reconciliation // of the current comparison

	mu   sync.Mutex
	last Reconciliation // for Report
}

// comparisonDue reports whether a comparison is due and may use the link. It is small
// enough to run outside the windows.
func (u *Uplink) comparisonDue(h hold) bool {
	if errors.Is(h.cause, ErrPaused) || errors.Is(h.cause, ErrBudget) || u.Link().State == LinkDown {
		return false
	}
	return !time.Now().Before(u.compared.next)
}

// compare compares confirmed and waiting footage with the cloud, between two transfers. A
// comparison that a fault interrupts resumes later.
func (u *Uplink) compare(ctx context.Context) {
	c := &u.compared
	if !c.begun {
		c.begun, c.pending, c.now = true, u.toCompare(), Reconciliation{}
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
			u.o.Log.Warn("cannot compare footage with the cloud", "footage", id, "err", last)
		}
	}
	if ctx.Err() != nil {
		return
	}
	c.now.Pending, c.now.Detail = len(c.pending), ""
	c.next = time.Now().Add(compareRetry)
	switch {
	case len(c.pending) == 0:
		c.begun, c.next = false, time.Now().Add(u.o.CompareEvery)
		c.now.At = u.o.Now().UTC()
		u.o.Log.Info("spool and cloud compared", "checked", c.now.Checked, "confirmed", c.now.Confirmed, "resent",
			c.now.Resent,
			"reread", c.now.Reread, "lost", c.now.Lost, "different", c.now.Different)
	case last != nil:
		c.now.Detail = last.Error()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = c.now
	c.last.Faults = slices.Clone(c.now.Faults)
}

// toCompare returns the newest footage that can be compared.
func (u *Uplink) toCompare() []footage.ID {
	most := compareMost
	if u.o.Cloud.budget.Metered() {
		most = compareMostMetered
	}
	var ids []footage.ID
	for _, r := range slices.Backward(u.o.Spool.Records.All()) {
		if len(ids) == most {
			break
		}
		if r.LogOf == "" && (r.State == spool.Reclaimed || r.State.HasContent()) {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// compareOne compares one piece of footage and corrects a difference.
func (u *Uplink) compareOne(ctx context.Context, id footage.ID) error {
	r, ok := u.o.Spool.Records.Get(id)
	sent := r.State == spool.Reclaimed || r.State == spool.Confirmed
	if !ok || !sent && !r.State.HasContent() {
		return nil // its state has changed in the meantime
	}
	got, err := u.fetchStored(ctx, r.CloudID())
	c := &u.compared.now
	switch {
	case isUnknown(err):
		c.Checked++
		if sent {
			return u.recoverLost(r)
		}
		return nil // as expected: it waits to be sent
	case err != nil:
		return err
	}
	c.Checked++
	switch {
	case !sent && got.SHA256.IsZero(): // the upload is not finished
	case got.SHA256 != r.SHA256 || got.Size != r.Source.Size:
		c.Different++
		u.reportFault(r, fmt.Sprintf("the cloud has other content under this id: %d bytes with sha256 %s, the station has "+
			"%d with %s", got.Size, got.SHA256, r.Source.Size, r.SHA256))
	case !sent:
		return u.confirmStored(r, got)
	}
	return nil
}

// isUnknown reports whether the cloud itself has nothing under the id. A 404 of a portal or
// a proxy does not count.
func isUnknown(err error) bool {
	var a *Answer
	return errors.Is(err, ErrNotFound) && errors.As(err, &a) && a.Problem.Slug() == wire.SlugNotFound
}

// confirmStored confirms footage that the cloud has.
func (u *Uplink) confirmStored(r spool.Record, got wire.Footage) error {
	if _, err := u.o.Spool.Uploads.Begin(r.ID); err != nil {
		return err
	}
	if err := u.o.Spool.Uploads.Confirm(r.ID, got.DuplicateOf); err != nil {
		return err
	}
	u.compared.now.Confirmed++
	u.o.Log.Info("the cloud already has footage that waited to be sent", "footage", r.ID, "name", r.Name)
	return u.o.Spool.Uploads.Release(r.ID)
}

// recoverLost sends footage again that the cloud has confirmed and then lost.
func (u *Uplink) recoverLost(r spool.Record) error {
	c := &u.compared.now
	log := u.o.Log.With("footage", r.ID, "name", r.Name)
	switch {
	case r.State == spool.Confirmed:
		c.Resent++
		log.Warn("the cloud lost footage; sending it again from the spool")
		return errors.Join(u.o.Spool.Recovery.Resend(r.ID), u.recoverLogs(r.ID))
	case u.o.OnCard(r.Source):
		c.Reread++
		log.Warn("the cloud lost footage; reading it again from the card")
		return errors.Join(u.o.Spool.Recovery.Reread(r.ID), u.recoverLogs(r.ID))
	}
	c.Lost++
	u.reportFault(r, "footage is missing in the cloud, in the spool and on the card")
	return nil
}

// reportFault reports a difference that the agent cannot correct.
func (u *Uplink) reportFault(r spool.Record, why string) {
	u.o.Log.Error("the cloud differs from the station; a person must look at it", "footage", r.ID, "name", r.Name,
		"reason", why)
	c := &u.compared.now
	if len(c.Faults) < maxNamed {
		c.Faults = append(c.Faults, fmt.Sprintf("%s (%s): %s", r.Name, r.ID, why))
	}
}

// onCard reports whether the file on the card is the captured one.
func onCard(s spool.Source) bool {
	info, err := os.Stat(s.Path)
	if err != nil || info.Size() != s.Size || !info.ModTime().Equal(s.ModTime) {
		return false
	}
	if s.Print.IsZero() {
		return true // reading it again compares the digest
	}
	sum, _, err := cardfile.PrintOf(s.Path)
	return err == nil && sum == s.Print
}
