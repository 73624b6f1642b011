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
		got, _ := s.Record(r.ID)
		if got.Attempt != want || anew && got.Told != 0 {
			t.Errorf("%s: attempt %d, want %d, told %d", what, got.Attempt, want, got.Told)
		}
		ok(t, s.SetTold(r.ID, 100))
	}
	check("read", false)
	must[Record](t)(s.BeginUpload(r.ID))
	check("upload", false)
	ok(t, s.SetTransfer(r.ID, Video, Transfer{URL: "u", Offset: 10}))
	check("the first session", false)
	ok(t, s.SetTransfer(r.ID, Video, Transfer{URL: "u", Offset: 20}))
	check("it goes on", false)
	ok(t, s.SetTransfer(r.ID, Video, Transfer{}))
	check("the cloud lost it", true)
	ok(t, s.SetTransfer(r.ID, Video, Transfer{URL: "v", Offset: 20}))
	check("the next session", false)
	must[int](t)(s.HashFault(r.ID))
	check("arrived damaged", true)
	ok(t, s.Quarantine(r.ID, "why"))
	check("quarantine", false)
	ok(t, s.Retry(r.ID))
	check("retry", true)
	must[Record](t)(s.BeginUpload(r.ID))
	ok(t, s.Accepted(r.ID))
	ok(t, s.Confirm(r.ID, ""))
	ok(t, s.Reclaim(r.ID))
	check("reclaimed", false)
	ok(t, s.Reread(r.ID))
	check("read again", true)
}
