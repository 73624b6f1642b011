package watch

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// Drone and station seldom agree on the time. So the stable window begins when a scan first
// sees the file, not at the file's own time.
func TestStableWindowIgnoresFileTimes(t *testing.T) {
	watching(t, func(t *testing.T, dir string, b *recorder, _ *Watcher) {
		at := map[string]time.Time{"past.mp4": time.Unix(60, 0), "future.mp4": time.Now().AddDate(99, 0, 0), "now.mp4": time.Now()}
		setTime := func(name string, at time.Time) {
			t.Helper()
			if err := os.Chtimes(filepath.Join(dir, name), at, at); err != nil {
				t.Fatal(err)
			}
		}
		for name, when := range at {
			write(t, filepath.Join(dir, name), "cows")
			setTime(name, when)
		}
		wait(9 * time.Second)
		if got := b.names(); len(got) != 0 {
			t.Errorf("captured %v within the stable window, want nothing", got)
		}
		setTime("now.mp4", time.Unix(120, 0)) // the drone's clock is set back while it writes
		wait(8 * time.Second)
		if got := b.names(); !slices.Equal(got, []string{"future.mp4", "past.mp4"}) {
			t.Errorf("captured %v, want the two files with an unchanged time", got)
		}
		wait(10 * time.Second)
		if got := b.names(); len(got) != 3 {
			t.Errorf("captured %v, want all three files", got)
		}
	})
}
