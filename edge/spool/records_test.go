package spool

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/topic"
)

// jumpingClock is a wall clock that jumps with every reading: to 1970, ahead, and back.
func jumpingClock() func() time.Time {
	years := []int{2026, 1970, 2099, 1980, 2026, 2001}
	i := 0
	return func() time.Time {
		i++
		return time.Date(years[i%len(years)], 1, 1, 0, 0, i, 0, time.UTC)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	s := opened(t, func(o *Options) { o.History = 3 })
	var first Record
	for i := range 6 {
		r := fill(t, s, fmt.Sprintf("/card/%d.mp4", i), uint64(20+i), 50)
		confirm(t, s, r.ID)
		if i == 0 {
			first = r
		}
	}
	if n := len(s.Records.All()); n != 3 {
		t.Errorf("%d records are kept, want 3", n)
	}
	if must.Get(s.Captures.Match(first.Source))(t) != Same {
		t.Error("the file of a pruned record is not known")
	}
	if copied := fill(t, s, "/card/copy.mp4", 20, 50); copied.State != Duplicate {
		t.Errorf("content of a pruned record is %s, want a duplicate", copied.State)
	}
}

// The order is that of capture, whatever the clock shows. The oldest footage is evicted
// first, and its record is pruned first.
func TestJumpingClockDoesNotChangeTheOrder(t *testing.T) {
	free := int64(1 << 40)
	disk := func(string) (int64, int64, error) { return 1 << 40, free, nil }
	dir := t.TempDir()
	o := func(o *Options) {
		o.Now, o.History, o.KeepConfirmed, o.Disk, o.MinFree = jumpingClock(), 2, true, disk, 1<<20
	}
	s := open(t, dir, o)
	var ids []footage.ID
	for i, name := range []string{"e", "a", "d", "b", "c"} {
		r := fill(t, s, "/card/"+name+".mp4", uint64(i), 100)
		must.Get(s.Uploads.Begin(r.ID))(t)
		must.Do(t, s.Uploads.Accept(r.ID))
		must.Do(t, s.Uploads.Confirm(r.ID, ""))
		ids = append(ids, r.ID)
	}
	must.Do(t, s.Close())
	s = open(t, dir, o)
	defer closeSpool(t, s)
	for i, r := range s.Records.All() {
		if r.ID != ids[i] {
			t.Fatalf("place %d in the order has %s", i, r.Name)
		}
	}
	free = 0
	for i, id := range ids {
		if err := s.Disk.MakeRoom(1); !errors.Is(err, ErrNoSpace) {
			t.Fatalf("full disk: got error %v, want ErrNoSpace", err)
		}
		if r, known := s.Records.Get(id); known && r.State != Reclaimed {
			t.Errorf("%s is the oldest footage and is %s, want it reclaimed", r.Name, r.State)
		}
		s.store.collecting.Store(false) // as Run does after a collection
		if want := min(i+1, 2) + len(ids) - i - 1; len(s.Records.All()) != want {
			t.Errorf("%d records, want %d", len(s.Records.All()), want)
		}
	}
	if left := s.Records.All(); len(left) != 2 || left[0].ID != ids[3] || left[1].ID != ids[4] {
		t.Errorf("records left: %+v, want the two newest", left)
	}
}

func TestPriorityNeedsFootageToSend(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	r := fill(t, s, "/card/a.mp4", 1, 100)
	if err := s.Records.SetPriority(r.ID, MaxPriority+1); err == nil {
		t.Error("a priority above the maximum was accepted")
	}
	if err := s.Records.SetPriority("00000000000000000000000000", 1); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown footage: got error %v, want ErrNotFound", err)
	}
	confirm(t, s, r.ID)
	if err := s.Records.SetPriority(r.ID, 1); !errors.Is(err, ErrTransition) {
		t.Errorf("reclaimed footage: got error %v, want ErrTransition", err)
	}
}

func TestNewestJobWins(t *testing.T) {
	s := opened(t)
	r := fill(t, s, "/card/i.mp4", 30, 50)
	at := time.Now()
	put := func(j topic.Job) bool { t.Helper(); j.Footage = r.ID; return must.Get(s.Records.PutJob(j))(t) }
	for _, m := range []struct {
		seq   int64
		job   string
		state job.State
		at    time.Time
		newer bool
	}{
		{5, "j1", job.Processing, at, true},
		{4, "j1", job.Processing, at, false},
		{9, "j0", job.Processing, at.Add(-time.Hour), false},
		{6, "j1", job.Done, at, true},
	} {
		j := topic.Job{Header: topic.Header{Seq: m.seq}, Job: m.job, State: m.state, Updated: m.at}
		if got := put(j); got != m.newer {
			t.Errorf("message %d of job %s is newer: got %v, want %v", m.seq, m.job, got, m.newer)
		}
	}
	if got, _ := s.Records.Get(r.ID); got.Job.State != job.Done {
		t.Errorf("stored job is %+v, want the done one", got.Job)
	}
	if _, err := s.Records.PutJob(topic.Job{Footage: "unknown"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("job of unknown footage: got error %v, want ErrNotFound", err)
	}
}

// The cloud's clock and this device's are years apart. Still, not every message of progress
// is written to disk.
func TestProgressIsRarelyWritten(t *testing.T) {
	s := opened(t, func(o *Options) { o.Now = jumpingClock() })
	r := fill(t, s, "/card/a.mp4", 1, 100)
	confirm(t, s, r.ID)
	writes := 0
	s.store.written = func() { writes++ }
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for i := range 50 {
		j := topic.Job{Header: topic.Header{Seq: int64(i + 1)}, Job: "j", Footage: r.ID, State: job.Processing,
			Progress: job.Progress{Percent: float64(i)}, Updated: at.Add(time.Duration(i) * 2 * time.Second)}
		if newer := must.Get(s.Records.PutJob(j))(t); !newer {
			t.Fatalf("message %d counts as old", i)
		}
	}
	s.store.written = nil
	if got, _ := s.Records.Get(r.ID); got.Job.Percent != 49 {
		t.Errorf("progress in memory is %+v, want the last message", got.Job)
	}
	if writes > 3 { // one, but more on a machine so slow that this takes minutes
		t.Errorf("%d writes for 50 messages, want at most 3", writes)
	}
}

// A restart of reading or uploading counts as a new attempt. Within an attempt footage only
// moves forward.
func TestRestartsCountAsAttempts(t *testing.T) {
	s := opened(t)
	r := fill(t, s, "/card/a.mp4", 1, 300)
	want := 0
	check := func(what string, restarted bool) {
		t.Helper()
		if restarted {
			want++
		}
		got, _ := s.Records.Get(r.ID)
		if got.Attempt != want || restarted && got.Published != 0 {
			t.Errorf("%s: attempt %d, want %d, published %d", what, got.Attempt, want, got.Published)
		}
		must.Do(t, s.Records.SetPublished(r.ID, 100))
	}
	check("read", false)
	must.Get(s.Uploads.Begin(r.ID))(t)
	check("upload", false)
	must.Do(t, s.Uploads.SetTransfer(r.ID, Video, Transfer{URL: "u", Offset: 10}))
	check("first session", false)
	must.Do(t, s.Uploads.SetTransfer(r.ID, Video, Transfer{URL: "u", Offset: 20}))
	check("next offset", false)
	must.Do(t, s.Uploads.SetTransfer(r.ID, Video, Transfer{}))
	check("lost by the cloud", true)
	must.Do(t, s.Uploads.SetTransfer(r.ID, Video, Transfer{URL: "v", Offset: 20}))
	check("next session", false)
	must.Get(s.Recovery.CountHashFault(r.ID))(t)
	check("arrived damaged", true)
	must.Do(t, s.Recovery.Quarantine(r.ID, "why"))
	check("quarantine", false)
	must.Do(t, s.Recovery.Retry(r.ID))
	check("retry", true)
	must.Get(s.Uploads.Begin(r.ID))(t)
	must.Do(t, s.Uploads.Accept(r.ID))
	must.Do(t, s.Uploads.Confirm(r.ID, ""))
	must.Do(t, s.Disk.Reclaim(r.ID))
	check("reclaimed", false)
	must.Do(t, s.Recovery.Reread(r.ID))
	check("read again", true)
}

// A station that is updated does not fetch every count of its history again, but sees the next one.
func TestCountOfAnOlderReleaseIsNotDue(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	r := fill(t, s, "/card/a.mp4", 1, 100)
	done := topic.Job{Header: topic.Header{Seq: 5}, Job: "j", Footage: r.ID, State: job.Done}
	must.Get(s.Records.PutJob(done))(t)
	if r, _ = s.Records.Get(r.ID); !r.CountDue() {
		t.Error("the job is done and no count is due")
	}
	must.Do(t, s.Records.PutCount(r.ID, Count{Unique: 92}))
	must.Do(t, s.Close())
	s = open(t, dir)
	defer closeSpool(t, s)
	if r, _ = s.Records.Get(r.ID); r.CountDue() || r.Count.JobSeq != 5 {
		t.Errorf("after the update the count is %+v, due: %t", r.Count, r.CountDue())
	}
	done.Seq = 9
	must.Get(s.Records.PutJob(done))(t)
	if r, _ = s.Records.Get(r.ID); !r.CountDue() {
		t.Error("the footage was counted again and no count is due")
	}
}
