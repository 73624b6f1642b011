package retention

import (
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/store/blob/disk"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/emptyledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
)

// A site with a time of its own is not touched by that of the others, also when its time is forever.
func TestEverySiteHasItsAge(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	now := time.Date(2026, 7, 1, 6, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	l := must.Get(ledger.Open(ctx, emptyledger.In(t, dir), ledger.Options{Now: clock}))(t)
	t.Cleanup(func() { must.Do(t, l.Close()) })
	blobs := must.Get(disk.New(filepath.Join(dir, "blobs")))(t)
	sites := []string{"long", "short", "ever", "plain"}
	for _, site := range sites {
		key := "footage/" + site + "/original.mp4"
		must.Get(blobs.Put(ctx, key, strings.NewReader(site)))(t)
		r := must.Get(l.Footage.Record(ctx, ledger.Footage{ID: footage.ID(site), Site: site, Device: "dock-" + site, Name: site + ".mp4",
			Size: int64(len(site)), SHA256: footage.Sum([]byte(site)), BlobKey: key}))(t)
		j, _, err := l.Attempts.Begin(ctx, r.Job.ID, "w")
		must.Do(t, err)
		must.Get(l.Attempts.Finish(ctx, j.ID, j.Fence, ledger.Count{Unique: 1, High: 1}, "k"))(t)
		now = now.Add(time.Second)
	}
	videos := func() (left []string) {
		for _, site := range sites {
			if v := must.Get(l.Footage.Get(ctx, footage.ID(site)))(t); v.BlobKey != "" {
				left = append(left, site)
			}
		}
		return left
	}
	const hour = time.Hour
	r := &Remover{Footage: l.Footage, Flights: l.Flights, Blobs: blobs, Now: clock, Log: slog.New(slog.DiscardHandler),
		Ages: Ages{Default: 10 * hour, Sites: map[string]time.Duration{"long": 100 * hour, "short": 2 * hour, "ever": 0}}}
	for _, step := range []struct {
		pass time.Duration
		left []string
	}{
		{hour, sites},
		{2 * hour, []string{"long", "ever", "plain"}},
		{8 * hour, []string{"long", "ever"}},
		{90 * hour, []string{"ever"}},
		{1000 * hour, []string{"ever"}},
	} {
		now = now.Add(step.pass)
		if _, _, err := r.RemoveExpired(ctx); err != nil {
			t.Fatal(err)
		}
		if left := videos(); !slices.Equal(left, step.left) {
			t.Errorf("after %s more: %v have a video, want %v", step.pass, left, step.left)
		}
	}
	if (Ages{Sites: map[string]time.Duration{"ever": 0}}).Any() {
		t.Error("forever removes something")
	}
}
