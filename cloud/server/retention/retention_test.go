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
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
)

// held is a blob store that does not let one blob go.
type held struct {
	Blobs
	key string
}

func (h held) Delete(ctx context.Context, key string) error {
	if key == h.key {
		return errors.New("legal hold")
	}
	return h.Blobs.Delete(ctx, key)
}

func TestVideosGoByAge(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	now := time.Date(2026, 7, 1, 6, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	l, err := ledger.Open(ctx, filepath.Join(dir, "ledger.db"), ledger.Options{Now: clock})
	must.Do(t, err)
	t.Cleanup(func() { must.Do(t, l.Close()) })
	blobs, err := disk.New(filepath.Join(dir, "blobs"))
	must.Do(t, err)
	counted := func(id string) string {
		key := "footage/" + id + "/original.mp4"
		_, err := blobs.Put(ctx, key, strings.NewReader("film "+id))
		must.Do(t, err)
		r, err := l.Footage.Record(ctx, ledger.Footage{ID: footage.ID(id), Size: int64(len("film " + id)), SHA256: footage.Sum([]byte(id)), BlobKey: key})
		must.Do(t, err)
		j, _, err := l.Attempts.Begin(ctx, r.Job.ID, "w")
		must.Do(t, err)
		must.Get(l.Attempts.Finish(ctx, j.ID, j.Fence, ledger.Count{Unique: 1, High: 1}, "k"))(t)
		return key
	}
	kept := counted("kept")
	now = now.Add(time.Minute)
	old := counted("old")
	now = now.Add(48 * time.Hour)
	young := counted("young")
	k := &Keeper{Footage: l.Footage, Blobs: held{blobs, kept}, Videos: 24 * time.Hour, Now: clock, Log: slog.New(slog.DiscardHandler)}
	for _, want := range []int{1, 0} { // one that stays holds up no other
		if n, _, err := k.Round(ctx); n != want || err == nil {
			t.Errorf("with one held: %d, want %d, %v", n, want, err)
		}
	}
	k.Blobs = blobs
	if n, bytes, err := k.Round(ctx); n != 1 || bytes != int64(len("film kept")) || err != nil {
		t.Errorf("%d videos, %d bytes, %v", n, bytes, err)
	}
	if n, _, err := k.Round(ctx); n != 0 || err != nil {
		t.Errorf("again: %d %v", n, err)
	}
	if _, err := blobs.Stat(ctx, old); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("the old one: %v", err)
	}
	if _, err := blobs.Stat(ctx, young); err != nil {
		t.Errorf("the young one: %v", err)
	}
	// The same content again is known, and has its count.
	r, err := l.Footage.Record(ctx, ledger.Footage{ID: "again", Size: 6, SHA256: footage.Sum([]byte("old")), BlobKey: "x"})
	if err != nil || r.Footage.DuplicateOf != "old" {
		t.Errorf("%+v %v", r, err)
	}
}
