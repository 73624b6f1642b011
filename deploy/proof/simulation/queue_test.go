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

// post is the queue with the faults of a service: it loses messages, and delivers
// jobs twice at one time. Workers and intake share it.
type post struct {
	queue.Queue
	w *world

	mu     sync.Mutex
	random *rand.Rand
	copies []*copied
}

func (q *post) hit(rate float64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.random.Float64() < rate
}

func (q *post) Enqueue(ctx context.Context, id string) error {
	switch {
	case q.hit(q.w.rates.vanish):
		q.w.faults.add("message vanishes when it is sent")
		q.w.lostMessage(id)
		return nil
	case q.hit(q.w.rates.fail):
		q.w.faults.add("write or message fails")
		q.w.lostMessage(id)
		return errFault
	case q.hit(q.w.rates.lost):
		q.w.faults.add("answer is lost")
		if err := q.Queue.Enqueue(ctx, id); err != nil {
			return err
		}
		q.w.sent(id)
		return errLost
	}
	err := q.Queue.Enqueue(ctx, id)
	if err == nil {
		q.w.sent(id)
	}
	return err
}

func (q *post) Receive(ctx context.Context, visibility time.Duration) (queue.Lease, error) {
	if c := q.copy(visibility); c != nil {
		return c, nil
	}
	l, err := q.Queue.Receive(ctx, visibility)
	if err != nil {
		return nil, err
	}
	if q.w.without.fairness && q.w.small(l.Job()) && q.w.crowded() {
		return nil, errors.Join(queue.ErrEmpty, l.Release(ctx, 20*time.Second))
	}
	q.w.delivered(l.Job())
	if q.hit(q.w.rates.vanish) {
		q.w.faults.add("message vanishes while it is worked on")
		if err := l.Delete(ctx); err != nil {
			return nil, err
		}
		return gone{l}, nil
	}
	if q.hit(q.w.rates.twice) {
		q.w.faults.add("job is delivered twice")
		q.mu.Lock()
		q.copies = append(q.copies, &copied{job: l.Job(), visible: time.Now().Add(time.Duration(q.random.Int64N(int64(20 * time.Second))))})
		q.mu.Unlock()
	}
	return l, nil
}

// steal takes messages that wait, now and then, until ctx ends.
func (q *post) steal(ctx context.Context) {
	for ctx.Err() == nil {
		wait(ctx, 10*time.Second)
		if q.w.rates.vanish == 0 {
			continue
		}
		l, err := q.Queue.Receive(ctx, time.Second)
		if err != nil {
			continue
		}
		q.w.faults.add("message vanishes while it waits")
		q.w.lostMessage(l.Job())
		_ = l.Delete(ctx) // or it comes again, which is a message not lost
	}
}

// gone is the lease of a message that the queue does not have any more.
type gone struct{ queue.Lease }

func (gone) Renew(context.Context, time.Duration) error   { return queue.ErrLeaseLost }
func (gone) Delete(context.Context) error                 { return nil }
func (gone) Release(context.Context, time.Duration) error { return queue.ErrLeaseLost }

// copied is a second message of a job, which has a life of its own.
type copied struct {
	job        string
	visible    time.Time
	deliveries int
}

// copy delivers a copy that can be seen.
func (q *post) copy(visibility time.Duration) queue.Lease {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, c := range q.copies {
		if !c.visible.After(time.Now()) {
			c.visible = time.Now().Add(visibility)
			c.deliveries++
			return copyLease{q, c, c.deliveries}
		}
	}
	return nil
}

// empty reports whether no copy is left.
func (q *post) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.copies) == 0
}

// copyLease is the right to one delivery of a copy.
type copyLease struct {
	q *post
	c *copied
	n int // the delivery
}

func (l copyLease) Job() string { return l.c.job }

func (l copyLease) Deliveries() int { return l.n }

func (l copyLease) Renew(_ context.Context, d time.Duration) error { return l.show(d) }

func (l copyLease) Release(_ context.Context, d time.Duration) error { return l.show(d) }

func (l copyLease) show(d time.Duration) error {
	l.q.mu.Lock()
	defer l.q.mu.Unlock()
	if l.c.deliveries != l.n || !slices.Contains(l.q.copies, l.c) {
		return queue.ErrLeaseLost
	}
	l.c.visible = time.Now().Add(d)
	return nil
}

func (l copyLease) Delete(context.Context) error {
	l.q.mu.Lock()
	defer l.q.mu.Unlock()
	if l.c.deliveries != l.n {
		return queue.ErrLeaseLost
	}
	l.q.copies = slices.DeleteFunc(l.q.copies, func(c *copied) bool { return c == l.c })
	return nil
}

// line is the queue as a worker reaches it.
type line struct {
	queue.Queue
	p *process
}

func (q line) Enqueue(ctx context.Context, id string) error {
	return q.p.do(usually, func() error { return q.Queue.Enqueue(ctx, id) })
}

func (q line) Receive(ctx context.Context, visibility time.Duration) (l queue.Lease, err error) {
	err = q.p.stand() // an idle worker's polls are no deeds
	if err == nil {
		l, err = q.Queue.Receive(ctx, visibility)
	}
	if err == nil {
		err = q.p.gate(usually)
	}
	if err != nil {
		return nil, err
	}
	return lease{l, q.p}, nil
}

type lease struct {
	queue.Lease
	p *process
}

func (l lease) Renew(ctx context.Context, d time.Duration) error {
	return l.p.do(usually, func() error { return l.Lease.Renew(ctx, d) })
}

func (l lease) Delete(ctx context.Context) error {
	return l.p.do(usually, func() error { return l.Lease.Delete(ctx) })
}

func (l lease) Release(ctx context.Context, d time.Duration) error {
	return l.p.do(usually, func() error { return l.Lease.Release(ctx, d) })
}
