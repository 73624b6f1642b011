package blobtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cattlecounter/cloud/store/blob"
	"cattlecounter/deploy/testkit/must"
)

// Race checks that no update is lost when several stores on the same blobs increment one number concurrently.
func Race(t *testing.T, stores ...blob.Store) {
	const steps = 20
	put(t, stores[0], "k", "0")
	var wg sync.WaitGroup
	for _, s := range stores {
		wg.Go(func() {
			for done := 0; done < steps; {
				info, err := s.Stat(t.Context(), "k")
				if err != nil {
					t.Error(err)
					return
				}
				r, err := s.Open(t.Context(), "k", 0, -1)
				if err != nil {
					t.Error(err)
					return
				}
				var n int
				_, err = fmt.Fscan(r, &n)
				if err := errors.Join(err, r.Close()); err != nil {
					t.Error(err)
					return
				}
				_, err = s.Replace(t.Context(), "k", info.Version, strings.NewReader(fmt.Sprint(n+1)))
				switch {
				case err == nil:
					done++
				case !errors.Is(err, blob.ErrChanged):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	want(t, stores[0], "k", fmt.Sprint(steps*len(stores)))
}

// readersSeeOneVersion replaces a blob while others read it.
func readersSeeOneVersion(t *testing.T, s blob.Store) {
	const size, versions = 200_000, 25
	content := func(v int) string { return strings.Repeat(string(rune('a'+v)), size) }
	put(t, s, "k", content(0))
	var done atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for !done.Load() {
				r, err := s.Open(t.Context(), "k", 0, -1)
				if err != nil {
					t.Error(err)
					return
				}
				b, err := io.ReadAll(r)
				if err := errors.Join(err, r.Close()); err != nil {
					t.Error(err)
					return
				}
				if len(b) != size || !bytes.Equal(b, bytes.Repeat(b[:1], size)) {
					t.Errorf("read %d bytes of mixed versions", len(b))
					return
				}
			}
		})
	}
	for v := range versions {
		put(t, s, "k", content(v))
	}
	done.Store(true)
	wg.Wait()
}

func readerOutlivesBlob(t *testing.T, s blob.Store) {
	old := strings.Repeat("old ", 100_000)
	put(t, s, "k", old)
	put(t, s, "deleted", old)
	r, err := s.Open(t.Context(), "k", 0, -1)
	must.Do(t, err)
	deleted, err := s.Open(t.Context(), "deleted", 0, -1)
	must.Do(t, err)
	put(t, s, "k", "new")
	must.Do(t, s.Delete(t.Context(), "deleted"))
	// A back end may fail the read, but must not return bytes of another version.
	for _, r := range []io.ReadCloser{r, deleted} {
		b, err := io.ReadAll(r)
		if err == nil && string(b) != old {
			t.Errorf("read %d bytes of another version", len(b))
		}
		must.Do(t, r.Close())
	}
}

func concurrentPuts(t *testing.T, s blob.Store) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 5 {
				own := fmt.Sprintf("c/%d/%d", i, n)
				for _, key := range []string{own, "c/shared"} {
					if _, err := s.Put(t.Context(), key, strings.NewReader(strings.Repeat("x", 10+i))); err != nil {
						t.Error(err)
					}
				}
				if err := s.Delete(t.Context(), own); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := list(t, s, "c/"); !slices.Equal(got, []string{"c/shared"}) {
		t.Fatalf("the list has %q, want c/shared only", got)
	}
}
