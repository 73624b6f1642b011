package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/synthetic"
	"cattlecounter/cloud/synthetic/clipfile"
	"cattlecounter/deploy/testkit/must"
)

var radiusFlights = flag.Int("flights", 1, "rendered flights of each dialect in TestRenderedFlights")

// TestRenderedFlights counts rendered clips whose flight logs have the usual errors, and compares every position with the
// true place of its animal. -flights 6 gives the figure of deploy/docs/measured.md.
func TestRenderedFlights(t *testing.T) {
	library := os.Getenv("ONNXRUNTIME_LIB")
	if library == "" {
		t.Setenv("ONNXRUNTIME_LIB", must.Get(filepath.Abs("../../../build/onnxruntime/libonnxruntime.so.1"))(t))
	}
	t.Setenv("CATTLE_MODEL", must.Get(filepath.Abs("../../model/default"))(t))
	dir := t.TempDir()
	inAll, ofAll := 0, 0
	for _, dialect := range clipfile.Dialects() {
		in, of, radius := 0, 0, 0.0
		for seed := range *radiusFlights {
			clip := filepath.Join(dir, fmt.Sprintf("%s%d.mp4", dialect, seed))
			truth := renderFlight(t, clip, dialect, uint64(100+seed))
			var out, errs bytes.Buffer
			if code := run(t.Context(), []string{"count", "--json", clip}, &out, &errs); code != exitOK {
				t.Fatalf("%s: exit code %d: %s", clip, code, errs.String())
			}
			var res report.Result
			must.Do(t, json.Unmarshal(out.Bytes(), &res))
			i, o, r := withinRadius(truth, res)
			in, of, radius = in+i, of+o, radius+r
			must.Do(t, os.Remove(clip))
		}
		if of == 0 {
			t.Fatalf("%s: no position belongs to an animal", dialect)
		}
		t.Logf("%s: %d of %d positions within their radius (%.0f %%), radius %.1f m on average", dialect, in, of, 100*float64(in)/float64(of), radius/float64(of))
		inAll, ofAll = inAll+in, ofAll+of
	}
	const least = 0.85 // the animals of one flight share most of their error, so one unlucky flight counts much
	if share := float64(inAll) / float64(ofAll); share < least {
		t.Errorf("%d of %d positions are within their radius", inAll, ofAll)
	}
}

// renderFlight writes a clip with its log and returns the true places.
func renderFlight(t *testing.T, clip string, dialect clipfile.Dialect, seed uint64) synthetic.Truth {
	t.Helper()
	flight := synthetic.Config{Seconds: 4, FPS: 10, Width: 480, Height: 270, Scale: 11, Animals: 14, Seed: seed, Tilt: -1}
	_, err := clipfile.WriteLogged(t.Context(), clip, flight, clipfile.Log{Dialect: dialect, Lat: -33.5, Lon: -18.25, Noise: 1})
	must.Do(t, err)
	var truth synthetic.Truth
	must.Do(t, json.Unmarshal(must.Get(os.ReadFile(clip[:len(clip)-len(".mp4")]+".json"))(t), &truth))
	return truth
}

// withinRadius counts the positions that belong to an animal of the truth, and those within their radius of it. All positions
// of a flight are off by about the same, so the shift that brings most of them to an animal says which animal each one is.
func withinRadius(truth synthetic.Truth, res report.Result) (in, of int, radii float64) {
	const near = 2.5 // metres between a shifted position and its animal
	var animals, found [][2]float64
	var radius []float64
	east := math.Cos(-33.5 * math.Pi / 180)
	metres := func(lat, lon float64) [2]float64 {
		return [2]float64{111195 * east * math.Remainder(lon+18.25, 360), 111195 * (lat + 33.5)}
	}
	for _, a := range truth.Animals {
		if a.Latitude != nil {
			animals = append(animals, metres(*a.Latitude, *a.Longitude))
		}
	}
	for _, k := range res.Tracks {
		if p := k.Position; p != nil {
			found, radius = append(found, metres(p.Latitude, p.Longitude)), append(radius, p.Radius)
		}
	}
	nearest := func(p [2]float64) (best int, d float64) {
		d = math.Inf(1)
		for i, a := range animals {
			if off := math.Hypot(a[0]-p[0], a[1]-p[1]); off < d {
				best, d = i, off
			}
		}
		return best, d
	}
	var shift [2]float64
	most, least := -1, math.Inf(1)
	for _, a := range animals {
		for _, p := range found {
			s := [2]float64{a[0] - p[0], a[1] - p[1]}
			if math.Hypot(s[0], s[1]) > 15 {
				continue
			}
			n, sum := 0, 0.0
			for _, q := range found {
				if _, d := nearest([2]float64{q[0] + s[0], q[1] + s[1]}); d < near {
					n, sum = n+1, sum+d
				}
			}
			if n > most || n == most && sum < least {
				most, least, shift = n, sum, s
			}
		}
	}
	for i, p := range found {
		k, d := nearest([2]float64{p[0] + shift[0], p[1] + shift[1]})
		if d >= near {
			continue
		}
		of++
		radii += radius[i]
		if math.Hypot(animals[k][0]-p[0], animals[k][1]-p[1]) <= radius[i] {
			in++
		}
	}
	return in, of, radii
}
