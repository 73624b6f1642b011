// Package azure is a queue in Azure Queue Storage.
//
// The service delivers messages, hides them for a time and counts deliveries. What
// it cannot say is whether a job has a message, for hidden ones show nowhere, and it
// cannot keep a second one out. So the ledger's database holds a ticket for each
// job with a message: which message counts, how often it was handed out, who holds it
// and until when. A message without a ticket, or beside it, is a stray and is deleted
// when it comes. A message that the service lost is replaced by its holder; one that
// nobody holds is found missing because everything sent after it has come.
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

// Options say where the queue is. Account, Name and DB are required.
type Options struct {
	Account azstorage.Account
	Name    string
	// DB is the ledger's, which stays the ledger's to close.
	DB     *database.DB
	Client *http.Client     // nil means one of the SDK's
	Now    func() time.Time // nil means time.Now
	Log    *slog.Logger     // nil means no log
}

const (
	tryTimeout = 30 * time.Second
	forever    = -1 // seconds a message lives; 7 days by default
	// strays bounds the messages one Receive throws away or puts back.
	strays = 32
	// poisonSuffix ends the name of the queue for what was given up.
	poisonSuffix = "-poison"
	// longestReason keeps a message far below the 64 KiB that one may have.
	longestReason = 8 << 10
)

// Queue implements queue.Queue.
type Queue struct {
	client  vessel
	poison  vessel
	tickets *tickets
	now     func() time.Time
	log     *slog.Logger
}

// vessel is a queue of the service.
type vessel struct {
	*azqueue.QueueClient
	holder azstorage.Holder
}

func newVessel(service *azqueue.ServiceClient, name string, log *slog.Logger) vessel {
	c := service.NewQueueClient(name)
	return vessel{c, azstorage.Holder{Kind: azstorage.Queue, Log: log, Create: func(ctx context.Context) error {
		_, err := c.Create(ctx, nil)
		return err
	}}}
}

// send puts a message in that shows after a time. It returns the message's id and first
// pop receipt.
func (v vessel) send(ctx context.Context, text string, hidden time.Duration) (id, receipt string, err error) {
	err = v.holder.Heal(ctx, func() error {
		r, err := v.EnqueueMessage(ctx, text, &azqueue.EnqueueMessageOptions{TimeToLive: to.Ptr(int32(forever)), VisibilityTimeout: seconds(hidden)})
		if err == nil && len(r.Messages) == 1 {
			id, receipt = *r.Messages[0].MessageID, *r.Messages[0].PopReceipt
		}
		return err
	})
	return id, receipt, err
}

// New opens a queue and makes it when it is not there.
func New(ctx context.Context, o Options) (*Queue, error) {
	if o.Name == "" || o.DB == nil {
		return nil, errors.New("queue on azure: a name and a database are needed")
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
		return nil, fmt.Errorf("queue on azure: %w", err)
	}
	q := &Queue{client: newVessel(service, o.Name, o.Log), poison: newVessel(service, o.Name+poisonSuffix, o.Log), now: o.Now, log: o.Log}
	if q.tickets, err = openTickets(ctx, o.DB); err != nil {
		return nil, err
	}
	q.client.holder.Emptied = q.tickets.forget
	if err := errors.Join(q.client.holder.Make(ctx), q.poison.holder.Make(ctx)); err != nil {
		return nil, fmt.Errorf("queue %s: %w", o.Name, azstorage.Explain(ctx, err))
	}
	return q, nil
}

// body is a message: a job and nothing else.
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

// parseBody reads what somebody put into the queue.
func parseBody(text string) (body, error) {
	var b body
	err := json.Unmarshal([]byte(text), &b)
	if err == nil && (b.Job == "" || strings.ContainsRune(b.Job, 0)) { // which a database need not take
		err = errors.New("no job is named")
	}
	return b, err
}

// Enqueue implements queue.Queue. The ticket comes first: a message that nobody
// noted is a stray.
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
	return q.tickets.sent(ctx, jobID, n, id)
}

// empty reports whether the service is sure to hold no message: its number may be
// above the truth and never below.
func (q *Queue) empty(ctx context.Context) (bool, error) {
	n, err := q.Len(ctx)
	return n == 0 && err == nil, err
}

// Receive implements queue.Queue.
func (q *Queue) Receive(ctx context.Context, visibility time.Duration) (queue.Lease, error) {
	if err := queue.CheckVisibility(visibility); err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	// Asked first: a message that is taken while the ledger is away is hidden for nothing.
	if err := q.tickets.there(ctx); err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	for range strays {
		var got *azqueue.DequeuedMessage
		err := q.client.holder.Heal(ctx, func() error {
			r, err := q.client.DequeueMessage(ctx, &azqueue.DequeueMessageOptions{VisibilityTimeout: seconds(visibility)})
			if err == nil && len(r.Messages) > 0 {
				got = r.Messages[0]
			}
			return err
		})
		switch {
		case err != nil:
			return nil, fmt.Errorf("receive: %w", azstorage.Explain(ctx, err))
		case got == nil:
			return nil, queue.ErrEmpty
		}
		l, err := q.take(ctx, got, visibility)
		if err != nil || l != nil {
			return l, err
		}
	}
	return nil, queue.ErrEmpty
}

// take makes a lease of a message, nil for one that is not for the caller: a stray,
// or a message that its holder still works on.
func (q *Queue) take(ctx context.Context, m *azqueue.DequeuedMessage, visibility time.Duration) (queue.Lease, error) {
	b, err := parseBody(*m.MessageText)
	l := &lease{q: q, job: b.Job, message: *m.MessageID, receipt: *m.PopReceipt, id: newLease()}
	if err != nil {
		q.log.Warn("a message that names no job is deleted", "message", l.message, "err", err)
		return nil, q.throwAway(ctx, l)
	}
	mine, err := q.tickets.take(ctx, l, q.now(), visibility)
	if err != nil {
		return nil, err
	}
	if mine {
		return l, nil
	}
	counts, until, err := q.tickets.held(ctx, l)
	if err != nil {
		return nil, err
	}
	if counts {
		return nil, q.putBack(ctx, l, until.Sub(q.now()))
	}
	q.log.Info("a message of a job that has another one, or has ended, is deleted", "message", l.message, "job", l.job)
	return nil, q.throwAway(ctx, l)
}

// throwAway deletes a stray.
func (q *Queue) throwAway(ctx context.Context, l *lease) error {
	if _, err := q.client.DeleteMessage(ctx, l.message, l.receipt, nil); err != nil && !gone(err) {
		return fmt.Errorf("throw away message %s: %w", l.message, azstorage.Explain(ctx, err))
	}
	return nil
}

// putBack hides a message for as long as its holder has it. The holder's receipt is
// void then, so that it sends a new one.
func (q *Queue) putBack(ctx context.Context, l *lease, hidden time.Duration) error {
	hidden = max(hidden, queue.MinVisibility) // it may have been given back this moment
	if err := l.hide(ctx, hidden); err != nil && !gone(err) {
		return fmt.Errorf("put back message of job %s: %w", l.job, azstorage.Explain(ctx, err))
	}
	return nil
}

// seconds rounds up to what the service counts in.
func seconds(d time.Duration) *int32 {
	return to.Ptr(int32((d + time.Second - 1) / time.Second))
}

// gone says that the service does not know message or receipt, or not even the queue;
// which of the first two, it does not tell.
func gone(err error) bool {
	return queueerror.HasCode(err, queueerror.MessageNotFound, queueerror.PopReceiptMismatch, queueerror.QueueNotFound, queueerror.QueueBeingDeleted)
}

// poisoned is a message in the poison queue.
type poisoned struct {
	Job    string    `json:"job"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// Poison implements queue.Poisoner: the message stays until somebody takes it.
func (q *Queue) Poison(ctx context.Context, jobID, reason string) error {
	text, err := json.Marshal(poisoned{jobID, strings.ToValidUTF8(reason[:min(len(reason), longestReason)], ""), q.now().UTC()})
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
	return q.tickets.good(ctx, jobID, q.now(), empty)
}

// Len implements queue.Queue; it may be above the truth.
func (q *Queue) Len(ctx context.Context) (int, error) {
	n := int64(0)
	err := q.client.holder.Heal(ctx, func() error {
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
