package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/fakecloud"
	"cattlecounter/deploy/testkit/smalldisk"
	"cattlecounter/edge/config"
	"cattlecounter/edge/spool"
	"cattlecounter/edge/uplink"
	"cattlecounter/edge/watch"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

func TestPhases(t *testing.T) {
	jobIn := func(s job.State) *topic.Job {
		return &topic.Job{Job: "j", State: s, Progress: job.Progress{Percent: 40}, Reason: "why"}
	}
	for _, c := range []struct {
		r    spool.Record
		want Phase
	}{
		{spool.Record{State: spool.Captured}, PhaseCaptured},
		{spool.Record{State: spool.Spooling}, PhaseSpooling},
		{spool.Record{State: spool.Spooled}, PhaseSpooled},
		{spool.Record{State: spool.Uploading}, PhaseUploading},
		{spool.Record{State: spool.Uploaded}, PhaseUploading},
		{spool.Record{State: spool.Confirmed}, PhaseWaiting},
		{spool.Record{State: spool.Reclaimed}, PhaseWaiting},
		{spool.Record{State: spool.Reclaimed, Job: jobIn(job.Queued)}, PhaseWaiting},
		{spool.Record{State: spool.Reclaimed, Job: jobIn(job.Leased)}, PhaseCounting},
		{spool.Record{State: spool.Reclaimed, Job: jobIn(job.Processing)}, PhaseCounting},
		{spool.Record{State: spool.Reclaimed, Job: jobIn(job.Done)}, PhaseDone},
		{spool.Record{State: spool.Reclaimed, Job: jobIn(job.Failed)}, PhaseFailed},
		{spool.Record{State: spool.Reclaimed, Job: jobIn(job.Poisoned)}, PhaseFailed},
		{spool.Record{State: spool.Duplicate}, PhaseDuplicate},
		{spool.Record{State: spool.Quarantined}, PhaseQuarantined},
	} {
		f := view(c.r, func(footage.ID) (spool.Record, bool) { return spool.Record{}, false })
		if f.Phase != c.want || (c.want == PhaseFailed) != (f.Reason == "why") {
			t.Errorf("%s with %+v: %+v", c.r.State, c.r.Job, f)
		}
	}
}

func TestDuplicateShowsTheFirstOnesCount(t *testing.T) {
	first := spool.Record{ID: "a", State: spool.Reclaimed, Count: &spool.Count{Unique: 92, Low: 88, High: 97}, Job: &topic.Job{Job: "j", State: job.Done}}
	f := view(spool.Record{ID: "b", State: spool.Duplicate, DuplicateOf: "a"}, func(footage.ID) (spool.Record, bool) { return first, true })
	if f.Count == nil || f.Count.Unique != 92 || f.Job == nil {
		t.Errorf("%+v", f)
	}
}

func sampleStatus() Status {
	eta := 61.0
	s := Status{V: StatusVersion, Clock: topic.ClockSynced, Link: uplink.Link{State: uplink.LinkDown, Detail: "no route"},
		Agent: AgentStatus{Site: "north", Device: "dock-1", Version: "1.0", Session: 3, Uptime: 61, Paused: true},
		Uplink: uplink.Report{Order: uplink.Newest, Limit: 1 << 20, LimitOrdered: true, Metered: true, Windows: []string{"22:00-06:00"},
			Hold: &uplink.Hold{Reason: "budget", Detail: "used up"}, Day: uplink.Spent{Used: 3 << 20, Limit: 200 << 20}, Month: uplink.Spent{Used: 1 << 30},
			Reconciliation: uplink.Reconciliation{At: time.Date(2026, 11, 24, 3, 4, 0, 0, time.UTC), Checked: 12, Lost: 1, Faults: []string{"X\x1b.MP4 (x): the cloud lost it"}}},
		Broker: BrokerStatus{Enabled: true, Waiting: 2}, Disk: DiskStatus{Total: 1 << 40, Free: 1 << 30, Spool: 5 << 20, Quota: 1 << 30},
		Folders: []watch.Folder{{Path: "/card", Fault: "no such file"}}, Totals: map[Phase]int{PhaseUploading: 1, PhaseCounting: 1, PhaseDone: 1, PhaseQuarantined: 1}}
	s.ClockHint = &ClockHint{Source: topic.ClockGNSS, From: "GNSS", Time: time.Date(2026, 11, 24, 3, 4, 0, 0, time.UTC), Offset: 12.5, Uncertainty: 1, Age: 3, Text: "GNSS says so\x1b"}
	s.Footage = []FootageStatus{
		{ID: "a", Name: "A.MP4", Priority: 7, Size: 2 << 30, Phase: PhaseUploading, Percent: 41.4, Rate: 1.5 * (1 << 20), Waiting: "cloud is busy"},
		{ID: "b", Name: "B.MP4", Size: 100, Phase: PhaseCounting, Percent: 12, Job: &JobStatus{Progress: job.Progress{Stage: job.StageDetect, Count: 17, ETASeconds: &eta}}},
		{ID: "c", Name: "C\x1b[2J.MP4", Size: 100, Phase: PhaseDone, Job: &JobStatus{Progress: job.Progress{Count: 92}}, Count: &spool.Count{Unique: 92, Low: 88, High: 97}},
		{ID: "e", Name: strings.Repeat("long", 60) + "_0042.MP4", Phase: PhaseWaiting},
		{ID: "d", Name: "D.MP4", Phase: PhaseQuarantined, Reason: "not a video", DuplicateOf: "a"},
	}
	return s
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	if err := WriteTable(&out, sampleStatus()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"north/dock-1", "PAUSED by an operator", "link    down: no route",
		"uplink  newest first, at most 1.0 MiB/s (ordered), windows 22:00-06:00, metered, 3.0 MiB of 200 MiB today, 1.0 GiB this month",
		"cloud   12 compared at 2026-11-24 03:04 UTC: 1 LOST", "FAULT: X?.MP4 (x): the cloud lost it", "waiting: cloud is busy; priority 7", "broker  down, 2 messages wait", "clock   synced: GNSS says so?", "cannot be read: no such file",
		"41 %  1.5 MiB/s", "waiting: cloud is busy", "detect 12 %  1m1s left", "17 so far", "92 (88 to 97)", "not a video; same content as a", "C?[2J.MP4"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "long") && (!strings.Contains(line, "_0042.MP4") || len(line) > 200) {
			t.Errorf("a long name fills the line: %s", line)
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("a file name reaches the terminal")
	}
}

func TestStatusLine(t *testing.T) {
	s := sampleStatus()
	s.Alarms = map[string]string{"space": "full\x1b"}
	const want = "1 to send, link down, 1.0 GiB free, broker down, 1 quarantined, paused by an operator, ALARM space: full?"
	if got := statusLine(s); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// The document's shape is a promise: a field that goes or changes its name
// breaks somebody's script.
func TestStatusShape(t *testing.T) {
	b, err := json.Marshal(sampleStatus())
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseStatus(b)
	if err != nil || !reflect.DeepEqual(back, sampleStatus()) {
		t.Errorf("%v\n%+v", err, back)
	}
	for _, key := range []string{`"v":1`, `"clock":"synced","clock_hint":{"source":"gnss","from":"GNSS","time":"2026-11-24T03:04:00Z","offset_seconds":12.5,"uncertainty_seconds":1,"age_seconds":3,"text":`, `"agent":{"site"`, `"paused"`, `"link":{"state"`, `"uplink":{"order":"newest","limit":1048576,"limit_ordered":true,"metered":true,"metered_ordered":false,"windows":["22:00-06:00"]`,
		`"hold":{"reason":"budget"`, `"day":{"used"`, `"reconciliation":{"at":"2026-11-24T03:04:00Z","checked":12,"confirmed":0,"resent":0,"reread":0,"lost":1,"different":0`, `"priority":7`, `"broker":{"enabled"`, `"disk":{"total"`, `"folders":[{"path"`, `"totals":{`,
		`"footage":[{"id"`, `"phase"`, `"percent"`, `"rate"`, `"waiting"`, `"job":{"id"`, `"count":{"unique":92,"low":88,"high":97}`} {
		if !bytes.Contains(b, []byte(key)) {
			t.Errorf("%s is missing in %s", key, b)
		}
	}
	if _, err := ParseStatus([]byte(`{"v":2}`)); err == nil || !strings.Contains(err.Error(), "different releases") {
		t.Error(err)
	}
}

func FuzzParseStatus(f *testing.F) {
	b, _ := json.Marshal(sampleStatus())
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseStatus(b)
		if err != nil {
			return
		}
		for i := range s.Footage { // what WriteTable may rely on
			if s.Footage[i].Job == nil {
				s.Footage[i].Job = &JobStatus{}
			}
		}
		if err := WriteTable(new(bytes.Buffer), s); err != nil {
			t.Fatal(err)
		}
	})
}

// station is an agent in this process.
type station struct {
	t       *testing.T
	a       *Agent
	card    string
	cloud   *fakecloud.Cloud
	changed chan struct{}
}

func newStation(t *testing.T, change ...func(*config.Config)) *station {
	t.Helper()
	s := &station{t: t, card: t.TempDir(), cloud: fakecloud.New("cc_t"), changed: make(chan struct{}, 1)}
	srv := httptest.NewServer(s.cloud)
	t.Cleanup(srv.Close)
	c := config.Defaults()
	c.Site, c.Device, c.Token, c.Cloud.URL = "s", "d", secret.New("cc_t"), srv.URL
	c.Watch.Folders, c.Watch.Stable, c.Watch.Sidecar, c.Watch.Poll = []string{s.card}, 100*time.Millisecond, 0, 20*time.Millisecond
	dir, err := os.MkdirTemp("", "edge")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c.Spool.Dir, c.Spool.MinFree = dir, 1<<20
	for _, f := range change {
		f(&c)
	}
	if s.a, err = Open(c, "test", slog.New(slog.DiscardHandler), new(slog.LevelVar)); err != nil {
		t.Fatal(err)
	}
	s.a.spool.Records.OnChange(func(spool.Record) {
		select {
		case s.changed <- struct{}{}:
		default:
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, s.a.Close()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *station) film(name string, content []byte) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.card, name), append([]byte("\x00\x00\x00\x20ftypisom"), content...), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *station) until(what string, ok func([]spool.Record) bool) []spool.Record {
	s.t.Helper()
	limit := time.After(40 * time.Second)
	look := time.NewTicker(50 * time.Millisecond) // not everything changes a record
	defer look.Stop()
	for {
		if list := s.a.spool.Records.All(); ok(list) {
			return list
		}
		select {
		case <-s.changed:
		case <-look.C:
		case <-limit:
			s.t.Fatalf("%s: never; %+v", what, s.a.spool.Records.All())
		}
	}
}

// Whoever writes a subscriber reads the contract, not this code.
func TestOrdersAreInTheContract(t *testing.T) {
	_, text, _ := strings.Cut(string(topic.AsyncAPI), "    command:\n      type: object")
	for name := range (&Agent{}).actions() {
		if !strings.Contains(text, name+":") && !strings.Contains(text, name+",") && !strings.Contains(text, name+" {") {
			t.Errorf("order %s is not in asyncapi.yaml", name)
		}
	}
}

func TestOrdersOfTheLink(t *testing.T) {
	s := newStation(t)
	if err := s.a.pause(true); err != nil {
		t.Fatal(err)
	}
	s.film("a.mp4", []byte("cows"))
	id := string(s.until("spooled", func(l []spool.Record) bool { return len(l) == 1 && l[0].State == spool.Spooled })[0].ID)
	actions := s.a.actions()
	for _, c := range []struct {
		name string
		args map[string]string
		want string // in the answer, or in the refusal
		ok   bool
	}{
		{orderFirst, map[string]string{"footage": id, "priority": "7", "now": "true"}, "has priority 7", true},
		{orderFirst, map[string]string{"footage": id}, "has priority 1", true},
		{orderFirst, map[string]string{"footage": "nobody"}, "not in the spool", false},
		{orderFirst, nil, "set the argument footage", false},
		{orderFirst, map[string]string{"footage": id, "priority": "high"}, "not a number", false},
		{orderFirst, map[string]string{"footage": id, "now": "yes"}, "not true or false", false},
		{orderLimit, map[string]string{"rate": "512KiB"}, "limited to 512KiB a second", true},
		{orderLimit, map[string]string{"rate": "none"}, "no limit", true},
		{orderLimit, map[string]string{"rate": "configured"}, "configured limit", true},
		{orderLimit, map[string]string{"rate": "fast"}, "fast", false},
		{orderLimit, map[string]string{"rate": "0"}, "above 0", false},
		{orderLimit, map[string]string{"rate": "1"}, "at least 4096", false},
		{orderLimit, nil, "set the argument rate", false},
		{orderMeter, map[string]string{"link": "yes"}, "as metered", true},
		{orderMeter, map[string]string{"link": "no"}, "not metered", true},
		{orderMeter, map[string]string{"link": "configured"}, "as configured", true},
		{orderMeter, nil, "set the argument link", false},
		{orderLog, map[string]string{"level": "debug"}, "level debug until", true},
		{orderLog, map[string]string{"level": "loud"}, "not debug, info", false},
		{orderRescan, nil, "looked at now", true},
		{orderFsck, nil, "is whole", true},
	} {
		why, err := actions[c.name].Do(t.Context(), c.args)
		if got := fmt.Sprint(why, err); (err == nil) != c.ok || !strings.Contains(got, c.want) {
			t.Errorf("%s %v: %s", c.name, c.args, got)
		}
	}
	if s.a.level.Level() != slog.LevelDebug {
		t.Error("the level is not the log's")
	}
}

func TestOrdersAndFollowing(t *testing.T) {
	s := newStation(t)
	if err := s.a.pause(true); err != nil {
		t.Fatal(err)
	}
	s.film("a.mp4", []byte("cows"))
	list := s.until("spooled", func(l []spool.Record) bool { return len(l) == 1 && l[0].State == spool.Spooled })
	if !s.a.Status().Agent.Paused || s.a.Status().Link.State != uplink.LinkPaused {
		t.Error("not paused")
	}
	if _, err := s.a.retry(""); err == nil {
		t.Error("retry of nothing")
	}
	if _, err := s.a.retry("../x"); err == nil {
		t.Error("retry of no id")
	}
	if err := s.a.spool.Recovery.Quarantine(list[0].ID, "by hand"); err != nil {
		t.Fatal(err)
	}
	if why, err := s.a.retry("all"); err != nil || why != "1 pieces of footage are tried again" {
		t.Error(why, err)
	}
	if err := s.a.pause(false); err != nil {
		t.Fatal(err)
	}
	s.until("reclaimed", func(l []spool.Record) bool { return l[0].State == spool.Reclaimed })
	s.cloud.Lock()
	f := s.cloud.Footage[list[0].ID]
	f.Job = &wire.Job{ID: "j1", State: job.Done, Seq: 4, Attempt: 1, Progress: job.Progress{Percent: 100, Count: 92}}
	f.Count = &wire.Count{Unique: 92, Low: 88, High: 97}
	s.cloud.Unlock()
	r := s.a.spool.Records.All()[0]
	if err := s.a.follow.ask(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	st, err := AskStatus(t.Context(), s.a.cfg.Spool.Dir)
	if err != nil || len(st.Footage) != 1 || st.Footage[0].Phase != PhaseDone || st.Footage[0].Count.High != 97 || st.Totals[PhaseDone] != 1 {
		t.Errorf("%v %+v", err, st)
	}
	if v := s.a.vitals(); v.DiskTotal == 0 || !v.LinkUp || v.SpoolFootage != 0 {
		t.Errorf("%+v", v)
	}
}

// A real small disk that somebody else fills: clear state, nothing lost, goes
// on by itself.
func TestFullDisk(t *testing.T) {
	dir := smalldisk.Mount(t, "160m")
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 100<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newStation(t, func(c *config.Config) { c.Spool.Dir, c.Spool.MinFree = filepath.Join(dir, "spool"), 32<<20 })
	s.film("big.mp4", bytes.Repeat([]byte("cow "), 10<<20))
	s.until("waiting", func(l []spool.Record) bool { return len(l) == 1 && strings.HasPrefix(l[0].Waiting, "no space") })
	if st := s.a.Status(); !strings.Contains(st.Footage[0].Waiting, "spool.min_free") {
		t.Errorf("%+v", st.Footage)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	s.until("through", func(l []spool.Record) bool { return l[0].State == spool.Reclaimed })
}
