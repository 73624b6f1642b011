// Package calibrate counts the clips of a bench with the real detector, compares the counts with the truth, and fits the
// interval of the count to the errors.
package calibrate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/detect/detr"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/video/libav"
	"cattlecounter/cloud/synthetic"
	"cattlecounter/deploy/bench/scene"
)

// Options say what to measure.
type Options struct {
	Model     string  // folder of the detector
	Library   string  // ONNX Runtime's shared library; empty: see detr.FindLibrary
	Data      string  // folder of the hand-outs; what is not there is left out
	Out       string  // folder for the results; results of the same clips there are used again unless Fresh
	Simulated int     // number of simulated clips
	Clips     string  // folder of clips to count instead of the bench; see RunFolder
	Only      string  // only clips whose name contains this
	Part      int     // of Parts: every Parts-th clip
	Parts     int     // 0 for all clips in one run
	Workers   int     // frames in detection at the same time, 0 for one
	SampleFPS float64 // frames per second that are looked at
	Write     bool    // write the fitted constants into the tree
	// Refit judges the tracks of earlier runs again instead of counting, and fits to the outcomes. It shows what a change of
	// package tally or crossing does; a change of the tracks needs a new count.
	Refit bool
}

// Outcome is the count of one clip.
type Outcome struct {
	Clip    string  `json:"clip"`
	Kind    string  `json:"kind"`
	Check   bool    `json:"check"`
	Truth   int     `json:"truth"`
	Count   int     `json:"count"`
	Low     int     `json:"low"`
	High    int     `json:"high"`
	Tiles   int     `json:"tiles"` // regions that the detector was asked about
	Seconds float64 `json:"seconds"`
	Warning string  `json:"warning,omitempty"`

	Features tally.Features `json:"features"`
	Lines    []LineOutcome  `json:"lines,omitempty"`

	weight float64 // in a fit
}

// Run counts the clips one after another, writes a line for each to log, and calls keep with each outcome.
func Run(ctx context.Context, o Options, log io.Writer, keep func(Outcome) error) error {
	clips, missing := scene.Clips(o.Data, o.Simulated)
	for _, m := range missing {
		fmt.Fprintln(log, m)
	}
	return withBench(o, func(b *bench) error {
		var all []Fault
		animals := 0 // in clips whose faults are known
		for i, c := range clips {
			if o.Parts > 1 && i%o.Parts != o.Part || !strings.Contains(c.Name, o.Only) {
				continue
			}
			out, faults, err := b.count(ctx, c)
			if err == nil {
				err = errors.Join(b.answers.flush(), keep(out))
			}
			if err != nil {
				return fmt.Errorf("clip %s: %w", c.Name, err)
			}
			fmt.Fprintf(log, "%-70s %4d of %4d [%d, %d] %5d tiles %5.1f s\n", c.Name, out.Count, out.Truth, out.Low, out.High,
				out.Tiles, out.Seconds)
			writeFaults(log, faults)
			if faults != nil {
				animals += out.Truth
			}
			all = append(all, faults...)
		}
		if animals > 0 {
			fmt.Fprintf(log, "\nFaults of the simulated clips\n")
			WriteCauses(log, all, animals)
		}
		return nil
	})
}

// withBench calls run with an open detector and its kept answers.
func withBench(o Options, run func(*bench) error) error {
	net, err := detr.Open(detr.Options{Path: o.Model, Library: o.Library, Parallel: max(o.Workers, 1)})
	if err != nil {
		return err
	}
	defer net.Close()
	b := bench{Options: o, info: net.Info()}
	if b.answers, err = openAnswers(filepath.Join(o.Out, "answers"), net.Info().Digest.String(), net); err != nil {
		return err
	}
	return errors.Join(run(&b), b.answers.close())
}

// bench counts clips.
type bench struct {
	Options
	info    detr.Info
	answers *answers
}

// count counts a clip of the bench. The faults are nil for a clip whose truth does not tell where the animals are.
func (b *bench) count(ctx context.Context, c scene.Clip) (Outcome, []Fault, error) {
	film, err := c.Open()
	if err != nil {
		return Outcome{}, nil, err
	}
	open := func(context.Context, count.Source) (count.Decoder, error) { return scene.NewDecoder(film), nil }
	if c.Encoded {
		dir, err := os.MkdirTemp(b.Out, "clip-*")
		if err != nil {
			return Outcome{}, nil, err
		}
		defer os.RemoveAll(dir)
		path := filepath.Join(dir, "clip.mp4")
		if err := scene.WriteFile(ctx, film, path); err != nil {
			return Outcome{}, nil, err
		}
		open = func(ctx context.Context, _ count.Source) (count.Decoder, error) {
			return libav.Open(ctx, libav.Config{}, path)
		}
	}
	out, got, looks, err := b.measure(ctx, c.Name, open)
	if err != nil {
		return Outcome{}, nil, err
	}
	out.Kind, out.Check, out.Truth = c.Kind, c.Check, film.Truth()
	if err := keepTrace(b.Out, c.Name, *got.Trace); err != nil {
		return Outcome{}, nil, err
	}
	d, ok := film.(scene.Detailed)
	if !ok {
		return out, nil, nil
	}
	truth := d.Detailed()
	out.Lines = newLines(truth)
	return judged(out, *got.Trace), b.faults(truth, got, looks), nil
}

// faults are not nil.
func (b *bench) faults(truth synthetic.Truth, got count.Outcome, looks []Look) []Fault {
	tracks := make([]*track.Track, 0, len(got.Trace.Tracks))
	for _, t := range got.Trace.Tracks {
		tracks = append(tracks, t.Restore())
	}
	return append([]Fault{}, Faults(truth, looks, tracks, b.info.Threshold)...)
}

// measure counts one clip. The outcome lacks the truth.
func (b *bench) measure(ctx context.Context, name string, open opener) (Outcome, count.Outcome, []Look, error) {
	began, asked := time.Now(), b.answers.asked
	counter, saw, err := b.counter(open)
	if err != nil {
		return Outcome{}, count.Outcome{}, nil, err
	}
	got, err := counter.Count(ctx, count.Source{Name: name}, nil)
	if err != nil {
		return Outcome{}, count.Outcome{}, nil, err
	}
	n := got.Result.Count
	return Outcome{
		Clip: name, Count: n.Unique, Low: n.Low, High: n.High, Tiles: b.answers.asked - asked,
		Seconds: time.Since(began).Seconds(), Warning: warnings(got.Result), Features: got.Features,
	}, got, saw.looks, nil
}

type opener func(context.Context, count.Source) (count.Decoder, error)

// counter also returns what will see the looks of the detector.
func (b *bench) counter(open opener) (*count.Counter, *witness, error) {
	m := report.Model{Name: b.info.Name, Digest: b.info.Digest, Threshold: b.info.Threshold, Tile: b.info.Tile, Overlap: b.info.Overlap}
	tiler, err := detect.NewTiler(b.answers, detect.Grid{Tile: m.Tile, Overlap: m.Overlap}, count.WeakScore(m.Threshold))
	if err != nil {
		return nil, nil, err
	}
	tiler.Parallel(b.Workers, 1)
	saw := &witness{looker: tiler}
	return count.New(count.Options{Open: open, Detector: saw, Model: m, Input: b.info.Width, SampleFPS: b.SampleFPS}), saw, nil
}

func warnings(r report.Result) string {
	b, err := json.Marshal(r.Warnings)
	if err != nil || len(r.Warnings) == 0 {
		return ""
	}
	return string(b)
}
