package azure

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"cattlecounter/cloud/store/azstorage"
	"cattlecounter/cloud/store/queue"
)

// lease is a message, with the id in its ticket that says who holds it.
type lease struct {
	q          *Queue
	job        string
	deliveries int
	id         string

	mu      sync.Mutex
	message string
	receipt string // the newest pop receipt; every update makes older receipts invalid
	deleted bool
}

func newLease() string { return rand.Text() }

func (l *lease) Job() string { return l.job }

func (l *lease) Deliveries() int { return l.deliveries }

// Renew implements queue.Lease.
func (l *lease) Renew(ctx context.Context, visibility time.Duration) error {
	if err := queue.CheckVisibility(visibility); err != nil {
		return fmt.Errorf("renew lease of job %s: %w", l.job, err)
	}
	return l.update(ctx, "renew", visibility, false)
}

// Release implements queue.Lease.
func (l *lease) Release(ctx context.Context, delay time.Duration) error {
	if err := queue.CheckDelay(delay); err != nil {
		return fmt.Errorf("release lease of job %s: %w", l.job, err)
	}
	return l.update(ctx, "release", delay, true)
}

// Decline implements queue.Lease. The ticket no longer has this delivery before the message is visible again. A crash in
// between leaves the lease to its end, and one delivery too few, which is harmless.
func (l *lease) Decline(ctx context.Context, delay time.Duration) error {
	if err := queue.CheckDelay(delay); err != nil {
		return fmt.Errorf("decline job %s: %w", l.job, err)
	}
	if err := l.q.tickets.uncount(ctx, l); err != nil {
		return fmt.Errorf("decline job %s: %w", l.job, err)
	}
	return l.update(ctx, "decline", delay, true)
}

// update hides the message for a time from now on; end gives up the lease. It updates
// the ticket first, because after another receiver took over the message, this lease
// must not change it.
//
// The service may not know the message or its receipt although the ticket belongs to
// this lease: the message or the whole queue was deleted, or the answer with a newer
// receipt was lost. Then update sends a new message and the work continues. If the old
// message is still delivered, it is a stray. While the service does not answer, the
// ticket alone holds the job: a message that becomes visible too early is hidden again.
func (l *lease) update(ctx context.Context, action string, hidden time.Duration, end bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	holder := l.id
	if end {
		holder = ""
	}
	err := l.q.tickets.setHolder(ctx, l, holder, l.q.now().Add(hidden))
	if err == nil {
		err = l.hideOrReplace(ctx, holder, hidden)
		if err != nil && !end && ctx.Err() == nil && !errors.Is(err, queue.ErrLeaseLost) {
			l.q.log.Warn("queue does not answer; the ledger's ticket alone holds the lease", "job", l.job, "err",
				azstorage.Explain(ctx, err))
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("%s lease of job %s: %w", action, l.job, azstorage.Explain(ctx, err))
	}
	return nil
}

// hideOrReplace ends early enough for another renewal.
func (l *lease) hideOrReplace(ctx context.Context, holder string, hidden time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, max(hidden/3, queue.MinVisibility))
	defer cancel()
	err := l.hide(ctx, hidden)
	if messageGone(err) {
		err = l.replace(ctx, holder, hidden)
	}
	return err
}

func (l *lease) hide(ctx context.Context, hidden time.Duration) error {
	r, err := l.q.client.UpdateMessage(ctx, l.message, l.receipt, body{l.job}.String(),
		&azqueue.UpdateMessageOptions{VisibilityTimeout: seconds(hidden)})
	if err == nil {
		l.receipt = *r.PopReceipt
	}
	return err
}

// replace sends a new message for the ticket that holder has.
func (l *lease) replace(ctx context.Context, holder string, hidden time.Duration) error {
	// At first no message is valid, so that any message is accepted: the new one may be
	// delivered before its id is stored, and this process may die in between.
	if err := l.q.tickets.forgetMessage(ctx, l, holder); err != nil {
		return err
	}
	id, receipt, err := l.q.client.send(ctx, body{l.job}.String(), hidden)
	if err != nil {
		return err
	}
	if err := l.q.tickets.setMessage(ctx, l, holder, id); err != nil {
		return err // the new message is a stray now, or valid for the job that another receiver got by it
	}
	l.q.log.Info("lost message replaced", "job", l.job, "old", l.message, "new", id)
	l.message, l.receipt = id, receipt
	return nil
}

// Delete implements queue.Lease. It deletes the ticket first. Then the message is a stray
// and is deleted later, should the request to the service fail.
func (l *lease) Delete(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.deleted {
		return nil
	}
	if err := l.q.tickets.delete(ctx, l); err != nil {
		return fmt.Errorf("delete lease of job %s: %w", l.job, err)
	}
	l.deleted = true
	if _, err := l.q.client.DeleteMessage(ctx, l.message, l.receipt, nil); err != nil && !messageGone(err) {
		l.q.log.Warn("message not deleted; it is deleted at its next delivery", "job", l.job, "err",
			azstorage.Explain(ctx, err))
	}
	return nil
}
