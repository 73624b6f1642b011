package spool

import "testing"

// What begins anew says so; everything else only goes forward.
func TestAttemptGrowsWhenSomethingBeginsAnew(t *testing.T) {
	s := opened(t)
	r := fill(t, s, "/card/a.mp4", 1, 300)
	want := 0
	check := func(what string, anew bool) {
		t.Helper()
		if anew {
			want++
		}
		got, _ := s.Records.Get(r.ID)
		if got.Attempt != want || anew && got.Published != 0 {
			t.Errorf("%s: attempt %d, want %d, told %d", what, got.Attempt, want, got.Published)
		}
		ok(t, s.Records.SetPublished(r.ID, 100))
	}
	check("read", false)
	must[Record](t)(s.Uploads.Begin(r.ID))
	check("upload", false)
	ok(t, s.Uploads.SetTransfer(r.ID, Video, Transfer{URL: "u", Offset: 10}))
	check("the first session", false)
	ok(t, s.Uploads.SetTransfer(r.ID, Video, Transfer{URL: "u", Offset: 20}))
	check("it goes on", false)
	ok(t, s.Uploads.SetTransfer(r.ID, Video, Transfer{}))
	check("the cloud lost it", true)
	ok(t, s.Uploads.SetTransfer(r.ID, Video, Transfer{URL: "v", Offset: 20}))
	check("the next session", false)
	must[int](t)(s.Recovery.CountHashFault(r.ID))
	check("arrived damaged", true)
	ok(t, s.Recovery.Quarantine(r.ID, "why"))
	check("quarantine", false)
	ok(t, s.Recovery.Retry(r.ID))
	check("retry", true)
	must[Record](t)(s.Uploads.Begin(r.ID))
	ok(t, s.Uploads.Accept(r.ID))
	ok(t, s.Uploads.Confirm(r.ID, ""))
	ok(t, s.Disk.Reclaim(r.ID))
	check("reclaimed", false)
	ok(t, s.Recovery.Reread(r.ID))
	check("read again", true)
}
