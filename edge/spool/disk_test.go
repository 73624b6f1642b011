package spool

import (
	"errors"
	"strings"
	"testing"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
)

func TestQuota(t *testing.T) {
	s := opened(t, func(o *Options) { o.Quota = 40 << 20 })
	r := must.Get(s.Captures.Add(Source{Path: "/card/h.mp4", Size: 80 << 20}, nil))(t)
	b, m := content(r.ID, 10, 80<<20)
	must.Get(s.Captures.BeginRead(r.ID))(t)
	var err error
	for _, c := range m.Video.Chunks {
		at := c.Index * footage.ChunkSize
		if err = s.Content.PutChunk(r.ID, Video, c, b[at:at+int(c.Size)]); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "spool.quota") {
		t.Fatalf("got error %v, want ErrNoSpace that names spool.quota", err)
	}
	if used := must.Get(s.Disk.Space())(t).Used; used > 40<<20 {
		t.Errorf("the spool uses %d bytes, more than its quota", used)
	}
}

func TestSpacePercentAndLimit(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		sp   Space
		want float64
	}{
		{Space{Limit: 1000 * mb}, 0}, {Space{Used: 800 * mb, Limit: 1000 * mb}, 80}, {Space{Used: 997 * mb, Limit: 1000 * mb}, 100},
		{Space{Used: 5 * mb, Limit: 0}, 100}, {Space{Used: 5 * mb, Limit: -mb}, 100}, {Space{Used: 2000 * mb, Limit: 1000 * mb}, 100},
	} {
		if got := c.sp.Percent(); got != c.want {
			t.Errorf("%+v: got %v %%, want %v %%", c.sp, got, c.want)
		}
	}
	disk := func(string) (int64, int64, error) { return 10_000 * mb, 700 * mb, nil }
	for _, c := range []struct{ quota, minFree int64 }{{0, 0}, {0, 100}, {500, 100}, {900, 100}} {
		s := opened(t, func(o *Options) { o.Quota, o.MinFree, o.Disk = c.quota*mb, c.minFree*mb, disk })
		sp := must.Get(s.Disk.Space())(t)
		want := sp.Used + (700-c.minFree)*mb
		if c.quota > 0 {
			want = min(want, c.quota*mb)
		}
		if sp.Limit != want {
			t.Errorf("%+v: limit %d MiB, want %d MiB", c, sp.Limit/mb, want/mb)
		}
	}
}

// With KeepConfirmed confirmed footage stays until its space is needed. Then the oldest is
// evicted. Footage that is not confirmed is never evicted.
func TestConfirmedFootageIsEvicted(t *testing.T) {
	s := opened(t, func(o *Options) { o.KeepConfirmed, o.Quota = true, 60<<20 })
	upload := func(r Record) footage.ID {
		must.Get(s.Uploads.Begin(r.ID))(t)
		must.Do(t, s.Uploads.Accept(r.ID))
		must.Do(t, s.Uploads.Confirm(r.ID, ""))
		must.Do(t, s.Uploads.Release(r.ID))
		return r.ID
	}
	waits := fill(t, s, "/card/waits.mp4", 1, 4<<20)
	first := upload(fill(t, s, "/card/first.mp4", 2, 20<<20))
	second := upload(fill(t, s, "/card/second.mp4", 3, 20<<20))
	if sp := must.Get(s.Disk.Space())(t); sp.Confirmed != 40<<20 || sp.Percent() > 20 {
		t.Errorf("confirmed footage counts as used: %+v, %v %%", sp, sp.Percent())
	}
	must.Do(t, s.Content.Verify(t.Context(), first))
	for range 5 {
		if err := s.Disk.MakeRoom(30 << 20); !errors.Is(err, ErrNoSpace) {
			t.Fatalf("full spool: got error %v, want ErrNoSpace", err)
		}
	}
	a, _ := s.Records.Get(first)
	b, _ := s.Records.Get(second)
	if a.State != Reclaimed || b.State != Confirmed {
		t.Fatalf("oldest is %s, next is %s, want only the oldest reclaimed", a.State, b.State)
	}
	must.Do(t, s.Disk.Collect(t.Context()))
	s.store.collecting.Store(false)
	must.Do(t, s.Disk.MakeRoom(20<<20))
	must.Do(t, s.Content.Verify(t.Context(), waits.ID))
	must.Do(t, s.Content.Verify(t.Context(), second))
}
