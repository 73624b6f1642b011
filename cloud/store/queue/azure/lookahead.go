package azure

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"cattlecounter/cloud/store/azstorage"
	"cattlecounter/cloud/store/queue"
)

// maxAside is how many messages Receive passes over for one whose job has a higher priority. A message that is passed
// over is hidden for moments, and after a crash of this process for its visibility time.
const maxAside = 16

// lookahead looks for a message of the highest priority among the next ones of the service.
type lookahead struct {
	q          *Queue
	top        int // the highest priority that waits
	able       queue.Able
	visibility time.Duration
	aside      []passed
	unable     []passed // whose jobs the receiver cannot do
}

// passed is a message that was passed over.
type passed struct {
	message  *azqueue.DequeuedMessage
	priority int
}

// setAside keeps a message whose job the receiver cannot do, or has a lower priority than another one that waits. It
// reports whether it did.
func (l *lookahead) setAside(ctx context.Context, m *azqueue.DequeuedMessage) (bool, error) {
	b, err := parseBody(*m.MessageText)
	if err != nil || len(l.aside) == maxAside && !l.able.Some {
		return false, nil
	}
	n, can, known, err := l.q.tickets.priority(ctx, b.Job, l.able)
	if err != nil || !known {
		return false, err
	}
	if !can {
		l.unable = append(l.unable, passed{m, n})
		return true, nil
	}
	if n >= l.top || len(l.aside) == maxAside {
		return false, nil
	}
	l.aside = append(l.aside, passed{m, n})
	return true, nil
}

// best leases the message of the highest priority among those that were set aside, the first one of several. It returns
// queue.ErrEmpty without one.
func (l *lookahead) best(ctx context.Context) (queue.Lease, error) {
	slices.SortStableFunc(l.aside, func(a, b passed) int { return cmp.Compare(b.priority, a.priority) })
	for len(l.aside) > 0 {
		m := l.aside[0].message
		l.aside = l.aside[1:]
		if lease, err := l.q.leaseMessage(ctx, m, l.visibility); err != nil || lease != nil {
			return lease, err
		}
	}
	return nil, queue.ErrEmpty
}

// putBack makes the other messages visible again. What fails is visible after its visibility time.
func (l *lookahead) putBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tryTimeout)
	defer cancel()
	for _, p := range slices.Concat(l.aside, l.unable) {
		_, err := l.q.client.UpdateMessage(ctx, *p.message.MessageID, *p.message.PopReceipt, *p.message.MessageText,
			&azqueue.UpdateMessageOptions{VisibilityTimeout: seconds(0)})
		if err != nil && !messageGone(err) {
			l.q.log.Warn("message that was passed over not put back; it is visible again after its time", "message",
				*p.message.MessageID, "after", l.visibility, "err", azstorage.Explain(ctx, err))
		}
	}
}
