package embedded

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue"
	"cattlecounter/deploy/testkit/clock"
	"cattlecounter/deploy/testkit/postgres"
	"cattlecounter/deploy/testkit/queuetest"
	"cattlecounter/shared/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(postgres.Tests(m)) }

// places are the kinds of places of a ledger: a new file, or a new database.
var places = map[string]func(testing.TB) string{
	"file":     func(t testing.TB) string { return filepath.Join(t.TempDir(), "ledger.db") },
	"postgres": func(t testing.TB) string { return postgres.Get(t).Database(t).Reveal() },
}

// open opens a queue as another process does.
func open(t testing.TB, place string, now func() time.Time) *Queue {
	t.Helper()
	q, err := New(t.Context(), openLedger(t, place, now).DB(), now)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// openLedger opens the ledger of a place until the end of the test.
func openLedger(t testing.TB, place string, now func() time.Time) *ledger.Ledger {
	t.Helper()
	openLedger := ledger.Open
	if strings.HasPrefix(place, "postgres:") {
		openLedger = func(ctx context.Context, place string, o ledger.Options) (*ledger.Ledger, error) {
			return ledger.OpenPostgres(ctx, secret.New(place), o)
		}
	}
	l, err := openLedger(t.Context(), place, ledger.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestQueue(t *testing.T) {
	for name, somewhere := range places {
		t.Run(name, func(t *testing.T) {
			queuetest.Run(t, func(t *testing.T) queuetest.Fixture {
				c := clock.New()
				place := somewhere(t)
				return queuetest.Fixture{
					Queue:   open(t, place, c.Now),
					Advance: c.Advance,
					Ledger:  func() *ledger.Ledger { return openLedger(t, place, c.Now) },
					Reopen:  func() queue.Queue { return open(t, place, c.Now) },
				}
			})
		})
	}
}

func TestManyProcessesShareTheQueue(t *testing.T) {
	for name, somewhere := range places {
		t.Run(name, func(t *testing.T) { manyProcesses(t, somewhere(t)) })
	}
}

func manyProcesses(t *testing.T, place string) {
	const jobs, processes = 40, 4
	first := open(t, place, time.Now)
	for i := range jobs {
		if err := first.Enqueue(t.Context(), string(rune('A'+i))); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	got := map[string]int{}
	var wg sync.WaitGroup
	for range processes {
		q := open(t, place, time.Now)
		wg.Go(func() {
			for {
				l, err := q.Receive(t.Context(), time.Minute)
				if err != nil {
					return
				}
				mu.Lock()
				got[l.Job()]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for j, n := range got {
		if n != 1 {
			t.Errorf("%s was received %d times", j, n)
		}
	}
	if len(got) != jobs {
		t.Errorf("%d of %d jobs were received", len(got), jobs)
	}
}

func BenchmarkEnqueueReceiveDelete(b *testing.B) {
	for name, somewhere := range places {
		b.Run(name, func(b *testing.B) { roundTrips(b, open(b, somewhere(b), time.Now)) })
	}
}

func roundTrips(b *testing.B, q *Queue) {
	for b.Loop() {
		if err := q.Enqueue(b.Context(), "j"); err != nil {
			b.Fatal(err)
		}
		l, err := q.Receive(b.Context(), time.Minute)
		if err != nil {
			b.Fatal(err)
		}
		if err := l.Delete(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
