package calibrate

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"cattlecounter/deploy/bench/scene"
)

// Main runs the command with its arguments and returns the exit code: 0 for done, 1 for an error, 2 for wrong arguments.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o := Options{}
	flags := flag.NewFlagSet("calibrate", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.Model, "model", "cloud/model/default", "folder of the detector")
	flags.StringVar(&o.Library, "library", os.Getenv("ONNXRUNTIME_LIB"), "ONNX Runtime's shared library")
	flags.StringVar(&o.Data, "data", "../shared/data", "folder of the hand-outs")
	flags.StringVar(&o.Out, "out", "build/calibrate", "folder for the results")
	flags.StringVar(&o.Clips, "clips", "", "count the clips of this folder instead, and name the cause of every fault: NAME.mp4 with "+
		"its truth in NAME.json, by herdsim clip")
	flags.StringVar(&o.Only, "only", "", "only clips whose name contains this")
	flags.IntVar(&o.Simulated, "simulated", 168, "number of simulated clips")
	flags.IntVar(&o.Parts, "parts", 0, "count only every such clip; results of the other parts are kept")
	flags.IntVar(&o.Part, "part", 0, "which of the parts, from 0")
	flags.IntVar(&o.Workers, "workers", 1, "frames in detection at the same time")
	flags.Float64Var(&o.SampleFPS, "sample-fps", 3, "frames per second that are looked at")
	flags.BoolVar(&o.Write, "write", false, "write the fitted constants into the tree (cloud/count/tally/fitted.go)")
	flags.BoolVar(&o.Refit, "refit", false, "count nothing; judge the tracks of earlier runs again, and fit to them")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if err := calibrate(ctx, o, stdout); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

// calibrate counts the clips, adds the outcomes to those of earlier runs and prints the tables.
func calibrate(ctx context.Context, o Options, w io.Writer) error {
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return fmt.Errorf("folder for the results: %w", err)
	}
	if o.Clips != "" {
		return RunFolder(ctx, o, w)
	}
	name := filepath.Join(o.Out, "outcomes.jsonl")
	all, err := readOutcomes(name)
	if err != nil {
		return err
	}
	all = known(all, o)
	keep := func(fresh Outcome) error { // after each clip, so that an ended run leaves what it has
		all = renewed(all, fresh)
		return writeOutcomes(name, all)
	}
	if o.Refit {
		if all, err = judgedAgain(o.Out, all); err == nil {
			err = writeOutcomes(name, all)
		}
	} else {
		err = Run(ctx, o, w, keep)
	}
	if err != nil {
		return err
	}
	return sumUp(all, o.Write, w)
}

// sumUp writes the tables of the outcomes and fits the constants to all of them.
func sumUp(all []Outcome, write bool, w io.Writer) error {
	m := Fit(within(all), within(all))
	code, err := source(m)
	if err != nil {
		return fmt.Errorf("constants of the interval: %w", err)
	}
	crossed := Crossed(all)
	var halves [2][]Outcome
	for _, c := range crossed {
		half := 0
		if c.Check {
			half = 1
		}
		halves[half] = append(halves[half], c)
	}
	fmt.Fprintf(w, "\nIntervals of the counts\n")
	WriteTable(w, Rows(all))
	for i, name := range []string{"First half", "Second half"} {
		fmt.Fprintf(w, "\n%s, intervals fitted to the other half\n", name)
		WriteTable(w, Rows(halves[i]))
	}
	fmt.Fprintf(w, "\nBoth halves, each with intervals fitted to the other one\n")
	WriteTable(w, Rows(crossed))
	fmt.Fprintf(w, "\nLines over the simulated clips\n")
	WriteLines(w, all)
	fmt.Fprintf(w, "\n%s\n", code)
	WriteFar(w, crossed, 0.05)
	if !write {
		return nil
	}
	if err := os.WriteFile("cloud/count/tally/fitted.go", code, 0o644); err != nil {
		return fmt.Errorf("constants of the interval: %w", err)
	}
	return nil
}

// known leaves out the outcomes of clips that are in the bench no more.
func known(all []Outcome, o Options) []Outcome {
	clips, _ := scene.Clips(o.Data, o.Simulated)
	names := map[string]bool{}
	for _, c := range clips {
		names[c.Name] = true
	}
	return slices.DeleteFunc(all, func(o Outcome) bool { return !names[o.Clip] })
}

// renewed puts a fresh outcome into the place of the older one of the same clip.
func renewed(all []Outcome, fresh Outcome) []Outcome {
	for i := range all {
		if all[i].Clip == fresh.Clip {
			all[i] = fresh
			return all
		}
	}
	return append(all, fresh)
}

func readOutcomes(path string) ([]Outcome, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("outcomes: %w", err)
	}
	defer f.Close()
	var all []Outcome
	in := json.NewDecoder(bufio.NewReader(f))
	for {
		var o Outcome
		switch err := in.Decode(&o); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("outcomes %s: %w; remove the file", path, err)
		}
		all = append(all, o)
	}
}

func writeOutcomes(path string, all []Outcome) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("outcomes: %w", err)
	}
	out := json.NewEncoder(f)
	for _, o := range all {
		if err := out.Encode(o); err != nil {
			return errors.Join(fmt.Errorf("outcomes: %w", err), f.Close())
		}
	}
	return f.Close()
}
