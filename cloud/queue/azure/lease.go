package azure

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"cattlecounter/cloud/azstorage"
	"cattlecounter/cloud/queue"
)

// lease is a message, and the mark in its ticket that says who has it.
type lease struct {
	q          *Queue
	job        string
	message    string
	deliveries int
	id         string

	mu      sync.Mutex
	receipt string // the newest pop receipt; every update makes the one before void
	unsure  bool   // an answer was lost that may have had a newer one
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

// update hides the message from now on. The ticket is asked first: after another
// receiver took the message over, nothing of this lease may reach it.
//
// When the ticket is ours and the service knows another receipt, an answer of its was
// lost, or the message showed meanwhile and was put back: the ticket has the newest
// receipt that is known.
func (l *lease) update(ctx context.Context, deed string, hidden time.Duration, end bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.q.tickets.hold(ctx, l, l.q.now().Add(hidden), end)
	if err == nil {
		err = l.hide(ctx, hidden)
	}
	if !end && stale(err) {
		err = l.goOn(ctx, hidden)
	}
	switch {
	case err == nil:
		return nil
	case gone(err):
		err = queue.ErrLeaseLost
	}
	return fmt.Errorf("%s lease of job %s: %w", deed, l.job, azstorage.Explain(ctx, err))
}

// goOn tries the receipt in the ticket. Without one, and after a lost answer, the lease
// goes by the ticket alone until the message shows again. Without either the message
// does not exist any more.
func (l *lease) goOn(ctx context.Context, hidden time.Duration) error {
	newest, err := l.q.tickets.receipt(ctx, l)
	if err != nil {
		return err
	}
	if newest != "" && newest != l.receipt {
		l.receipt = newest
		if err := l.hide(ctx, hidden); !stale(err) {
			return err
		}
	}
	if !l.unsure {
		return queue.ErrLeaseLost
	}
	return nil
}

// hide is one request, sent again as often as its answer is lost.
func (l *lease) hide(ctx context.Context, hidden time.Duration) error {
	ctx, tries := azstorage.CountTries(ctx)
	r, err := l.q.client.UpdateMessage(ctx, l.message, l.receipt, body{l.job}.String(), &azqueue.UpdateMessageOptions{VisibilityTimeout: seconds(hidden)})
	if err == nil {
		l.receipt, l.unsure = *r.PopReceipt, false
		return nil
	}
	l.unsure = l.unsure || *tries > 1 || !azstorage.Answered(err)
	return err
}

// Delete implements queue.Lease. Without its ticket the message is a stray,
// whatever becomes of the request that deletes it.
func (l *lease) Delete(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.deleted {
		return nil
	}
	if err := l.q.tickets.drop(ctx, l); err != nil {
		return fmt.Errorf("delete lease of job %s: %w", l.job, err)
	}
	l.deleted = true
	if _, err := l.q.client.DeleteMessage(ctx, l.message, l.receipt, nil); err != nil && !gone(err) {
		l.q.log.Warn("message not deleted, it is thrown away when it comes again", "job", l.job, "err", azstorage.Explain(ctx, err))
	}
	return nil
}
