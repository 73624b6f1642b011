package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/crossing"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

// TestPositions counts footage with a log that gives positions, and with one that is no log.
func TestPositions(t *testing.T) {
	var flown strings.Builder
	for i := range 12 {
		fmt.Fprintf(&flown, "%d\n00:00:%02d,000 --> 00:00:%02d,000\n[focal_len: 24.00] [latitude: %.6f] [longitude: 24.300000] "+
			"[rel_alt: 30.000 abs_alt: 1230.000] [gb_yaw: 0.0 gb_pitch: -90.0 gb_roll: 0.0]\n\n", i+1, i, i+1, -31.7+0.00004*float64(i))
	}
	s := newStage(t)
	counter := counterFunc(func(ctx context.Context, src count.Source, p func(job.Progress)) (count.Outcome, error) {
		o, err := partCounter(4).Count(ctx, src, p)
		o.Result.Warnings = []report.Warning{}
		for _, k := range o.Trace.Tracks {
			if len(o.Result.Tracks) < 4 {
				o.Result.Tracks = append(o.Result.Tracks, report.Track{ID: k.ID, Label: "cow"})
			}
		}
		for i := range 21 {
			o.Trace.Steps = append(o.Trace.Steps, crossing.Step{Frame: 15 * i, Seconds: float64(i) / 2, Width: 640, Height: 360,
				Pose: motion.Pose{ToGround: motion.Transform{A: 1, TY: -33 * float64(i)}, Inliers: 1}})
		}
		return o, err
	})
	for id, log := range map[string]string{"flown": flown.String(), "page": "<html>"} {
		j := s.put(footage.ID("clip-" + id))
		key := wire.TelemetryKey(j.Footage)
		if _, err := s.b.Put(t.Context(), key, strings.NewReader(log)); err != nil {
			t.Fatal(err)
		}
		if err := s.l.Footage.SetTelemetry(t.Context(), j.Footage, key); err != nil {
			t.Fatal(err)
		}
		s.deliver(t.Context(), s.worker("w", counter))
		r, err := s.b.Open(t.Context(), s.job(j.ID).ResultKey, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		var res report.Result
		b, err := io.ReadAll(r)
		if err == nil {
			err = json.Unmarshal(b, &res)
		}
		if err != nil || r.Close() != nil {
			t.Fatal(err)
		}
		if id == "page" {
			if res.Place != nil || len(res.Warnings) != 1 || res.Warnings[0].Code != report.NoTelemetry {
				t.Errorf("a page instead of a log: %+v, warnings %+v", res.Place, res.Warnings)
			}
			continue
		}
		if res.Place == nil || res.Place.Way != "camera" || res.Place.Placed != 4 || res.Tracks[0].Position == nil {
			t.Errorf("with a log: %+v", res.Place)
		}
	}
}
