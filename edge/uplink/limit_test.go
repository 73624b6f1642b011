package uplink

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"cattlecounter/edge/spool"
)

// The limit holds from the first second on. The average exceeds it by at most a tenth of a
// second's bytes, and is hardly lower.
func TestLimitHoldsTheAverage(t *testing.T) {
	for name, limit := range map[string]int64{"4 KiB/s": 4 << 10, "100 KiB/s": 100 << 10, "3 MiB/s": 3 << 20,
		"200 MiB/s": 200 << 20} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				th, began, sum := newThrottle(limit), time.Now(), int64(0)
				for time.Since(began) < 10*time.Second {
					n := th.most()
					if err := th.wait(t.Context(), n); err != nil {
						t.Fatal(err)
					}
					sum += int64(n)
					if most := float64(limit) * (time.Since(began).Seconds() + burst + 0.001); float64(sum) > max(most, leastPiece) {
						t.Fatalf("%d bytes after %s, at most %.0f", sum, time.Since(began), most)
					}
				}
				if least := float64(limit) * time.Since(began).Seconds() * 0.95; float64(sum) < least {
					t.Errorf("%d bytes in %s, want %.0f", sum, time.Since(began), least)
				}
			})
		})
	}
}

func TestLimitChangesDuringWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(1 << 20)
		began, done := time.Now(), make(chan error, 1)
		go func() { done <- th.wait(t.Context(), 100<<20) }() // more than any bucket holds
		after(3 * time.Second)
		th.set(10 << 20)
		after(time.Second)
		th.set(0)
		if err := <-done; err != nil || time.Since(began) != 4*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		th.set(4 << 10)
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() { done <- th.wait(ctx, 4<<10) }()
		synctest.Wait()
		cancel(ErrWindow)
		if err := <-done; !errors.Is(err, ErrWindow) {
			t.Error(err)
		}
	})
}

// An order takes effect within the same PATCH, survives a restart, and ends with the order
// for the configured limit.
func TestSetLimitDuringPatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newBubble(t, func(_ *CloudOptions, o *Options) { o.RateLimit = 64 << 10 })
		r := st.add("slow.mp4", 8<<20, false)
		st.run()
		after(10 * time.Second)
		if got := st.received(); got < 9*64<<10 || got > 11*64<<10 {
			t.Errorf("%d bytes after 10 s at 64 KiB/s", got)
		}
		before := st.received()
		if err := st.up.SetLimit(256 << 10); err != nil {
			t.Fatal(err)
		}
		after(10 * time.Second)
		if got := st.received() - before; got < 9*256<<10 || got > 11*256<<10 {
			t.Errorf("%d bytes in 10 s at 256 KiB/s", got)
		}
		if rep := st.up.Report(); rep.Limit != 256<<10 || !rep.LimitOrdered {
			t.Errorf("got report %+v", rep)
		}
		if err := st.up.SetLimit(LimitNone); err != nil {
			t.Fatal(err)
		}
		after(100 * time.Millisecond)
		if rec, _ := st.spool.Records.Get(r.ID); rec.State != spool.Reclaimed {
			t.Errorf("without a limit: %+v", rec)
		}
		restarted, err := New(st.up.o)
		if err != nil || restarted.Report().Limit != 0 || !restarted.Report().LimitOrdered {
			t.Errorf("after a restart: %+v, %v", restarted.Report(), err)
		}
		for _, bad := range []int64{-2, 1, LeastLimit - 1} {
			if err := restarted.SetLimit(bad); err == nil {
				t.Errorf("limit %d is accepted", bad)
			}
		}
		if err := restarted.SetLimit(LimitConfigured); err != nil || restarted.Report().Limit != 64<<10 ||
			restarted.Report().LimitOrdered {
			t.Errorf("after the withdrawal: %+v, %v", restarted.Report(), err)
		}
	})
}
