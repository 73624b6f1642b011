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

// lease is a message, and the mark in its ticket that says who has it.
type lease struct {
	q          *Queue
	job        string
	deliveries int
	id         string

	mu      sync.Mutex
	message string
	receipt string // the newest pop receipt; every update makes the one before void
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
// When the ticket is ours and the service does not know message or receipt, somebody
// deleted the message or the whole queue, or an answer with a newer receipt was lost. A
// new message takes its place and the work goes on; should the old one still come, it
// is a stray. While the service does not answer the ticket alone holds the job: a message
// that shows too early is put back.
func (l *lease) update(ctx context.Context, deed string, hidden time.Duration, end bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	holder := l.id
	if end {
		holder = ""
	}
	err := l.q.tickets.hold(ctx, l, holder, l.q.now().Add(hidden))
	if err == nil {
		err = l.hideOrReplace(ctx, holder, hidden)
		if err != nil && !end && ctx.Err() == nil && !errors.Is(err, queue.ErrLeaseLost) {
			l.q.log.Warn("the queue does not answer: the lease goes by its ticket", "job", l.job, "err", azstorage.Explain(ctx, err))
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("%s lease of job %s: %w", deed, l.job, azstorage.Explain(ctx, err))
	}
	return nil
}

// hideOrReplace takes no longer than leaves time for another renewal.
func (l *lease) hideOrReplace(ctx context.Context, holder string, hidden time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, max(hidden/3, queue.MinVisibility))
	defer cancel()
	err := l.hide(ctx, hidden)
	if gone(err) {
		err = l.replace(ctx, holder, hidden)
	}
	return err
}

func (l *lease) hide(ctx context.Context, hidden time.Duration) error {
	r, err := l.q.client.UpdateMessage(ctx, l.message, l.receipt, body{l.job}.String(), &azqueue.UpdateMessageOptions{VisibilityTimeout: seconds(hidden)})
	if err == nil {
		l.receipt = *r.PopReceipt
	}
	return err
}

// replace sends a message for the ticket that holder has.
func (l *lease) replace(ctx context.Context, holder string, hidden time.Duration) error {
	// First no message counts, so that whichever comes is taken: the new one may come
	// before it is noted, and who sends it may die.
	if err := l.q.tickets.move(ctx, l, holder, ""); err != nil {
		return err
	}
	id, receipt, err := l.q.client.send(ctx, body{l.job}.String(), hidden)
	if err != nil {
		return err
	}
	if err := l.q.tickets.move(ctx, l, holder, id); err != nil {
		return err // the message is a stray
	}
	l.q.log.Info("a new message stands for the one of a job that the service does not know any more", "job", l.job, "old", l.message, "new", id)
	l.message, l.receipt = id, receipt
	return nil
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
