package filesum_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"cattlecounter/shared/filesum"
	"cattlecounter/shared/footage"
)

func TestOf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clip.mp4")
	content := make([]byte, 3<<20+1)
	content[len(content)-1] = 7
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	d, n, err := filesum.Of(t.Context(), path)
	if err != nil || n != int64(len(content)) || d != footage.Sum(content) {
		t.Errorf("got %s, %d bytes, %v; want %s, %d bytes", d, n, err, footage.Sum(content), len(content))
	}
}

func TestOfFaults(t *testing.T) {
	if _, _, err := filesum.Of(t.Context(), filepath.Join(t.TempDir(), "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent file: got %v, want fs.ErrNotExist", err)
	}
	stop := errors.New("stopped by an operator")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	path := filepath.Join(t.TempDir(), "clip.mp4")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := filesum.Of(ctx, path); !errors.Is(err, stop) {
		t.Errorf("stopped: got %v, want the cause", err)
	}
}
