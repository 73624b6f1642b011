// Package azure is a queue in Azure Queue Storage.
//
// The service delivers messages, hides them for a time and counts deliveries. It does
// not tell whether a job has a message, because hidden messages are not listed, and it
// does not prevent a second message of a job. So the ledger's database has a ticket for
// each job with a message. The ticket says which message is valid, how often it was
// delivered, who holds it and until when. Any other message of the job is a stray and is
// deleted when it is delivered. When the service loses a message, its holder replaces
// it. A lost message without a holder is detected when messages that were sent after it
// are delivered.
//
// The service keeps the order of arrival, so the ledger has the order of service: a message that is received stands for
// the next job in turn. If it was sent for another job, the two jobs change their messages in the ledger, so each still has
// one. The text of a message names the job that it was sent for.
//
// The times in the tickets are those of the workers' clocks. A worker whose clock is ahead by more than the rest of a lease
// takes a job whose holder still works, and the holder then loses its lease.
package azure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2/queueerror"

	"cattlecounter/cloud/store/azstorage"
	"cattlecounter/cloud/store/database"
	"cattlecounter/cloud/store/queue"
)

// Options of New. Account, Name and DB are required.
type Options struct {
	Account azstorage.Account
	Name    string
	// DB is the ledger's database. The ledger closes it.
	DB     *database.DB
	Client *http.Client     // nil means one of the SDK's
	Now    func() time.Time // nil means time.Now
	Log    *slog.Logger     // nil means no log
}

const (
	tryTimeout = 30 * time.Second
	noExpiry   = -1 // lifetime of a message; the service's default is 7 days
	// maxStrays limits the messages that one Receive deletes, hides again or puts back.
	maxStrays = 32
	// poisonSuffix ends the name of the queue for poisoned jobs.
	poisonSuffix = "-poison"
	// longestReason in bytes keeps a message far below the service's limit of 64 KiB.
	longestReason = 8 << 10
)

// Queue implements queue.Queue.
type Queue struct {
	client  serviceQueue
	poison  serviceQueue
	tickets *tickets
	now     func() time.Time
	log     *slog.Logger
}

// serviceQueue is a queue of the service.
type serviceQueue struct {
	*azqueue.QueueClient
	resource azstorage.Resource
}

func newServiceQueue(service *azqueue.ServiceClient, name string, log *slog.Logger) serviceQueue {
	c := service.NewQueueClient(name)
	return serviceQueue{c, azstorage.Resource{Kind: azstorage.Queue, Name: name, Log: log,
		Create: func(ctx context.Context) error {
			_, err := c.Create(ctx, nil)
			return err
		}}}
}

// send adds a message that becomes visible after a time. It returns the message's id and
// its first pop receipt.
func (v serviceQueue) send(ctx context.Context, text string, hidden time.Duration) (id, receipt string, err error) {
	err = v.resource.Recreating(ctx, func() error {
		r, err := v.EnqueueMessage(ctx, text, &azqueue.EnqueueMessageOptions{TimeToLive: to.Ptr(int32(noExpiry)),
			VisibilityTimeout: seconds(hidden)})
		if err == nil && len(r.Messages) == 1 {
			id, receipt = *r.Messages[0].MessageID, *r.Messages[0].PopReceipt
		}
		return err
	})
	return id, receipt, err
}

// New opens a queue and creates it if it is missing.
func New(ctx context.Context, o Options) (*Queue, error) {
	if o.Name == "" || o.DB == nil {
		return nil, errors.New("queue on Azure: set the name of the queue and a database")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	co := &azqueue.ClientOptions{ClientOptions: azstorage.ClientOptions(o.Client, tryTimeout)}
	service, err := azstorage.Connect(o.Account,
		func(text string) (*azqueue.ServiceClient, error) {
			return azqueue.NewServiceClientFromConnectionString(text, co)
		},
		func(url string, who azcore.TokenCredential) (*azqueue.ServiceClient, error) {
			return azqueue.NewServiceClient(url, who, co)
		})
	if err != nil {
		return nil, fmt.Errorf("queue on Azure: %w", err)
	}
	q := &Queue{client: newServiceQueue(service, o.Name, o.Log),
		poison: newServiceQueue(service, o.Name+poisonSuffix, o.Log), now: o.Now, log: o.Log}
	if q.tickets, err = openTickets(ctx, o.DB); err != nil {
		return nil, err
	}
	q.client.resource.OnLost = q.tickets.forgetMessages
	if err := errors.Join(q.client.resource.Ensure(ctx), q.poison.resource.Ensure(ctx)); err != nil {
		return nil, fmt.Errorf("queue %s: %w", o.Name, azstorage.Explain(ctx, err))
	}
	return q, nil
}

// body is the text of a message. It names a job and nothing else.
type body struct {
	Job string `json:"job"`
}

func (b body) String() string {
	text, err := json.Marshal(b)
	if err != nil {
		panic(err) // a string always encodes
	}
	return string(text)
}

// parseBody parses the text of a message. Other programs may write messages, too.
func parseBody(text string) (body, error) {
	var b body
	err := json.Unmarshal([]byte(text), &b)
	if err == nil && (b.Job == "" || strings.ContainsRune(b.Job, 0)) { // a database may refuse NUL
		err = errors.New("no job id")
	}
	return b, err
}

// Enqueue implements queue.Queue. It issues the ticket first, because a message without
// a ticket is a stray.
func (q *Queue) Enqueue(ctx context.Context, jobID string) error {
	if jobID == "" {
		return errors.New("enqueue: no job id")
	}
	empty, err := q.empty(ctx)
	if err != nil {
		return fmt.Errorf("enqueue job %s: %w", jobID, err)
	}
	n, needed, err := q.tickets.issue(ctx, jobID, q.now(), empty)
	if err != nil || !needed {
		return err
	}
	id, _, err := q.client.send(ctx, body{jobID}.String(), 0)
	if err != nil {
		return fmt.Errorf("enqueue job %s: %w", jobID, azstorage.Explain(ctx, err))
	}
	return q.tickets.setSent(ctx, jobID, n, id)
}

// empty reports whether the service has no message. The service's number of messages may
// be too high, but never too low.
func (q *Queue) empty(ctx context.Context) (bool, error) {
	n, err := q.Len(ctx)
	return n == 0 && err == nil, err
}

// Receive implements queue.Queue.
func (q *Queue) Receive(ctx context.Context, visibility time.Duration) (queue.Lease, error) {
	return q.ReceiveAble(ctx, visibility, queue.Able{})
}

// ReceiveAble implements queue.Queue. It asks the service for nothing while the ledger knows of no job that waits and that
// the receiver can do.
func (q *Queue) ReceiveAble(ctx context.Context, visibility time.Duration, able queue.Able) (queue.Lease, error) {
	if err := queue.CheckVisibility(visibility); err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	// Read first: without the ledger, a received message would only be hidden.
	waits, err := q.tickets.waits(ctx, q.now(), able)
	if err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	if able.Some && !waits {
		return nil, queue.ErrEmpty
	}
	var spare []*azqueue.DequeuedMessage
	defer func() { q.putBack(ctx, spare, visibility) }()
	for range maxStrays {
		got, err := q.dequeue(ctx, visibility)
		if err != nil {
			return nil, fmt.Errorf("receive: %w", azstorage.Explain(ctx, err))
		}
		if got == nil {
			break
		}
		l, u, err := q.leaseNext(ctx, got, visibility, able)
		switch {
		case err != nil:
			return nil, fmt.Errorf("receive: %w", err)
		case u == useLease:
			return l, nil
		case u == useSpare:
			spare = append(spare, got)
		}
	}
	return nil, queue.ErrEmpty
}

// putBack makes messages visible again that are of no use for this receiver: another one was faster. What fails is visible
// after its visibility time.
func (q *Queue) putBack(ctx context.Context, messages []*azqueue.DequeuedMessage, visibility time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tryTimeout)
	defer cancel()
	for _, m := range messages {
		_, err := q.client.UpdateMessage(ctx, *m.MessageID, *m.PopReceipt, *m.MessageText,
			&azqueue.UpdateMessageOptions{VisibilityTimeout: seconds(0)})
		if err != nil && !messageGone(err) {
			q.log.Warn("message not put back; it is visible again after its time", "message", *m.MessageID, "after",
				visibility, "err", azstorage.Explain(ctx, err))
		}
	}
}

// dequeue receives the next message of the service, nil when there is none.
func (q *Queue) dequeue(ctx context.Context, visibility time.Duration) (got *azqueue.DequeuedMessage, err error) {
	err = q.client.resource.Recreating(ctx, func() error {
		r, err := q.client.DequeueMessage(ctx, &azqueue.DequeueMessageOptions{VisibilityTimeout: seconds(visibility)})
		if err == nil && len(r.Messages) > 0 {
			got = r.Messages[0]
		}
		return err
	})
	return got, err
}

// leaseNext leases the next job in turn by a received message. It deletes a stray, and hides a message whose holder still
// works on it. The lease is only for useLease.
func (q *Queue) leaseNext(ctx context.Context, m *azqueue.DequeuedMessage, visibility time.Duration,
	able queue.Able) (*lease, use, error) {
	l := &lease{q: q, message: *m.MessageID, receipt: *m.PopReceipt, id: newLease()}
	b, err := parseBody(*m.MessageText)
	if err != nil {
		q.log.Warn("message without a job deleted", "message", l.message, "err", err)
		return nil, useStray, q.deleteStray(ctx, l)
	}
	u, until, err := q.tickets.claim(ctx, l, b.Job, q.now(), visibility, able)
	if err != nil {
		return nil, u, err
	}
	switch u {
	case useHeld:
		err = q.hideAgain(ctx, l, until.Sub(q.now()))
	case useStray:
		q.log.Info("stray message deleted: its job has another message or has ended", "message", l.message, "job", l.job)
		err = q.deleteStray(ctx, l)
	}
	return l, u, err
}

// deleteStray deletes a stray.
func (q *Queue) deleteStray(ctx context.Context, l *lease) error {
	if _, err := q.client.DeleteMessage(ctx, l.message, l.receipt, nil); err != nil && !messageGone(err) {
		return fmt.Errorf("delete stray message %s: %w", l.message, azstorage.Explain(ctx, err))
	}
	return nil
}

// hideAgain hides a message until the lease of its holder ends. This makes the holder's
// receipt invalid, so the holder sends a new message at its next renewal.
func (q *Queue) hideAgain(ctx context.Context, l *lease, hidden time.Duration) error {
	hidden = max(hidden, queue.MinVisibility) // the holder may have released it just now
	if err := l.hide(ctx, hidden); err != nil && !messageGone(err) {
		return fmt.Errorf("hide message of job %s: %w", l.job, azstorage.Explain(ctx, err))
	}
	return nil
}

// seconds rounds up to the whole seconds that the service expects.
func seconds(d time.Duration) *int32 {
	return to.Ptr(int32((d + time.Second - 1) / time.Second))
}

// messageGone reports whether the service does not know the message, its receipt or the
// queue. The service does not distinguish message and receipt reliably.
func messageGone(err error) bool {
	return queueerror.HasCode(err, queueerror.MessageNotFound, queueerror.PopReceiptMismatch, queueerror.QueueNotFound,
		queueerror.QueueBeingDeleted)
}

// poisoned is a message in the poison queue.
type poisoned struct {
	Job    string    `json:"job"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// Poison implements queue.Poisoner. The message stays until an operator removes it.
func (q *Queue) Poison(ctx context.Context, jobID, reason string) error {
	text, err := json.Marshal(poisoned{jobID, strings.ToValidUTF8(reason[:min(len(reason), longestReason)], ""),
		q.now().UTC()})
	if err == nil {
		_, _, err = q.poison.send(ctx, string(text), 0)
	}
	if err != nil {
		return fmt.Errorf("poison queue, job %s: %w", jobID, azstorage.Explain(ctx, err))
	}
	return nil
}

// Has implements queue.Queue.
func (q *Queue) Has(ctx context.Context, jobID string) (bool, error) {
	empty, err := q.empty(ctx)
	if err != nil {
		return false, fmt.Errorf("look for message of job %s: %w", jobID, err)
	}
	return q.tickets.exists(ctx, jobID, q.now(), empty)
}

// Len implements queue.Queue. The number may be too high.
func (q *Queue) Len(ctx context.Context) (int, error) {
	n := int64(0)
	err := q.client.resource.Recreating(ctx, func() error {
		r, err := q.client.GetProperties(ctx, nil)
		if err == nil && r.ApproximateMessagesCount != nil {
			n = *r.ApproximateMessagesCount
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("length of queue: %w", azstorage.Explain(ctx, err))
	}
	return int(n), nil
}
