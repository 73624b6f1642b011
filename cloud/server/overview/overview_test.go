package overview

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/cloud/store"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue"
	"cattlecounter/deploy/testkit/clock"
	"cattlecounter/deploy/testkit/emptyledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listed are the stations of a test.
type listed []wire.Station

func (l *listed) List(context.Context) ([]wire.Station, error) { return *l, nil }

// named are the paddocks that each site has now.
type named []string

func (n *named) At(context.Context, string, time.Time) (now, before []string, err error) {
	return *n, *n, nil
}

// scene is an Overview over a ledger.
type scene struct {
	*Overview
	t        *testing.T
	ledger   *ledger.Ledger
	clock    *clock.Clock
	stations *listed
	paddocks named
	disk     error
	ends     time.Time // of the certificate; zero for one of long life, or for none that is managed
	managed  bool      // the certificate
	fault    error     // of the certificate
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{t: t, clock: clock.New(), stations: &listed{}}
	var err error
	s.ledger, err = ledger.Open(t.Context(), emptyledger.In(t, t.TempDir()), ledger.Options{Now: s.clock.Now})
	must.Do(t, err)
	t.Cleanup(func() { _ = s.ledger.Close() })
	s.Overview, err = New(Options{Sites: s.ledger.Sites, Borders: &s.paddocks, Book: s.ledger.Book, Work: s.ledger.Work, Workers: s.ledger.Workers, Models: s.ledger.Models, Logs: s.ledger.Grounds,
		Uploads: s.ledger.Uploads, Stations: s.stations, Disk: func(context.Context) error { return s.disk }, Now: s.clock.Now,
		Certificates: map[string]func() Certificate{"http.tls": func() Certificate {
			c := Certificate{Ends: s.ends, Managed: s.managed, Fault: s.fault}
			if s.ends.IsZero() && !s.managed {
				c.Ends = s.clock.Now().AddDate(1, 0, 0)
			}
			if s.fault != nil {
				c.FaultSince = s.clock.Now()
			}
			return c
		}}})
	must.Do(t, err)
	return s
}

// record records footage of the station of a site.
func (s *scene) record(site, id string) ledger.Job {
	s.t.Helper()
	rec, err := s.ledger.Footage.Record(s.t.Context(), ledger.Footage{ID: footage.ID(id), Site: site,
		Device: "dock-" + site, Name: id + ".mp4", Size: 1, SHA256: footage.Sum([]byte(id)), BlobKey: "k/" + id,
		Captured: s.clock.Now()})
	must.Do(s.t, err)
	return *rec.Job
}

func (s *scene) begin(j ledger.Job) ledger.Job {
	s.t.Helper()
	must.Do(s.t, s.ledger.Jobs.MarkQueued(s.t.Context(), j.ID))
	begun, _, err := s.ledger.Attempts.Begin(s.t.Context(), j.ID, "worker-"+j.ID[len(j.ID)-6:])
	must.Do(s.t, err)
	return begun
}

func (s *scene) count(site, id string, unique, low, high int) {
	s.t.Helper()
	j := s.begin(s.record(site, id))
	c := ledger.Count{Unique: unique, Low: low, High: high}
	_, err := s.ledger.Attempts.Finish(s.t.Context(), j.ID, j.Fence, c, "k")
	must.Do(s.t, err)
}

func (s *scene) read(in ledger.Scope) wire.Overview {
	s.t.Helper()
	v, err := s.Read(s.t.Context(), in)
	must.Do(s.t, err)
	return v
}

// scope is that of a device, of everything for "", or of a site for "@SITE".
func scope(who string) ledger.Scope {
	if site, ok := strings.CutPrefix(who, "@"); ok {
		return ledger.Scope{Sites: ledger.SiteSet{site}}
	}
	return ledger.Scope{Device: who}
}

// want compares what needs attention with kinds and severities.
func (s *scene) want(who string, kinds ...string) []wire.Attention {
	s.t.Helper()
	all := s.read(scope(who)).Attention
	var got []string
	for _, a := range all {
		got = append(got, string(a.Kind)+" "+string(a.Severity))
		if a.Text == "" || a.Since.IsZero() {
			s.t.Errorf("incomplete: %+v", a)
		}
	}
	if !slices.Equal(got, kinds) {
		s.t.Errorf("got %q, want %q", got, kinds)
	}
	return all
}

func TestNewestCounts(t *testing.T) {
	s := newScene(t)
	if v := s.read(scope("")); len(v.Sites) != 0 || v.Sites == nil || v.Attention == nil {
		t.Errorf("an empty ledger: %+v", v)
	}
	s.count("north", "n1", 100, 95, 105)
	s.clock.Advance(8 * 24 * time.Hour)
	s.count("north", "n2", 130, 120, 140)
	s.clock.Advance(time.Hour)
	s.count("north", "n3", 128, 118, 139)
	s.count("south", "s1", 7, 7, 7)
	s.record("west", "w1") // no count yet
	v := s.read(scope(""))
	if len(v.Sites) != 2 || v.Sites[0].Site != "north" || v.Sites[1].Site != "south" {
		t.Fatalf("got %+v", v.Sites)
	}
	n := v.Sites[0]
	if n.Latest.Footage != "n3" || n.Latest.Unique != 128 || n.Previous.Unique != 130 || *n.Change != -2 || !*n.Agrees ||
		n.Flights != 2 || n.Latest.Captured == nil || n.Latest.Name != "n3.mp4" {
		t.Errorf("got %+v", n)
	}
	if p := v.Sites[1]; p.Previous != nil || p.Change != nil || p.Agrees != nil || p.Flights != 1 {
		t.Errorf("got %+v", p)
	}
	s.clock.Advance(time.Hour)
	s.count("north", "n4", 20, 18, 22)
	if n := s.read(scope("")).Sites[0]; *n.Agrees || *n.Change != -108 {
		t.Errorf("got %+v", n)
	}
	if v := s.read(scope("dock-south")); len(v.Sites) != 1 || v.Sites[0].Site != "south" {
		t.Errorf("a station reads %+v", v.Sites)
	}
	if v := s.read(scope("@north")); len(v.Sites) != 1 || v.Sites[0].Site != "north" {
		t.Errorf("a reader of one site reads %+v", v.Sites)
	}
	points, err := s.History(t.Context(), "", ledger.Scope{}, s.clock.Now().Add(-24*time.Hour))
	must.Do(t, err)
	if len(points) != 4 || points[0].Footage != "n4" || points[0].Unique != 20 {
		t.Errorf("history %+v", points)
	}
}

func TestJobsThatNeedAttention(t *testing.T) {
	s := newScene(t)
	ctx := t.Context()
	s.want("")
	j := s.begin(s.record("north", "broken"))
	_, err := s.ledger.Attempts.Fail(ctx, j.ID, j.Fence, "the file is cut off; copy it again")
	must.Do(t, err)
	s.clock.Advance(time.Second)
	j = s.begin(s.record("south", "killer"))
	must.Do(t, s.ledger.Jobs.Poison(ctx, j.ID, "5 attempts"))
	all := s.want("", "job_poisoned bad", "job_failed bad")
	if all[0].Action != wire.ActRetry || all[0].Job != j.ID || all[0].Site != "south" || all[1].Action != wire.ActNone ||
		!strings.Contains(all[1].Text, "broken.mp4 is not counted: the file is cut off") || all[1].Footage != "broken" {
		t.Errorf("got %+v", all)
	}
	s.want("dock-north", "job_failed bad")
	s.want("@south", "job_poisoned bad")
	s.clock.Advance(failedFor + time.Second)
	s.want("")

	s.record("north", "waits")
	s.clock.Advance(noWorkerAfter)
	s.want("")
	s.clock.Advance(time.Second)
	s.want("", "no_worker bad")
	s.want("@north", "no_worker bad")
	s.want("@south")
	s.want("dock-north")
	runs := s.begin(s.record("south", "runs"))
	s.want("")
	s.want("@north") // the worker is busy with the other site
	s.clock.Advance(oldAfter)
	must.Get(s.ledger.Attempts.UpdateProgress(t.Context(), runs.ID, runs.Fence, job.Progress{}))(t)
	s.want("", "queue_old warn")
}

// The job of a worker that is gone waits, although the ledger has it as held. A worker that lives may be silent.
func TestJobOfAWorkerThatIsGone(t *testing.T) {
	s := newScene(t)
	herd := wire.ModelRef{Name: "herd", SHA256: footage.Sum([]byte("herd"))}
	must.Get(s.ledger.Models.Choose(t.Context(), "north", herd))(t)
	j := s.begin(s.record("north", "runs"))
	report := func(name string) {
		t.Helper()
		must.Do(t, s.ledger.Workers.Report(t.Context(), ledger.Worker{Name: name, Started: s.clock.Now(), Until: s.clock.Now().Add(time.Minute)}))
	}
	waits := func(want bool) {
		t.Helper()
		q := must.Get(s.Queue(t.Context(), scope("")))(t)
		if len(q.Jobs) != 1 || q.Jobs[0].NoModel != want {
			t.Errorf("waits for its model: got %+v, want %v", q.Jobs, want)
		}
	}
	s.clock.Advance(queue.MaxVisibility)
	s.want("")
	report("other")
	waits(false) // its lease may be valid
	s.clock.Advance(time.Second)
	waits(true)
	s.want("", "model_missing bad")
	s.want("@north", "model_missing bad")
	s.want("@south")
	s.want("dock-north")
	report(j.Worker)
	s.want("")
	waits(false)
	s.clock.Advance(2 * time.Minute)
	s.want("", "no_worker bad")
	s.want("@north", "no_worker bad")
	s.want("@south")
	must.Get(s.ledger.Attempts.UpdateProgress(t.Context(), j.ID, j.Fence, job.Progress{}))(t)
	s.want("") // a worker of before, which reports no models
	waits(false)
}

// Jobs that wait for a model that no living worker has are apart from those that have no worker at all.
func TestModelsThatNeedAttention(t *testing.T) {
	s := newScene(t)
	herd := wire.ModelRef{Name: "herd", SHA256: footage.Sum([]byte("herd"))}
	report := func(models ...wire.InstalledModel) {
		t.Helper()
		must.Do(t, s.ledger.Workers.Report(t.Context(), ledger.Worker{Name: "w1", Started: s.clock.Now(),
			Until: s.clock.Now().Add(time.Minute), Models: models}))
	}
	must.Get(s.ledger.Models.Choose(t.Context(), "north", herd))(t)
	s.record("north", "waits")
	s.clock.Advance(noWorkerAfter)
	report()
	s.want("")
	s.clock.Advance(time.Second)
	all := s.want("", "model_missing bad")
	if !strings.HasPrefix(all[0].Text, "no worker has the model herd (") || !strings.Contains(all[0].Text, "wait for it (1)") {
		t.Errorf("got %+v", all)
	}
	s.want("@north", "model_missing bad")
	s.want("@south")
	s.want("dock-north")
	report(wire.InstalledModel{ModelRef: herd, Fault: "damaged"})
	s.want("", "model_missing bad")
	report(wire.InstalledModel{ModelRef: herd})
	s.want("", "no_worker bad")
	report()
	s.clock.Advance(2 * time.Minute) // the worker has gone
	s.want("", "no_worker bad")
}

func TestUploadsThatNeedAttention(t *testing.T) {
	s := newScene(t)
	_, err := s.ledger.Uploads.Create(t.Context(), ledger.Upload{ID: "u", Footage: "f", Device: "dock-north",
		Site: "north", Kind: wire.KindVideo, Name: "a.mp4", Size: 10})
	must.Do(t, err)
	s.want("")
	s.clock.Advance(stalledAfter)
	all := s.want("", "upload_stalled warn")
	if all[0].Footage != "f" || all[0].Device != "dock-north" || !strings.Contains(all[0].Text, "at 0 %") {
		t.Errorf("got %+v", all)
	}
	s.want("dock-south")
	s.want("@south")
	s.want("@north", "upload_stalled warn")
}

func TestFlightLogsThatNeedAttention(t *testing.T) {
	s := newScene(t)
	for id, state := range map[string]ledger.LogState{"good": ledger.LogOK, "none": ledger.LogMissing,
		"page": ledger.LogUnreadable} {
		s.record("north", id)
		due, err := s.ledger.Grounds.ListDue(t.Context(), "", 10)
		must.Do(t, err)
		must.Do(t, s.ledger.Grounds.Put(t.Context(), due[0], ledger.Ground{Log: ledger.FlightLog{State: state,
			Why: "line 1: a web page"}}))
	}
	all := s.want("", "log_unreadable warn")
	if all[0].Footage != "page" || all[0].Text != "the flight log of page.mp4 gives no positions: line 1: a web page" {
		t.Errorf("got %+v", all)
	}
	s.want("@north", "log_unreadable warn")
	s.want("@south")
	s.want("dock-south")
	s.clock.Advance(failedFor + time.Second)
	s.want("", "no_worker bad")
}

func TestStationsThatNeedAttention(t *testing.T) {
	s := newScene(t)
	ago := func(d time.Duration) *time.Time {
		at := s.clock.Now().Add(-d)
		return &at
	}
	warning := []wire.StationWarning{{Kind: wire.WarnClock, Text: "late"}}
	*s.stations = listed{
		{Device: "a", State: wire.StationNever},
		{Device: "b", State: wire.StationSilent, Since: ago(time.Minute), Warnings: warning},
		{Device: "c", State: wire.StationOffline, Since: ago(23 * time.Hour), Warnings: warning},
		{Device: "d", State: wire.StationOffline, Since: ago(25 * time.Hour)},
		{Device: "e", State: wire.StationOnline, Since: ago(time.Hour), At: ago(2 * time.Minute), Warnings: warning},
		{Device: "f", State: wire.StationOnline, Vitals: &topic.Vitals{SpoolPercent: 100}, At: ago(3 * time.Minute),
			Warnings: []wire.StationWarning{{Kind: wire.WarnSpool, Text: "full"}}},
		{Device: "g", Site: "south", State: wire.StationOnline, At: ago(4 * time.Minute),
			Warnings: []wire.StationWarning{{Kind: wire.WarnErrors, Text: "3 pieces in quarantine"}}},
		{Device: "h", State: wire.StationOffline, Since: ago(30 * time.Hour), Refused: &wire.StationRefused{Since: *ago(48 * time.Hour)},
			Warnings: []wire.StationWarning{{Kind: wire.WarnErrors, Text: "its token expired"}}},
	}
	all := s.want("", "spool_filling bad", "station_offline bad", "token_expired bad", "station_silent warn", "clock_wrong warn",
		"station_error warn")
	if all[4].Device != "e" || all[4].Text != "station e: late" {
		t.Errorf("got %+v", all[4])
	}
	s.want("g", "station_error warn")
	s.want("@south", "station_error warn")
}

func TestDiskThatNeedsAttention(t *testing.T) {
	s := newScene(t)
	s.disk = fmt.Errorf("5 MiB are free: %w", store.ErrLowDisk)
	since := s.clock.Now()
	s.want("", "disk_low bad")
	s.clock.Advance(time.Hour)
	if all := s.want("", "disk_low bad"); !all[0].Since.Equal(since) {
		t.Errorf("since %s", all[0].Since)
	}
	s.want("dock-north")
	s.want("@north")
	s.disk = errors.New("the folder is missing")
	s.want("")
}

func TestQueue(t *testing.T) {
	s := newScene(t)
	ctx := t.Context()
	for n := range 90 {
		s.record("north", fmt.Sprintf("w%02d", n))
		s.clock.Advance(time.Second)
	}
	for n := range 40 {
		j := s.begin(s.record("south", fmt.Sprintf("x%02d", n)))
		_, err := s.ledger.Attempts.Fail(ctx, j.ID, j.Fence, "cut off")
		must.Do(t, err)
		s.clock.Advance(time.Second)
	}
	began := s.clock.Now()
	j := s.begin(s.record("south", "runs"))
	s.clock.Advance(time.Second)
	_, err := s.ledger.Attempts.UpdateProgress(ctx, j.ID, j.Fence, job.Progress{Percent: 12, FPS: 3})
	must.Do(t, err)
	v, err := s.Queue(ctx, scope(""))
	must.Do(t, err)
	if v.Waiting != 90 || v.Leased != 1 || len(v.Jobs) != mostJobs || v.Oldest == nil {
		t.Errorf("%d wait, %d leased, %d jobs, oldest %v", v.Waiting, v.Leased, len(v.Jobs), v.Oldest)
	}
	first := v.Jobs[0]
	if first.Job != j.ID || first.Worker != j.Worker || first.Percent != 12 || first.FPS != 3 || first.Attempt != 1 ||
		first.Name != "runs.mp4" || !first.Since.Equal(began.Truncate(time.Microsecond)) {
		t.Errorf("got %+v", first)
	}
	if w := v.Jobs[1]; w.Footage != "w00" || w.State != job.Uploaded || w.Worker != "" {
		t.Errorf("got %+v", w)
	}
	last := v.Jobs[mostJobs-1]
	if last.State != job.Failed || last.Reason != "cut off" || v.Jobs[mostJobs-leastGivenUp].Footage != "x39" {
		t.Errorf("got %+v", last)
	}
	if v.Workers[0].Worker != j.Worker || v.Workers[0].Job != j.ID || len(v.Workers) < 2 || v.Workers[1].Job != "" {
		t.Errorf("workers %+v", v.Workers)
	}
	north, err := s.Queue(ctx, scope("@north"))
	must.Do(t, err)
	if north.Waiting != 90 || north.Leased != 0 || len(north.Workers) != 0 || len(north.Jobs) != 90 {
		t.Errorf("a reader of one site reads %d, %d, %d jobs, %+v", north.Waiting, north.Leased, len(north.Jobs),
			north.Workers)
	}
	own, err := s.Queue(ctx, scope("dock-south"))
	must.Do(t, err)
	if own.Waiting != 0 || own.Leased != 1 || own.Oldest != nil || len(own.Jobs) != 41 || len(own.Workers) != 1 {
		t.Errorf("a station reads %d, %d, %d jobs, %+v", own.Waiting, own.Leased, len(own.Jobs), own.Workers)
	}
}

func TestCertificatesThatNeedAttention(t *testing.T) {
	s := newScene(t)
	s.ends = s.clock.Now().Add(certificateEnds + time.Second)
	s.want("")
	s.clock.Advance(time.Second)
	if all := s.want("", "certificate_ending warn"); !strings.Contains(all[0].Text, "of http.tls ends on 2026-07-22") {
		t.Errorf("got %+v", all)
	}
	s.want("@north")
	s.clock.Advance(certificateEnds - certificateLast)
	s.want("", "certificate_ending bad")
	s.clock.Advance(certificateLast)
	if all := s.want("", "certificate_ending bad"); !strings.Contains(all[0].Text, "ended") {
		t.Errorf("got %+v", all)
	}
}

// A certificate that the server renews itself needs a person only when that fails, or when its end is near.
func TestManagedCertificatesThatNeedAttention(t *testing.T) {
	s := newScene(t)
	s.managed = true
	s.want("") // the first one is being got
	s.fault = errors.New("cattle.test: the authority is being repaired")
	if all := s.want("", "certificate_ending bad"); !strings.Contains(all[0].Text, "no certificate") ||
		!strings.Contains(all[0].Text, "being repaired") {
		t.Errorf("got %+v", all)
	}
	s.ends = s.clock.Now().Add(certificateEnds - time.Hour)
	if all := s.want("", "certificate_ending warn"); !strings.Contains(all[0].Text, "being repaired") {
		t.Errorf("got %+v", all)
	}
	s.want("@north")
	s.fault = nil
	s.want("")
	s.clock.Advance(certificateEnds - certificateLast)
	s.want("", "certificate_ending bad")
}

// in places the animals of a count in a paddock.
func (s *scene) in(id, paddock string, animals, low, high int, seen float64) {
	s.t.Helper()
	must.Do(s.t, s.ledger.Grounds.Put(s.t.Context(), ledger.DueGround{Footage: footage.ID(id), Mark: 1}, ledger.Ground{
		Spread: ledger.Spread{Way: "camera", Paddocks: []ledger.PaddockCount{{Name: paddock, Animals: &animals, Low: &low, High: &high,
			Seen: seen}}}}))
}

// TestPaddocks has three counts of one paddock, the last of which saw a part of it, one of a paddock that is in the book,
// one of a paddock that the site has no more, and a paddock that was not counted.
func TestPaddocks(t *testing.T) {
	s := newScene(t)
	s.paddocks = named{"River", "Hill", "Dam"}
	book := 30
	must.Do(t, s.ledger.Book.Put(t.Context(), "north", s.clock.Now(), []ledger.Expected{{Paddock: "Hill", Animals: &book}}))
	days := []struct {
		id, paddock string
		animals     int
		seen        float64
	}{{"a", "River", 40, 1}, {"b", "River", 60, 1}, {"c", "Hill", 20, 1}, {"d", "Sold", 7, 1}}
	for _, d := range days {
		s.clock.Advance(24 * time.Hour)
		s.count("north", d.id, d.animals, d.animals-2, d.animals+2)
		s.in(d.id, d.paddock, d.animals, d.animals-2, d.animals+2, d.seen)
	}
	later := 25 // does not change what the count of the day before is compared with
	must.Do(t, s.ledger.Book.Put(t.Context(), "north", s.clock.Now(), []ledger.Expected{{Paddock: "Hill", Animals: &later}}))
	got := s.read(ledger.Scope{}).Sites[0].Paddocks
	if len(got) != 3 || got[0].Paddock != "Dam" || got[1].Paddock != "Hill" || got[2].Paddock != "River" {
		t.Fatalf("paddocks %+v", got)
	}
	dam, hill, river := got[0], got[1], got[2]
	if dam.Latest != nil || dam.Expected != nil || hill.Previous != nil {
		t.Errorf("a paddock that was not counted, or once: %+v, %+v", dam, hill)
	}
	if x := hill.Expected; x == nil || x.Animals != 30 || *x.Difference != -10 || x.Verdict != "fewer" {
		t.Errorf("against the book: %+v", x)
	}
	if l := river.Latest; l == nil || l.Unique != 60 || l.Low != 58 || l.High != 62 || l.Footage != "b" || l.Name != "b.mp4" || l.Captured == nil {
		t.Errorf("newest of River: %+v", l)
	}
	if river.Previous == nil || river.Previous.Unique != 40 || *river.Change != 20 || *river.Agrees || river.Expected != nil {
		t.Errorf("River since the count before: %+v", river)
	}

	s.clock.Advance(24 * time.Hour)
	s.count("north", "e", 9, 8, 10)
	s.in("e", "River", 9, 8, 10, 0.4)
	if river = s.read(scope("@north")).Sites[0].Paddocks[2]; river.Latest.Unique != 9 || river.Seen != 0.4 || river.Previous.Unique != 60 ||
		river.Change != nil || river.Agrees != nil {
		t.Errorf("a part of River is compared with all of it: %+v", river)
	}
	if others := s.read(scope("dock-south")).Sites; len(others) > 0 {
		t.Errorf("another station reads %+v", others)
	}
}
