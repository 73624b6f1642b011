package embedded

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
)

// Workers ask every second. One that can do none of the waiting jobs must not keep others from writing: it finds that out
// while another process holds the write lock.
func TestIdleReceiverTakesNoWriteLock(t *testing.T) {
	for name, somewhere := range places {
		t.Run(name, func(t *testing.T) {
			place := somewhere(t)
			q, other := open(t, place, nil), openLedger(t, place, nil)
			idle := func(what string, able queue.Able) {
				t.Helper()
				var err error
				must.Do(t, other.DB().Write(t.Context(), func(context.Context, *sql.Tx) error {
					_, err = q.ReceiveAble(t.Context(), time.Minute, able)
					return nil
				}))
				if !errors.Is(err, queue.ErrEmpty) {
					t.Fatalf("%s: got error %v, want %v", what, err, queue.ErrEmpty)
				}
			}
			able := queue.Able{Some: true, Sites: []string{"south"}}
			idle("no message", able)
			rec := must.Get(other.Footage.Record(t.Context(), ledger.Footage{ID: "a", Site: "north", Device: "dock",
				Name: "a.mp4", Size: 1, SHA256: footage.Sum([]byte("a")), BlobKey: "k/a"}))(t)
			must.Do(t, q.Enqueue(t.Context(), rec.Job.ID))
			idle("a message that the receiver cannot do", able)
			lease := must.Get(q.ReceiveAble(t.Context(), time.Minute, queue.Able{Some: true, Sites: []string{"north"}}))(t)
			if lease.Job() != rec.Job.ID {
				t.Errorf("received job %s, want %s", lease.Job(), rec.Job.ID)
			}
			idle("only a message that another receiver has", queue.Able{})
		})
	}
}
