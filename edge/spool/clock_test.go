package spool

import (
	"errors"
	"testing"
	"time"

	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/topic"
)

// wild is a wall clock that jumps with every look: to 1970, ahead, and back.
func wild() func() time.Time {
	years := []int{2026, 1970, 2099, 1980, 2026, 2001}
	i := 0
	return func() time.Time {
		i++
		return time.Date(years[i%len(years)], 1, 1, 0, 0, i, 0, time.UTC)
	}
}

func TestKnownTimeOutlivesARestart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if k := must[KnownTime](t)(s.Clock.KnownTime()); k != (KnownTime{}) {
		t.Errorf("%+v", k)
	}
	want := KnownTime{Synced: time.Date(2026, 11, 24, 12, 0, 0, 5, time.UTC), GNSS: time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)}
	ok(t, s.Clock.SetKnownTime(want))
	ok(t, s.Close())
	s = open(t, dir)
	if k := must[KnownTime](t)(s.Clock.KnownTime()); k != want {
		t.Errorf("%+v", k)
	}
	ok(t, s.Close())
}

// Whatever the clock says, the order is that of capture, and the oldest in it is
// what makes room and what is forgotten first.
func TestAWildClockChangesNoOrder(t *testing.T) {
	free := int64(1 << 40)
	disk := func(string) (int64, int64, error) { return 1 << 40, free, nil }
	dir := t.TempDir()
	o := func(o *Options) { o.Now, o.History, o.KeepConfirmed, o.Disk, o.MinFree = wild(), 2, true, disk, 1<<20 }
	s := open(t, dir, o)
	var ids []footage.ID
	for i, name := range []string{"e", "a", "d", "b", "c"} {
		r := fill(t, s, "/card/"+name+".mp4", uint64(i), 100)
		must[Record](t)(s.Uploads.Begin(r.ID))
		ok(t, s.Uploads.Accept(r.ID))
		ok(t, s.Uploads.Confirm(r.ID, ""))
		ids = append(ids, r.ID)
	}
	ok(t, s.Close())
	s = open(t, dir, o)
	defer shut(t, s)
	for i, r := range s.Records.All() {
		if r.ID != ids[i] {
			t.Fatalf("place %d has %s", i, r.Name)
		}
	}
	free = 0
	for i, id := range ids {
		if err := s.Disk.MakeRoom(1); !errors.Is(err, ErrNoSpace) {
			t.Fatal(err)
		}
		if r, known := s.Records.Get(id); known && r.State != Reclaimed {
			t.Errorf("%s was to go now, it is %s", r.Name, r.State)
		}
		s.store.collecting.Store(false) // what Run does when it has collected
		if want := min(i+1, 2) + len(ids) - i - 1; len(s.Records.All()) != want {
			t.Errorf("%d records, want %d", len(s.Records.All()), want)
		}
	}
	if left := s.Records.All(); len(left) != 2 || left[0].ID != ids[3] || left[1].ID != ids[4] {
		t.Errorf("%+v", left)
	}
}

// The cloud's time and this device's are years apart: the progress of a job is
// not written with every word for that.
func TestProgressSparesTheFlash(t *testing.T) {
	s := opened(t, func(o *Options) { o.Now = wild() })
	r := fill(t, s, "/card/a.mp4", 1, 100)
	confirm(t, s, r.ID)
	writes := 0
	s.store.written = func() { writes++ }
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for i := range 50 {
		j := topic.Job{Header: topic.Header{Seq: int64(i + 1)}, Job: "j", Footage: r.ID, State: job.Processing, Progress: job.Progress{Percent: float64(i)}, Updated: at.Add(time.Duration(i) * 2 * time.Second)}
		if newer := must[bool](t)(s.Records.PutJob(j)); !newer {
			t.Fatal(i)
		}
	}
	s.store.written = nil
	if got, _ := s.Records.Get(r.ID); got.Job.Percent != 49 {
		t.Errorf("%+v", got.Job)
	}
	if writes > 3 { // more than one on a machine that takes minutes for this
		t.Errorf("%d writes", writes)
	}
}
