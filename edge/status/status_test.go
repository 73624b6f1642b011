package status

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"cattlecounter/edge/spool"
	"cattlecounter/edge/uplink"
	"cattlecounter/edge/watch"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/topic"
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
		f := OfRecord(c.r, func(footage.ID) (spool.Record, bool) { return spool.Record{}, false })
		if f.Phase != c.want || (c.want == PhaseFailed) != (f.Reason == "why") {
			t.Errorf("%s with %+v: %+v", c.r.State, c.r.Job, f)
		}
	}
}

func TestDuplicateShowsTheCountOfTheFirst(t *testing.T) {
	first := spool.Record{ID: "a", State: spool.Reclaimed, Count: &spool.Count{Unique: 92, Low: 88, High: 97},
		Job: &topic.Job{Job: "j", State: job.Done}}
	f := OfRecord(spool.Record{ID: "b", State: spool.Duplicate, DuplicateOf: "a"},
		func(footage.ID) (spool.Record, bool) { return first, true })
	if f.Count == nil || f.Count.Unique != 92 || f.Job == nil {
		t.Errorf("%+v", f)
	}
}

func sampleStatus() Status {
	eta := 61.0
	captured := time.Date(2025, 6, 1, 8, 0, 0, 0, time.UTC)
	s := Status{V: Version, Clock: topic.ClockSynced, Link: uplink.Link{State: uplink.LinkDown, Detail: "no route"},
		Agent: Agent{Site: "north", Device: "dock-1", Version: "1.0", Session: 3, Uptime: 61, Paused: true},
		Uplink: uplink.Report{Order: uplink.Newest, Limit: 1 << 20, LimitOrdered: true, Metered: true,
			Windows: []string{"22:00-06:00"},
			Hold:    &uplink.Hold{Reason: "budget", Detail: "used up"}, Day: uplink.Spent{Used: 3 << 20, Limit: 200 << 20},
			Month: uplink.Spent{Used: 1 << 30},
			Reconciliation: uplink.Reconciliation{At: time.Date(2026, 11, 24, 3, 4, 0, 0, time.UTC), Checked: 12, Lost: 1,
				Faults: []string{"X\x1b.MP4 (x): the cloud lost it"}}},
		Broker: Broker{Enabled: true, Waiting: 2}, Disk: Disk{Total: 1 << 40, Free: 1 << 30, Spool: 5 << 20, Quota: 1 << 30},
		Folders: []watch.Folder{{Path: "/card", Fault: "no such file"}, {Path: "/dock", Files: 1,
			Skipped: []watch.Skipped{{Reason: watch.OtherVideo, Files: 2, Examples: []string{"a.MXF", "b.MXF"}}}}},
		Totals: map[Phase]int{PhaseUploading: 1, PhaseCounting: 1, PhaseDone: 1, PhaseQuarantined: 1}}
	s.FlightLogs = []FlightLog{{ID: "l", Footage: "a", Path: "/card/A.SRT", State: spool.Quarantined,
		Reason: "refused by the cloud"}}
	s.ClockHint = &ClockHint{Source: topic.ClockGNSS, From: "GNSS", Time: time.Date(2026, 11, 24, 3, 4, 0, 0, time.UTC),
		Offset: 12.5, Uncertainty: 1, Age: 3, Text: "GNSS gives 03:04\x1b"}
	s.Footage = []Footage{
		{ID: "a", Name: "A.MP4", Priority: 7, Size: 2 << 30, Phase: PhaseUploading, Percent: 41.4, Rate: 1.5 * (1 << 20),
			Waiting: "cloud is busy"},
		{ID: "b", Name: "B.MP4", Size: 100, Phase: PhaseCounting, Percent: 12, Captured: &captured,
			CapturedFrom: footage.FromFlightLog, FileTime: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC),
			Job: &Job{Progress: job.Progress{Stage: job.StageDetect, Count: 17, ETASeconds: &eta}}},
		{ID: "c", Name: "C\x1b[2J.MP4", Size: 100, Phase: PhaseDone, Job: &Job{Progress: job.Progress{Count: 92}},
			Count: &spool.Count{Unique: 92, Low: 88, High: 97}, CapturedFrom: footage.FromNothing,
			FileTime: time.Date(2107, 12, 31, 0, 0, 0, 0, time.UTC)},
		{ID: "e", Name: strings.Repeat("long", 60) + "_0042.MP4", Phase: PhaseWaiting},
		{ID: "d", Name: "D.MP4", Phase: PhaseQuarantined, Reason: "not a video", DuplicateOf: "a", UploadedAs: "d2"},
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
		"cloud   12 compared at 2026-11-24 03:04 UTC: 1 LOST", `FAULT: X\x1b.MP4 (x): the cloud lost it`,
		"waiting: cloud is busy; priority 7", "broker  down, 2 messages queued", "clock   synced: GNSS gives 03:04" + `\x1b`,
		"not readable: no such file",
		"41 %  1.5 MiB/s", "waiting: cloud is busy", "detect 12 %  1m1s left", "17 so far", "92 (88 to 97)",
		"not a video; same content as a; in the cloud as d2", `C\x1b[2J.MP4`,
		"        not taken: 2 videos of a kind that cannot be read; convert them to MP4 (a.MXF, b.MXF)",
		"log     /card/A.SRT of footage a: quarantined: refused by the cloud",
		"captured 2025-06-01 by its flight log, the card says 1980-01-01", "time of capture unknown, the card says 2107-12-31"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "long") && (!strings.Contains(line, "_0042.MP4") || len(line) > 200) {
			t.Errorf("a long name is not cut: %s", line)
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("control characters reach the terminal")
	}
}

func TestLine(t *testing.T) {
	s := sampleStatus()
	s.Alarms = map[string]string{"space": "full\x1b"}
	const want = `1 to send, link down, 1.0 GiB free, broker down, 1 quarantined, paused by an operator, ALARM space: full\x1b`
	if got := Line(s); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A field that is removed or renamed breaks the scripts that read the document.
func TestDocumentKeepsItsKeys(t *testing.T) {
	b, err := json.Marshal(sampleStatus())
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := Parse(b)
	if err != nil || !reflect.DeepEqual(decoded, sampleStatus()) {
		t.Errorf("%v\n%+v", err, decoded)
	}
	for _, key := range []string{`"v":1`,
		`"clock":"synced","clock_hint":{"source":"gnss","from":"GNSS","time":"2026-11-24T03:04:00Z","offset_seconds":12.5,"uncertainty_seconds":1,"age_seconds":3,"text":`,
		`"agent":{"site"`, `"paused"`, `"link":{"state"`,
		`"uplink":{"order":"newest","limit":1048576,"limit_ordered":true,"metered":true,"metered_ordered":false,"windows":["22:00-06:00"]`,
		`"hold":{"reason":"budget"`, `"day":{"used"`,
		`"reconciliation":{"at":"2026-11-24T03:04:00Z","checked":12,"confirmed":0,"resent":0,"reread":0,"lost":1,"different":0`,
		`"priority":7`, `"broker":{"enabled"`, `"disk":{"total"`, `"folders":[{"path"`, `"totals":{`,
		`"footage":[{"id"`, `"phase"`, `"percent"`, `"rate"`, `"waiting"`, `"job":{"id"`,
		`"count":{"unique":92,"low":88,"high":97}`} {
		if !bytes.Contains(b, []byte(key)) {
			t.Errorf("%s is missing in %s", key, b)
		}
	}
	if _, err := Parse([]byte(`{"v":2}`)); err == nil || !strings.Contains(err.Error(), "another release") {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	b, _ := json.Marshal(sampleStatus())
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Parse(b)
		if err != nil {
			return
		}
		for i := range s.Footage { // a counting phase always has a job
			if s.Footage[i].Job == nil {
				s.Footage[i].Job = &Job{}
			}
		}
		if err := WriteTable(new(bytes.Buffer), s); err != nil {
			t.Fatal(err)
		}
	})
}
