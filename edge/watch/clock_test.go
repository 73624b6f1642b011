package watch

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// Drone and station seldom agree on the time. How long a file has been as it is
// counts from when it was seen so, not from the time that it bears.
func TestFilesOfAnyTimeAreFinishedAlike(t *testing.T) {
	watching(t, func(t *testing.T, dir string, b *basket, _ *Watcher) {
		at := map[string]time.Time{"past.mp4": time.Unix(60, 0), "future.mp4": time.Now().AddDate(99, 0, 0), "now.mp4": time.Now()}
		date := func(name string, t0 time.Time) {
			t.Helper()
			if err := os.Chtimes(filepath.Join(dir, name), t0, t0); err != nil {
				t.Fatal(err)
			}
		}
		for name, when := range at {
			write(t, filepath.Join(dir, name), "cows")
			date(name, when)
		}
		pass(9 * time.Second)
		if got := b.names(); len(got) != 0 {
			t.Errorf("%v before they are calm", got)
		}
		date("now.mp4", time.Unix(120, 0)) // the drone's clock is set back while it writes
		pass(8 * time.Second)
		if got := b.names(); !slices.Equal(got, []string{"future.mp4", "past.mp4"}) {
			t.Errorf("%v", got)
		}
		pass(10 * time.Second)
		if got := b.names(); len(got) != 3 {
			t.Errorf("%v", got)
		}
	})
}
