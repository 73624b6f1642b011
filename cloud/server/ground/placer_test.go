package ground

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/blob/disk"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/emptyledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// srt is a log of one record a second from a place, with a time of the drone's clock.
func srt(seconds int, lat, lon float64, began string) string {
	var b strings.Builder
	at, err := time.Parse(time.DateTime, began)
	for i := range seconds {
		fmt.Fprintf(&b, "%d\n00:%02d:%02d,000 --> 00:%02d:%02d,000\n", i+1, i/60, i%60, (i+1)/60, (i+1)%60)
		if err == nil {
			fmt.Fprintf(&b, "%s\n", at.Add(time.Duration(i)*time.Second).Format("2006-01-02 15:04:05.000"))
		}
		fmt.Fprintf(&b, "[focal_len: 24.00] [latitude: %.6f] [longitude: %.6f] [rel_alt: 30.000 abs_alt: 1230.000]\n\n",
			lat+0.00004*float64(i), lon)
	}
	return b.String()
}

type desk struct {
	*Placer
	l    *ledger.Ledger
	b    blob.Store
	logs bytes.Buffer
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{l: must.Get(ledger.Open(t.Context(), emptyledger.In(t, t.TempDir()), ledger.Options{}))(t),
		b: must.Get(disk.New(t.TempDir()))(t)}
	t.Cleanup(func() { must.Do(t, d.l.Close()) })
	d.Placer = &Placer{Grounds: d.l.Grounds, Logs: Logs{Blobs: d.b, Footage: d.l.Footage}, Borders: d.l.Borders, Now: func() time.Time { return noon.AddDate(1, 0, 0) },
		Log: slog.New(slog.NewTextHandler(&d.logs, nil))}
	return d
}

// record records footage with a log, "" for none, and a video of that length once it is counted.
func (d *desk) record(t *testing.T, id, log string, captured time.Time, length time.Duration) ledger.FootageView {
	t.Helper()
	ctx := t.Context()
	must.Get(d.b.Put(ctx, "video-"+id, strings.NewReader("no container "+id)))(t)
	rec := must.Get(d.l.Footage.Record(ctx, ledger.Footage{ID: footage.ID(id), Site: "farm", Device: "d", Name: id + ".MP4", Size: 9,
		SHA256: footage.Sum([]byte(id)), BlobKey: "video-" + id, Captured: captured}))(t)
	if log != "" {
		key := wire.TelemetryKey(footage.ID(id))
		must.Get(d.b.Put(ctx, key, strings.NewReader(log)))(t)
		must.Do(t, d.l.Footage.SetTelemetry(ctx, footage.ID(id), key))
	}
	if length > 0 {
		must.Get(d.b.Put(ctx, "result-"+id+".json", strings.NewReader(fmt.Sprintf(`{"video":{"duration_seconds":%g}}`, length.Seconds()))))(t)
		j, _, err := d.l.Attempts.Begin(ctx, rec.Job.ID, "w")
		must.Do(t, err)
		must.Get(d.l.Attempts.Finish(ctx, j.ID, j.Fence, ledger.Count{}, "result-"+id+".json"))(t)
	}
	must.Get(d.Round(ctx))(t)
	return must.Get(d.l.Footage.Get(ctx, footage.ID(id)))(t)
}

func TestStates(t *testing.T) {
	for _, c := range []struct {
		name, log string
		length    time.Duration
		state     ledger.LogState
		why       string
	}{
		{"none", "", time.Minute, ledger.LogMissing, "no flight log"},
		{"page", "<html><body>sign in</body>", time.Minute, ledger.LogUnreadable, "line 1: it is a page in HTML"},
		{"empty", "\n", time.Minute, ledger.LogUnreadable, "empty"},
		{"nofix", srt(60, 0, 0, "")[:0] + "1\n00:00:00,000 --> 00:00:01,000\n[latitude: 0.0] [longitude: 0.0] [rel_alt: 1.0 abs_alt: 2.0]\n",
			time.Minute, ledger.LogNoFix, "position"},
		{"fits", srt(60, -31.7, 24.3, ""), time.Minute, ledger.LogOK, ""},
		{"early", srt(60, -31.7, 24.3, ""), 0, ledger.LogOK, ""},
		{"longer", srt(300, -31.7, 24.3, ""), time.Minute, ledger.LogDoesNotFit, "and the video 1m0s"},
		{"shorter", srt(60, -31.7, 24.3, ""), 10 * time.Minute, ledger.LogDoesNotFit, "and the video 10m0s"},
	} {
		d := newDesk(t)
		v := d.record(t, c.name, c.log, noon, c.length)
		if g := v.Ground.Log; g.State != c.state || !strings.Contains(g.Why, c.why) || c.why == "" && g.Why != "" {
			t.Errorf("%s: %+v", c.name, g)
		}
		warned := strings.Contains(d.logs.String(), "level=WARN msg=\"flight log cannot be used")
		if bad := c.state != ledger.LogOK && c.state != ledger.LogMissing; bad != warned {
			t.Errorf("%s: log %q", c.name, d.logs.String())
		}
	}
}

func TestCaptured(t *testing.T) {
	d := newDesk(t)
	for _, c := range []struct {
		id, log    string
		want       time.Time
		from, zone string
	}{
		{"africa", srt(60, -31.7, 24.3, "2026-04-30 09:15:00"), time.Date(2026, 4, 30, 7, 15, 0, 0, time.UTC), FromLogZone, "Africa/Johannesburg"},
		{"summer", srt(60, 40.4, -3.7, "2026-07-01 09:15:00"), time.Date(2026, 7, 1, 7, 15, 0, 0, time.UTC), FromLogZone, "Europe/Madrid"},
		{"half", srt(60, -23.7, 133.88, "2026-07-01 09:00:00"), time.Date(2026, 6, 30, 23, 30, 0, 0, time.UTC), FromLogZone, "Australia/Darwin"},
		{"untimed", srt(60, -31.7, 24.3, ""), noon, FromStation, ""},
		{"reset", srt(60, -31.7, 24.3, "1980-01-01 00:00:00"), noon, FromStation, ""},
		{"absent", "", noon, FromStation, ""},
	} {
		v := d.record(t, c.id, c.log, noon, time.Minute)
		if !v.Taken.Equal(c.want) || v.Ground.CapturedFrom != c.from || v.Ground.Zone != c.zone || !v.Captured.Equal(noon) {
			t.Errorf("%s: taken %s from %q in %q, want %s", c.id, v.Taken, v.Ground.CapturedFrom, v.Ground.Zone, c.want)
		}
	}
	if v := d.record(t, "nothing", "", time.Time{}, 0); !v.Taken.IsZero() || v.Ground.CapturedFrom != "" {
		t.Errorf("without any time: %s from %q", v.Taken, v.Ground.CapturedFrom)
	}
	if z := zoneOf(0, 200); !z.solar || z.name == "" {
		t.Errorf("beyond the date line: %+v", z)
	}
}

type brokenBlobs struct{ Blobs }

func (brokenBlobs) Open(context.Context, string, int64, int64) (io.ReadCloser, error) {
	return nil, errors.New("storage is away")
}

// Footage whose storage does not answer is tried again after a minute, and does not hold up the others.
func TestFaultOfTheStorage(t *testing.T) {
	d := newDesk(t)
	now := noon
	d.Now = func() time.Time { return now }
	good := d.Logs.Blobs
	d.Logs.Blobs = brokenBlobs{good}
	if v := d.record(t, "a", srt(60, -31.7, 24.3, ""), noon, 0); v.Ground.Log.State != "" {
		t.Errorf("state %q without the file", v.Ground.Log.State)
	}
	d.Logs.Blobs = good
	if n := must.Get(d.Round(t.Context()))(t); n != 0 {
		t.Errorf("%d tried again at once", n)
	}
	now = now.Add(2 * time.Minute)
	if n := must.Get(d.Round(t.Context()))(t); n != 1 {
		t.Errorf("%d placed after a minute, want 1", n)
	}
}

// While the storage is away, ten of many are tried every ten seconds, and all are placed when it is back.
func TestOutageOfTheStorage(t *testing.T) {
	d := newDesk(t)
	now, good, due := noon, d.Logs.Blobs, 25
	d.Now = func() time.Time { return now }
	d.Logs.Blobs = brokenBlobs{good}
	for i := range due {
		id := footage.ID(fmt.Sprintf("f%02d", i))
		must.Get(d.l.Footage.Record(t.Context(), ledger.Footage{ID: id, Site: "farm", Device: "d", Size: 9, SHA256: footage.Sum([]byte(id)),
			BlobKey: "v", TelemetryKey: "log"}))(t)
	}
	for _, want := range []int{10, 10, 20} {
		must.Get(d.Round(t.Context()))(t)
		if n := strings.Count(d.logs.String(), "cannot be placed"); n != want {
			t.Errorf("%d were tried at %s, want %d", n, now.Format(time.TimeOnly), want)
		}
		now = now.Add(outageWait - time.Second)
	}
	d.Logs.Blobs = good
	now = now.Add(2 * retryAfter)
	if n := must.Get(d.Round(t.Context()))(t); n != due {
		t.Errorf("%d placed, want %d", n, due)
	}
}

type noGrounds struct {
	asked    chan struct{}
	numbered chan time.Time // when what older programs placed got its number
}

func (g noGrounds) ListDue(context.Context, footage.ID, int) ([]ledger.DueGround, error) {
	g.asked <- struct{}{}
	return nil, nil
}
func (noGrounds) Get(context.Context, footage.ID) (ledger.Ground, error)     { return ledger.Ground{}, nil }
func (noGrounds) Put(context.Context, ledger.DueGround, ledger.Ground) error { return nil }

func (g noGrounds) NumberSpread(context.Context) (int64, error) {
	g.numbered <- time.Now()
	return 0, nil
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		g, ended := noGrounds{make(chan struct{}, 2*3600), make(chan time.Time)}, make(chan error)
		go func() {
			ended <- (&Placer{Grounds: g, Now: time.Now, Log: slog.New(slog.DiscardHandler)}).Run(ctx)
		}()
		<-g.asked
		first := <-g.numbered
		<-g.asked // after a second
		if next := <-g.numbered; next.Sub(first) != numberEvery {
			t.Errorf("what older programs placed got its number after %s", next.Sub(first))
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestBlobReader(t *testing.T) {
	b := must.Get(disk.New(t.TempDir()))(t)
	text := bytes.Repeat([]byte("0123456789abcdef"), blockSize/8) // two blocks
	must.Get(b.Put(t.Context(), "k", bytes.NewReader(text)))(t)
	r := newBlobReader(t.Context(), b, "k", int64(len(text)))
	for _, at := range []int{0, blockSize - 3, 5, len(text) - 4} {
		p := make([]byte, 4)
		if _, err := r.ReadAt(p, int64(at)); err != nil || !bytes.Equal(p, text[at:at+4]) {
			t.Errorf("at %d: %q %v", at, p, err)
		}
	}
	if n, err := r.ReadAt(make([]byte, 8), int64(len(text)-4)); n != 4 || !errors.Is(err, io.EOF) {
		t.Errorf("beyond the end: %d %v", n, err)
	}
}

// Positions from a log inside a video outlive the video: later paddocks divide them.
func TestVideoRemoved(t *testing.T) {
	ctx := t.Context()
	d := newDesk(t)
	v := d.record(t, "a", "", noon, time.Minute)
	place := ledger.Place{ID: 1, Class: "cow", Lat: -31.05, Lon: 24.06, Radius: 3}
	must.Do(t, d.l.Grounds.Put(ctx, ledger.DueGround{Footage: "a"}, ledger.Ground{Log: ledger.FlightLog{State: ledger.LogOK, Fixes: 3},
		CapturedFrom: FromLog, Taken: noon.Add(time.Hour), Spread: ledger.Spread{Way: "camera", Placed: 1}, Places: []ledger.Place{place},
		Footprint: [][][][2]float64{{{{24, -31.1}, {24.1, -31.1}, {24.1, -31}, {24, -31}}}}}))
	// Retention has deleted the blob, and then the ledger learns of it.
	must.Do(t, d.b.Delete(ctx, v.BlobKey))
	must.Do(t, d.l.Footage.SetTelemetry(ctx, "a", "")) // it is due
	must.Get(d.Round(ctx))(t)
	must.Do(t, d.l.Footage.RemoveVideo(ctx, v.ID))
	must.Get(d.l.Borders.Put(ctx, ledger.Borders{Site: "farm", Paddocks: 1,
		Document: `{"type":"Polygon","coordinates":[[[24,-31.1],[24.1,-31.1],[24.1,-31],[24,-31]]]}`}))(t)
	if n := must.Get(d.Round(ctx))(t); n != 1 {
		t.Fatalf("%d placed, want 1", n)
	}
	v = must.Get(d.l.Footage.Get(ctx, "a"))(t)
	if s := v.Count.Spread; s.Placed != 1 || s.Borders != 1 || len(s.Paddocks) != 1 || *s.Paddocks[0].Animals != 1 ||
		v.Ground.Log.State != ledger.LogOK || !v.Taken.Equal(noon.Add(time.Hour)) {
		t.Errorf("after the video was removed: %+v %+v taken %s", s, v.Ground.Log, v.Taken)
	}
}
