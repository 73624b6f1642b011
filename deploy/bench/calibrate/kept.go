package calibrate

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"cattlecounter/cloud/count/crossing"
	"cattlecounter/cloud/count/flight"
	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
)

// tracePath is the file with the tracks and the way of the camera of a clip.
func tracePath(out, clip string) string {
	return filepath.Join(out, "traces", strings.ReplaceAll(clip, "/", "_")+".trace")
}

// keepTrace writes the trace of a clip, without the pictures of its ground.
func keepTrace(out, clip string, t flight.Trace) error {
	t.Map = motion.Map{}
	code, err := t.Encode()
	path := tracePath(out, clip)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o755)
	}
	if err == nil {
		err = os.WriteFile(path, code, 0o644)
	}
	if err != nil {
		return fmt.Errorf("tracks of %s: %w", clip, err)
	}
	return nil
}

// judgedAgain judges the kept tracks of all outcomes that have some. The others stay as they are.
func judgedAgain(out string, all []Outcome) ([]Outcome, error) {
	for i, o := range all {
		code, err := os.ReadFile(tracePath(out, o.Clip))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("tracks of %s: %w", o.Clip, err)
		}
		t, err := flight.DecodeTrace(code)
		if err != nil {
			return nil, fmt.Errorf("tracks of %s: %w; remove %s", o.Clip, err, tracePath(out, o.Clip))
		}
		all[i] = judged(o, t)
	}
	return all, nil
}

// judged is an outcome with the count, the features and the lines by its trace.
func judged(o Outcome, t flight.Trace) Outcome {
	var tracks []*track.Track
	for _, s := range t.Tracks {
		tracks = append(tracks, s.Restore())
	}
	r := tally.Count(tracks)
	o.Features = r.Judge(tally.Circumstances{Width: t.Width, Height: t.Height, Guessed: t.Guessed, Poor: t.Poor,
		Hasty: t.Steps.Hasty()})
	o.Count, o.Low, o.High = r.Unique, r.Low, r.High
	if len(o.Lines) == 0 {
		return o
	}
	j := crossing.New(benchLines)
	for _, s := range t.Steps {
		j.Add(s)
	}
	for i, found := range j.Result(crossing.Animals(r)).Lines {
		o.Lines[i].LineTotal = found.LineTotal
	}
	return o
}
