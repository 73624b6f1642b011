package embedded

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/cloud/ledger"
	"cattlecounter/cloud/queue"
	"cattlecounter/cloud/queue/queuetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a clock that a test turns.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// open opens a queue as a process of its own would.
func open(t testing.TB, path string, now func() time.Time) *Queue {
	t.Helper()
	l, err := ledger.Open(t.Context(), path, ledger.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	q, err := New(t.Context(), l.DB(), now)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestQueue(t *testing.T) {
	queuetest.Run(t, func(t *testing.T) queuetest.Fixture {
		c := &clock{t: time.Date(2026, 7, 1, 6, 0, 0, 0, time.UTC)}
		path := filepath.Join(t.TempDir(), "ledger.db")
		return queuetest.Fixture{
			Queue:   open(t, path, c.now),
			Advance: c.add,
			Again:   func() queue.Queue { return open(t, path, c.now) },
		}
	})
}

func TestManyProcessesShareTheFile(t *testing.T) {
	const jobs, processes = 40, 4
	path := filepath.Join(t.TempDir(), "ledger.db")
	first := open(t, path, time.Now)
	for i := range jobs {
		if err := first.Enqueue(t.Context(), string(rune('A'+i))); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	got := map[string]int{}
	var wg sync.WaitGroup
	for range processes {
		q := open(t, path, time.Now)
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
	q := open(b, filepath.Join(b.TempDir(), "ledger.db"), time.Now)
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
