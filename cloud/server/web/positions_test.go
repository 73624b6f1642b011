package web

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/count/crossing"
	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/evidence"
	"cattlecounter/cloud/count/flight"
	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
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

// Positions name the paddocks of the animals, have the time of the flight log, and outlive the video that has the log.
func TestPositionsOfStoredGround(t *testing.T) {
	s := open(t, nil)
	ctx, at := t.Context(), time.Date(2026, 5, 1, 6, 0, 0, 0, time.UTC)
	s.flownCount("one", at)
	boss := s.tokens[ledger.RoleOperator]
	borders := boxes(box("East", 24.3000, -31.71, 24.31, -31.69), box("West", 24.29, -31.71, 24.3000, -31.69))
	if r := s.send("PUT", "/api/v1/sites/farm/paddocks", boss, strings.NewReader(borders)); r.status != 200 {
		t.Fatalf("status %d: %s", r.status, r.body)
	}
	s.place()
	get := func(id, format string) string {
		t.Helper()
		r := s.do("GET", "/api/v1/counts/"+id+"/positions?format="+format, "")
		if r.status != 200 {
			t.Fatalf("%s as %s: status %d: %s", id, format, r.status, r.body)
		}
		return string(r.body)
	}
	if table := get("one", "csv"); !strings.Contains(table, ",East\n") {
		t.Errorf("the animal is in no paddock: %s", table)
	}
	must.Do(t, s.ledger.Grounds.Put(ctx, ledger.DueGround{Footage: "one"}, ledger.Ground{Log: ledger.FlightLog{State: ledger.LogOK},
		CapturedFrom: "log", Taken: at.Add(time.Hour)}))
	if path := get("one", "gpx"); !strings.Contains(path, "2026-05-01T07:00:00.000Z") {
		t.Errorf("the path has not the time of the log: %s", path)
	}

	s.flownCount("two", at.Add(time.Hour))
	must.Do(t, s.ledger.Footage.SetTelemetry(ctx, "two", "")) // as if the log were inside the video
	must.Do(t, s.ledger.Grounds.Put(ctx, ledger.DueGround{Footage: "two"}, ledger.Ground{Log: ledger.FlightLog{State: ledger.LogOK},
		CapturedFrom: "log", Taken: at.Add(time.Hour), Spread: ledger.Spread{Way: "camera", Placed: 1, Borders: 1},
		Places: []ledger.Place{{ID: 1, Class: "cow", Lat: -31.7, Lon: 24.295, Radius: 2.5}}}))
	must.Do(t, s.ledger.Footage.RemoveVideo(ctx, "two"))
	if table := get("two", "csv"); !strings.Contains(table, "-31.7000000,24.2950000,2.5") || !strings.Contains(table, ",West\n") {
		t.Errorf("the video is removed: %s", table)
	}
}

// storedGround is a picture of the ground at the middle of that pass.
func storedGround(t *testing.T) string {
	t.Helper()
	r := evidence.New(evidence.Options{Sheets: true}, 1)
	for i := range 11 {
		f := &video.Frame{}
		f.Resize(1920, 1080)
		f.Index = 10 * i
		r.Observe(&evidence.Step{Frame: f, Seconds: float64(i), Pose: motion.Pose{Inliers: 1,
			ToGround: motion.Transform{A: 1, TY: -200 * float64(i)}}})
	}
	e, err := r.Finish("one.mp4", tally.Result{})
	must.Do(t, err)
	return string(e.Ground)
}

// The count sheet for maps needs a flight log and pictures of the ground, and says what is missing.
func TestMapSheet(t *testing.T) {
	s := open(t, nil)
	rec := s.record("one", "content one")
	s.finish(rec.Job)
	put := func(key, text string) {
		t.Helper()
		must.Get(s.blobs.Put(t.Context(), key, strings.NewReader(text)))(t)
	}
	refused := func(why string) {
		t.Helper()
		r := s.do("GET", "/api/v1/footage/one/sheet.tif", "")
		if r.status != 404 || !strings.Contains(string(r.body), why) {
			t.Errorf("status %d: %s, want 404 with %q", r.status, r.body, why)
		}
	}
	const result = "footage/one/result/abc"
	put(result+".json", `{"schema":1,"source":{"name":"one.mp4"},"video":{"width":1920,"height":1080},"count":{"unique":1},`+
		`"tracks":[{"id":1,"label":"cow","confidence":0.9}]}`)
	put(result+".trace", storedTrace(t))
	put(result+".ground", storedGround(t))
	refused("there is no flight log with positions")
	put("footage/one/telemetry.srt", flownLog())
	must.Do(t, s.ledger.Footage.SetTelemetry(t.Context(), "one", "footage/one/telemetry.srt"))
	r := s.do("GET", "/api/v1/footage/one/sheet.tif", "")
	if r.status != 200 || r.header.Get("Content-Type") != "image/tiff" || !strings.HasPrefix(string(r.body), "II*\x00") {
		t.Fatalf("status %d, %v, %d bytes", r.status, r.header, len(r.body))
	}
	if again := s.send("GET", "/api/v1/footage/one/sheet.tif", "", nil, "If-None-Match", r.header.Get("ETag")); again.status != 304 {
		t.Errorf("the same sheet: status %d", again.status)
	}
	must.Do(t, s.blobs.Delete(t.Context(), result+".ground"))
	refused("no picture of the ground")
}
