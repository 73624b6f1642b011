package azure

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cattlecounter/cloud/queue"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// later is a clock that a test puts on.
type later struct{ by atomic.Int64 }

func (l *later) now() time.Time { return time.Now().Add(time.Duration(l.by.Load())) }

func fresh(t *testing.T) (*Queue, *later) {
	t.Helper()
	clock := &later{}
	return open(t, filepath.Join(t.TempDir(), "ledger.db"), name(), clock.now), clock
}

func receive(t *testing.T, q *Queue, job string) queue.Lease {
	t.Helper()
	l, err := q.Receive(t.Context(), time.Minute)
	must(t, err)
	if l.Job() != job {
		t.Fatalf("received %s, want %s", l.Job(), job)
	}
	return l
}

func has(t *testing.T, q *Queue, job string, want bool) {
	t.Helper()
	got, err := q.Has(t.Context(), job)
	must(t, err)
	if got != want {
		t.Fatalf("has %s: %t", job, got)
	}
}

// What somebody else put into the queue, and a second message of a job, are thrown
// away when they come.
func TestStrays(t *testing.T) {
	q, _ := fresh(t)
	for _, text := range []string{"hello", "{}", `{"job":"nobody"}`, `{"job":"j"}`} {
		_, err := q.client.EnqueueMessage(t.Context(), text, nil)
		must(t, err)
	}
	must(t, q.Enqueue(t.Context(), "j"))
	l := receive(t, q, "j")
	if _, err := q.Receive(t.Context(), time.Minute); !errors.Is(err, queue.ErrEmpty) {
		t.Error(err)
	}
	must(t, l.Delete(t.Context()))
	if n, err := q.Len(t.Context()); err != nil || n != 0 {
		t.Errorf("%d messages are left, %v", n, err)
	}
}

// A queue that is deleted under a running system is made again; its jobs are seen
// to have no message, and those that a worker has stay with it.
func TestQueueIsMadeAgain(t *testing.T) {
	q, clock := fresh(t)
	must(t, q.Enqueue(t.Context(), "working"))
	l := receive(t, q, "working")
	must(t, q.Enqueue(t.Context(), "waiting"))
	_, err := q.client.Delete(t.Context(), nil)
	must(t, err)
	must(t, l.Renew(t.Context(), time.Minute)) // the first to see it
	has(t, q, "waiting", false)
	has(t, q, "working", true)
	must(t, q.Enqueue(t.Context(), "waiting"))
	must(t, q.Enqueue(t.Context(), "working"))
	if n, err := q.Len(t.Context()); err != nil || n != 2 {
		t.Errorf("%d messages, %v", n, err)
	}
	receive(t, q, "waiting")
	if _, err := q.Receive(t.Context(), time.Minute); !errors.Is(err, queue.ErrEmpty) {
		t.Error(err)
	}
	must(t, l.Delete(t.Context()))
	has(t, q, "working", false)
	clock.by.Store(int64(2 * time.Minute))
	if _, err := q.Receive(t.Context(), time.Minute); !errors.Is(err, queue.ErrEmpty) {
		t.Error(err)
	}
}

// Deliveries are counted by job: those of a message that vanished count as well, so that
// a job which kills its workers is given up all the same.
func TestDeliveriesOutliveTheMessage(t *testing.T) {
	q, _ := fresh(t)
	must(t, q.Enqueue(t.Context(), "j"))
	for n := range 3 {
		l := receive(t, q, "j")
		if l.Deliveries() != n+1 {
			t.Errorf("%d deliveries, want %d", l.Deliveries(), n+1)
		}
		_, err := q.client.ClearMessages(t.Context(), nil)
		must(t, err)
		must(t, l.Release(t.Context(), 0))
		if err := l.Renew(t.Context(), time.Minute); !errors.Is(err, queue.ErrLeaseLost) {
			t.Error(err)
		}
	}
}

// One message that vanishes is found by the ones sent after it, and not before
// they are long here.
func TestOneMessageVanishes(t *testing.T) {
	q, clock := fresh(t)
	for _, j := range []string{"lost", "other", "last"} {
		must(t, q.Enqueue(t.Context(), j))
	}
	r, err := q.client.DequeueMessage(t.Context(), nil)
	must(t, err)
	_, err = q.client.DeleteMessage(t.Context(), *r.Messages[0].MessageID, *r.Messages[0].PopReceipt, nil)
	must(t, err)
	other := receive(t, q, "other")
	has(t, q, "lost", true) // it may only be late
	clock.by.Store(int64(overdue + time.Minute))
	has(t, q, "lost", false)
	has(t, q, "last", true) // nothing came that was sent after it
	must(t, q.Enqueue(t.Context(), "lost"))
	has(t, q, "lost", true)
	must(t, other.Delete(t.Context()))
	receive(t, q, "last")
	receive(t, q, "lost")
}

// A message that was given back is no lost one, however many come before it: they
// were sent before it was to be seen again.
func TestGivenBackIsNotLost(t *testing.T) {
	q, clock := fresh(t)
	for _, j := range []string{"first", "second", "third"} {
		must(t, q.Enqueue(t.Context(), j))
	}
	must(t, receive(t, q, "first").Release(t.Context(), time.Second))
	second := receive(t, q, "second")
	receive(t, q, "third")
	clock.by.Store(int64(2*overdue + time.Minute))
	has(t, q, "first", true)
	must(t, second.Delete(t.Context()))
}

// deaf is a network on which the next answer to a PUT is lost.
type deaf struct{ next atomic.Bool }

func (d *deaf) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && r.Method == http.MethodPut && d.next.CompareAndSwap(true, false) {
		_ = resp.Body.Close()
		return nil, io.ErrUnexpectedEOF
	}
	return resp, err
}

// An answer to Renew that is lost, after which the receipt is void, costs no job: the
// holder goes on, and whoever meets the message meanwhile puts it back for it.
func TestLostAnswerToRenew(t *testing.T) {
	clock, line := &later{}, &deaf{}
	q := openBy(t, filepath.Join(t.TempDir(), "ledger.db"), name(), clock.now, &http.Client{Transport: line})
	must(t, q.Enqueue(t.Context(), "j"))
	l, err := q.Receive(t.Context(), 2*time.Second)
	must(t, err)
	line.next.Store(true)
	must(t, l.Renew(t.Context(), time.Second)) // the service does not know the old receipt, and nobody the new one
	if line.next.Load() {
		t.Fatal("no answer was lost")
	}
	must(t, l.Renew(t.Context(), time.Minute))
	<-time.After(1500 * time.Millisecond) // the service's own clock: the first message shows
	if _, err := q.Receive(t.Context(), time.Minute); !errors.Is(err, queue.ErrEmpty) {
		t.Fatalf("a job that is worked on was given out: %v", err)
	}
	if n, err := q.Len(t.Context()); err != nil || n != 1 {
		t.Fatalf("%d messages, %v", n, err)
	}
	must(t, l.Renew(t.Context(), 2*time.Second))
	clock.by.Store(int64(time.Minute)) // the holder is silent
	<-time.After(2500 * time.Millisecond)
	other := receive(t, q, "j")
	if err := l.Renew(t.Context(), time.Minute); !errors.Is(err, queue.ErrLeaseLost) {
		t.Error(err)
	}
	must(t, other.Delete(t.Context()))
	if n, err := q.Len(t.Context()); err != nil || n != 0 {
		t.Errorf("%d messages are left, %v", n, err)
	}
}

// A message that shows before its lease ends, because a renewal came to the ticket and
// not to the service, is put back for its holder, who goes on.
func TestMessageShowsTooEarly(t *testing.T) {
	q, _ := fresh(t)
	must(t, q.Enqueue(t.Context(), "j"))
	l, err := q.Receive(t.Context(), time.Second)
	must(t, err)
	mine := l.(*lease)
	must(t, q.tickets.hold(t.Context(), mine, mine.id, q.now().Add(time.Minute)))
	<-time.After(1500 * time.Millisecond)
	for range 2 {
		if _, err := q.Receive(t.Context(), time.Minute); !errors.Is(err, queue.ErrEmpty) {
			t.Fatalf("a job that is worked on was given out: %v", err)
		}
		must(t, l.Renew(t.Context(), time.Minute))
	}
	must(t, l.Delete(t.Context()))
	has(t, q, "j", false)
}

// A sender that dies between ticket and message, or between message and note,
// leaves a job that is sent when somebody asks again, once.
func TestSenderDies(t *testing.T) {
	q, _ := fresh(t)
	n, needed, err := q.tickets.issue(t.Context(), "j", q.now(), true)
	if must(t, err); n != 1 || !needed {
		t.Fatal(n, needed)
	}
	has(t, q, "j", false)
	_, err = q.client.EnqueueMessage(t.Context(), body{"j"}.String(), nil) // and the note is never made
	must(t, err)
	must(t, q.Enqueue(t.Context(), "j"))
	l := receive(t, q, "j")
	if _, err := q.Receive(t.Context(), time.Minute); !errors.Is(err, queue.ErrEmpty) {
		t.Error(err)
	}
	must(t, l.Delete(t.Context()))
}

// What was given up is where Azure's tools show it, with the reason, also after
// somebody deleted that queue.
func TestPoison(t *testing.T) {
	q, _ := fresh(t)
	_, err := q.poison.Delete(t.Context(), nil)
	must(t, err)
	must(t, q.Poison(t.Context(), "j", "given up after 5 deliveries; "+strings.Repeat("ä", longestReason)))
	r, err := q.poison.PeekMessage(t.Context(), nil)
	must(t, err)
	var p poisoned
	must(t, json.Unmarshal([]byte(*r.Messages[0].MessageText), &p))
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
