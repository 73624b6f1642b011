package contract

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/edge/agent"
	"cattlecounter/edge/clock"
	edgeconfig "cattlecounter/edge/config"
	"cattlecounter/edge/doctor"
	"cattlecounter/edge/status"
	"cattlecounter/edge/uplink"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/wire"
)

// stationCalls is every call that a station makes. A new one needs a test here.
var stationCalls = []string{
	"GET " + wire.HealthPath,
	"GET " + wire.FootagePath("{id}"),
	"HEAD " + wire.FilesPath + "{id}",
	"PATCH " + wire.FilesPath + "{id}",
	"POST " + wire.FilesPath,
}

func TestStationAndCloud(t *testing.T) {
	c := newCloud(t)
	t.Run("uploads", func(t *testing.T) { testUploads(t, c) })
	t.Run("progress and count", func(t *testing.T) { testProgress(t, c) })
	t.Run("refusals", func(t *testing.T) { testRefusals(t, c) })
	t.Run("time", func(t *testing.T) { testTime(t, c) })
	t.Run("doctor", func(t *testing.T) { testDoctor(t, c) })
	t.Run("whole station", func(t *testing.T) { testStation(t, c) })
	c.mu.Lock()
	defer c.mu.Unlock()
	if got := slices.Sorted(maps.Keys(c.calls)); !slices.Equal(got, slices.Sorted(slices.Values(stationCalls))) {
		t.Errorf("the station makes these calls:\n%s", strings.Join(got, "\n"))
	}
}

// cut fails after some bytes, like a station that loses its power.
type cut struct {
	r    io.Reader
	left int
}

var errCut = errors.New("cut")

func (c *cut) Read(b []byte) (int, error) {
	if c.left == 0 {
		return 0, errCut
	}
	n, err := c.r.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}

func testUploads(t *testing.T, c *cloud) {
	station := c.client(t, c.token, nil)
	ctx := t.Context()
	content := clip("upload")
	size := int64(len(content))
	srt := []byte("1\n00:00:00,000 --> 00:00:01,000\n[lat: 1] [lon: 2]\n")
	jpeg := append([]byte{0xff, 0xd8, 0xff, 0xe0}, make([]byte, 500)...)
	for kind, b := range map[wire.Kind][]byte{wire.KindThumbnail: jpeg, wire.KindTelemetry: srt} {
		m := wire.Metadata{Filename: "DJI_0001.MP4", Footage: "up", SHA256: footage.Sum(b), Kind: kind}
		if err := upload(t, station, m, b); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
	}
	to, err := station.Create(ctx, size, video("up", content))
	if err != nil || !strings.HasPrefix(to, c.url+wire.FilesPath) {
		t.Fatalf("upload at %q: %v", to, err)
	}
	if at, err := station.Offset(ctx, to, size); at != 0 || err != nil {
		t.Errorf("offset of a new upload: %d %v", at, err)
	}
	const sent = 100_000
	if _, err := station.Patch(ctx, to, 0, size, &cut{bytes.NewReader(content), sent}); err == nil {
		t.Fatal("a PATCH that was cut succeeded")
	}
	at := int64(0)
	for try := range 10 { // bytes of the cut PATCH may still arrive after HEAD
		if at, err = station.Offset(ctx, to, size); err != nil || at > sent {
			t.Fatalf("offset after the cut: %d %v", at, err)
		}
		if at, err = station.Patch(ctx, to, at, size, bytes.NewReader(content[at:])); err == nil {
			break
		}
		if !errors.Is(err, uplink.ErrOffset) {
			t.Fatalf("try %d: %v", try, err)
		}
	}
	if at != size {
		t.Fatalf("offset at the end: %d %v", at, err)
	}
	if at, err = station.Offset(ctx, to, size); at != size || err != nil {
		t.Errorf("offset of a finished upload: %d %v", at, err)
	}
	got, err := station.Footage(ctx, "up")
	if err != nil {
		t.Fatal(err)
	}
	v, err := c.ledger.Footage.Get(ctx, "up")
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != "up" || got.Name != v.Name || got.Site != site || got.Device != device || got.Size != size ||
		got.SHA256 != footage.Sum(content) ||
		!got.Telemetry || got.Captured == nil || !got.Captured.Equal(v.Captured) || !got.Received.Equal(v.Received) ||
		got.Seq != v.Seq || got.DuplicateOf != "" {
		t.Errorf("decoded %+v\nof %+v", got, v.Footage)
	}
	if got.Job == nil || got.Job.ID != v.Job.ID || got.Job.Footage != "up" || got.Count != nil {
		t.Errorf("job %+v, count %+v", got.Job, got.Count)
	}
	if err := upload(t, station, video("again", content), content); err != nil {
		t.Fatal(err)
	}
	if got, err := station.Footage(ctx,
		"again"); err != nil || got.DuplicateOf != "up" || got.Job == nil || got.Job.ID != v.Job.ID {
		t.Errorf("duplicate: %+v %v", got, err)
	}
}

func testProgress(t *testing.T, c *cloud) {
	station := c.client(t, c.token, nil)
	ctx := t.Context()
	content := clip("progress")
	if err := upload(t, station, video("counting", content), content); err != nil {
		t.Fatal(err)
	}
	j, err := c.ledger.Jobs.GetByFootage(ctx, "counting")
	if err != nil {
		t.Fatal(err)
	}
	if j, _, err = c.ledger.Attempts.Begin(ctx, j.ID, "worker-1"); err != nil {
		t.Fatal(err)
	}
	eta := 12.5
	want := job.Progress{Stage: job.StageDetect, FramesDone: 40, FramesTotal: 100, Percent: 40, FPS: 3.5,
		ETASeconds: &eta, Count: 17}
	if _, err := c.ledger.Attempts.UpdateProgress(ctx, j.ID, j.Fence, want); err != nil {
		t.Fatal(err)
	}
	before, err := station.Footage(ctx, "counting")
	if err != nil || before.Job == nil {
		t.Fatalf("got before %+v, error %v", before, err)
	}
	if !reflect.DeepEqual(before.Job.Progress,
		want) || before.Job.State != job.Processing || before.Job.Attempt != 1 || before.Job.Updated.IsZero() {
		t.Errorf("progress %+v in %+v, want %+v", before.Job.Progress, before.Job, want)
	}
	n := ledger.Count{Unique: 92, Low: 88, High: 97, ByClass: map[string]int{"cow": 92}, Model: "femto",
		ModelDigest: footage.Sum([]byte("model"))}
	if _, err := c.ledger.Attempts.Finish(ctx, j.ID, j.Fence, n, "footage/counting/result/x.json"); err != nil {
		t.Fatal(err)
	}
	after, err := station.Footage(ctx, "counting")
	if err != nil || after.Job == nil || after.Count == nil {
		t.Fatalf("got after %+v, error %v", after, err)
	}
	if after.Job.State != job.Done || after.Job.Percent != 100 || after.Job.Seq <= before.Job.Seq {
		t.Errorf("job %+v after %+v", after.Job, before.Job)
	}
	k := after.Count
	if k.Unique != 92 || k.Low != 88 || k.High != 97 || k.ByClass["cow"] != 92 || k.Model != "femto" ||
		k.ModelDigest != n.ModelDigest || k.Job != j.ID || k.Footage != "counting" {
		t.Errorf("count %+v", k)
	}
}

func testRefusals(t *testing.T, c *cloud) {
	ctx := t.Context()
	station := c.client(t, c.token, nil)
	content, other := clip("refusals"), clip("other")
	if err := upload(t, station, video("whole", content), content); err != nil {
		t.Fatal(err)
	}
	open, err := station.Create(ctx, 1000, video("open", content))
	if err != nil {
		t.Fatal(err)
	}
	text := []byte(strings.Repeat("a letter, not a film. ", 200))
	damaged := video("damaged", content)
	damaged.SHA256 = footage.Sum(other)
	badID, badKind := video("../x", content), video("kind", content)
	badKind.Kind = "song"
	telemetry := wire.Metadata{Footage: "large", Kind: wire.KindTelemetry}
	_, unknown := c.client(t, secret.New("cc_unknown"), nil).Create(ctx, 10, video("a", content))
	_, reader := c.client(t, c.add("reader", ledger.RoleReader), nil).Create(ctx, 10, video("a", content))
	_, gone := station.Patch(ctx, c.url+wire.FilesPath+"nothing", 0, 4, strings.NewReader("cows"))
	_, head := station.Offset(ctx, c.url+wire.FilesPath+"nothing", 4)
	_, offset := station.Patch(ctx, open, 500, 1000, bytes.NewReader(content[:500]))
	_, large := station.Create(ctx, wire.MaxTelemetry+1, telemetry)
	_, huge := station.Create(ctx, 1<<60, video("huge", content))
	_, id := station.Create(ctx, 10, badID)
	_, kind := station.Create(ctx, 10, badKind)
	_, taken := station.Create(ctx, 10, video("whole", other))
	_, empty := station.Create(ctx, 0, video("empty", nil))
	_, missing := station.Footage(ctx, "nothing")
	for name, r := range map[string]struct {
		err   error
		class error
		slug  wire.Slug // "" for HEAD, whose answers have no body
	}{
		"unknown token":      {unknown, uplink.ErrToken, wire.SlugUnauthorised},
		"token of a reader":  {reader, uplink.ErrToken, wire.SlugForbidden},
		"unknown upload":     {gone, uplink.ErrNotFound, wire.SlugUploadGone},
		"HEAD of no upload":  {head, uplink.ErrNotFound, ""},
		"wrong offset":       {offset, uplink.ErrOffset, wire.SlugOffsetConflict},
		"telemetry too big":  {large, uplink.ErrRefused, wire.SlugTooLarge},
		"video too big":      {huge, uplink.ErrRefused, wire.SlugTooLarge},
		"bad id":             {id, uplink.ErrRefused, wire.SlugBadMetadata},
		"bad kind":           {kind, uplink.ErrRefused, wire.SlugBadMetadata},
		"id of another file": {taken, uplink.ErrIDTaken, wire.SlugConflict},
		"empty file":         {empty, uplink.ErrRefused, wire.SlugEmpty},
		"not a video":        {upload(t, station, video("letter", text), text), uplink.ErrRefused, wire.SlugNotAVideo},
		"damaged":            {upload(t, station, damaged, content), uplink.ErrHash, wire.SlugHashMismatch},
		"unknown footage":    {missing, uplink.ErrNotFound, wire.SlugNotFound},
	} {
		var a *uplink.Answer
		if !errors.Is(r.err, r.class) || !errors.As(r.err, &a) {
			t.Errorf("%s: %v, want %v", name, r.err, r.class)
			continue
		}
		if a.Problem.Slug() != r.slug || r.slug != "" && (!r.slug.Allows(a.Problem.Status) ||
			a.Problem.Title != r.slug.Title() || a.Problem.Detail == "") {
			t.Errorf("%s: %+v, want the slug %q", name, a.Problem, r.slug)
		}
	}
}

// hints stores the Date headers of the answers.
type hints struct {
	mu    sync.Mutex
	dates []string
}

func (h *hints) AddDate(date string, _ time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dates = append(h.dates, date)
}

func (*hints) Certificate(*x509.Certificate) (string, bool) { return "", false }

func testTime(t *testing.T, c *cloud) {
	h := new(hints)
	station := c.client(t, c.token, h)
	if err := station.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := station.Footage(t.Context(), "nothing"); !errors.Is(err, uplink.ErrNotFound) {
		t.Fatal(err)
	}
	if len(h.dates) != 2 {
		t.Fatalf("dates %q, want one of each answer", h.dates)
	}
	for _, d := range h.dates {
		hint, err := clock.ParseDate(d, 0, time.Now())
		if off := time.Until(hint.Time).Abs(); err != nil || off > time.Minute {
			t.Errorf("date %q: %s off, %v", d, off, err)
		}
	}
}

func testDoctor(t *testing.T, c *cloud) {
	reader := c.add("visitor", ledger.RoleReader)
	for _, r := range []struct {
		token secret.String
		want  map[string]doctor.Level
	}{
		{c.token, map[string]doctor.Level{"link": doctor.OK, "token": doctor.OK}},
		{reader, map[string]doctor.Level{"link": doctor.OK, "token": doctor.Fail}},
		{secret.New("cc_unknown"), map[string]doctor.Level{"link": doctor.OK, "token": doctor.Fail}},
	} {
		cfg := edgeconfig.Defaults()
		cfg.Site, cfg.Device, cfg.Token, cfg.Cloud.URL = site, device, r.token, c.url
		cfg.Watch.Folders, cfg.Spool.Dir = []string{t.TempDir()}, t.TempDir()
		got := map[string]doctor.Level{}
		doctor.Run(t.Context(), doctor.Options{Config: cfg, Version: "test", Probes: doctor.System()},
			func(f doctor.Finding) {
				if level, ok := r.want[f.Check]; ok && f.Level != level {
					t.Errorf("%+v, want level %s", f, level)
				}
				got[f.Check] = f.Level
			})
		for check := range r.want {
			if _, ok := got[check]; !ok {
				t.Errorf("the doctor found nothing about the %s", check)
			}
		}
	}
}

// testStation runs a whole agent from the card to the confirmation.
func testStation(t *testing.T, c *cloud) {
	card, dir := t.TempDir(), t.TempDir()
	cfg := edgeconfig.Defaults()
	cfg.Site, cfg.Device, cfg.Token, cfg.Cloud.URL = site, device, c.token, c.url
	cfg.Watch.Folders, cfg.Watch.Poll = []string{card}, 20*time.Millisecond
	cfg.Watch.Stable, cfg.Watch.Sidecar = 100*time.Millisecond, 100*time.Millisecond
	cfg.Spool.Dir, cfg.Spool.MinFree = dir, 1<<20
	content := clip("station")
	for name, b := range map[string][]byte{"DJI_0007.SRT": []byte("1\n"), "DJI_0007.MP4": content} {
		if err := os.WriteFile(filepath.Join(card, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, err := agent.Open(cfg, "test", slog.New(slog.DiscardHandler), new(slog.LevelVar))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	defer func() {
		cancel()
		if err := errors.Join(<-done, a.Close()); err != nil {
			t.Error(err)
		}
	}()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	limit := time.After(time.Minute)
	for {
		st := a.Status()
		if len(st.Footage) == 1 && st.Footage[0].Phase == status.PhaseWaiting {
			got, err := c.client(t, c.token, nil).Footage(t.Context(), st.Footage[0].ID)
			if err != nil || got.SHA256 != footage.Sum(content) || got.Name != "DJI_0007.MP4" || !got.Telemetry {
				t.Errorf("got result %+v, error %v", got, err)
			}
			return
		}
		select {
		case <-look.C:
		case <-limit:
			t.Fatalf("the footage is not confirmed: %+v", st.Footage)
		}
	}
}
