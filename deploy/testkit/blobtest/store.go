// Package blobtest is the contract of package blob as code. Every back end runs it in its tests.
package blobtest

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"cattlecounter/cloud/store/blob"
	"cattlecounter/deploy/testkit/must"
)

var errCut = errors.New("the source failed")

// Run runs the contract of blob.Store as subtests of t. newStore returns an empty store, and closes it when its test
// ends, if necessary.
func Run(t *testing.T, newStore func(t *testing.T) blob.Store) {
	for name, test := range map[string]func(*testing.T, blob.Store){
		"put, open, stat":                        putOpenStat,
		"ranges":                                 ranges,
		"missing blobs":                          missing,
		"bad keys are refused":                   badKeys,
		"put replaces a blob":                    putReplaces,
		"replace needs the current version":      replaceByVersion,
		"concurrent replaces lose no update":     func(t *testing.T, s blob.Store) { Race(t, s, s, s) },
		"a failed put changes nothing":           failedPut,
		"a canceled put changes nothing":         canceledPut,
		"delete":                                 deletes,
		"list":                                   lists,
		"canceled reads":                         canceledReads,
		"a reader sees one version":              readersSeeOneVersion,
		"a reader never sees bytes of two blobs": readerOutlivesBlob,
		"concurrent puts":                        concurrentPuts,
		"a large blob is streamed":               largeBlob,
	} {
		t.Run(name, func(t *testing.T) { test(t, newStore(t)) })
	}
}

func put(t *testing.T, s blob.Store, key, content string) {
	t.Helper()
	info, err := s.Put(t.Context(), key, strings.NewReader(content))
	must.Do(t, err)
	if info.Key != key || info.Size != int64(len(content)) || info.Modified.IsZero() {
		t.Fatalf("put %s returned %+v", key, info)
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
		t.Fatalf("%s contains %.40q, want %.40q", key, got, content)
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
			t.Fatalf("stat of %s returned %+v", key, info)
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
			t.Errorf("offset %d, length %d: got %q, want %q", c.offset, c.length, got, c.want)
		}
	}
	for _, offset := range []int64{-1, 11, 1 << 40} {
		_, err := s.Open(t.Context(), "k", offset, -1)
		must.FailWith(t, err, blob.ErrOffset)
	}
}

func missing(t *testing.T, s blob.Store) {
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

func badKeys(t *testing.T, s blob.Store) {
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

// BadKeys are keys that every back end refuses.
var BadKeys = []string{
	"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", ".hidden", "a/.b", `a\b`, "a b", "a\x00b", "a\nb",
	"ä", "a?b", "a#b", "a%2fb", "C:a", strings.Repeat("a", 129), strings.Repeat("abc/", 130) + "a",
}

func putReplaces(t *testing.T, s blob.Store) {
	for _, content := range []string{"long content", "short", "", "longer content"} {
		put(t, s, "k", content)
		want(t, s, "k", content)
	}
}

func replaceByVersion(t *testing.T, s blob.Store) {
	seen := map[string]bool{"": true}
	accepted := func(version, content string) string {
		t.Helper()
		info, err := s.Replace(t.Context(), "d/k", version, strings.NewReader(content))
		must.Do(t, err)
		now, err := s.Stat(t.Context(), "d/k")
		must.Do(t, err)
		if info.Key != "d/k" || info.Size != int64(len(content)) || info.Modified.IsZero() || now != info ||
			seen[info.Version] {
			t.Fatalf("replace returned %+v, stat %+v; this version was used before: %t", info, now, seen[info.Version])
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
			t.Fatalf("a refused replace changed %+v to %+v", before, now)
		}
	}
	one := accepted("", "one")
	refused("")
	refused("0x123")
	two := accepted(one, "two")
	refused(one)
	info, err := s.Put(t.Context(), "d/k", strings.NewReader("put"))
	must.Do(t, err)
	if seen[info.Version] {
		t.Fatalf("put returned a version that was used before: %+v", info)
	}
	refused(two)
	last := accepted(info.Version, strings.Repeat("large ", 2<<20))
	for range 20 { // same size, at nearly the same time
		last = accepted(last, "same")
	}
	_, err = s.Replace(t.Context(), "d/k", last, errReader{})
	must.FailWith(t, err, errCut)
	want(t, s, "d/k", "same")
	must.Do(t, s.Delete(t.Context(), "d/k"))
	refused(last)
	accepted("", "again")
	if got := list(t, s, ""); !slices.Equal(got, []string{"d/k"}) {
		t.Fatalf("the list has %q; a failed write left something", got)
	}
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
		t.Fatalf("the list has %q; a failed write left something", got)
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errCut }

func canceledPut(t *testing.T, s blob.Store) {
	put(t, s, "k", "old")
	ctx, cancel := context.WithCancelCause(t.Context())
	source := readFunc(func(b []byte) (int, error) {
		cancel(errCut)
		return len(b), nil // endless, so that only the context can end it
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
		t.Fatalf("the list has %q, want nothing", got)
	}
	put(t, s, "d/one", "new")
	want(t, s, "d/one", "new")
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
			t.Errorf("the list begins with %+v, want %s", info, all[0])
		}
		break // a caller may stop early
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

func largeBlob(t *testing.T, s blob.Store) {
	if testing.Short() {
		t.Skip("writes 96 MiB")
	}
	const size = 96 << 20
	n := allocated(func() {
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
	if n > size/3 {
		t.Errorf("writing and reading %d bytes allocated %d bytes; the blob is not streamed", int64(size), n)
	}
}
