package retention

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/blob/disk"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/emptyledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// named is a ledger that names one document of a flight.
type named string

func (n named) UnnamedResults(_ context.Context, keys []string) (list []string, err error) {
	for _, k := range keys {
		if k != string(n) {
			list = append(list, k)
		}
	}
	return list, nil
}

// A replaced result stays for as long as a link to it may live, and goes then. Results that count, and
// those of an attempt that goes on, stay.
func TestReplacedResultsGoAfterAnHour(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	now := time.Date(2026, 7, 1, 6, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	l := must.Get(ledger.Open(ctx, emptyledger.In(t, dir), ledger.Options{Now: clock}))(t)
	t.Cleanup(func() { must.Do(t, l.Close()) })
	blobs := must.Get(disk.New(filepath.Join(dir, "blobs")))(t)
	model := footage.Sum([]byte("model"))
	count := func(id footage.ID, job string) {
		j, _, err := l.Attempts.Begin(ctx, job, "w")
		must.Do(t, err)
		key := wire.ResultKey(id, model, j.Fence, "json")
		must.Get(blobs.Put(ctx, key, strings.NewReader("{}")))(t)
		must.Get(l.Attempts.Finish(ctx, j.ID, j.Fence, ledger.Count{Unique: 1, High: 1}, key))(t)
	}
	jobs := map[footage.ID]string{}
	for _, id := range []footage.ID{"once", "twice"} {
		r := must.Get(l.Footage.Record(ctx, ledger.Footage{ID: id, Device: "dock-1", Size: 1, SHA256: footage.Sum([]byte(id)),
			BlobKey: "v"}))(t)
		jobs[id] = r.Job.ID
		count(id, r.Job.ID)
	}
	now = now.Add(48 * time.Hour)
	must.Get(l.Jobs.Recount(ctx, "twice"))(t)
	count("twice", jobs["twice"])
	must.Get(blobs.Put(ctx, wire.ResultKey("twice", model, 9, "json"), strings.NewReader("of an attempt that goes on")))(t)
	for _, key := range []string{"flights/a.json", "flights/b.json", "flights/b.sheet.jpg", "flights/b.crossings.csv",
		"flights/c.sheet.jpg"} {
		must.Get(blobs.Put(ctx, key, strings.NewReader("x")))(t)
	}
	s := &Leftovers{Jobs: l.Jobs, Documents: named("flights/a.json"), Blobs: blobs, Now: clock, Log: slog.New(slog.DiscardHandler)}
	sweep := func(want int) {
		t.Helper()
		if n, err := s.Sweep(ctx); n != want || err != nil {
			t.Errorf("%d blobs deleted, want %d; error %v", n, want, err)
		}
	}
	sweep(0) // links may live
	now = now.Add(30 * time.Minute)
	sweep(0)
	now = now.Add(31 * time.Minute)
	sweep(1 + 4)
	sweep(0)
	for key, stays := range map[string]bool{
		wire.ResultKey("once", model, 1, "json"): true, wire.ResultKey("twice", model, 1, "json"): false,
		wire.ResultKey("twice", model, 2, "json"): true, wire.ResultKey("twice", model, 9, "json"): true,
		"flights/a.json": true, "flights/b.json": false, "flights/b.sheet.jpg": false, "flights/c.sheet.jpg": false,
	} {
		if _, err := blobs.Stat(ctx, key); errors.Is(err, blob.ErrNotFound) == stays {
			t.Errorf("%s: %v, want it to stay: %t", key, err, stays)
		}
	}
	// A new process finds what was replaced long ago, and a fault does not make it forget.
	must.Get(blobs.Put(ctx, wire.ResultKey("twice", model, 1, "csv"), strings.NewReader("x")))(t)
	now = now.Add(20 * 24 * time.Hour)
	s = &Leftovers{Jobs: l.Jobs, Documents: named("flights/a.json"), Blobs: holding{blobs, wire.ResultKey("twice", model, 1, "csv")},
		Now: clock, Log: slog.New(slog.DiscardHandler)}
	if _, err := s.Sweep(ctx); err == nil {
		t.Error("no error of a blob that cannot be deleted")
	}
	s.Blobs = blobs
	sweep(1)
}

// A video whose footage is counted again while retention runs stays for that count.
func TestAVideoThatIsCountedAgainStays(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	now := time.Date(2026, 7, 1, 6, 0, 0, 0, time.UTC)
	l := must.Get(ledger.Open(ctx, emptyledger.In(t, dir), ledger.Options{Now: func() time.Time { return now }}))(t)
	t.Cleanup(func() { must.Do(t, l.Close()) })
	blobs := must.Get(disk.New(filepath.Join(dir, "blobs")))(t)
	must.Get(blobs.Put(ctx, "v", strings.NewReader("video")))(t)
	r := must.Get(l.Footage.Record(ctx, ledger.Footage{ID: "f", Device: "dock-1", Size: 5, SHA256: footage.Sum([]byte("f")), BlobKey: "v"}))(t)
	j, _, err := l.Attempts.Begin(ctx, r.Job.ID, "w")
	must.Do(t, err)
	must.Get(l.Attempts.Finish(ctx, j.ID, j.Fence, ledger.Count{Unique: 1, High: 1}, "k"))(t)
	now = now.Add(48 * time.Hour)
	fs := recounted{l.Footage, func() { must.Get(l.Jobs.Recount(ctx, "f"))(t) }}
	remover := &Remover{Footage: fs, Flights: l.Flights, Blobs: blobs, Ages: Ages{Default: time.Hour}, Now: func() time.Time { return now },
		Log: slog.New(slog.DiscardHandler)}
	if n, _, err := remover.RemoveExpired(ctx); n != 0 || err != nil {
		t.Errorf("%d videos deleted, %v", n, err)
	}
	must.Get(blobs.Stat(ctx, "v"))(t)
	if f := must.Get(l.Footage.Get(ctx, "f"))(t); f.BlobKey != "v" {
		t.Errorf("the video of the footage is %q", f.BlobKey)
	}
}

// recounted is a ledger whose footage is counted again right after it was listed.
type recounted struct {
	Footage
	recount func()
}

func (r recounted) ListCounted(ctx context.Context, in ledger.Choice, before time.Time, limit int) ([]ledger.Footage, error) {
	list, err := r.Footage.ListCounted(ctx, in, before, limit)
	if len(list) > 0 {
		r.recount()
	}
	return list, err
}
