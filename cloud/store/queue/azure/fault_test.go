package azure

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cattlecounter/cloud/store/queue"
	"cattlecounter/deploy/testkit/must"
)

// shiftedClock is the real clock plus an offset that the test sets.
type shiftedClock struct{ by atomic.Int64 }

func (l *shiftedClock) now() time.Time { return time.Now().Add(time.Duration(l.by.Load())) }

func fresh(t *testing.T) (*Queue, *shiftedClock) {
	t.Helper()
	clock := &shiftedClock{}
	return open(t, filepath.Join(t.TempDir(), "ledger.db"), name(), clock.now), clock
}

func receive(t *testing.T, q *Queue, job string) queue.Lease {
	t.Helper()
	l, err := q.Receive(t.Context(), time.Minute)
	must.Do(t, err)
	if l.Job() != job {
		t.Fatalf("received %s, want %s", l.Job(), job)
	}
	return l
}

func has(t *testing.T, q *Queue, job string, want bool) {
	t.Helper()
	got, err := q.Has(t.Context(), job)
	must.Do(t, err)
	if got != want {
		t.Fatalf("the queue has job %s: %t", job, got)
	}
}

// Messages of other programs, and a second message of a job, are deleted when they are
// delivered.
func TestStrays(t *testing.T) {
	q, _ := fresh(t)
	for _, text := range []string{"hello", "{}", `{"job":"unknown"}`, `{"job":"j"}`} {
		_, err := q.client.EnqueueMessage(t.Context(), text, nil)
		must.Do(t, err)
	}
	must.Do(t, q.Enqueue(t.Context(), "j"))
	l := receive(t, q, "j")
	if _, err := q.Receive(t.Context(), time.Minute); !errors.Is(err, queue.ErrEmpty) {
		t.Error(err)
	}
	must.Do(t, l.Delete(t.Context()))
	if n, err := q.Len(t.Context()); err != nil || n != 0 {
		t.Errorf("%d messages are left, %v", n, err)
	}
}

// A queue that was deleted while the system runs is recreated. Its jobs count as jobs
// without a message, and leased jobs stay with their workers.
func TestQueueIsRecreated(t *testing.T) {
	q, clock := fresh(t)
	must.Do(t, q.Enqueue(t.Context(), "working"))
	l := receive(t, q, "working")
	must.Do(t, q.Enqueue(t.Context(), "waiting"))
	_, err := q.client.Delete(t.Context(), nil)
	must.Do(t, err)
	must.Do(t, l.Renew(t.Context(), time.Minute)) // the first to see it
	has(t, q, "waiting", false)
	has(t, q, "working", true)
	must.Do(t, q.Enqueue(t.Context(), "waiting"))
	must.Do(t, q.Enqueue(t.Context(), "working"))
	if n, err := q.Len(t.Context()); err != nil || n != 2 {
		t.Errorf("%d messages, %v", n, err)
	}
	receive(t, q, "waiting")
	if _, err := q.Receive(t.Context(), time.Minute); !errors.Is(err, queue.ErrEmpty) {
		t.Error(err)
	}
	must.Do(t, l.Delete(t.Context()))
	has(t, q, "working", false)
	clock.by.Store(int64(2 * time.Minute))
	if _, err := q.Receive(t.Context(), time.Minute); !errors.Is(err, queue.ErrEmpty) {
		t.Error(err)
	}
}

func delivered(t *testing.T, q *Queue, times int) queue.Lease {
	t.Helper()
	l := receive(t, q, "j")
	if l.Deliveries() != times {
		t.Errorf("%d deliveries, want %d", l.Deliveries(), times)
	}
	return l
}

// Deliveries are counted for the job, including those of a lost message. So a job that
// kills its workers is poisoned in the end.
func TestDeliveriesOfALostMessageCount(t *testing.T) {
	q, clock := fresh(t)
	must.Do(t, q.Enqueue(t.Context(), "j"))
	delivered(t, q, 1) // and its worker dies
	_, err := q.client.ClearMessages(t.Context(), nil)
	must.Do(t, err)
	clock.by.Store(int64(2 * time.Minute))
	has(t, q, "j", false)
	must.Do(t, q.Enqueue(t.Context(), "j"))
	for n := range 3 {
		l := delivered(t, q, n+2)
		_, err := q.client.ClearMessages(t.Context(), nil)
		must.Do(t, err)
		must.Do(t, l.Release(t.Context(), 0))
		if err := l.Renew(t.Context(), time.Minute); !errors.Is(err, queue.ErrLeaseLost) {
			t.Error(err)
		}
	}
}

// A single lost message is detected when later messages were delivered, and not before it is overdue. The job that it was
// sent for is served in its turn, by the message of the next one, which is without one then.
func TestLostMessageIsDetected(t *testing.T) {
	q, clock := fresh(t)
	for _, j := range []string{"other", "lost", "last"} {
		must.Do(t, q.Enqueue(t.Context(), j))
	}
	r, err := q.client.DequeueMessage(t.Context(), nil)
	must.Do(t, err)
	_, err = q.client.DeleteMessage(t.Context(), *r.Messages[0].MessageID, *r.Messages[0].PopReceipt, nil)
	must.Do(t, err)
	other := receive(t, q, "other")
	has(t, q, "lost", true) // it may only be late
	clock.by.Store(int64(overdue + time.Minute))
	has(t, q, "lost", false)
	has(t, q, "last", true) // nothing came that was sent after it
	must.Do(t, q.Enqueue(t.Context(), "lost"))
	has(t, q, "lost", true)
	must.Do(t, other.Delete(t.Context()))
	receive(t, q, "lost") // it has kept its place
	receive(t, q, "last")
}

// A released message is not taken for lost, even when many messages are delivered before
// it: they were sent before it became visible again.
func TestReleasedMessageIsNotLost(t *testing.T) {
	q, clock := fresh(t)
	for _, j := range []string{"first", "second", "third"} {
		must.Do(t, q.Enqueue(t.Context(), j))
	}
	must.Do(t, receive(t, q, "first").Release(t.Context(), time.Minute))
	second := receive(t, q, "second")
	receive(t, q, "third")
	clock.by.Store(int64(2*overdue + time.Minute))
	has(t, q, "first", true)
	must.Do(t, second.Delete(t.Context()))
}

// line is the network between queue and service. before returns an error that prevents the
// request; after returns one that loses the answer.
type line struct{ before, after func(*http.Request) error }

func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.before != nil {
		if err := l.before(r); err != nil {
			return nil, err
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && l.after != nil {
		if lost := l.after(r); lost != nil {
			return nil, errors.Join(lost, resp.Body.Close())
		}
	}
	return resp, err
}

// openThroughLine opens a queue whose requests pass a line.
func openThroughLine(t *testing.T) (*Queue, *shiftedClock, *line) {
	t.Helper()
	clock, way := &shiftedClock{}, &line{}
	return openWithClient(t, filepath.Join(t.TempDir(), "ledger.db"), name(), clock.now, &http.Client{Transport: way}),
		clock, way
}

// When the answer to Renew is lost, the receipt is invalid. The holder continues, and a
// receiver that gets the message meanwhile hides it again.
func TestLostAnswerToRenew(t *testing.T) {
	q, clock, way := openThroughLine(t)
	must.Do(t, q.Enqueue(t.Context(), "j"))
	l, err := q.Receive(t.Context(), 6*time.Second) // of the service's own clock: requests may take seconds
	must.Do(t, err)
	lost := 0
	way.after = func(r *http.Request) error {
		if r.Method != http.MethodPut || lost > 0 {
			return nil
		}
		lost++
		return io.ErrUnexpectedEOF
	}
	must.Do(t, l.Renew(t.Context(), 5*time.Second)) // the old receipt is invalid, and the answer with the new one is lost
	if lost != 1 {
		t.Fatal("the test lost no answer")
	}
	must.Do(t, l.Renew(t.Context(), time.Minute))
	<-time.After(5500 * time.Millisecond) // the first message shows
	if _, err := q.Receive(t.Context(), time.Minute); !errors.Is(err, queue.ErrEmpty) {
		t.Fatalf("a leased job was delivered: %v", err)
	}
	if n, err := q.Len(t.Context()); err != nil || n != 1 {
		t.Fatalf("%d messages, %v", n, err)
	}
	must.Do(t, l.Renew(t.Context(), 2*time.Second))
	clock.by.Store(int64(time.Minute)) // the holder is silent
	<-time.After(2500 * time.Millisecond)
	other := receive(t, q, "j")
	if err := l.Renew(t.Context(), time.Minute); !errors.Is(err, queue.ErrLeaseLost) {
		t.Error(err)
	}
	must.Do(t, other.Delete(t.Context()))
	if n, err := q.Len(t.Context()); err != nil || n != 0 {
		t.Errorf("%d messages are left, %v", n, err)
	}
}

// A message that becomes visible before its lease ends, because a renewal reached only the
// ticket, is hidden again, and its holder continues.
func TestMessageVisibleTooEarly(t *testing.T) {
	q, _ := fresh(t)
	must.Do(t, q.Enqueue(t.Context(), "j"))
	l, err := q.Receive(t.Context(), time.Second)
	must.Do(t, err)
	mine := l.(*lease)
	must.Do(t, q.tickets.setHolder(t.Context(), mine, mine.id, q.now().Add(time.Minute)))
	<-time.After(1500 * time.Millisecond)
	for range 2 {
		if _, err := q.Receive(t.Context(), time.Minute); !errors.Is(err, queue.ErrEmpty) {
			t.Fatalf("a leased job was delivered: %v", err)
		}
		must.Do(t, l.Renew(t.Context(), time.Minute))
	}
	must.Do(t, l.Delete(t.Context()))
	has(t, q, "j", false)
}

// A holder that sends a new message and dies before it stores the message's id leaves a
// valid message.
func TestHolderDiesWhileReplacing(t *testing.T) {
	q, clock, way := openThroughLine(t)
	must.Do(t, q.Enqueue(t.Context(), "j"))
	l := receive(t, q, "j")
	_, err := q.client.ClearMessages(t.Context(), nil)
	must.Do(t, err)
	ctx, die := context.WithCancel(t.Context())
	way.after = func(r *http.Request) error {
		if r.Method == http.MethodPost {
			die()
		}
		return nil
	}
	if err := l.Renew(ctx, time.Second); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	way.after = nil
	<-time.After(1500 * time.Millisecond)
	clock.by.Store(int64(2 * time.Minute))
	must.Do(t, receive(t, q, "j").Delete(t.Context()))
}

// A holder that loses its lease while it sends a new message does not disturb the new
// holder.
func TestLeaseLostWhileReplacing(t *testing.T) {
	q, clock, way := openThroughLine(t)
	must.Do(t, q.Enqueue(t.Context(), "j"))
	l := receive(t, q, "j")
	_, err := q.client.ClearMessages(t.Context(), nil)
	must.Do(t, err)
	var theirs queue.Lease
	way.after = func(r *http.Request) error {
		if r.Method == http.MethodPost {
			way.after = nil
			clock.by.Store(int64(2 * time.Minute)) // this one was paused
			_, err := q.client.EnqueueMessage(r.Context(), body{"j"}.String(), nil)
			must.Do(t, err)
			theirs = receive(t, q, "j")
		}
		return nil
	}
	for range 3 {
		if err := l.Renew(t.Context(), time.Minute); !errors.Is(err, queue.ErrLeaseLost) {
			t.Error(err)
		}
		must.Do(t, theirs.Renew(t.Context(), time.Minute))
	}
	if err := l.Delete(t.Context()); !errors.Is(err, queue.ErrLeaseLost) {
		t.Error(err)
	}
	has(t, q, "j", true)
	must.Do(t, theirs.Delete(t.Context()))
}

// While the service fails or hangs, a job stays with its holder.
func TestRenewWithoutTheService(t *testing.T) {
	q, _, way := openThroughLine(t)
	must.Do(t, q.Enqueue(t.Context(), "j"))
	l, err := q.Receive(t.Context(), time.Second)
	must.Do(t, err)
	began := time.Now()
	way.before = func(r *http.Request) error {
		<-r.Context().Done()
		return r.Context().Err()
	}
	must.Do(t, l.Renew(t.Context(), 9*time.Second))
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("Renew took %s, which leaves no time for another one within the lease", took)
	}
	way.before = nil
	if _, err := q.Receive(t.Context(), time.Minute); !errors.Is(err, queue.ErrEmpty) { // the message shows
		t.Fatalf("a leased job was delivered: %v", err)
	}
	must.Do(t, l.Renew(t.Context(), time.Minute))
	must.Do(t, l.Delete(t.Context()))
	if n, err := q.Len(t.Context()); err != nil || n > 1 { // the one that was put back goes when it comes
		t.Errorf("%d messages are left, %v", n, err)
	}
}

// A queue that cannot be recreated, because the ledger does not answer, is found missing
// again.
func TestRecreationWithoutTheLedger(t *testing.T) {
	q, _ := fresh(t)
	must.Do(t, q.Enqueue(t.Context(), "waiting"))
	_, err := q.client.Delete(t.Context(), nil)
	must.Do(t, err)
	away := errors.New("the ledger is away")
	forget := q.client.resource.OnLost
	q.client.resource.OnLost = func(context.Context) error { return away }
	if _, err := q.Len(t.Context()); !errors.Is(err, away) {
		t.Error(err)
	}
	q.client.resource.OnLost = forget
	must.Do(t, q.Enqueue(t.Context(), "new"))
	has(t, q, "new", true)
	has(t, q, "waiting", false)
}

// When a sender dies between ticket and message, or between message and its id, the next
// Enqueue of the job leads to one message.
func TestSenderDies(t *testing.T) {
	q, _ := fresh(t)
	n, needed, err := q.tickets.issue(t.Context(), "j", q.now(), true)
	if must.Do(t, err); n != 1 || !needed {
		t.Fatal(n, needed)
	}
	has(t, q, "j", false)
	_, err = q.client.EnqueueMessage(t.Context(), body{"j"}.String(), nil) // and the note is never made
	must.Do(t, err)
	must.Do(t, q.Enqueue(t.Context(), "j"))
	l := receive(t, q, "j")
	if _, err := q.Receive(t.Context(), time.Minute); !errors.Is(err, queue.ErrEmpty) {
		t.Error(err)
	}
	must.Do(t, l.Delete(t.Context()))
}

// A poisoned job is where Azure's tools show it, with the reason, also after that queue was
// deleted.
func TestPoison(t *testing.T) {
	q, _ := fresh(t)
	_, err := q.poison.Delete(t.Context(), nil)
	must.Do(t, err)
	must.Do(t, q.Poison(t.Context(), "j", "given up after 5 deliveries; "+strings.Repeat("ä", longestReason)))
	r, err := q.poison.PeekMessage(t.Context(), nil)
	must.Do(t, err)
	var p poisoned
	must.Do(t, json.Unmarshal([]byte(*r.Messages[0].MessageText), &p))
	if p.Job != "j" || !strings.HasPrefix(p.Reason, "given up after 5 deliveries; ä") || p.At.IsZero() {
		t.Errorf("%+v", p)
	}
}

func FuzzParseBody(f *testing.F) {
	f.Add(body{"j"}.String())
	f.Add("{}")
	f.Fuzz(func(t *testing.T, text string) {
		if b, err := parseBody(text); err == nil && b.Job == "" {
			t.Error(text)
		}
	})
}
