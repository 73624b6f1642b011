package azure

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

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
func (l *lease) update(ctx context.Context, deed string, hidden time.Duration, end bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.q.tickets.hold(ctx, l, l.q.now().Add(hidden), end)
	if err == nil {
		var r azqueue.UpdateMessageResponse
		r, err = l.q.client.UpdateMessage(ctx, l.message, l.receipt, body{l.job}.String(), &azqueue.UpdateMessageOptions{VisibilityTimeout: seconds(hidden)})
		switch {
		case err == nil:
			l.receipt = *r.PopReceipt
		case gone(err):
			err = queue.ErrLeaseLost
		default:
			err = explain(ctx, err)
		}
	}
	if err != nil {
		return fmt.Errorf("%s lease of job %s: %w", deed, l.job, err)
	}
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
		l.q.log.Warn("message not deleted, it is thrown away when it comes again", "job", l.job, "err", explain(ctx, err))
	}
	return nil
}
