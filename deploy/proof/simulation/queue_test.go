package simulation

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"cattlecounter/cloud/store/queue"
)

// faultyQueue is the queue with the faults of a remote service: it loses messages, and delivers jobs twice at the same
// time. Workers and intake share it.
type faultyQueue struct {
	queue.Queue
	w *world

	mu         sync.Mutex
	random     *rand.Rand
	duplicates []*duplicate
}

// happens draws whether a fault of the rate happens.
func (q *faultyQueue) happens(rate float64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.random.Float64() < rate
}

func (q *faultyQueue) Enqueue(ctx context.Context, id string) error {
	q.w.noteAsked(id)
	switch {
	case q.happens(q.w.rates.vanish):
		q.w.faults.add("message lost when sent")
		q.w.noteLostMessage(id)
		return nil
	case q.happens(q.w.rates.fail):
		q.w.faults.add("call failed")
		q.w.noteLostMessage(id)
		return errFault
	case q.happens(q.w.rates.lost):
		q.w.faults.add("answer lost")
		if err := q.Queue.Enqueue(ctx, id); err != nil {
			return err
		}
		q.w.noteSent(id)
		return errLost
	}
	err := q.Queue.Enqueue(ctx, id)
	if err == nil {
		q.w.noteSent(id)
	}
	return err
}

func (q *faultyQueue) ReceiveAble(ctx context.Context, visibility time.Duration, able queue.Able) (queue.Lease, error) {
	if l := q.receiveDuplicate(visibility); l != nil {
		return l, nil
	}
	l, err := q.Queue.ReceiveAble(ctx, visibility, able)
	if err != nil {
		return nil, err
	}
	if q.w.without.order && q.w.isSmall(l.Job()) && q.w.largeWaits() {
		return nil, errors.Join(queue.ErrEmpty, l.Release(ctx, 20*time.Second))
	}
	q.w.noteDelivered(l.Job())
	if q.happens(q.w.rates.vanish) {
		q.w.faults.add("message lost while its job was in work")
		if err := l.Delete(ctx); err != nil {
			return nil, err
		}
		return lostLease{l}, nil
	}
	if q.happens(q.w.rates.duplicate) {
		q.w.faults.add("job delivered twice")
		q.mu.Lock()
		delay := time.Duration(q.random.Int64N(int64(20 * time.Second)))
		q.duplicates = append(q.duplicates, &duplicate{job: l.Job(), visible: time.Now().Add(delay)})
		q.mu.Unlock()
	}
	return l, nil
}

// loseWaiting deletes a waiting message every ten seconds, until ctx ends.
func (q *faultyQueue) loseWaiting(ctx context.Context) {
	for ctx.Err() == nil {
		wait(ctx, 10*time.Second)
		if q.w.rates.vanish == 0 {
			continue
		}
		l, err := q.Queue.Receive(ctx, time.Second)
		if err != nil {
			continue
		}
		q.w.faults.add("message lost while it waited")
		q.w.noteLostMessage(l.Job())
		_ = l.Delete(ctx) // after an error the message is delivered again, which is no fault
	}
}

// lostLease is the lease of a message that the queue has lost.
type lostLease struct{ queue.Lease }

func (lostLease) Renew(context.Context, time.Duration) error   { return queue.ErrLeaseLost }
func (lostLease) Delete(context.Context) error                 { return nil }
func (lostLease) Release(context.Context, time.Duration) error { return queue.ErrLeaseLost }
func (lostLease) Decline(context.Context, time.Duration) error { return queue.ErrLeaseLost }

// duplicate is a second message of a job. It is visible, leased and deleted independently of the first.
type duplicate struct {
	job        string
	visible    time.Time
	deliveries int
}

// receiveDuplicate leases a visible duplicate. It returns nil if there is none.
func (q *faultyQueue) receiveDuplicate(visibility time.Duration) queue.Lease {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, d := range q.duplicates {
		if !d.visible.After(time.Now()) {
			d.visible = time.Now().Add(visibility)
			d.deliveries++
			return duplicateLease{q, d, d.deliveries}
		}
	}
	return nil
}

// hasDuplicates reports whether any duplicate is left.
func (q *faultyQueue) hasDuplicates() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.duplicates) > 0
}

// duplicateLease is the lease of one delivery of a duplicate.
type duplicateLease struct {
	q        *faultyQueue
	message  *duplicate
	delivery int
}

func (l duplicateLease) Job() string { return l.message.job }

func (l duplicateLease) Deliveries() int { return l.delivery }

func (l duplicateLease) Renew(_ context.Context, d time.Duration) error { return l.hide(d) }

func (l duplicateLease) Release(_ context.Context, d time.Duration) error { return l.hide(d) }

func (l duplicateLease) Decline(_ context.Context, d time.Duration) error { return l.hide(d) }

// hide hides the duplicate for d, if the lease is still valid.
func (l duplicateLease) hide(d time.Duration) error {
	l.q.mu.Lock()
	defer l.q.mu.Unlock()
	if l.message.deliveries != l.delivery || !slices.Contains(l.q.duplicates, l.message) {
		return queue.ErrLeaseLost
	}
	l.message.visible = time.Now().Add(d)
	return nil
}

func (l duplicateLease) Delete(context.Context) error {
	l.q.mu.Lock()
	defer l.q.mu.Unlock()
	if l.message.deliveries != l.delivery {
		return queue.ErrLeaseLost
	}
	l.q.duplicates = slices.DeleteFunc(l.q.duplicates, func(d *duplicate) bool { return d == l.message })
	return nil
}

// workerQueue is the queue behind the gates of a process.
type workerQueue struct {
	queue.Queue
	p *process
}

func (q workerQueue) Enqueue(ctx context.Context, id string) error {
	return q.p.call(fullWeight, func() error { return q.Queue.Enqueue(ctx, id) })
}

// ReceiveAble has faults only after a message was received: an idle worker's polls have none.
func (q workerQueue) ReceiveAble(ctx context.Context, visibility time.Duration, able queue.Able) (l queue.Lease, err error) {
	err = q.p.awaitRunning()
	if err == nil {
		l, err = q.Queue.ReceiveAble(ctx, visibility, able)
	}
	if err == nil {
		err = q.p.gate(fullWeight)
	}
	if err != nil {
		return nil, err
	}
	return workerLease{l, q.p}, nil
}

// workerLease is a lease behind the gates of a process.
type workerLease struct {
	queue.Lease
	p *process
}

func (l workerLease) Renew(ctx context.Context, d time.Duration) error {
	return l.p.call(fullWeight, func() error { return l.Lease.Renew(ctx, d) })
}

func (l workerLease) Delete(ctx context.Context) error {
	return l.p.call(fullWeight, func() error { return l.Lease.Delete(ctx) })
}

func (l workerLease) Release(ctx context.Context, d time.Duration) error {
	return l.p.call(fullWeight, func() error { return l.Lease.Release(ctx, d) })
}

func (l workerLease) Decline(ctx context.Context, d time.Duration) error {
	return l.p.call(fullWeight, func() error { return l.Lease.Decline(ctx, d) })
}
