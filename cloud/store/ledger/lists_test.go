package ledger

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

func TestPages(t *testing.T) {
	ctx := t.Context()
	l, c := fresh(t)
	const all = 25
	for i := range all {
		if i%5 == 0 {
			c.Advance(-time.Hour) // a clock that is set back does not change the order
		}
		rec := record(t, l, fmt.Sprintf("f%02d", i), fmt.Sprint(i/2)) // every second one a duplicate
		if rec.Job != nil && i%4 == 0 {
			must.Do(t, l.Jobs.MarkQueued(ctx, rec.Job.ID))
			j, _, err := l.Attempts.Begin(ctx, rec.Job.ID, "w")
			must.Do(t, err)
			must.Get(l.Attempts.Finish(ctx, j.ID, j.Fence, Count{Unique: i, High: i}, "k"))(t)
		}
	}
	var got []footage.ID
	for p := (Page{Limit: 7}); ; {
		vs, next, err := l.Footage.List(ctx, p)
		must.Do(t, err)
		for _, v := range vs {
			got = append(got, v.ID)
			if v.Job == nil || (v.Count != nil) != (v.Job.State == job.Done) {
				t.Errorf("%s: %+v %+v", v.ID, v.Job, v.Count)
			}
		}
		if next == "" {
			break
		}
		p.After = next
	}
	if len(got) != all {
		t.Fatalf("%d entries: %v", len(got), got)
	}
	for i, id := range got {
		if want := footage.ID(fmt.Sprintf("f%02d", all-1-i)); id != want {
			t.Fatalf("entry %d is %s, want %s", i, id, want)
		}
	}
	done, next, err := l.Jobs.List(ctx, job.Done, Page{Limit: 3})
	if err != nil || len(done) != 3 || next == "" || done[0].Footage.ID != "f24" {
		t.Fatalf("got done jobs %+v, next page %q, error %v", done, next, err)
	}
	every, next, err := l.Jobs.List(ctx, "", Page{})
	if err != nil || len(every) != 13 || next != "" {
		t.Fatalf("got jobs %d, next page %q, error %v", len(every), next, err)
	}
	counts, next, err := l.Counts.List(ctx, Page{Limit: 100_000})
	if err != nil || len(counts) != 7 || next != "" || counts[0].Unique != 24 || counts[0].Footage.ID != "f24" {
		t.Fatalf("got counts %d, next page %q, error %v", len(counts), next, err)
	}
	s, err := l.Totals.Stats(ctx)
	if err != nil || s.Footage != all || s.Duplicates != 12 || s.Counts != 7 || s.Animals != 84 ||
		s.Jobs[job.Done] != 7 || s.Jobs[job.Uploaded] != 6 {
		t.Fatalf("got statistics %+v, error %v", s, err)
	}
	if n, err := l.Counts.Get(ctx, "f01"); err != nil || n.Footage != "f00" {
		t.Fatalf("count of a duplicate: %+v %v", n, err)
	}
	for _, bad := range []string{"x", "-1", "1.5", "99999999999999999999"} {
		_, _, err := l.Footage.List(ctx, Page{After: bad})
		must.FailWith(t, err, ErrCursor)
		_, _, err = l.Jobs.List(ctx, "", Page{After: bad})
		must.FailWith(t, err, ErrCursor)
		_, _, err = l.Counts.List(ctx, Page{After: bad})
		must.FailWith(t, err, ErrCursor)
	}
}

func TestListIdle(t *testing.T) {
	ctx := t.Context()
	l, c := fresh(t)
	for i := range 5 {
		must.Do(t, l.Jobs.MarkQueued(ctx, record(t, l, fmt.Sprint("f", i), fmt.Sprint(i)).Job.ID))
	}
	if js, err := l.Jobs.ListIdle(ctx, job.Queued, c.Now(), "", 10); err != nil || len(js) != 0 {
		t.Fatalf("got jobs %v, error %v", js, err)
	}
	c.Advance(time.Second)
	seen, after := 0, ""
	for {
		js, err := l.Jobs.ListIdle(ctx, job.Queued, c.Now(), after, 2)
		must.Do(t, err)
		if len(js) == 0 {
			break
		}
		seen, after = seen+len(js), js[len(js)-1].ID
	}
	if seen != 5 {
		t.Fatalf("%d jobs", seen)
	}
}

func TestDevices(t *testing.T) {
	ctx := t.Context()
	l, c := fresh(t)
	token, err := l.Devices.Add(ctx, "base-1", "north", RoleDevice)
	must.Do(t, err)
	if len(token.Reveal()) != 3+43 || token.Reveal()[:3] != "cc_" {
		t.Errorf("token of %d characters", len(token.Reveal()))
	}
	d, err := l.Devices.Authenticate(ctx, token.Reveal())
	if err != nil || d.Name != "base-1" || d.Site != "north" || d.Role != RoleDevice || !d.Created.Equal(c.Now()) ||
		d.LastSeen != nil {
		t.Fatalf("got device %+v, error %v", d, err)
	}
	_, err = l.Devices.Add(ctx, "base-1", "south", RoleDevice)
	must.FailWith(t, err, ErrExists)
	for _, bad := range [][3]string{{"", "north", "device"}, {"a/b", "north", "device"}, {"b", "", "device"},
		{"b", "north", "king"}, {"counts", "north", "device"}} {
		_, err := l.Devices.Add(ctx, bad[0], bad[1], Role(bad[2]))
		must.FailWith(t, err, ErrInvalid)
	}
	seen := c.Now().Add(time.Minute)
	must.Do(t, l.Devices.Touch(ctx, "base-1", seen))
	must.Do(t, l.Devices.Touch(ctx, "base-1", seen.Add(-time.Hour)))
	must.Do(t, l.Devices.Revoke(ctx, "base-1"))
	must.Do(t, l.Devices.Revoke(ctx, "base-1"))
	for _, bad := range []string{token.Reveal(), "", "cc_", "cc_' OR 1=1 --"} {
		_, err := l.Devices.Authenticate(ctx, bad)
		must.FailWith(t, err, ErrUnauthorised)
	}
	must.FailWith(t, l.Devices.Revoke(ctx, "unknown"), ErrNotFound)
	must.FailWith(t, l.Devices.Touch(ctx, "unknown", seen), ErrNotFound)
	again, err := l.Devices.Add(ctx, "base-1", "south", RoleOperator)
	must.Do(t, err)
	if d, err := l.Devices.Authenticate(ctx, again.Reveal()); err != nil || d.Site != "south" || d.Revoked != nil {
		t.Fatalf("got device %+v, error %v", d, err)
	}
	_, err = l.Devices.Authenticate(ctx, token.Reveal())
	must.FailWith(t, err, ErrUnauthorised)
	must.Do(t, l.Devices.Touch(ctx, "base-1", seen))
	ds, err := l.Devices.List(ctx)
	if err != nil || len(ds) != 1 || ds[0].LastSeen == nil || !ds[0].LastSeen.Equal(seen) {
		t.Fatalf("got devices %+v, error %v", ds, err)
	}
}

func TestThumbnails(t *testing.T) {
	ctx := t.Context()
	l, c := fresh(t)
	const all = 5
	for i := range all {
		must.Do(t, l.Thumbnails.Put(ctx, Thumbnail{Footage: footage.ID(fmt.Sprintf("f%d", i)), Site: "s", Device: "base-1",
			Name: "n", Size: 3, BlobKey: "k", Received: c.Now()}))
	}
	record(t, l, "f2", "its video")
	var got []footage.ID
	for p := (Page{Limit: 2}); ; {
		ts, next, err := l.Thumbnails.ListWaiting(ctx, p)
		must.Do(t, err)
		for _, v := range ts {
			got = append(got, v.Footage)
		}
		if p.After = next; next == "" {
			break
		}
	}
	if want := []footage.ID{"f4", "f3", "f1", "f0"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if err := l.Thumbnails.Put(ctx, Thumbnail{Footage: "f1", Device: "other", BlobKey: "x",
		Received: c.Now()}); !errors.Is(err, ErrOwned) {
		t.Error(err)
	}
	must.Do(t, l.Thumbnails.Put(ctx, Thumbnail{Footage: "f1", Device: "base-1", Size: 9, BlobKey: "k2", Received: c.Now()}))
	if v, err := l.Thumbnails.Get(ctx, "f1"); err != nil || v.Size != 9 || v.BlobKey != "k2" {
		t.Errorf("got footage %+v, error %v", v, err)
	}
	if _, err := l.Thumbnails.Get(ctx, "nope"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

// The first use of a renewed token makes the old one invalid. Until then both are valid.
func TestRenewedToken(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	first, err := l.Devices.Add(ctx, "base-1", "north", RoleDevice)
	must.Do(t, err)
	renew := func() string {
		token, err := l.Devices.Renew(ctx, "base-1")
		must.Do(t, err)
		return token.Reveal()
	}
	good := func(token string, want error) {
		t.Helper()
		d, err := l.Devices.Authenticate(ctx, token)
		must.FailWith(t, err, want)
		if want == nil && d.Name != "base-1" {
			t.Errorf("got device %+v", d)
		}
	}
	lost := renew()
	second := renew() // the first new token got lost
	good(first.Reveal(), nil)
	good(lost, ErrUnauthorised)
	good(second, nil)
	good(first.Reveal(), ErrUnauthorised)
	good(second, nil)
	third := renew()
	must.Do(t, l.Devices.Revoke(ctx, "base-1"))
	good(second, ErrUnauthorised)
	good(third, ErrUnauthorised)
	_, err = l.Devices.Renew(ctx, "base-1")
	must.FailWith(t, err, ErrNotFound)
	_, err = l.Devices.Renew(ctx, "unknown")
	must.FailWith(t, err, ErrNotFound)
}

func TestUploads(t *testing.T) {
	ctx := t.Context()
	l, c := fresh(t)
	u := Upload{
		ID: "u1", Footage: "f1", Device: "base-1", Site: "north", Kind: wire.KindVideo, Name: "a.mp4", Size: 100,
		SHA256: footage.Sum(nil), Captured: c.Now(), Metadata: map[string]string{"k": "ä\n"},
	}
	made, err := l.Uploads.Create(ctx, u)
	must.Do(t, err)
	got, err := l.Uploads.Get(ctx, "u1")
	must.Do(t, err)
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", made) || !got.Created.Equal(c.Now()) || got.HashState != nil {
		t.Fatalf("%+v\n%+v", got, made)
	}
	_, err = l.Uploads.Create(ctx, u)
	must.FailWith(t, err, ErrExists)
	c.Advance(time.Hour)
	must.Do(t, l.Uploads.SaveOffset(ctx, "u1", 60, []byte{1, 2}))
	must.Do(t, l.Uploads.SetKey(ctx, "u1", "footage/f1/original.mp4"))
	got, err = l.Uploads.Get(ctx, "u1")
	if err != nil || got.Offset != 60 || string(got.HashState) != "\x01\x02" || got.BlobKey == "" ||
		!got.Updated.Equal(c.Now()) {
		t.Fatalf("got result %+v, error %v", got, err)
	}
	_, err = l.Uploads.Create(ctx, Upload{ID: "u2", Footage: "f2", Device: "base-2", Deferred: true})
	must.Do(t, err)
	must.Do(t, l.Uploads.SetSize(ctx, "u2", 10))
	must.Do(t, l.Uploads.SaveOffset(ctx, "u2", 10, []byte{1}))
	c.Advance(time.Second)
	if us, err := l.Uploads.ListComplete(ctx, c.Now(), 10); err != nil || len(us) != 1 || us[0].ID != "u2" ||
		us[0].Deferred {
		t.Fatalf("got sessions %+v, error %v", us, err)
	}
	must.Do(t, l.Uploads.Finish(ctx, "u2"))
	if us, err := l.Uploads.ListComplete(ctx, c.Now().Add(time.Hour), 10); err != nil || len(us) != 0 {
		t.Fatalf("got sessions %+v, error %v", us, err)
	}
	for device, want := range map[string]int{"": 1, "base-1": 1, "base-2": 0} {
		if n, err := l.Uploads.CountUnfinished(ctx, device); err != nil || n != want {
			t.Errorf("%q: %d %v", device, n, err)
		}
	}
	if us, err := l.Uploads.List(ctx, time.Time{}, 10); err != nil || len(us) != 2 {
		t.Fatalf("got sessions %+v, error %v", us, err)
	}
	if us, err := l.Uploads.List(ctx, c.Now(), 10); err != nil || len(us) != 1 || us[0].ID != "u1" {
		t.Fatalf("got sessions %+v, error %v", us, err)
	}
	must.Do(t, l.Uploads.Delete(ctx, "u1"))
	must.Do(t, l.Uploads.Delete(ctx, "u1"))
	for what, err := range map[string]error{
		"save": l.Uploads.SaveOffset(ctx, "u1", 1, nil), "key": l.Uploads.SetKey(ctx, "u1", "k"),
		"declare": l.Uploads.SetSize(ctx, "u1", 1), "finish": l.Uploads.Finish(ctx, "u1"),
	} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func BenchmarkUpdateProgress(b *testing.B) {
	l, _ := fresh(b)
	j := begun(b, l, "f1")
	for b.Loop() {
		must.Get(l.Attempts.UpdateProgress(b.Context(), j.ID, j.Fence, job.Progress{Percent: 5}))(b)
	}
}

// The upload of a session is recorded only while the session exists. It can replace a lost
// blob.
func TestRecordingNeedsTheSession(t *testing.T) {
	ctx := t.Context()
	l, _ := fresh(t)
	f := sample("f1", "moo")
	_, err := l.Footage.RecordUpload(ctx, "u1", f)
	must.FailWith(t, err, ErrNotFound)
	_, err = l.Footage.Get(ctx, "f1")
	must.FailWith(t, err, ErrNotFound)
	_, err = l.Uploads.Create(ctx, Upload{ID: "u1", Footage: "f1", Device: "base-1", Size: 3})
	must.Do(t, err)
	rec, err := l.Footage.RecordUpload(ctx, "u1", f)
	must.Do(t, err)
	must.Do(t, l.Jobs.Poison(ctx, rec.Job.ID, "no such blob"))
	for _, c := range []struct{ upload, lost string }{{"u2", f.BlobKey}, {"u1", "another"}} {
		_, err = l.Footage.RestoreVideo(ctx, c.upload, "f1", c.lost, "new")
		must.FailWith(t, err, ErrNotFound)
	}
	j, err := l.Footage.RestoreVideo(ctx, "u1", "f1", f.BlobKey, "new")
	if err != nil || j.State != job.Uploaded || j.Reason != "" {
		t.Errorf("got job %+v, error %v", j, err)
	}
	now, err := l.Footage.Get(ctx, "f1")
	if err != nil || now.BlobKey != "new" || now.Seq <= rec.Footage.Seq || now.Job.State != job.Uploaded {
		t.Errorf("got footage now %+v, error %v", now, err)
	}
	if j, err = l.Footage.RestoreVideo(ctx, "u1", "f1", "new", "newer"); err != nil || j.State != job.Uploaded {
		t.Errorf("got job %+v, error %v", j, err)
	}
}
