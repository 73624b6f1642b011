package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/flight"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

// putPart records a file of a device and enqueues its job.
func (s *stage) putPart(device, name, content string) footage.ID {
	s.t.Helper()
	ctx := s.t.Context()
	id := footage.ID(device + "-" + strings.TrimSuffix(name, ".MP4") + "-" + fmt.Sprint(len(content)))
	key := fmt.Sprintf("footage/%s/original.mp4", id)
	must.Get(s.b.Put(ctx, key, strings.NewReader(content)))(s.t)
	f := ledger.Footage{ID: id, Site: "ranch", Device: device, Name: name, Size: int64(len(content)),
		SHA256: footage.Sum([]byte(content)), BlobKey: key, Received: time.Now()}
	if strings.HasPrefix(name, "DJI") { // ten seconds each, without a break
		start := time.Duration(footage.ReadSequence(name).Number) * 10 * time.Second
		f.Captured = time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC).Add(start)
	}
	rec := must.Get(s.l.Footage.Record(ctx, f))(s.t)
	if rec.Job != nil {
		must.Do(s.t, errors.Join(s.q.Enqueue(ctx, rec.Job.ID), s.l.Jobs.MarkQueued(ctx, rec.Job.ID)))
	}
	return id
}

// partCounter counts n animals in each part, of which 3 are in view at each end. Footage whose name has bad in it fails.
func partCounter(n int) Counter {
	return counterFunc(func(_ context.Context, s count.Source, _ func(job.Progress)) (count.Outcome, error) {
		if strings.Contains(s.Name, "bad") {
			return count.Outcome{}, fmt.Errorf("%s: %w", s.Name, video.ErrDecode)
		}
		o := outcome(n)
		o.Result.Video = report.Video{Width: 640, Height: 360, FPS: 30, Duration: 10, Codec: "h264"}
		o.Result.Count.Low, o.Result.Count.High = n, n
		t := &flight.Trace{Width: 640, Height: 360, FPS: 30, Frames: 300, Seconds: 10, Codec: "h264"}
		for i := range n {
			at := 5.0
			switch {
			case i < 3:
				at = 0
			case i >= n-3:
				at = 9.5
			}
			frame := int(at * 30)
			box := detect.Box{X1: 100, Y1: 100, X2: 140, Y2: 120, Score: 0.8, Label: "cow"}
			t.Tracks = append(t.Tracks, track.Saved{ID: i + 1, W: 40, H: 20, First: frame, Last: frame, Hits: 3, Strong: 3,
				Visible: 3, Evidence: 4, Best: box, X: track.Axis{Pos: float64(100 * i)}, Y: track.Axis{Pos: 110},
				Seconds: at, LastSeconds: at, Way: []track.Fix{{Frame: frame, Seconds: at, X: float64(100 * i), Y: 110, Box: box}}})
		}
		o.Trace = t
		return o, nil
	})
}

func (s *stage) flightWorker(c Counter) *Worker {
	w := s.worker("w", c)
	w.o.Flights = s.l.Flights
	return w
}

// Parts become one flight in every order of arrival. Its count is far below the sum of the parts, and the sums of the
// ledger have it once. A part that fails and files of another device change nothing.
func TestPartsBecomeAFlight(t *testing.T) {
	names := []string{"GX010007.MP4", "GX020007.MP4", "GX030007.MP4"}
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {0, 2, 1}} {
		s := newStage(t)
		w := s.flightWorker(partCounter(10))
		var first footage.ID
		for _, k := range order {
			id := s.putPart("dock", names[k], "content of "+names[k])
			if k == 0 {
				first = id
			}
			s.deliver(t.Context(), w)
		}
		s.putPart("other-dock", names[1], "content from elsewhere")
		s.putPart("dock", "bad_GX040007.MP4", "broken")
		s.deliver(t.Context(), w)
		s.deliver(t.Context(), w)
		copied := s.putPart("dock", "COPY.MP4", "content of "+names[1])
		f := must.Get(s.l.Footage.Get(t.Context(), first))(t)
		v := must.Get(s.l.Flights.Get(t.Context(), f.Flight))(t)
		var got []string
		for _, p := range v.Parts {
			got = append(got, p.Name)
		}
		// 30 tracks, 3 at each of the two cuts.
		if !slices.Equal(got, names) || v.Unique != 24 || v.Low > 10 || v.High < 30 || len(v.Warnings) == 0 {
			t.Errorf("order %v: flight %+v of %v", order, v.Flight, got)
		}
		stats := must.Get(s.l.Totals.Stats(t.Context()))(t)
		if stats.Animals != 24+10 || stats.Jobs[job.Failed] != 1 {
			t.Errorf("order %v: sums %+v", order, stats)
		}
		if c := must.Get(s.l.Footage.Get(t.Context(), copied))(t); c.DuplicateOf == "" || c.Flight != "" {
			t.Errorf("copy %+v", c.Footage)
		}
		r := must.Get(s.b.Open(t.Context(), v.ResultKey, 0, -1))(t)
		must.Do(t, r.Close())
	}
}

// losingFlights loses the first answer: the write is done or not done, and the worker learns nothing of it.
type losingFlights struct {
	*ledger.Flights
	once    sync.Once
	written bool
}

func (l *losingFlights) Finish(ctx context.Context, id string, fence int64, c ledger.Count, key string,
	j ledger.Joining) (ledger.Job, error) {
	lost := false
	l.once.Do(func() { lost = true })
	if lost && !l.written {
		return ledger.Job{}, ledger.ErrFenced // as after a crash: another attempt has to do it
	}
	job, err := l.Flights.Finish(ctx, id, fence, c, key, j)
	if lost {
		return ledger.Job{}, ledger.ErrBusy
	}
	return job, err
}

// A crash before the ledger was written, and a lost answer after it, leave one flight.
func TestFlightSurvivesACrash(t *testing.T) {
	for _, written := range []bool{false, true} {
		s := newStage(t)
		s.putPart("dock", "GX010007.MP4", "one")
		s.deliver(t.Context(), s.flightWorker(partCounter(10)))
		id := s.putPart("dock", "GX020007.MP4", "the second")
		w := s.flightWorker(partCounter(10))
		w.o.Flights = &losingFlights{Flights: s.l.Flights, written: written}
		w.pause = func(context.Context, time.Duration) {}
		s.deliver(t.Context(), w)
		if !written {
			s.later(time.Minute) // the lease of the crashed attempt expires
			s.deliver(t.Context(), w)
		}
		f := must.Get(s.l.Footage.Get(t.Context(), id))(t)
		if f.Job.State != job.Done || f.Flight == "" {
			t.Fatalf("written %v: %+v, job %+v", written, f.Footage, f.Job)
		}
		stats := must.Get(s.l.Totals.Stats(t.Context()))(t)
		if vs, _, err := s.l.Flights.List(t.Context(), ledger.Page{}); err != nil || len(vs) != 1 || stats.Animals != 17 {
			t.Errorf("written %v: %d flights, %d animals, %v", written, len(vs), stats.Animals, err)
		}
	}
}

// A damaged or missing trace costs the flight a part's tracks, not the count of another part.
func TestFlightWithoutATrace(t *testing.T) {
	s := newStage(t)
	w := s.flightWorker(partCounter(10))
	first := s.putPart("dock", "GX010007.MP4", "one")
	s.deliver(t.Context(), w)
	f := must.Get(s.l.Footage.Get(t.Context(), first))(t)
	must.Get(s.b.Put(t.Context(), wire.TraceKey(first, f.Count.ModelDigest, 1), strings.NewReader("damaged")))(t)
	second := s.putPart("dock", "GX020007.MP4", "the second")
	s.deliver(t.Context(), w)
	v := must.Get(s.l.Footage.Get(t.Context(), second))(t)
	got := must.Get(s.l.Flights.Get(t.Context(), v.Flight))(t)
	if len(got.Parts) != 2 || got.High < 20 || len(got.Warnings) == 0 {
		t.Errorf("flight %+v", got)
	}
}

// A stale flight is joined again by a worker without other work.
func TestStaleFlightIsJoined(t *testing.T) {
	s := newStage(t)
	w := s.flightWorker(partCounter(10))
	for i := range 3 {
		s.putPart("dock", fmt.Sprintf("DJI_000%d_T.MP4", i+1), strings.Repeat("x", i+1))
		s.deliver(t.Context(), w)
	}
	vs, _, err := s.l.Flights.List(t.Context(), ledger.Page{})
	must.Do(t, err)
	s.putPart("dock", "DJI_0001_W.MP4", "the wide camera") // counted in place of the first thermal part
	if stale := must.Get(s.l.Flights.ListStale(t.Context(), 5))(t); len(stale) != 1 {
		t.Fatalf("stale flights %+v", stale)
	}
	w.joinStale(t.Context())
	v := must.Get(s.l.Flights.Get(t.Context(), vs[0].ID))(t)
	if v.State != ledger.FlightJoined || v.Flight.Parts != 2 || v.Unique != 17 {
		t.Errorf("flight %+v", v.Flight)
	}
}

// refusingFlights refuses some writes.
type refusingFlights struct {
	*ledger.Flights
	finish, rejoin func() error // nil for none
}

func (r refusingFlights) Finish(ctx context.Context, id string, fence int64, c ledger.Count, key string,
	j ledger.Joining) (ledger.Job, error) {
	if r.finish != nil {
		return ledger.Job{}, r.finish()
	}
	return r.Flights.Finish(ctx, id, fence, c, key, j)
}

func (r refusingFlights) Rejoin(ctx context.Context, v ledger.FlightView, groups []ledger.Group) error {
	if err := r.rejoin(); err != nil {
		return err
	}
	return r.Flights.Rejoin(ctx, v, groups)
}

// A count that the ledger refuses is not written again and again.
func TestInvalidCountIsNotRetried(t *testing.T) {
	s := newStage(t)
	id := s.putPart("dock", "GX010007.MP4", "one")
	w := s.flightWorker(partCounter(10))
	w.pause = func(context.Context, time.Duration) {}
	tries := 0
	w.o.Flights = refusingFlights{Flights: s.l.Flights, finish: func() error {
		tries++
		return fmt.Errorf("two groups: %w", ledger.ErrInvalid)
	}}
	s.deliver(t.Context(), w)
	f := must.Get(s.l.Footage.Get(t.Context(), id))(t)
	if tries != 1 || f.Job.State != job.Queued || !strings.Contains(f.Job.Reason, "two groups") {
		t.Errorf("%d tries, job %+v", tries, f.Job)
	}
}

// A part that is counted again while another part joins it to a flight stays in that flight.
func TestPartIsJoinedDuringItsCount(t *testing.T) {
	s := newStage(t)
	first := s.putPart("dock", "GX010007.MP4", "one")
	s.deliver(t.Context(), s.flightWorker(partCounter(10)))
	j := must.Get(s.l.Jobs.Recount(t.Context(), first))(t)
	must.Do(t, errors.Join(s.q.Enqueue(t.Context(), j.ID), s.l.Jobs.MarkQueued(t.Context(), j.ID)))
	w := s.flightWorker(counterFunc(func(ctx context.Context, src count.Source, p func(job.Progress)) (count.Outcome, error) {
		s.putPart("dock", "GX020007.MP4", "the second")
		s.deliver(ctx, s.flightWorker(partCounter(10)))
		return partCounter(10).Count(ctx, src, p)
	}))
	w.pause = func(context.Context, time.Duration) {}
	s.deliver(t.Context(), w)
	f := must.Get(s.l.Footage.Get(t.Context(), first))(t)
	if f.Job.State != job.Done || f.Flight == "" {
		t.Fatalf("footage %+v, job %+v", f.Footage, f.Job)
	}
	if v := must.Get(s.l.Flights.Get(t.Context(), f.Flight))(t); len(v.Parts) != 2 || v.Unique != 17 {
		t.Errorf("flight %+v", v.Flight)
	}
}

// A stale flight that cannot be joined does not hold up the next one.
func TestStaleFlightsFailAlone(t *testing.T) {
	s := newStage(t)
	w := s.flightWorker(partCounter(10))
	for _, device := range []string{"dock-1", "dock-2"} {
		for i := range 3 {
			s.putPart(device, fmt.Sprintf("DJI_000%d_T.MP4", i+1), device+strings.Repeat("x", i+1))
			s.deliver(t.Context(), w)
		}
		s.putPart(device, "DJI_0001_W.MP4", "the wide camera of "+device)
		s.deliver(t.Context(), w)
	}
	if stale := must.Get(s.l.Flights.ListStale(t.Context(), 5))(t); len(stale) != 2 {
		t.Fatalf("stale flights %+v", stale)
	}
	refused := errors.New("refused")
	tries := 0
	w.o.Flights = refusingFlights{Flights: s.l.Flights, rejoin: func() error {
		if tries++; tries == 1 {
			return refused
		}
		return nil
	}}
	must.FailWith(t, w.rejoin(t.Context()), refused)
	if stale := must.Get(s.l.Flights.ListStale(t.Context(), 5))(t); len(stale) != 1 || stale[0].Device != "dock-1" {
		t.Errorf("stale flights after it %+v", stale)
	}
}

// A part without a trace has not that of another part without a key.
func TestPartWithoutAKeyHasNoTrace(t *testing.T) {
	s := newStage(t)
	known := map[string]*flight.Trace{"": {Frames: 1}}
	if got, err := s.flightWorker(nil).readTrace(t.Context(), ledger.Part{Footage: "other"}, known); got != nil || err != nil {
		t.Errorf("trace %+v, %v", got, err)
	}
}

// A worker that stops does not wait for the joining of a flight, and keeps nothing of it.
func TestJoiningStops(t *testing.T) {
	s := newStage(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	groups, err := s.flightWorker(nil).joinParts(ctx, "dock", []ledger.Part{{Footage: "one"}}, map[string]*flight.Trace{})
	if groups != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("groups %+v, %v", groups, err)
	}
}
