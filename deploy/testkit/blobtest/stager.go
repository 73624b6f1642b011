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

// Staging is a store with staged blobs.
type Staging interface {
	blob.Store
	blob.Stager
}

// RunStager checks staged blobs. open returns an empty store and a function that opens the
// same store again, as after a restart.
func RunStager(t *testing.T, open func(t *testing.T) (s Staging, again func() Staging)) {
	for name, test := range map[string]func(*testing.T, Staging, func() Staging){
		"grow and commit":                   growAndCommit,
		"append only at the end":            appendOnlyAtTheEnd,
		"a cut append counts":               cutAppendCounts,
		"a canceled append counts":          canceledAppendCounts,
		"stage twice keeps the bytes":       stageTwice,
		"commit twice":                      commitTwice,
		"commit replaces":                   commitReplaces,
		"discard":                           discard,
		"ids":                               ids,
		"a restart loses nothing":           restart,
		"memory of an append is bounded":    appendMemory,
		"staged bytes are in no listing":    stagedIsHidden,
		"ids are apart from one another":    idsApart,
		"pieces of every size fit together": manyPieces,
	} {
		t.Run(name, func(t *testing.T) {
			s, again := open(t)
			test(t, s, again)
		})
	}
}

func grow(t *testing.T, s Staging, id string, offset int64, piece string) {
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
		t.Fatalf("staged %d bytes %.40q, want %d bytes %.40q", n, got, len(content), content)
	}
}

func growAndCommit(t *testing.T, s Staging, _ func() Staging) {
	must.Do(t, s.Stage(t.Context(), "u"))
	wantStaged(t, s, "u", "")
	grow(t, s, "u", 0, "one ")
	grow(t, s, "u", 4, "")
	grow(t, s, "u", 4, "two")
	wantStaged(t, s, "u", "one two")
	for want, at := range map[string][2]int64{"ne": {1, 2}, "two": {4, -1}, "": {7, -1}} {
		r, err := s.OpenStaged(t.Context(), "u", at[0], at[1])
		if got := read(t, r, err); got != want {
			t.Errorf("range %v: %q, want %q", at, got, want)
		}
	}
	_, err := s.OpenStaged(t.Context(), "u", 8, -1)
	must.FailWith(t, err, blob.ErrOffset)
	info, err := s.Commit(t.Context(), "u", "footage/f/original.mp4")
	must.Do(t, err)
	if info.Key != "footage/f/original.mp4" || info.Size != 7 {
		t.Fatalf("%+v", info)
	}
	want(t, s, "footage/f/original.mp4", "one two")
	_, err = s.Staged(t.Context(), "u")
	must.FailWith(t, err, blob.ErrNotFound)
}

func appendOnlyAtTheEnd(t *testing.T, s Staging, _ func() Staging) {
	must.Do(t, s.Stage(t.Context(), "u"))
	grow(t, s, "u", 0, "abc")
	for _, offset := range []int64{-1, 0, 2, 4, 1 << 40} {
		n, err := s.Append(t.Context(), "u", offset, strings.NewReader("x"))
		must.FailWith(t, err, blob.ErrOffset)
		if n != 0 {
			t.Errorf("%d bytes were taken at %d", n, offset)
		}
	}
	wantStaged(t, s, "u", "abc")
}

func cutAppendCounts(t *testing.T, s Staging, _ func() Staging) {
	must.Do(t, s.Stage(t.Context(), "u"))
	arrived := strings.Repeat("m", 5<<20+17)
	n, err := s.Append(t.Context(), "u", 0, io.MultiReader(strings.NewReader(arrived), errReader{}))
	must.FailWith(t, err, errCut)
	if n != int64(len(arrived)) {
		t.Fatalf("%d bytes count, %d had arrived", n, len(arrived))
	}
	wantStaged(t, s, "u", arrived)
	grow(t, s, "u", n, "rest")
	wantStaged(t, s, "u", arrived+"rest")
}

func canceledAppendCounts(t *testing.T, s Staging, _ func() Staging) {
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
		t.Fatalf("append reported %d, staged are %d, read were %d", n, staged, reads)
	}
}

func stageTwice(t *testing.T, s Staging, _ func() Staging) {
	must.Do(t, s.Stage(t.Context(), "u"))
	grow(t, s, "u", 0, "abc")
	must.Do(t, s.Stage(t.Context(), "u"))
	wantStaged(t, s, "u", "abc")
}

func commitTwice(t *testing.T, s Staging, again func() Staging) {
	must.Do(t, s.Stage(t.Context(), "u"))
	grow(t, s, "u", 0, "abc")
	for _, s := range []Staging{s, s, again()} {
		info, err := s.Commit(t.Context(), "u", "k")
		must.Do(t, err)
		if info.Size != 3 {
			t.Fatalf("%+v", info)
		}
	}
	want(t, s, "k", "abc")
	_, err := s.Commit(t.Context(), "never", "nowhere")
	must.FailWith(t, err, blob.ErrNotFound)
}

func commitReplaces(t *testing.T, s Staging, _ func() Staging) {
	put(t, s, "k", "the old content")
	must.Do(t, s.Stage(t.Context(), "u"))
	grow(t, s, "u", 0, "new")
	_, err := s.Commit(t.Context(), "u", "k")
	must.Do(t, err)
	want(t, s, "k", "new")
}

func discard(t *testing.T, s Staging, _ func() Staging) {
	must.Do(t, s.Stage(t.Context(), "u"))
	grow(t, s, "u", 0, "abc")
	must.Do(t, s.Discard(t.Context(), "u"))
	must.Do(t, s.Discard(t.Context(), "u"))
	_, err := s.Staged(t.Context(), "u")
	must.FailWith(t, err, blob.ErrNotFound)
	_, err = s.OpenStaged(t.Context(), "u", 0, -1)
	must.FailWith(t, err, blob.ErrNotFound)
	n, err := s.Append(t.Context(), "u", 0, strings.NewReader("x"))
	must.FailWith(t, err, blob.ErrNotFound)
	if n != 0 {
		t.Fatalf("%d bytes went nowhere", n)
	}
}

func ids(t *testing.T, s Staging, _ func() Staging) {
	for _, id := range append([]string{"a/b"}, BadKeys...) {
		if strings.HasPrefix(id, "abc/") {
			continue // too long only as a key
		}
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

func restart(t *testing.T, s Staging, again func() Staging) {
	must.Do(t, s.Stage(t.Context(), "u"))
	grow(t, s, "u", 0, "abc")
	put(t, s, "k", "blob")
	s = again()
	wantStaged(t, s, "u", "abc")
	want(t, s, "k", "blob")
	grow(t, s, "u", 3, "def")
	_, err := s.Commit(t.Context(), "u", "k2")
	must.Do(t, err)
	want(t, again(), "k2", "abcdef")
}

func stagedIsHidden(t *testing.T, s Staging, _ func() Staging) {
	must.Do(t, s.Stage(t.Context(), "u"))
	grow(t, s, "u", 0, "abc")
	if got := list(t, s, ""); len(got) != 0 {
		t.Fatalf("staged bytes are listed: %q", got)
	}
	_, err := s.Stat(t.Context(), "u")
	must.FailWith(t, err, blob.ErrNotFound)
}

func idsApart(t *testing.T, s Staging, _ func() Staging) {
	for _, id := range []string{"u", "u2", "U"} {
		must.Do(t, s.Stage(t.Context(), id))
		grow(t, s, id, 0, "content of "+id)
	}
	must.Do(t, s.Discard(t.Context(), "u2"))
	wantStaged(t, s, "u", "content of u")
	wantStaged(t, s, "U", "content of U")
}

func manyPieces(t *testing.T, s Staging, _ func() Staging) {
	rng := rand.New(rand.NewPCG(1, 2))
	must.Do(t, s.Stage(t.Context(), "u"))
	var all strings.Builder
	for range 40 {
		piece := strings.Repeat(string(rune('a'+rng.IntN(26))), rng.IntN(300_000))
		grow(t, s, "u", int64(all.Len()), piece)
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
	// The limit allows a new block buffer every few MiB.
	if bytes > 2*size {
		t.Errorf("%d bytes were allocated for an append of %d", bytes, int64(size))
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// allocated returns the number of bytes that f allocates on the heap, freed or not.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
