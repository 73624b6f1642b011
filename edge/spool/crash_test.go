package spool

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
)

// life is one long use of a spool, step by step. The effect of a finished step is acknowledged.
type life struct {
	t *testing.T
	s *Spool
	// acked is what was acknowledged; running is the footage of the unfinished step.
	acked   map[footage.ID]acked
	running footage.ID
	steps   int
	// collected is called after a garbage collection, whose own writes are synced.
	collected func()
}

// acked is the acknowledged state of a piece of footage.
type acked struct {
	state  State
	chunks []footage.Chunk
	name   string
	cloud  footage.ID // the id in the cloud
}

func (l *life) step(id footage.ID, do func() error) {
	l.t.Helper()
	l.running = id
	must.Do(l.t, do())
	l.running = ""
	l.steps++
	l.acknowledge(id)
}

func (l *life) acknowledge(id footage.ID) {
	a := l.acked[id]
	r, _ := l.s.Records.Get(id)
	a.state, a.name, a.cloud = r.State, r.Name, r.CloudID()
	if r.State.Ended() {
		a.chunks = nil
	}
	l.acked[id] = a
}

// capture reads new footage into the spool, chunk by chunk.
func (l *life) capture(path string, seed uint64, size int) footage.ID {
	l.t.Helper()
	r := must.Get(l.s.Captures.Add(Source{Path: path, Size: int64(size), ModTime: time.Unix(1, 0)}, nil))(l.t)
	l.acknowledge(r.ID)
	l.read(r.ID, seed, size)
	return r.ID
}

func (l *life) read(id footage.ID, seed uint64, size int) {
	l.t.Helper()
	b, m := content(id, seed, size)
	l.step(id, func() error { _, err := l.s.Captures.BeginRead(id); return err })
	for _, c := range m.Video.Chunks {
		at := c.Index * footage.ChunkSize
		l.step(id, func() error { return l.s.Content.PutChunk(id, Video, c, b[at:at+int(c.Size)]) })
		a := l.acked[id]
		a.chunks = append(a.chunks, c)
		l.acked[id] = a
	}
	l.step(id, func() error { _, err := l.s.Captures.Commit(m); return err })
}

// lateLog reads a flight log into the spool that arrived after its video, and sends it.
func (l *life) lateLog(video footage.ID, seed uint64, size int) {
	l.t.Helper()
	v, _ := l.s.Records.Get(video)
	r := must.Get(l.s.Captures.AddLog(v.Source, Source{Path: "/card/big.srt", Size: int64(size), ModTime: time.Unix(2, 0)}))(l.t)
	l.acknowledge(r.ID)
	l.read(r.ID, seed, size)
	l.step(r.ID, func() error { _, err := l.s.Uploads.Begin(r.ID); return err })
	l.step(r.ID, func() error { return l.s.Uploads.Confirm(r.ID, "") })
	l.step(r.ID, func() error { return l.s.Disk.Reclaim(r.ID) })
}

func (l *life) run() {
	big := l.capture("/card/big.mp4", 1, footage.ChunkSize+1000)
	small := l.capture("/card/small.mp4", 2, 500)
	l.capture("/card/copy.mp4", 2, 500) // a duplicate
	for _, id := range []footage.ID{big, small} {
		l.step(id, func() error { _, err := l.s.Uploads.Begin(id); return err })
		for i := range 3 {
			l.step(id, func() error { return l.s.Uploads.SetTransfer(id, Video, Transfer{URL: "u", Offset: int64(i)}) })
		}
	}
	l.step(small, func() error { return l.s.Recovery.Quarantine(small, "refused") })
	l.step(small, func() error { return l.s.Recovery.Retry(small) })
	l.step(small, func() error { _, err := l.s.Uploads.Begin(small); return err })
	l.step(small, func() error { _, err := l.s.Recovery.ChooseID(small); return err })
	for _, id := range []footage.ID{small, big} {
		l.step(id, func() error { return l.s.Uploads.Accept(id) })
		l.step(id, func() error { return l.s.Uploads.Confirm(id, "") })
		l.step(id, func() error { return l.s.Disk.Reclaim(id) })
		must.Do(l.t, l.s.Disk.Collect(l.t.Context()))
		l.collected()
	}
	l.lateLog(big, 4, 300)
	damaged := l.capture("/card/damaged.mp4", 3, 800)
	l.step(damaged, func() error { return l.s.Recovery.Reread(damaged) })
	l.read(damaged, 3, 800)
}

// inspect opens what a crash left, and compares it with what was acknowledged.
func (l *life) inspect(dir, when string) {
	l.t.Helper()
	s, err := Open(Options{Dir: dir})
	if err != nil {
		l.t.Fatalf("%s: %v", when, err)
	}
	defer closeSpool(l.t, s)
	for id, want := range l.acked {
		got, there := s.Records.Get(id)
		if !there {
			l.t.Errorf("%s: %s was acknowledged as %s and is lost", when, want.name, want.state)
			continue
		}
		// The unfinished step may have happened or not, and Open continues a reclaim.
		changed := id == l.running || want.state == Confirmed && got.State == Reclaimed
		if got.State != want.state && !changed {
			l.t.Errorf("%s: %s is %s, but was acknowledged as %s", when, want.name, got.State, want.state)
		}
		if got.CloudID() != want.cloud && !changed {
			l.t.Errorf("%s: %s is %s in the cloud, but was acknowledged as %s", when, want.name, got.CloudID(), want.cloud)
		}
		if got.State.HasContent() {
			if err := s.Content.Verify(l.t.Context(), id); err != nil {
				l.t.Errorf("%s: %s is %s: %v", when, want.name, got.State, err)
			}
		}
		if got.State.Ended() {
			if keys := must.Get(s.store.keys(chunkPrefix(id)))(l.t); len(keys) > 0 {
				l.t.Errorf("%s: %s is %s with %d chunks", when, want.name, got.State, len(keys))
			}
			continue
		}
		for _, c := range want.chunks {
			if _, err := s.Content.Chunk(id, Video, c, nil); err != nil && id != l.running {
				l.t.Errorf("%s: %s: acknowledged chunk: %v", when, want.name, err)
			}
		}
	}
}

// The power is cut after write k, for every k, and in the middle of write k. After a cut in
// the middle any part of the write may be on the disk.
func TestPowerCutAtEveryWrite(t *testing.T) {
	l := &life{t: t, s: open(t, t.TempDir()), acked: map[footage.ID]acked{}}
	random := rand.New(rand.NewPCG(1, 2))
	work := t.TempDir()
	before := filepath.Join(work, "before", storeDir)
	copySparse(t, l.s.store.path(), before)
	writes, torn := 0, 0
	l.collected = func() {
		must.Do(t, os.RemoveAll(before))
		copySparse(t, l.s.store.path(), before)
		after := filepath.Join(work, "collected")
		copySparse(t, before, filepath.Join(after, storeDir))
		l.inspect(after, fmt.Sprintf("after the collection that followed write %d", writes))
		must.Do(t, os.RemoveAll(after))
	}
	l.s.store.written = func() {
		writes++
		keep := filepath.Join(work, "keep", storeDir)
		if testing.Short() && writes%5 != 0 { // only the store before the next inspected write is needed
			copySparse(t, l.s.store.path(), keep)
			must.Do(t, os.RemoveAll(before))
			must.Do(t, os.Rename(keep, before))
			return
		}
		after := filepath.Join(work, fmt.Sprint("after", writes))
		copySparse(t, l.s.store.path(), filepath.Join(after, storeDir))
		copySparse(t, filepath.Join(after, storeDir), keep)
		half := filepath.Join(work, "half")
		copySparse(t, keep, filepath.Join(half, storeDir))
		if undoPartOfWrite(t, before, filepath.Join(half, storeDir), random) {
			torn++
			l.inspect(half, fmt.Sprintf("in the middle of write %d", writes))
		}
		must.Do(t, os.RemoveAll(half))
		l.inspect(after, fmt.Sprintf("after write %d", writes))
		must.Do(t, os.RemoveAll(after))
		must.Do(t, os.RemoveAll(before))
		must.Do(t, os.Rename(keep, before))
	}
	l.run()
	closeSpool(t, l.s)
	if writes < l.steps || torn == 0 {
		t.Errorf("%d writes, %d of them torn, in %d steps; want a write per step and torn ones", writes, torn, l.steps)
	}
	t.Logf("%d power cuts after a write, %d in the middle of one", writes, torn)
}

// undoPartOfWrite undoes the end of every change between two stores, file by file, from a random place
// on. It reports whether there was a change.
func undoPartOfWrite(t *testing.T, before, after string, random *rand.Rand) bool {
	t.Helper()
	changed := false
	for _, e := range must.Get(os.ReadDir(after))(t) {
		if ext := filepath.Ext(e.Name()); ext != ".vlog" && ext != ".mem" {
			continue
		}
		old, err := os.ReadFile(filepath.Join(before, e.Name()))
		if err != nil {
			continue // a new file
		}
		path := filepath.Join(after, e.Name())
		now := must.Get(os.ReadFile(path))(t)
		n := min(len(old), len(now))
		from, to := diffRange(old[:n], now[:n])
		if from == to {
			continue
		}
		cut := from + random.IntN(to-from)
		f := must.Get(os.OpenFile(path, os.O_RDWR, 0))(t)
		must.Get(f.WriteAt(old[cut:to], int64(cut)))(t)
		must.Do(t, f.Close())
		changed = true
	}
	return changed
}

// diffRange returns the range in which a and b, of the same length, differ.
func diffRange(a, b []byte) (from, to int) {
	const block = 4096
	for ; from < len(a) && bytes.Equal(a[from:min(from+block, len(a))], b[from:min(from+block, len(a))]); from += block {
	}
	if from >= len(a) {
		return 0, 0
	}
	for ; a[from] == b[from]; from++ {
	}
	for to = len(a); a[to-1] == b[to-1]; to-- {
		for to > block && bytes.Equal(a[to-block:to], b[to-block:to]) {
			to -= block
		}
	}
	return from, to
}
