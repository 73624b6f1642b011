// Package blobtest is the contract of package blob as code. Every back end runs it in its
// tests.
package blobtest

import (
	"bytes"
	"context"
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

var errCut = errors.New("the source broke off")

// Run checks a store. newStore returns an empty store. The caller closes it.
func Run(t *testing.T, newStore func(t *testing.T) blob.Store) {
	for name, test := range map[string]func(*testing.T, blob.Store){
		"put, open, stat":                putOpenStat,
		"ranges":                         ranges,
		"absent":                         absent,
		"keys":                           keys,
		"replace":                        replace,
		"replace on a condition":         conditional,
		"of several replaces one wins":   func(t *testing.T, s blob.Store) { Race(t, s, s, s) },
		"a failed put changes nothing":   failedPut,
		"a canceled put changes nothing": canceledPut,
		"delete":                         deletes,
		"list":                           lists,
		"canceled reads":                 canceledReads,
		"readers see one version":        readersSeeOneVersion,
		"a reader outlives its blob":     readerOutlivesBlob,
		"concurrent puts":                concurrentPuts,
		"a big blob is streamed":         bigBlob,
	} {
		t.Run(name, func(t *testing.T) { test(t, newStore(t)) })
	}
}

func put(t *testing.T, s blob.Store, key, content string) {
	t.Helper()
	info, err := s.Put(t.Context(), key, strings.NewReader(content))
	must.Do(t, err)
	if info.Key != key || info.Size != int64(len(content)) || info.Modified.IsZero() {
		t.Fatalf("put %s gave %+v", key, info)
	}
}

func read(t *testing.T, r io.ReadCloser, err error) string {
	t.Helper()
	must.Do(t, err)
	b, err := io.ReadAll(r)
	must.Do(t, errors.Join(err, r.Close()))
	return string(b)
}

func want(t *testing.T, s blob.Store, key, content string) {
	t.Helper()
	r, err := s.Open(t.Context(), key, 0, -1)
	if got := read(t, r, err); got != content {
		t.Fatalf("%s holds %.40q, want %.40q", key, got, content)
	}
}

func putOpenStat(t *testing.T, s blob.Store) {
	for key, content := range map[string]string{
		"a": "", "footage/x/original.mp4": "moo", "footage/x/result/0123.json": strings.Repeat("b", 70_000),
	} {
		put(t, s, key, content)
		want(t, s, key, content)
		info, err := s.Stat(t.Context(), key)
		must.Do(t, err)
		if info.Key != key || info.Size != int64(len(content)) {
			t.Fatalf("%+v", info)
		}
	}
}

func ranges(t *testing.T, s blob.Store) {
	put(t, s, "k", "0123456789")
	for _, c := range []struct {
		offset, length int64
		want           string
	}{{0, 3, "012"}, {4, 2, "45"}, {7, -1, "789"}, {7, 99, "789"}, {10, -1, ""}, {10, 5, ""}, {3, 0, ""}} {
		r, err := s.Open(t.Context(), "k", c.offset, c.length)
		if got := read(t, r, err); got != c.want {
			t.Errorf("%d+%d: got %q, want %q", c.offset, c.length, got, c.want)
		}
	}
	for _, offset := range []int64{-1, 11, 1 << 40} {
		_, err := s.Open(t.Context(), "k", offset, -1)
		must.FailWith(t, err, blob.ErrOffset)
	}
}

func absent(t *testing.T, s blob.Store) {
	put(t, s, "folder/k", "x")
	for _, key := range []string{"k", "folder", "folder/other", "no/such/folder/k"} {
		_, err := s.Open(t.Context(), key, 0, -1)
		must.FailWith(t, err, blob.ErrNotFound)
		_, err = s.Stat(t.Context(), key)
		must.FailWith(t, err, blob.ErrNotFound)
		must.Do(t, s.Delete(t.Context(), key))
	}
	want(t, s, "folder/k", "x")
}

func keys(t *testing.T, s blob.Store) {
	for _, key := range BadKeys {
		_, err := s.Put(t.Context(), key, strings.NewReader("x"))
		must.FailWith(t, err, blob.ErrKey)
		_, err = s.Replace(t.Context(), key, "", strings.NewReader("x"))
		must.FailWith(t, err, blob.ErrKey)
		_, err = s.Open(t.Context(), key, 0, -1)
		must.FailWith(t, err, blob.ErrKey)
		_, err = s.Stat(t.Context(), key)
		must.FailWith(t, err, blob.ErrKey)
		must.FailWith(t, s.Delete(t.Context(), key), blob.ErrKey)
	}
}

// BadKeys are keys that every back end must refuse.
var BadKeys = []string{
	"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", ".hidden", "a/.b", `a\b`, "a b", "a\x00b", "a\nb",
	"ä", "a?b", "a#b", "a%2fb", "C:a", strings.Repeat("a", 129), strings.Repeat("abc/", 130) + "a",
}

func replace(t *testing.T, s blob.Store) {
	for _, content := range []string{"long content at first", "short", "", "longer again"} {
		put(t, s, "k", content)
		want(t, s, "k", content)
	}
}

func conditional(t *testing.T, s blob.Store) {
	seen := map[string]bool{"": true}
	fits := func(version, content string) string {
		t.Helper()
		info, err := s.Replace(t.Context(), "d/k", version, strings.NewReader(content))
		must.Do(t, err)
		now, err := s.Stat(t.Context(), "d/k")
		must.Do(t, err)
		if info.Key != "d/k" || info.Size != int64(len(content)) || info.Modified.IsZero() || now != info || seen[info.Version] {
			t.Fatalf("replace gave %+v, stat %+v, seen before %v", info, now, seen[info.Version])
		}
		seen[info.Version] = true
		want(t, s, "d/k", content)
		return info.Version
	}
	refused := func(version string) {
		t.Helper()
		before, _ := s.Stat(t.Context(), "d/k")
		_, err := s.Replace(t.Context(), "d/k", version, strings.NewReader("refused"))
		must.FailWith(t, err, blob.ErrChanged)
		if now, _ := s.Stat(t.Context(), "d/k"); now != before {
			t.Fatalf("refused, and yet %+v became %+v", before, now)
		}
	}
	one := fits("", "one")
	refused("")
	refused("0x123")
	two := fits(one, "two")
	refused(one)
	info, err := s.Put(t.Context(), "d/k", strings.NewReader("put"))
	must.Do(t, err)
	if seen[info.Version] {
		t.Fatalf("a put gave a version that was there before: %+v", info)
	}
	refused(two)
	last := fits(info.Version, strings.Repeat("large ", 2<<20))
	for range 20 { // of one size, as fast as can be
		last = fits(last, "same")
	}
	_, err = s.Replace(t.Context(), "d/k", last, errReader{})
	must.FailWith(t, err, errCut)
	want(t, s, "d/k", "same")
	must.Do(t, s.Delete(t.Context(), "d/k"))
	refused(last)
	fits("", "again")
	if got := list(t, s, ""); !slices.Equal(got, []string{"d/k"}) {
		t.Fatalf("left behind: %q", got)
	}
}

// Race increments one number through several stores that share their blobs, at the same
// time. No increment may be lost.
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

func failedPut(t *testing.T, s blob.Store) {
	put(t, s, "k", "old")
	broken := func() io.Reader {
		return io.MultiReader(strings.NewReader(strings.Repeat("n", 300_000)), errReader{})
	}
	_, err := s.Put(t.Context(), "k", broken())
	must.FailWith(t, err, errCut)
	want(t, s, "k", "old")
	_, err = s.Put(t.Context(), "fresh", broken())
	must.FailWith(t, err, errCut)
	_, err = s.Stat(t.Context(), "fresh")
	must.FailWith(t, err, blob.ErrNotFound)
	if got := list(t, s, ""); !slices.Equal(got, []string{"k"}) {
		t.Fatalf("left behind: %q", got)
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errCut }

func canceledPut(t *testing.T, s blob.Store) {
	put(t, s, "k", "old")
	ctx, cancel := context.WithCancelCause(t.Context())
	source := readFunc(func(b []byte) (int, error) {
		cancel(errCut)
		return len(b), nil // endless: only the context ends it
	})
	_, err := s.Put(ctx, "k", source)
	must.FailWith(t, err, errCut)
	want(t, s, "k", "old")
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(b []byte) (int, error) { return f(b) }

func deletes(t *testing.T, s blob.Store) {
	put(t, s, "d/one", "1")
	put(t, s, "d/two", "2")
	must.Do(t, s.Delete(t.Context(), "d/one"))
	must.Do(t, s.Delete(t.Context(), "d/one"))
	_, err := s.Stat(t.Context(), "d/one")
	must.FailWith(t, err, blob.ErrNotFound)
	want(t, s, "d/two", "2")
	must.Do(t, s.Delete(t.Context(), "d/two"))
	if got := list(t, s, ""); len(got) != 0 {
		t.Fatalf("left: %q", got)
	}
	put(t, s, "d/one", "again")
	want(t, s, "d/one", "again")
}

func list(t *testing.T, s blob.Store, prefix string) []string {
	t.Helper()
	var got []string
	for info, err := range s.List(t.Context(), prefix) {
		must.Do(t, err)
		got = append(got, info.Key)
	}
	return got
}

func lists(t *testing.T, s blob.Store) {
	all := []string{"a-b", "a.b", "a/b", "a/c/d", "a/c.d", "a0", "ab/x", "b"}
	for i, key := range all {
		put(t, s, key, strings.Repeat("x", i))
	}
	slices.Sort(all)
	for _, prefix := range []string{"", "a", "a/", "a/c", "a/c/", "a.", "zz", "a/c/d", "a/c/d/", "ab"} {
		var expect []string
		for _, key := range all {
			if strings.HasPrefix(key, prefix) {
				expect = append(expect, key)
			}
		}
		if got := list(t, s, prefix); !slices.Equal(got, expect) {
			t.Errorf("prefix %q: got %q, want %q", prefix, got, expect)
		}
	}
	for info, err := range s.List(t.Context(), "") {
		must.Do(t, err)
		if info.Key != all[0] {
			t.Errorf("began with %+v", info)
		}
		break // ending early is fine
	}
}

func canceledReads(t *testing.T, s blob.Store) {
	put(t, s, "k", strings.Repeat("x", 1<<20))
	ctx, cancel := context.WithCancelCause(t.Context())
	r, err := s.Open(ctx, "k", 0, -1)
	must.Do(t, err)
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	cancel(errCut)
	_, err = io.Copy(io.Discard, r)
	must.FailWith(t, err, errCut)
	must.Do(t, r.Close())
	_, err = s.Open(ctx, "k", 0, -1)
	must.FailWith(t, err, errCut)
	_, err = s.Stat(ctx, "k")
	must.FailWith(t, err, errCut)
	for _, err = range s.List(ctx, "") {
	}
	must.FailWith(t, err, errCut)
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
					t.Errorf("read a mixture of versions, %d bytes", len(b))
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
	put(t, s, "gone", old)
	r, err := s.Open(t.Context(), "k", 0, -1)
	must.Do(t, err)
	gone, err := s.Open(t.Context(), "gone", 0, -1)
	must.Do(t, err)
	put(t, s, "k", "new")
	must.Do(t, s.Delete(t.Context(), "gone"))
	// A back end may fail here, but must not return other bytes.
	for _, r := range []io.ReadCloser{r, gone} {
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
		t.Fatalf("%q", got)
	}
}

func bigBlob(t *testing.T, s blob.Store) {
	if testing.Short() {
		t.Skip("writes 96 MiB")
	}
	const size = 96 << 20
	limit := allocated(func() {
		_, err := s.Put(t.Context(), "big", io.LimitReader(zeros{}, size))
		must.Do(t, err)
		r, err := s.Open(t.Context(), "big", 0, -1)
		must.Do(t, err)
		n, err := io.Copy(io.Discard, r)
		must.Do(t, errors.Join(err, r.Close()))
		if n != size {
			t.Fatalf("read %d of %d bytes", n, int64(size))
		}
	})
	if limit > size/3 {
		t.Errorf("%d bytes were allocated for a blob of %d: it is not streamed", limit, int64(size))
	}
}
