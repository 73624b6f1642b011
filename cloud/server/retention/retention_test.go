package retention

import (
	"context"
	"errors"
	"fmt"
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

// oneFlight is the ledger of a flight that has the footage old.
type oneFlight struct{ Footage }

func (f oneFlight) ListCounted(ctx context.Context, in ledger.Choice, before time.Time, limit int) ([]ledger.Footage, error) {
	list, err := f.Footage.ListCounted(ctx, in, before, limit)
	for i := range list {
		list[i].Flight = "f-" + string(list[i].ID)
	}
	return list, err
}

func (oneFlight) Get(_ context.Context, id string) (ledger.FlightView, error) {
	if id != "f-old" {
		return ledger.FlightView{}, ledger.ErrNotFound
	}
	return ledger.FlightView{Flight: ledger.Flight{JointCount: ledger.JointCount{ResultKey: "flights/x.json"}}}, nil
}

// The sheet of a flight shows the ground of its footage, so it goes with the first video of it. The count stays.
func TestTheSheetOfAFlightGoesWithItsVideos(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	now := time.Date(2026, 7, 1, 6, 0, 0, 0, time.UTC)
	l := must.Get(ledger.Open(ctx, emptyledger.In(t, dir), ledger.Options{Now: func() time.Time { return now }}))(t)
	t.Cleanup(func() { must.Do(t, l.Close()) })
	blobs := must.Get(disk.New(filepath.Join(dir, "blobs")))(t)
	for _, key := range []string{"v", "flights/x.json", "flights/x.sheet.jpg", "flights/y.sheet.jpg"} {
		must.Get(blobs.Put(ctx, key, strings.NewReader(key)))(t)
	}
	for _, id := range []string{"old", "other"} {
		r := must.Get(l.Footage.Record(ctx, ledger.Footage{ID: footage.ID(id), Device: "dock-1", Size: 1,
			SHA256: footage.Sum([]byte(id)), BlobKey: "v"}))(t)
		j, _, err := l.Attempts.Begin(ctx, r.Job.ID, "w")
		must.Do(t, err)
		must.Get(l.Attempts.Finish(ctx, j.ID, j.Fence, ledger.Count{Unique: 1, High: 1}, "k"))(t)
	}
	now = now.Add(48 * time.Hour)
	fs := oneFlight{l.Footage}
	remover := &Remover{Footage: fs, Flights: fs, Blobs: blobs, Ages: Ages{Default: time.Hour}, Now: func() time.Time { return now },
		Log: slog.New(slog.DiscardHandler)}
	if n, _, err := remover.RemoveExpired(ctx); n != 2 || err != nil {
		t.Fatalf("%d videos deleted, %v", n, err)
	}
	for key, gone := range map[string]bool{"flights/x.json": false, "flights/x.sheet.jpg": true, "flights/y.sheet.jpg": false} {
		if _, err := blobs.Stat(ctx, key); errors.Is(err, blob.ErrNotFound) != gone {
			t.Errorf("%s: %v, want it gone: %t", key, err, gone)
		}
	}
}

// holding is a blob store that refuses to delete one blob.
type holding struct {
	Blobs
	key string
}

func (h holding) Delete(ctx context.Context, key string) error {
	if key == h.key {
		return errors.New("legal hold")
	}
	return h.Blobs.Delete(ctx, key)
}

func TestExpiredVideosAreDeleted(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	now := time.Date(2026, 7, 1, 6, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	l, err := ledger.Open(ctx, emptyledger.In(t, dir), ledger.Options{Now: clock})
	must.Do(t, err)
	t.Cleanup(func() { must.Do(t, l.Close()) })
	blobs, err := disk.New(filepath.Join(dir, "blobs"))
	must.Do(t, err)
	model := footage.Sum([]byte("model"))
	forms := []string{"json", "csv", "jpg", wire.AnnotatedExt, wire.SheetExt, wire.ContactExt(1), wire.ContactExt(12),
		wire.GroundExt}
	counted := func(id string) string {
		key := "footage/" + id + "/original.mp4"
		_, err := blobs.Put(ctx, key, strings.NewReader("video "+id))
		must.Do(t, err)
		r, err := l.Footage.Record(ctx, ledger.Footage{ID: footage.ID(id), Device: "dock-1", Size: int64(len("video " + id)),
			SHA256: footage.Sum([]byte(id)), BlobKey: key})
		must.Do(t, err)
		j, _, err := l.Attempts.Begin(ctx, r.Job.ID, "w")
		must.Do(t, err)
		must.Get(l.Attempts.Finish(ctx, j.ID, j.Fence, ledger.Count{Unique: 1, High: 1}, "k"))(t)
		for _, ext := range forms {
			must.Get(blobs.Put(ctx, wire.ResultKey(footage.ID(id), model, 1, ext), strings.NewReader(ext)))(t)
		}
		return key
	}
	held := counted("held")
	now = now.Add(time.Minute)
	old := counted("old")
	now = now.Add(48 * time.Hour)
	recent := counted("recent")
	remover := &Remover{Footage: l.Footage, Flights: l.Flights, Blobs: holding{blobs, held}, Ages: Ages{Default: 24 * time.Hour}, Now: clock,
		Log: slog.New(slog.DiscardHandler)}
	for _, want := range []int{1, 0} { // the held video does not stop the deletion of the others
		if n, _, err := remover.RemoveExpired(ctx); n != want || err == nil {
			t.Errorf("with a held video: %d videos deleted, want %d; error %v, want one", n, want, err)
		}
	}
	remover.Blobs = blobs
	if n, bytes, err := remover.RemoveExpired(ctx); n != 1 || bytes != int64(len("video held")) || err != nil {
		t.Errorf("after the hold: %d videos and %d bytes deleted, error %v", n, bytes, err)
	}
	if n, _, err := remover.RemoveExpired(ctx); n != 0 || err != nil {
		t.Errorf("with nothing to delete: %d videos deleted, error %v", n, err)
	}
	if _, err := blobs.Stat(ctx, old); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("the expired video still exists: error %v", err)
	}
	for i, ext := range forms {
		_, err := blobs.Stat(ctx, wire.ResultKey("old", model, 1, ext))
		if gone := errors.Is(err, blob.ErrNotFound); gone != (i > 2) {
			t.Errorf("the form %s of the result of the expired video: error %v", ext, err)
		}
		must.Get(blobs.Stat(ctx, wire.ResultKey("recent", model, 1, ext)))(t)
	}
	if _, err := blobs.Stat(ctx, recent); err != nil {
		t.Errorf("the recent video is missing: %v", err)
	}
	// Footage with the content of a deleted video is a duplicate.
	r, err := l.Footage.Record(ctx, ledger.Footage{ID: "again", Device: "dock-1", Size: 6,
		SHA256: footage.Sum([]byte("old")), BlobKey: "x"})
	if err != nil || r.Footage.DuplicateOf != "old" {
		t.Errorf("duplicate: %+v, error %v", r, err)
	}
}

// Videos that cannot be deleted, however many, do not keep the others.
func TestManyHeldVideos(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	now := time.Date(2026, 7, 1, 6, 0, 0, 0, time.UTC)
	l := must.Get(ledger.Open(ctx, emptyledger.In(t, dir), ledger.Options{Now: func() time.Time { return now }}))(t)
	t.Cleanup(func() { must.Do(t, l.Close()) })
	blobs := must.Get(disk.New(filepath.Join(dir, "blobs")))(t)
	const held = batch + 1
	for i := range held + 1 {
		id, key := footage.ID(fmt.Sprintf("f%03d", i)), "held"
		if i == held {
			key = "free"
		}
		r := must.Get(l.Footage.Record(ctx, ledger.Footage{ID: id, Device: "dock-1", Size: 1, SHA256: footage.Sum([]byte(id)), BlobKey: key}))(t)
		j, _, err := l.Attempts.Begin(ctx, r.Job.ID, "w")
		must.Do(t, err)
		must.Get(l.Attempts.Finish(ctx, j.ID, j.Fence, ledger.Count{Unique: 1, High: 1}, "k"))(t)
		now = now.Add(time.Second)
	}
	now = now.Add(48 * time.Hour)
	remover := &Remover{Footage: l.Footage, Flights: l.Flights, Blobs: holding{blobs, "held"}, Ages: Ages{Default: time.Hour},
		Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}
	n, _, err := remover.RemoveExpired(ctx)
	if n != 1 || err == nil || !strings.HasSuffix(err.Error(), fmt.Sprintf("and %d more", held-mostReported)) {
		t.Errorf("%d videos deleted, %v", n, err)
	}
}
