package web

import (
	"fmt"
	"strings"
	"testing"

	"cattlecounter/cloud/count/crossing"
	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/flight"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
)

// storedTrace is what a count of a pass to the north leaves: the picture moves by 200 pixels a second, and one animal lies
// 90 pixels to the right of the middle of the sixth picture.
func storedTrace(t *testing.T) string {
	t.Helper()
	tr := flight.Trace{Width: 1920, Height: 1080, FPS: 10, Frames: 110, Seconds: 11}
	k := track.Saved{ID: 1, W: 40, H: 40, Last: 100}
	for i := range 11 {
		tr.Steps = append(tr.Steps, crossing.Step{Frame: 10 * i, Seconds: float64(i), Width: 1920, Height: 1080,
			Pose: motion.Pose{ToGround: motion.Transform{A: 1, TY: -200 * float64(i)}, Inliers: 1}})
		if y := 540 + 200*float64(i-5); y > 50 && y < 1030 {
			k.Way = append(k.Way, track.Fix{Frame: 10 * i, Seconds: float64(i),
				Box: detect.Box{X1: 1030, Y1: float32(y - 20), X2: 1070, Y2: float32(y + 20)}})
		}
	}
	tr.Tracks = []track.Saved{k}
	b, err := tr.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// flownLog is the log of that pass: 30 m high, with a scale of 44.4 pixels a metre, so 4.5 m a second.
func flownLog() string {
	var b strings.Builder
	for i := range 12 {
		fmt.Fprintf(&b, "%d\n00:00:%02d,000 --> 00:00:%02d,000\n[focal_len: 24.00] [latitude: %.7f] [longitude: 24.3000000] "+
			"[rel_alt: 30.000 abs_alt: 1230.000] [gb_yaw: 0.0 gb_pitch: -90.0 gb_roll: 0.0]\n\n", i+1, i, i+1,
			-31.7+4.506*float64(i)/110891)
	}
	return b.String()
}

func TestPositions(t *testing.T) {
	s := open(t, nil)
	rec := s.record("one", "content one")
	s.finish(rec.Job)
	put := func(key, text string) {
		t.Helper()
		if _, err := s.blobs.Put(t.Context(), key, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	get := func(query string, status int, headers ...string) response {
		t.Helper()
		r := s.send("GET", "/api/v1/counts/one/positions"+query, "", nil, headers...)
		if r.status != status {
			t.Fatalf("%s: status %d: %s", query, r.status, r.body)
		}
		return r
	}
	const result = "footage/one/result/abc"
	put(result+".json", `{"schema":1,"source":{"name":"one.mp4"},"video":{"width":1920,"height":1080},"count":{"unique":1},`+
		`"tracks":[{"id":1,"label":"cow","confidence":0.9}]}`)
	put(result+".trace", storedTrace(t))
	if r := get("", 200); strings.Contains(string(r.body), "animal") {
		t.Errorf("there is no log yet: %s", r.body)
	}
	if r := get("?format=csv", 200); !strings.Contains(string(r.body), "1,cow,0.900,,,") {
		t.Errorf("places within the flight: %s", r.body)
	}

	const key = "footage/one/telemetry.srt"
	put(key, flownLog())
	if err := s.ledger.Footage.SetTelemetry(t.Context(), "one", key); err != nil {
		t.Fatal(err)
	}
	// 22.5 m north of the start and 2 m east.
	r := get("?format=csv", 200)
	if !strings.Contains(string(r.body), "1,cow,0.900,-31.69979") || !strings.Contains(string(r.body), ",24.30002") {
		t.Errorf("positions: %s", r.body)
	}
	get("?format=csv", 304, "If-None-Match", r.header.Get("ETag"))
	for format, want := range map[string]string{"kml": "<Point>", "gpx": "<trkpt", "geojson": `"kind":"footprint"`} {
		if r := get("?format="+format, 200); !strings.Contains(string(r.body), want) {
			t.Errorf("%s: %s", format, r.body)
		}
	}
	put(key, "<html>")
	if r := get("", 200); strings.Contains(string(r.body), "animal") {
		t.Errorf("a log that is none: %s", r.body)
	}
	get("?format=shp", 400)
	get("?form=kml", 400)
	s.record("two", "content two")
	if r := s.send("GET", "/api/v1/counts/two/positions", "", nil); r.status != 404 {
		t.Errorf("not counted yet: status %d", r.status)
	}
}
