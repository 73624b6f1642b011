package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"cattlecounter/cloud/synthetic"
	"cattlecounter/cloud/synthetic/clipfile"
)

// writeFlown writes flights with exact logs of every dialect: in the south and west, and two over the line of 180
// degrees.
func writeFlown(ctx context.Context, dir string) error {
	flight := synthetic.Config{Seconds: 4, FPS: 10, Width: 480, Height: 270, Scale: 11, Animals: 14, Seed: 5, Tilt: -1}
	for name, log := range map[string]clipfile.Log{
		"brackets": {Dialect: clipfile.Brackets, Lat: -33.5, Lon: -18.25},
		"plain":    {Dialect: clipfile.Plain, Lat: 64.1, Lon: -179.99995},
		"list":     {Dialect: clipfile.List, Lat: 0.00001, Lon: 179.99995},
	} {
		if _, err := clipfile.WriteLogged(ctx, filepath.Join(dir, name+".mp4"), flight, log); err != nil {
			return err
		}
	}
	return nil
}

// comparePlaces is the command "places TRUTH POSITIONS METRES": every animal of the truth, but for one that the
// detector may miss, has an animal of the positions within so many metres.
func comparePlaces(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: places TRUTH POSITIONS METRES")
	}
	var truth synthetic.Truth
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &truth))
	var found struct {
		Features []struct {
			Geometry   struct{ Coordinates json.RawMessage }
			Properties struct{ Kind string }
		}
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &found))
	most, err := strconv.ParseFloat(args[2], 64)
	ts.Check(err)
	animals, missed, text := 0, 0, ""
	for _, a := range truth.Animals {
		if a.Latitude == nil {
			continue
		}
		animals++
		nearest := math.Inf(1)
		for _, f := range found.Features {
			var at []float64
			if f.Properties.Kind == "animal" && json.Unmarshal(f.Geometry.Coordinates, &at) == nil && len(at) > 1 {
				nearest = min(nearest, metresApart(*a.Latitude, *a.Longitude, at[1], at[0]))
			}
		}
		if nearest > most {
			missed++
		}
		text += fmt.Sprintf(" %.2f", nearest)
	}
	ts.Logf("metres from each animal to the nearest position:%s", text)
	if animals < 5 || missed > 1 {
		ts.Fatalf("%d of %d animals have no position within %g m", missed, animals, most)
	}
}

// metresApart is the distance of two places that are near each other.
func metresApart(lat1, lon1, lat2, lon2 float64) float64 {
	const degree = 111195
	return degree * math.Hypot(lat1-lat2, math.Remainder(lon1-lon2, 360)*math.Cos(lat1*math.Pi/180))
}
