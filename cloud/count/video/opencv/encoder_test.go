package opencv

import (
	"errors"
	"path/filepath"
	"testing"
)

func TestCreateRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		path string
		w, h int
		fps  float64
	}{
		"odd":       {filepath.Join(t.TempDir(), "a.mp4"), 63, 48, 25},
		"rate":      {filepath.Join(t.TempDir(), "a.mp4"), 64, 48, 0},
		"no folder": {filepath.Join(t.TempDir(), "none", "a.mp4"), 64, 48, 25},
	} {
		if _, err := Create(c.path, c.w, c.h, c.fps); !errors.Is(err, ErrEncode) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
