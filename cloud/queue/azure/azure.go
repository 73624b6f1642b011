// Package azure is a queue in Azure Queue Storage.
//
// The service delivers messages, hides them for a time and counts deliveries. What
// it cannot say is whether a job has a message, for hidden ones show nowhere, and it
// cannot keep a second one out. So the ledger's database holds a ticket for each
// job with a message: which message counts, who holds it and until when. A message
// without a ticket, or beside it, is a stray and is deleted when it comes; a ticket
// whose message the service lost is found because everything sent after it has come.
package azure

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2/queueerror"

	"cattlecounter/cloud/queue"
	"cattlecounter/shared/secret"
)

// Options say where the queue is. Name, DB and one of ConnectionString and URL are
// required.
type Options struct {
	ConnectionString secret.String
	URL              string // of the account's queue service; for a managed identity
	Name             string
	// DB is the ledger's writing connection, which stays the ledger's to close.
	DB     *sql.DB
	Client *http.Client // nil means one of the SDK's
	Now    func() time.Time
	Log    *slog.Logger
}

const (
	retries    = 4
	retryDelay = 300 * time.Millisecond
	retryLimit = 10 * time.Second
	tryTimeout = 30 * time.Second
	forever    = -1 // seconds a message lives; 7 days by default
	// strays bounds the messages one Receive throws away.
	strays = 32
	// poisonSuffix ends the name of the queue for what was given up.
	poisonSuffix = "-poison"
	// longestReason keeps a message far below the 64 KiB that one may have.
	longestReason = 8 << 10
)

// Queue implements queue.Queue.
type Queue struct {
	client  *azqueue.QueueClient
	poison  *azqueue.QueueClient
	tickets *tickets
	now     func() time.Time
	log     *slog.Logger
}

// New opens a queue and makes it when it is not there.
func New(ctx context.Context, o Options) (*Queue, error) {
	if o.Name == "" || o.DB == nil || o.ConnectionString.IsZero() == (o.URL == "") {
		return nil, errors.New("queue on azure: a name, a database and either a connection string or the account's URL are needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	co := &azqueue.ClientOptions{ClientOptions: azcore.ClientOptions{Retry: policy.RetryOptions{
		MaxRetries: retries, RetryDelay: retryDelay, MaxRetryDelay: retryLimit, TryTimeout: tryTimeout,
	}}}
	if o.Client != nil {
		co.Transport = o.Client
	}
	service, err := connect(o, co)
	if err != nil {
		return nil, err
	}
	q := &Queue{client: service.NewQueueClient(o.Name), poison: service.NewQueueClient(o.Name + poisonSuffix), now: o.Now, log: o.Log}
	if q.tickets, err = openTickets(ctx, o.DB); err != nil {
		return nil, err
	}
	if err := errors.Join(create(ctx, q.client), create(ctx, q.poison)); err != nil {
		return nil, fmt.Errorf("queue %s: %w", o.Name, explain(ctx, err))
	}
	return q, nil
}

func connect(o Options, co *azqueue.ClientOptions) (*azqueue.ServiceClient, error) {
	if o.URL == "" {
		s, err := azqueue.NewServiceClientFromConnectionString(o.ConnectionString.Reveal(), co)
		if err != nil { // its text may quote the string
			return nil, errors.New("queue on azure: the connection string cannot be read")
		}
		return s, nil
	}
	who, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return nil, fmt.Errorf("queue on azure: %w", err)
	}
	return azqueue.NewServiceClient(o.URL, who, co)
}

// create makes a queue. The name of one that is being deleted is taken for some
// half a minute.
func create(ctx context.Context, client *azqueue.QueueClient) error {
	const patience, pause = 90 * time.Second, time.Second
	for began := time.Now(); ; {
		_, err := client.Create(ctx, nil)
		if err == nil || queueerror.HasCode(err, queueerror.QueueAlreadyExists) {
			return nil
		}
		if !queueerror.HasCode(err, queueerror.QueueBeingDeleted) || time.Since(began) > patience {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// heal runs f, and once more after making a queue that somebody has deleted.
func (q *Queue) heal(ctx context.Context, client *azqueue.QueueClient, f func() error) error {
	err := f()
	if queueerror.HasCode(err, queueerror.QueueNotFound, queueerror.QueueBeingDeleted, queueerror.QueueDisabled) {
		q.log.Warn("the queue is gone, it is made again", "err", explain(ctx, err))
		if made := create(ctx, client); made != nil {
			return made
		}
		err = f()
	}
	return err
}

// explain gives a canceled context's cause, and the service's errors in one line.
func explain(ctx context.Context, err error) error {
	var said *azcore.ResponseError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &said):
		return &answer{said}
	}
	return err
}

// answer is what the service said, without the whole exchange.
type answer struct{ *azcore.ResponseError }

func (a *answer) Error() string {
	code := a.ErrorCode
	if code == "" {
		code = http.StatusText(a.StatusCode)
	}
	return fmt.Sprintf("azure says %d %s", a.StatusCode, code)
}

func (a *answer) Unwrap() error { return a.ResponseError }

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
	if err == nil && b.Job == "" {
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
	var id string
	err = q.heal(ctx, q.client, func() error {
		r, err := q.client.EnqueueMessage(ctx, body{jobID}.String(), &azqueue.EnqueueMessageOptions{TimeToLive: to.Ptr(int32(forever))})
		if err == nil && len(r.Messages) == 1 {
			id = *r.Messages[0].MessageID
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("enqueue job %s: %w", jobID, explain(ctx, err))
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
	for range strays {
		var got *azqueue.DequeuedMessage
		err := q.heal(ctx, q.client, func() error {
			r, err := q.client.DequeueMessage(ctx, &azqueue.DequeueMessageOptions{VisibilityTimeout: seconds(visibility)})
			if err == nil && len(r.Messages) > 0 {
				got = r.Messages[0]
			}
			return err
		})
		switch {
		case err != nil:
			return nil, fmt.Errorf("receive: %w", explain(ctx, err))
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

// take makes a lease of a message, nil for a stray.
func (q *Queue) take(ctx context.Context, m *azqueue.DequeuedMessage, visibility time.Duration) (queue.Lease, error) {
	b, bad := parseBody(*m.MessageText)
	l := &lease{q: q, job: b.Job, message: *m.MessageID, receipt: *m.PopReceipt, deliveries: int(*m.DequeueCount), id: newLease()}
	mine := false
	if bad == nil {
		var err error
		if mine, err = q.tickets.take(ctx, l, q.now(), visibility); err != nil {
			return nil, err
		}
	}
	if mine {
		return l, nil
	}
	q.log.Warn("a message that belongs to no job is thrown away", "message", l.message, "job", b.Job, "err", bad)
	if _, err := q.client.DeleteMessage(ctx, l.message, l.receipt, nil); err != nil && !gone(err) {
		return nil, fmt.Errorf("throw away message %s: %w", l.message, explain(ctx, err))
	}
	return nil, nil
}

// seconds rounds up to what the service counts in.
func seconds(d time.Duration) *int32 {
	return to.Ptr(int32((d + time.Second - 1) / time.Second))
}

// gone says that a message was deleted, or received by another one.
func gone(err error) bool {
	return queueerror.HasCode(err, queueerror.MessageNotFound, queueerror.PopReceiptMismatch, queueerror.QueueNotFound)
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
		err = q.heal(ctx, q.poison, func() error {
			_, err := q.poison.EnqueueMessage(ctx, string(text), &azqueue.EnqueueMessageOptions{TimeToLive: to.Ptr(int32(forever))})
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("poison queue, job %s: %w", jobID, explain(ctx, err))
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
	err := q.heal(ctx, q.client, func() error {
		r, err := q.client.GetProperties(ctx, nil)
		if err == nil && r.ApproximateMessagesCount != nil {
			n = *r.ApproximateMessagesCount
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("length of queue: %w", explain(ctx, err))
	}
	return int(n), nil
}
