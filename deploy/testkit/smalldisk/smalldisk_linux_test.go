package smalldisk

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"cattlecounter/deploy/testkit/must"
)

// A filled file system refuses one more block, keeps what is in it, and takes the block once it has room again.
func TestFill(t *testing.T) {
	dir := Mount(t, "1m")
	kept, more := filepath.Join(dir, "kept"), filepath.Join(dir, "more")
	must.Do(t, os.WriteFile(kept, make([]byte, 100_000), 0o600))
	empty := Fill(t, dir)
	if err := os.WriteFile(more, make([]byte, 1), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a write on the full file system: %v, want %v", err, syscall.ENOSPC)
	}
	if b, err := os.ReadFile(kept); err != nil || len(b) != 100_000 {
		t.Errorf("%d bytes are left: %v", len(b), err)
	}
	empty()
	must.Do(t, os.WriteFile(more, make([]byte, 1), 0o600))
}
