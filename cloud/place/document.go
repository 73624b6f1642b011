package place

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"cattlecounter/cloud/count/flight"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/flightlog"
)

// InputOf is what a count left of a clip: its result document and its trace.
func InputOf(res report.Result, t *flight.Trace, log *flightlog.Log) Input {
	in := Input{Width: res.Video.Width, Height: res.Video.Height, Log: log}
	if t == nil {
		return in
	}
	in.Width, in.Height, in.Steps = t.Width, t.Height, t.Steps
	ways := map[int][]track.Fix{}
	for i := range t.Tracks {
		ways[t.Tracks[i].ID] = t.Tracks[i].Way
	}
	more := map[int][]track.Fix{}
	for _, n := range res.NotCounted {
		if n.Reason == string(tally.SameAs) {
			more[n.Of] = append(more[n.Of], ways[n.ID]...)
		}
	}
	for _, k := range res.Tracks {
		fixes := append(slices.Clone(ways[k.ID]), more[k.ID]...)
		slices.SortStableFunc(fixes, func(a, b track.Fix) int { return a.Frame - b.Frame })
		in.Animals = append(in.Animals, Animal{ID: k.ID, Fixes: fixes})
	}
	return in
}

// Add places the animals of a result document: it sets Place, and the position of every track. What an earlier call
// found is replaced. A log that brings positions removes the warning that there are none. Of a log of a whole flight, the part of the recording is used. t and log may be
// nil, and so may terrain. It returns where the
// frames lie; Ground.Check says whether they do.
func Add(res *report.Result, t *flight.Trace, log *flightlog.Log, terrain Terrain) *Ground {
	log, unfit := fitted(*res, t, log)
	in := InputOf(*res, t, log)
	in.Terrain = terrain
	found, v := find(in)
	if unfit != "" {
		found.Why = unfit
	}
	p := &report.Place{Way: string(found.Way), Heading: string(found.Heading), Scale: string(found.Scale), Why: found.Why,
		Terrain: terrain != nil && log != nil, Placed: len(found.Positions), Footprint: found.Footprint,
		Area: math.Round(found.Area)}
	if log != nil {
		p.Log = log.Dialect
	}
	if len(found.Causes) > 0 {
		p.Causes = found.Causes
	}
	for _, ring := range p.Footprint {
		for _, points := range ring {
			for i := range points {
				points[i] = [2]float64{digits(points[i][0], 1e7), digits(points[i][1], 1e7)}
			}
		}
	}
	for _, m := range found.Path {
		o := report.Moment{Seconds: digits(m.Seconds, 1e3), Latitude: digits(m.Lat, 1e7), Longitude: digits(m.Lon, 1e7)}
		if known(m.Height) {
			h := digits(m.Height, 1e2)
			o.Height = &h
		}
		p.Path = append(p.Path, o)
	}
	res.Place = p
	at := map[int]int{}
	for i := range res.Tracks {
		res.Tracks[i].Position, res.Tracks[i].Offset = nil, nil
		at[res.Tracks[i].ID] = i
	}
	var radii []float64
	for _, f := range found.Positions {
		res.Tracks[at[f.ID]].Position = &report.Position{Latitude: digits(f.Lat, 1e7), Longitude: digits(f.Lon, 1e7),
			Radius: math.Ceil(10*f.Radius) / 10, Seconds: digits(f.Seconds, 1e3)}
		radii = append(radii, f.Radius)
	}
	for _, f := range found.Offsets {
		res.Tracks[at[f.ID]].Offset = &report.Offset{Right: digits(f.X, 100), Up: digits(f.Y, 100),
			Radius: math.Ceil(10*f.Radius) / 10}
	}
	p.Radius = digits(median(radii), 10)
	if len(found.Positions) > 0 {
		res.Warnings = slices.DeleteFunc(res.Warnings, func(w report.Warning) bool { return w.Code == report.NoTelemetry })
	} else if (log != nil || unfit != "") && len(res.Tracks) > 0 {
		res.Warnings = append(slices.DeleteFunc(res.Warnings, func(w report.Warning) bool {
			return w.Code == report.NoTelemetry
		}), report.Warning{Code: report.NoTelemetry, Text: found.Why + "; there are no ground positions"})
	}
	return groundOf(v, found)
}

// Keep gives a result the positions that an earlier call of Add has found with a log that is not there any more, in place of
// the offsets that are found without one. positions are in degrees and metres, of tracks by their ID; those of other tracks
// are left out. footprint has the form of report.Place.
func Keep(res *report.Result, way string, positions []Position, footprint [][][][2]float64) {
	at := map[int]Position{}
	for _, p := range positions {
		at[p.ID] = p
	}
	if res.Place == nil {
		res.Place = &report.Place{}
	}
	res.Place.Way, res.Place.Footprint, res.Place.Placed = way, footprint, 0
	for i := range res.Tracks {
		t := &res.Tracks[i]
		if p, ok := at[t.ID]; ok {
			t.Offset, t.Position = nil, &report.Position{Latitude: p.Lat, Longitude: p.Lon, Radius: p.Radius, Seconds: p.Seconds}
			res.Place.Placed++
		}
	}
}

// fitted is the part of a log that belongs to a recording, see Fit. Without one it returns nil and why.
func fitted(res report.Result, t *flight.Trace, log *flightlog.Log) (*flightlog.Log, string) {
	if log == nil {
		return nil, ""
	}
	seconds := res.Video.Duration
	if seconds <= 0 && t != nil {
		seconds = t.Seconds
	}
	part := *log
	if why := Fit(&part, res.Reading.Recorded, time.Duration(seconds*float64(time.Second))); why != "" {
		return nil, "the flight log is not used: " + why
	}
	return &part, ""
}

// digits rounds to parts of one.
func digits(v, parts float64) float64 { return math.Round(v*parts) / parts }

// ErrStored marks stored bytes of a count that cannot be read. Compare with errors.Is.
var ErrStored = errors.New("the stored count cannot be read")

// Stored places the animals of a stored count. result is its result document and trace its encoded trace, empty when it
// left none. log may be nil. Its error wraps ErrStored.
func Stored(result, trace []byte, log *flightlog.Log) (report.Result, error) {
	c, err := StoredGround(result, trace, log)
	return c.Result, err
}

// Counted is a count whose animals are placed.
type Counted struct {
	Result report.Result
	Ground *Ground // where its frames lie
}

// StoredGround is Stored, and returns where the frames lie.
func StoredGround(result, trace []byte, log *flightlog.Log) (c Counted, err error) {
	if err := json.Unmarshal(result, &c.Result); err != nil {
		return c, fmt.Errorf("%w: result document: %w", ErrStored, err)
	}
	var t *flight.Trace
	if len(trace) > 0 {
		read, err := flight.DecodeTrace(trace)
		if err != nil {
			return c, fmt.Errorf("%w: %w", ErrStored, err)
		}
		t = &read
	}
	c.Ground = Add(&c.Result, t, log, nil)
	return c, nil
}
