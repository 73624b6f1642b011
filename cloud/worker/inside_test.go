package worker

import (
	"os"
	"path/filepath"
	"testing"
)

// TestLogInsideAVideo reads the log of footage that came without one.
func TestLogInsideAVideo(t *testing.T) {
	a := &attempt{}
	log, err := a.readLog(t.Context(), "../flightlog/testdata/subtitles.mp4")
	if err != nil || log == nil || log.Fixes() != 2 {
		t.Fatalf("%v %+v", err, log)
	}
	none := filepath.Join(t.TempDir(), "clip.mp4")
	if err := os.WriteFile(none, []byte("no video"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, film := range []string{none, ""} {
		if log, err := a.readLog(t.Context(), film); log != nil || err != nil {
			t.Errorf("%q: %v %+v", film, err, log)
		}
	}
	if _, err := a.readLog(t.Context(), none+"x"); err == nil {
		t.Error("a missing file is no error")
	}
}
