package spool

import (
	"errors"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
)

// at is a source with a fingerprint made of text.
func at(path string, size int64, text string) Source {
	s := Source{Path: path, Size: size, ModTime: time.Unix(1_700_000_000, 0)}
	if text != "" {
		s.Print = footage.Sum([]byte(text))
	}
	return s
}

// spoolSource reads a file with content made of seed into the spool.
func spoolSource(t *testing.T, s *Spool, src Source, telemetry *Source, seed uint64) Record {
	t.Helper()
	return commit(t, s, must.Get(s.Captures.Add(src, telemetry))(t), seed)
}

// commit reads the file, and the telemetry, of a captured record.
func commit(t *testing.T, s *Spool, r Record, seed uint64) Record {
	t.Helper()
	must.Get(s.Captures.BeginRead(r.ID))(t)
	b, m := content(r.ID, seed, int(r.Source.Size))
	putChunks(t, s, b, m)
	m.TelemetryOf = r.LogOf
	if r.Telemetry != nil {
		text := []byte(r.Telemetry.Print.String() + "\n")[:r.Telemetry.Size]
		c := footage.Chunk{Size: r.Telemetry.Size, SHA256: footage.Sum(text)}
		must.Do(t, s.Content.PutChunk(r.ID, Telemetry, c, text))
		m.Telemetry = &footage.File{Name: "a.srt", Size: c.Size, SHA256: c.SHA256, Chunks: []footage.Chunk{c}}
	}
	return must.Get(s.Captures.Commit(m))(t)
}

// send brings a spooled record to its end.
func send(t *testing.T, s *Spool, r Record) {
	t.Helper()
	must.Get(s.Uploads.Begin(r.ID))(t)
	if r.Telemetry != nil {
		must.Do(t, s.Uploads.SetTransfer(r.ID, Telemetry, Transfer{URL: "u", Done: true}))
	}
	must.Do(t, s.Uploads.Confirm(r.ID, ""))
	must.Do(t, s.Disk.Reclaim(r.ID))
}

// A new recording with path, size and time of an earlier one is other footage, also after a restart.
func TestFingerprintTellsRecordingsApart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	first := spoolSource(t, s, at("/card/a.mp4", 100, "first"), nil, 1)
	send(t, s, first)
	closeSpool(t, s)
	s = open(t, dir)
	defer closeSpool(t, s)
	for text, want := range map[string]Match{"first": Same, "second": New, "": Same} {
		if got := must.Get(s.Captures.Match(at("/card/a.mp4", 100, text)))(t); got != want {
			t.Errorf("fingerprint of %q: got match %d, want %d", text, got, want)
		}
	}
	second := spoolSource(t, s, at("/card/a.mp4", 100, "second"), nil, 2)
	if second.ID == first.ID || second.State != Spooled {
		t.Errorf("got %+v, want other footage, spooled", second)
	}
	must.Do(t, s.Captures.Forget(first.ID)) // the file is that of the second
	if got := must.Get(s.Captures.Match(at("/card/a.mp4", 100, "second")))(t); got != Same {
		t.Errorf("after the first was forgotten: got match %d, want the file to be known", got)
	}
	must.Do(t, s.Captures.RequireDigest(first.ID)) // the file is that of the second
	if got := must.Get(s.Captures.Match(at("/card/a.mp4", 100, "second")))(t); got != Same {
		t.Errorf("after the file of the first was deleted: got match %d, want Same", got)
	}
	must.Do(t, s.Captures.RequireDigest(second.ID))
	if got := must.Get(s.Captures.Match(at("/card/a.mp4", 100, "second")))(t); got != Unsure {
		t.Errorf("after the file of the second was deleted: got match %d, want Unsure", got)
	}
	must.Do(t, s.Captures.Forget(second.ID))
	if got := must.Get(s.Captures.Match(at("/card/a.mp4", 100, "second")))(t); got != New {
		t.Errorf("after the second was forgotten: got match %d, want New", got)
	}
}

// Records of a release without fingerprints: the digest of the whole file decides, not its name.
func TestResolveByDigest(t *testing.T) {
	s := opened(t)
	old := spoolSource(t, s, at("/card/a.mp4", 100, ""), nil, 1)
	send(t, s, old)
	now := at("/card/a.mp4", 100, "now")
	if got := must.Get(s.Captures.Match(now))(t); got != Unsure {
		t.Fatalf("got match %d, want Unsure", got)
	}
	if same := must.Get(s.Captures.Resolve(now, old.SHA256))(t); !same || must.Get(s.Captures.Match(now))(t) != Same {
		t.Error("the same content does not count as captured")
	}
	if r, _ := s.Records.Get(old.ID); r.Source.Print != now.Print {
		t.Errorf("the record has the fingerprint %s, want the new one", r.Source.Print)
	}
	// The card is mounted in another time zone.
	now.ModTime = now.ModTime.Add(time.Hour)
	if got := must.Get(s.Captures.Match(now))(t); got != Unsure {
		t.Errorf("another time: got match %d, want Unsure", got)
	}
	if same := must.Get(s.Captures.Resolve(now, old.SHA256))(t); !same || must.Get(s.Captures.Match(now))(t) != Same {
		t.Error("another time: the same content does not count as captured")
	}
	if r, _ := s.Records.Get(old.ID); !r.Source.Same(now) {
		t.Errorf("another time: the record has %+v, want %+v", r.Source, now)
	}
	other := spoolSource(t, s, at("/card/b.mp4", 100, ""), nil, 2)
	now = at("/card/b.mp4", 100, "other")
	if same := must.Get(s.Captures.Resolve(now, footage.Sum([]byte("other"))))(t); same || must.Get(s.Captures.Match(now))(t) != New {
		t.Error("another recording counts as captured")
	}
	if r := must.Get(s.Captures.Add(now, nil))(t); r.ID == other.ID {
		t.Error("two recordings share an id")
	}
	// The content is known from another file.
	spoolSource(t, s, at("/card/c.mp4", 100, ""), nil, 3)
	now = at("/card/c.mp4", 100, "moved")
	if same := must.Get(s.Captures.Resolve(now, old.SHA256))(t); !same || must.Get(s.Captures.Match(now))(t) != Same {
		t.Error("content that was captured under another name is captured again")
	}
}

// A flight log may arrive before its video is read, after it was spooled, and after it was sent.
func TestLateFlightLog(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	video, log := at("/card/a.mp4", 100, "video"), at("/card/a.SRT", 40, "log")
	if _, err := s.Captures.AddLog(video, log); !errors.Is(err, ErrNotFound) {
		t.Errorf("log of an unknown video: got error %v, want ErrNotFound", err)
	}
	v := must.Get(s.Captures.Add(video, nil))(t)
	if must.Get(s.Captures.KnowsLog(video, log))(t) {
		t.Error("a log that arrives before its video is read is known")
	}
	if r := must.Get(s.Captures.AddLog(video, log))(t); r.ID != v.ID || r.LogOf != "" || !must.Get(s.Captures.KnowsLog(video, log))(t) {
		t.Errorf("got %+v, want the record of the video with its log", r)
	}
	v, _ = s.Records.Get(v.ID)
	v = commit(t, s, v, 1)
	if v.TelemetrySHA256.IsZero() || !must.Get(s.Captures.KnowsLog(video, log))(t) {
		t.Errorf("spooled with its log: got %+v", v)
	}
	grown := at("/card/a.SRT", 60, "grown log")
	for _, state := range []string{"spooled", "sent", "after a restart"} {
		if must.Get(s.Captures.KnowsLog(video, grown))(t) {
			t.Errorf("%s: a log that grew is known", state)
		}
		switch state {
		case "spooled":
			send(t, s, v)
		case "sent":
			closeSpool(t, s)
			s = open(t, dir)
		}
	}
	defer func() { closeSpool(t, s) }()
	l := must.Get(s.Captures.AddLog(video, grown))(t)
	if l.LogOf != v.ID || l.ID == v.ID || l.Name != "a.SRT" || !must.Get(s.Captures.KnowsLog(video, grown))(t) {
		t.Errorf("got %+v, want a record of the log", l)
	}
	replaced := at("/card/a.SRT", 61, "replaced log")
	if r := must.Get(s.Captures.AddLog(video, replaced))(t); r.ID != l.ID || r.Source.Size != 61 {
		t.Errorf("replaced before it was read: got %+v, want record %s with 61 bytes", r, l.ID)
	}
	l, _ = s.Records.Get(l.ID)
	l = commit(t, s, l, 2)
	closeSpool(t, s)
	s = open(t, dir)
	if l, _ = s.Records.Get(l.ID); l.State != Spooled || l.LogOf != v.ID {
		t.Errorf("after a restart: got %+v", l)
	}
	must.Do(t, s.Content.Verify(t.Context(), l.ID))
	send(t, s, l)
	again := spoolLog(t, s, video, at("/card/b/../a.srt", 61, "moved"), 2)
	if again.State != Duplicate || again.DuplicateOf != l.ID {
		t.Errorf("same log again: got %+v, want a duplicate of %s", again, l.ID)
	}
	if back := spoolLog(t, s, video, at("/card/a.SRT", 62, "third"), 3); back.State != Spooled {
		t.Errorf("another log: got %+v, want it spooled", back)
	}
}

func spoolLog(t *testing.T, s *Spool, video, log Source, seed uint64) Record {
	t.Helper()
	return commit(t, s, must.Get(s.Captures.AddLog(video, log))(t), seed)
}

// Equal logs of two videos are both sent, and a copy of a video brings its log to the first footage.
func TestFlightLogsOfSeveralVideos(t *testing.T) {
	s := opened(t)
	one := spoolSource(t, s, at("/card/a.mp4", 100, "a"), nil, 1)
	two := spoolSource(t, s, at("/card/b.mp4", 100, "b"), nil, 2)
	for _, v := range []Record{one, two} {
		if l := spoolLog(t, s, v.Source, at(v.Source.Path+".srt", 50, "log"), 9); l.State != Spooled || l.LogOf != v.ID {
			t.Errorf("log of %s: got %+v, want it spooled", v.Name, l)
		}
	}
	log := at("/other/a.srt", 30, "log of the copy")
	three := spoolSource(t, s, at("/other/a.mp4", 100, "a"), &log, 1)
	if three.State != Duplicate || must.Get(s.Captures.KnowsLog(three.Source, log))(t) {
		t.Errorf("copy: got %+v, want a duplicate whose log is not known", three)
	}
	if l := spoolLog(t, s, three.Source, log, 10); l.State != Spooled || l.LogOf != one.ID || !must.Get(s.Captures.KnowsLog(three.Source, log))(t) {
		t.Errorf("log of the copy: got %+v, want it to belong to %s", l, one.ID)
	}
	if l, ok := s.Records.VideoOf(at("/card/B.srt", 1, "")); !ok || !l.Same(two.Source) {
		t.Errorf("video of a lone log: got %+v %t, want %s", l, ok, two.Source.Path)
	}
	late := at("/card/b.srt", 1, "")
	late.ModTime = late.ModTime.Add(time.Hour)
	if l, ok := s.Records.VideoOf(late); ok {
		t.Errorf("lone log of another time: got %+v, want none", l)
	}
	reset := at("/card/z.mp4", 100, "z")
	reset.ModTime = time.Date(1980, 1, 1, 0, 0, 9, 0, time.UTC)
	spoolSource(t, s, reset, nil, 11)
	if l, ok := s.Records.VideoOf(Source{Path: "/card/z.srt", Size: 1, ModTime: reset.ModTime}); ok {
		t.Errorf("lone log of a camera without a clock: got %+v, want none", l)
	}
}

// A flight log whose record is lost is no video after a salvage.
func TestAdoptedFlightLog(t *testing.T) {
	s := opened(t)
	v := spoolSource(t, s, at("/card/a.mp4", 100, "a"), nil, 1)
	l := spoolLog(t, s, v.Source, at("/card/a.srt", 50, "log"), 2)
	must.Do(t, s.store.deleteKeys([][]byte{recordKey(l.ID)}))
	delete(s.Records.byID, l.ID)
	must.Do(t, s.Recovery.recreateRecords())
	if got, ok := s.Records.Get(l.ID); !ok || got.LogOf != v.ID || got.State != Spooled || got.SHA256 != l.SHA256 {
		t.Errorf("got %+v, want the log of %s", got, v.ID)
	}
}
