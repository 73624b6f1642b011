package cache

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"

	"cattlecounter/deploy/testkit/smalldisk"
)

// TestFullDisk checks on a real disk that a lack of space is an error before the download.
func TestFullDisk(t *testing.T) {
	dir := smalldisk.Mount(t, "1m")
	c := New(Options{Dir: dir, Limit: 1 << 30})
	c.free = func(string) (int64, error) { return 1 << 40, nil } // as if other programs fill the disk meanwhile
	half := strings.Repeat("a", 600<<10)
	get(t, c, half)()
	get(t, c, strings.Repeat("b", 500<<10))() // evicts the first file
	held := get(t, c, half)
	defer held()
	if _, _, err := c.Get(t.Context(), want(strings.Repeat("c", 500<<10)), asked); !errors.Is(err, ErrNoSpace) || !errors.Is(err, syscall.ENOSPC) && !strings.Contains(err.Error(), "are needed") {
		t.Error(err)
	}
	if got := files(t, dir); !slices.Equal(got, []string{half}) {
		t.Errorf("%d files", len(got))
	}
}
