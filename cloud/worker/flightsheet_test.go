package worker

import (
	"context"
	"errors"
	"image"
	"image/jpeg"
	"io"
	"testing"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/evidence"
	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

// groundOf is the pictures of a camera that flies n frames to the right.
func groundOf(t *testing.T, n int) []byte {
	t.Helper()
	r := evidence.New(evidence.Options{Sheets: true}, 6)
	for i := range n {
		f := &video.Frame{Index: 5 * i}
		f.Resize(320, 180)
		r.Observe(&evidence.Step{Frame: f, Seconds: float64(i) / 6, Looked: []motion.Rect{{X2: 320, Y2: 180}},
			Pose: motion.Pose{ToGround: motion.Transform{A: 1, TX: 100 * float64(i)}, Inliers: 1}})
	}
	e := must.Get(r.Finish("a.mp4", tally.Result{}))(t)
	return e.Ground
}

// A flight of several parts has one sheet, which is drawn again with each part. Parts without pictures do not hold it up.
func TestFlightHasASheet(t *testing.T) {
	s := newStage(t)
	ground := groundOf(t, 6)
	inner := partCounter(10)
	w := s.flightWorker(counterFunc(func(ctx context.Context, src count.Source, p func(job.Progress)) (count.Outcome, error) {
		out, err := inner.Count(ctx, src, p)
		if src.Evidence.Sheets && src.Name != "GX030007.MP4" {
			out.Evidence.Ground = ground
		}
		return out, err
	}))
	w.o.Sheets = true
	var first footage.ID
	size := func() (image.Config, string) {
		f := must.Get(s.l.Footage.Get(t.Context(), first))(t)
		v := must.Get(s.l.Flights.Get(t.Context(), f.Flight))(t)
		key := wire.FlightSheetKey(v.ResultKey)
		r := must.Get(s.b.Open(t.Context(), key, 0, -1))(t)
		c := must.Get(jpeg.DecodeConfig(r))(t)
		_, _ = io.Copy(io.Discard, r)
		must.Do(t, r.Close())
		return c, key
	}
	first = s.putPart("dock", "GX010007.MP4", "one")
	s.deliver(t.Context(), w)
	s.putPart("dock", "GX020007.MP4", "two")
	s.deliver(t.Context(), w)
	two, key := size()
	s.putPart("dock", "GX030007.MP4", "three")
	s.deliver(t.Context(), w)
	three, last := size()
	if two.Height < 180 || three.Height < 180 || key == last {
		t.Errorf("sheets of %dx%d and %dx%d at %s and %s", two.Width, two.Height, three.Width, three.Height, key, last)
	}
	must.Get(s.b.Stat(t.Context(), key))(t) // links to the former one may live
}

// Without sheets nothing is drawn.
func TestFlightWithoutSheets(t *testing.T) {
	s := newStage(t)
	w := s.flightWorker(partCounter(10))
	first := s.putPart("dock", "GX010007.MP4", "one")
	s.deliver(t.Context(), w)
	s.putPart("dock", "GX020007.MP4", "two")
	s.deliver(t.Context(), w)
	f := must.Get(s.l.Footage.Get(t.Context(), first))(t)
	v := must.Get(s.l.Flights.Get(t.Context(), f.Flight))(t)
	if _, err := s.b.Stat(t.Context(), wire.FlightSheetKey(v.ResultKey)); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("a sheet without pictures: %v", err)
	}
}
