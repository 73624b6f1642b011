package blobtest

import (
	"context"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"cattlecounter/cloud/store/blob"
	"cattlecounter/deploy/testkit/must"
)

// Staging is a store that can also stage blobs.
type Staging interface {
	blob.Store
	blob.Stager
}

// RunStager runs the contract of blob.Stager as subtests of t. open returns an empty store, and a function that opens
// the same store once more, as after a restart.
func RunStager(t *testing.T, open func(t *testing.T) (s Staging, reopen func() Staging)) {
	for name, test := range map[string]func(*testing.T, Staging, func() Staging){
		"append and commit":                            appendAndCommit,
		"append is refused except at the end":          appendOnlyAtTheEnd,
		"a broken append keeps the bytes that arrived": brokenAppend,
		"a canceled append keeps the bytes it reports": canceledAppend,
		"a second stage keeps the bytes":               stageTwice,
		"commit can be repeated":                       commitTwice,
		"commit replaces a blob":                       commitReplaces,
		"discard":                                      discard,
		"bad ids and keys are refused":                 badIDs,
		"a restart loses nothing":                      restart,
		"append allocates bounded memory":              appendMemory,
		"staged bytes are not listed":                  stagedIsHidden,
		"ids do not affect one another":                separateIDs,
		"appends of any size":                          manyAppends,
	} {
		t.Run(name, func(t *testing.T) {
			s, reopen := open(t)
			test(t, s, reopen)
		})
	}
}

// appendAll appends the piece, and ends the test unless all of it is appended.
func appendAll(t *testing.T, s Staging, id string, offset int64, piece string) {
	t.Helper()
	n, err := s.Append(t.Context(), id, offset, strings.NewReader(piece))
	must.Do(t, err)
	if n != int64(len(piece)) {
		t.Fatalf("appended %d of %d bytes", n, len(piece))
	}
}

func wantStaged(t *testing.T, s Staging, id, content string) {
	t.Helper()
	n, err := s.Staged(t.Context(), id)
	must.Do(t, err)
	r, err := s.OpenStaged(t.Context(), id, 0, -1)
	if got := read(t, r, err); n != int64(len(content)) || got != content {
		t.Fatalf("%d bytes are staged, %.40q; want %d bytes, %.40q", n, got, len(content), content)
	}
}

func appendAndCommit(t *testing.T, s Staging, _ func() Staging) {
	must.Do(t, s.Stage(t.Context(), "u"))
	wantStaged(t, s, "u", "")
	appendAll(t, s, "u", 0, "one ")
	appendAll(t, s, "u", 4, "")
	appendAll(t, s, "u", 4, "two")
	wantStaged(t, s, "u", "one two")
	for want, at := range map[string][2]int64{"ne": {1, 2}, "two": {4, -1}, "": {7, -1}} {
		r, err := s.OpenStaged(t.Context(), "u", at[0], at[1])
		if got := read(t, r, err); got != want {
			t.Errorf("offset and length %v: got %q, want %q", at, got, want)
		}
	}
	_, err := s.OpenStaged(t.Context(), "u", 8, -1)
	must.FailWith(t, err, blob.ErrOffset)
	info, err := s.Commit(t.Context(), "u", "footage/f/original.mp4")
	must.Do(t, err)
	if info.Key != "footage/f/original.mp4" || info.Size != 7 {
		t.Fatalf("commit returned %+v", info)
	}
	want(t, s, "footage/f/original.mp4", "one two")
	_, err = s.Staged(t.Context(), "u")
	must.FailWith(t, err, blob.ErrNotFound)
}

func appendOnlyAtTheEnd(t *testing.T, s Staging, _ func() Staging) {
	must.Do(t, s.Stage(t.Context(), "u"))
	appendAll(t, s, "u", 0, "abc")
	for _, offset := range []int64{-1, 0, 2, 4, 1 << 40} {
		n, err := s.Append(t.Context(), "u", offset, strings.NewReader("x"))
		must.FailWith(t, err, blob.ErrOffset)
		if n != 0 {
			t.Errorf("an append at offset %d accepted %d bytes", offset, n)
		}
	}
	wantStaged(t, s, "u", "abc")
}

func brokenAppend(t *testing.T, s Staging, _ func() Staging) {
	must.Do(t, s.Stage(t.Context(), "u"))
	arrived := strings.Repeat("m", 5<<20+17)
	n, err := s.Append(t.Context(), "u", 0, io.MultiReader(strings.NewReader(arrived), errReader{}))
	must.FailWith(t, err, errCut)
	if n != int64(len(arrived)) {
		t.Fatalf("append reported %d bytes, but %d had arrived", n, len(arrived))
	}
	wantStaged(t, s, "u", arrived)
	appendAll(t, s, "u", n, "rest")
	wantStaged(t, s, "u", arrived+"rest")
}

func canceledAppend(t *testing.T, s Staging, _ func() Staging) {
	must.Do(t, s.Stage(t.Context(), "u"))
	ctx, cancel := context.WithCancelCause(t.Context())
	reads := 0
	n, err := s.Append(ctx, "u", 0, readFunc(func(b []byte) (int, error) {
		if reads++; reads == 2 {
			cancel(errCut)
		}
		b[0] = 'x'
		return 1, nil
	}))
	must.FailWith(t, err, errCut)
	staged, serr := s.Staged(t.Context(), "u")
	must.Do(t, serr)
	if staged != n || n > int64(reads) {
		t.Fatalf("append reported %d bytes; %d are staged, and %d were read", n, staged, reads)
	}
}

func stageTwice(t *testing.T, s Staging, _ func() Staging) {
	must.Do(t, s.Stage(t.Context(), "u"))
	appendAll(t, s, "u", 0, "abc")
	must.Do(t, s.Stage(t.Context(), "u"))
	wantStaged(t, s, "u", "abc")
}

func commitTwice(t *testing.T, s Staging, reopen func() Staging) {
	must.Do(t, s.Stage(t.Context(), "u"))
	appendAll(t, s, "u", 0, "abc")
	for _, s := range []Staging{s, s, reopen()} {
		info, err := s.Commit(t.Context(), "u", "k")
		must.Do(t, err)
		if info.Size != 3 {
			t.Fatalf("commit returned %+v", info)
		}
	}
	want(t, s, "k", "abc")
	_, err := s.Commit(t.Context(), "unknown", "k2")
	must.FailWith(t, err, blob.ErrNotFound)
}

func commitReplaces(t *testing.T, s Staging, _ func() Staging) {
	put(t, s, "k", "the old content")
	must.Do(t, s.Stage(t.Context(), "u"))
	appendAll(t, s, "u", 0, "new")
	_, err := s.Commit(t.Context(), "u", "k")
	must.Do(t, err)
	want(t, s, "k", "new")
}

func discard(t *testing.T, s Staging, _ func() Staging) {
	must.Do(t, s.Stage(t.Context(), "u"))
	appendAll(t, s, "u", 0, "abc")
	must.Do(t, s.Discard(t.Context(), "u"))
	must.Do(t, s.Discard(t.Context(), "u"))
	_, err := s.Staged(t.Context(), "u")
	must.FailWith(t, err, blob.ErrNotFound)
	_, err = s.OpenStaged(t.Context(), "u", 0, -1)
	must.FailWith(t, err, blob.ErrNotFound)
	n, err := s.Append(t.Context(), "u", 0, strings.NewReader("x"))
	must.FailWith(t, err, blob.ErrNotFound)
	if n != 0 {
		t.Fatalf("append after discard accepted %d bytes", n)
	}
}

func badIDs(t *testing.T, s Staging, _ func() Staging) {
	for _, id := range append([]string{"a/b"}, BadKeys...) {
		must.FailWith(t, s.Stage(t.Context(), id), blob.ErrKey)
		_, err := s.Append(t.Context(), id, 0, strings.NewReader("x"))
		must.FailWith(t, err, blob.ErrKey)
		_, err = s.Staged(t.Context(), id)
		must.FailWith(t, err, blob.ErrKey)
		_, err = s.Commit(t.Context(), id, "k")
		must.FailWith(t, err, blob.ErrKey)
		must.FailWith(t, s.Discard(t.Context(), id), blob.ErrKey)
	}
	must.Do(t, s.Stage(t.Context(), "u"))
	for _, key := range BadKeys {
		_, err := s.Commit(t.Context(), "u", key)
		must.FailWith(t, err, blob.ErrKey)
	}
	wantStaged(t, s, "u", "")
}

func restart(t *testing.T, s Staging, reopen func() Staging) {
	must.Do(t, s.Stage(t.Context(), "u"))
	appendAll(t, s, "u", 0, "abc")
	put(t, s, "k", "blob")
	s = reopen()
	wantStaged(t, s, "u", "abc")
	want(t, s, "k", "blob")
	appendAll(t, s, "u", 3, "def")
	_, err := s.Commit(t.Context(), "u", "k2")
	must.Do(t, err)
	want(t, reopen(), "k2", "abcdef")
}

func stagedIsHidden(t *testing.T, s Staging, _ func() Staging) {
	must.Do(t, s.Stage(t.Context(), "u"))
	appendAll(t, s, "u", 0, "abc")
	if got := list(t, s, ""); len(got) != 0 {
		t.Fatalf("the list has staged bytes: %q", got)
	}
	_, err := s.Stat(t.Context(), "u")
	must.FailWith(t, err, blob.ErrNotFound)
}

func separateIDs(t *testing.T, s Staging, _ func() Staging) {
	for _, id := range []string{"u", "u2", "U"} {
		must.Do(t, s.Stage(t.Context(), id))
		appendAll(t, s, id, 0, "content of "+id)
	}
	must.Do(t, s.Discard(t.Context(), "u2"))
	wantStaged(t, s, "u", "content of u")
	wantStaged(t, s, "U", "content of U")
}

func manyAppends(t *testing.T, s Staging, _ func() Staging) {
	rng := rand.New(rand.NewPCG(1, 2))
	must.Do(t, s.Stage(t.Context(), "u"))
	var all strings.Builder
	for range 40 {
		piece := strings.Repeat(string(rune('a'+rng.IntN(26))), rng.IntN(300_000))
		appendAll(t, s, "u", int64(all.Len()), piece)
		all.WriteString(piece)
	}
	wantStaged(t, s, "u", all.String())
}

func appendMemory(t *testing.T, s Staging, _ func() Staging) {
	if testing.Short() {
		t.Skip("writes 96 MiB")
	}
	const size = 96 << 20
	must.Do(t, s.Stage(t.Context(), "u"))
	bytes := allocated(func() {
		n, err := s.Append(t.Context(), "u", 0, io.LimitReader(zeros{}, size))
		must.Do(t, err)
		if n != size {
			t.Fatalf("appended %d of %d bytes", n, int64(size))
		}
	})
	// Back ends may allocate a buffer for each block of a few MiB.
	if bytes > 2*size {
		t.Errorf("append of %d bytes allocated %d bytes, want at most %d", int64(size), bytes, int64(2*size))
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// allocated returns how many bytes f allocates on the heap, including those that are freed.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
