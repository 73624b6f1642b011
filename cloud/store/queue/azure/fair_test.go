package azure

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue"
	"cattlecounter/deploy/testkit/azurite"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
)

// placed is a queue and the path of its ledger.
type placed struct {
	*Queue
	path string
}

// devices is a queue with two jobs of one device before one of another, so that the second message that is received stands
// for the third job.
func devices(t *testing.T) (q placed, clock *shiftedClock, way *line, jobs []string) {
	t.Helper()
	azurite.Get(t)
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := openLedger(t, path)
	clock, way = &shiftedClock{}, &line{}
	q = placed{openWithClient(t, path, name(), clock.now, &http.Client{Transport: way}), path}
	for i, device := range []string{"dock-1", "dock-1", "dock-2"} {
		id := fmt.Sprint("f-", i)
		rec := must.Get(l.Footage.Record(t.Context(), ledger.Footage{ID: footage.ID(id), Site: "north", Device: device,
			Name: id + ".mp4", Size: 1, SHA256: footage.Sum([]byte(id)), BlobKey: "k/" + id}))(t)
		must.Do(t, q.Enqueue(t.Context(), rec.Job.ID))
		jobs = append(jobs, rec.Job.ID)
	}
	return q, clock, way, jobs
}

// drainTurns limits how often wantDrained asks without success. It is far more than fit into the seconds that a message is hidden.
const drainTurns = 50_000

// wantDrained receives and deletes jobs until all of want came, by their deliveries. It asks until the service shows the
// messages by its own clock. No message may be left then but those of held jobs.
func wantDrained(t *testing.T, q *Queue, want map[string]int, held int) {
	t.Helper()
	got := map[string]int{}
	for misses := 0; len(got) < len(want); {
		l, err := q.Receive(t.Context(), time.Minute)
		if errors.Is(err, queue.ErrEmpty) {
			if misses++; misses == drainTurns {
				t.Fatalf("received %v, want %v, after asking %d times without success", got, want, misses)
			}
			continue
		}
		must.Do(t, err)
		got[l.Job()] = l.Deliveries()
		must.Do(t, l.Delete(t.Context()))
	}
	if n, err := q.Len(t.Context()); err != nil || n != held || !maps.Equal(got, want) {
		t.Errorf("received %v, want %v; %d messages are left, want %d, %v", got, want, n, held, err)
	}
}

// A receiver that dies between the message and the decision of the ledger delays one message, and no job in particular:
// the others still come in their turn.
func TestReceiverDiesBeforeTheLedger(t *testing.T) {
	t.Parallel()
	q, _, way, jobs := devices(t)
	ctx, die := context.WithCancel(t.Context())
	way.after = func(r *http.Request) error {
		if r.Method == http.MethodGet && r.URL.Query().Get("visibilitytimeout") != "" {
			die()
		}
		return nil
	}
	if _, err := q.Receive(ctx, 2*time.Second); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	way.after = nil
	must.Do(t, receive(t, q.Queue, jobs[0]).Delete(t.Context()))
	must.Do(t, receive(t, q.Queue, jobs[2]).Delete(t.Context()))
	has(t, q.Queue, jobs[1], true)
	wantDrained(t, q.Queue, map[string]int{jobs[1]: 1}, 0)
}

// A lost message costs the job that has it at last. Its ticket shows the loss as without turns.
func TestLostMessageAfterAChange(t *testing.T) {
	t.Parallel()
	q, clock, _, jobs := devices(t)
	must.Do(t, receive(t, q.Queue, jobs[0]).Delete(t.Context()))
	must.Do(t, receive(t, q.Queue, jobs[2]).Delete(t.Context())) // job 1 now has the message that was sent for job 2
	_, err := q.client.ClearMessages(t.Context(), nil)
	must.Do(t, err)
	clock.by.Store(int64(overdue + time.Minute))
	has(t, q.Queue, jobs[1], false)
	must.Do(t, q.Enqueue(t.Context(), jobs[1]))
	wantDrained(t, q.Queue, map[string]int{jobs[1]: 1}, 0)
}

// A holder that was paused beyond its lease, and whose job has another message now, can do nothing to either.
func TestPausedHolderAfterAChange(t *testing.T) {
	t.Parallel()
	q, clock, _, jobs := devices(t)
	paused := must.Get(q.Receive(t.Context(), 10*time.Minute))(t).(*lease) // of job 0
	clock.by.Store(int64(11 * time.Minute))                                // its lease has ended by the ledger's clock
	must.Get(openLedger(t, q.path).Jobs.Prioritise(t.Context(), jobs[0], 1))(t)
	first := must.Get(q.Receive(t.Context(), time.Minute))(t).(*lease) // with the message of job 1, which gets the paused one's
	if first.Job() != jobs[0] || first.Deliveries() != 2 || first.message == paused.message {
		t.Fatalf("received %s with delivery %d, want %s with 2, and another message", first.Job(), first.Deliveries(), jobs[0])
	}
	must.Do(t, paused.hide(t.Context(), 0)) // its message is visible again
	must.FailWith(t, paused.Renew(t.Context(), time.Minute), queue.ErrLeaseLost)
	must.FailWith(t, paused.Release(t.Context(), 0), queue.ErrLeaseLost)
	must.FailWith(t, paused.Delete(t.Context()), queue.ErrLeaseLost)
	must.Do(t, first.Renew(t.Context(), time.Minute))
	wantDrained(t, q.Queue, map[string]int{jobs[1]: 1, jobs[2]: 1}, 1)
	must.Do(t, first.Delete(t.Context()))
	wantDrained(t, q.Queue, nil, 0)
}

// messages returns the messages of the tickets by their jobs.
func messages(t *testing.T, q *Queue) map[string]string {
	t.Helper()
	rows := must.Get(q.tickets.db.Read().QueryContext(t.Context(), `SELECT job, message FROM queue_ticket`))(t)
	defer rows.Close()
	all := map[string]string{}
	for rows.Next() {
		var job, message string
		must.Do(t, rows.Scan(&job, &message))
		all[job] = message
	}
	must.Do(t, rows.Err())
	return all
}

// When a released job gets a new message, another receiver may get that before its id is stored, and a job in turn by it.
// Then the released job keeps the message that it got in exchange: two jobs never have one message.
func TestReplacedMessageIsReceivedAtOnce(t *testing.T) {
	t.Parallel()
	q, _, way, jobs := devices(t)
	first := receive(t, q.Queue, jobs[0]).(*lease)
	_, err := q.client.DeleteMessage(t.Context(), first.message, first.receipt, nil)
	must.Do(t, err)
	var others []*azqueue.DequeuedMessage
	for range jobs[1:] {
		others = append(others, must.Get(q.dequeue(t.Context(), time.Hour))(t))
	}
	before := messages(t, q.Queue)
	var second *lease
	way.after = func(r *http.Request) error {
		if r.Method == http.MethodPost {
			way.after = nil
			second = receive(t, q.Queue, jobs[2]).(*lease) // by the new message
		}
		return nil
	}
	// These are the steps of Release and Decline, without their time limit.
	must.Do(t, q.tickets.setHolder(t.Context(), first, "", q.now()))
	err = first.replace(t.Context(), "", 0)
	if second == nil {
		t.Fatal("no new message was sent")
	}
	want := map[string]string{jobs[0]: before[jobs[2]], jobs[1]: before[jobs[1]], jobs[2]: second.message}
	if got := messages(t, q.Queue); !maps.Equal(got, want) {
		t.Errorf("the messages are %v, want %v", got, want)
	}
	must.FailWith(t, err, queue.ErrLeaseLost)
	must.Do(t, second.Delete(t.Context()))
	q.putBack(t.Context(), others, time.Hour)
	wantDrained(t, q.Queue, map[string]int{jobs[0]: 2, jobs[1]: 1}, 0)
}

// A receiver with abilities asks the service for nothing while no job waits that has a message to change.
func TestNoPollWithoutAMessageToChange(t *testing.T) {
	t.Parallel()
	q, _, way, jobs := devices(t)
	must.Do(t, q.tickets.forgetMessages(t.Context()))
	asked := 0
	way.before = func(*http.Request) error {
		asked++
		return nil
	}
	able := queue.Able{Some: true, Others: true}
	if _, err := q.ReceiveAble(t.Context(), time.Minute, able); !errors.Is(err, queue.ErrEmpty) || asked != 0 {
		t.Errorf("%v after %d requests, want none", err, asked)
	}
	way.before = nil
	wantDrained(t, q.Queue, map[string]int{jobs[0]: 1, jobs[1]: 1, jobs[2]: 1}, 0)
}

// A message is put back when the receiver can do none of the jobs that wait, for another one was faster.
func TestSpareMessage(t *testing.T) {
	t.Parallel()
	q, _, _, jobs := devices(t)
	var got []*azqueue.DequeuedMessage
	for range jobs {
		m := must.Get(q.dequeue(t.Context(), time.Minute))(t)
		if _, u, err := q.leaseNext(t.Context(), m, time.Minute, queue.Able{Some: true}); err != nil || u != useSpare {
			t.Fatal(u, err)
		}
		got = append(got, m)
	}
	q.putBack(t.Context(), got, time.Minute)
	wantDrained(t, q.Queue, map[string]int{jobs[0]: 1, jobs[1]: 1, jobs[2]: 1}, 0)
}
