package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/evidence"
	"cattlecounter/cloud/count/flight"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/count/video/libav"
	ground "cattlecounter/cloud/place"
	"cattlecounter/cloud/worker/engine"
	"cattlecounter/shared/boundary"
	"cattlecounter/shared/filesum"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

// countCommand is `worker count`: it counts clips on this machine's disk, without a server.
type countCommand struct {
	Path string `arg:"" placeholder:"FILE|FOLDER" help:"A clip, or a folder with clips in it and its subfolders."`
	JSON bool   `name:"json" help:"Print the result document alone on standard output; for a folder, a list of them."`
	Out  string `placeholder:"DIR" type:"path" help:"Also write NAME.json, NAME.csv, NAME.jpg, NAME.geojson, NAME.sheet.jpg and NAME.contact-1.jpg of each clip into this folder, in the same subfolders."`
	All  bool   `help:"Also count low-resolution copies and the further cameras of a flight, which are only listed otherwise."`
	countFlags
	lineFlags
	positionFlags
	evidenceFlags
}

// Validate implements kong's check of a command's options.
func (c *countCommand) Validate() error {
	return errors.Join(c.countFlags.Validate(), c.checkSheet(),
		failWhen(c.Video && c.Out == "", "--video: say with --out where to write the annotated video"))
}

// errFootage marks clips that could not be counted. The other clips of the folder were counted.
var errFootage = errors.New("footage cannot be counted")

// outcome is what became of a clip.
type outcome struct {
	result  *report.Result // nil when the clip was not counted
	err     error          // why it could not be counted
	unsaved error          // why its results are not in the output folder
	sibling int            // the counted clip of its flight, -1 when this is the one
	trace   *flight.Trace  // for the count of its flight
	ground  string         // file with its pictures for the sheet of its flight, "" for none
	laid    *ground.Ground // where its frames lie on the earth
	flight  int            // number of the flight of several clips that it is a part of, 0 for none
}

// run writes progress and errors to stderr, results to stdout.
func (c *countCommand) run(ctx context.Context, stdout, stderr io.Writer) error {
	lines, err := c.lineFlags.read()
	if err != nil {
		return err
	}
	places, err := c.positionFlags.read()
	if err != nil {
		return err
	}
	found, err := findClips(ctx, c.Path, c.Out)
	if err != nil {
		return err
	}
	e, err := engine.Open(c.settings())
	if err != nil {
		return err
	}
	defer e.Close()
	p, err := makePlan(ctx, found.clips, c.probe, stderr)
	if err != nil {
		return err
	}
	r := &countRun{countCommand: c, found: found, plan: p, stderr: stderr, counter: e.Counter, lines: lines,
		positions: places}
	if c.Out != "" {
		if r.results, err = newResultFolder(c.Out, p); err != nil {
			return err
		}
	}
	if c.Out != "" || c.Sheet != "" {
		at := c.Out
		if at == "" {
			at = filepath.Dir(c.Sheet)
		}
		if r.grounds, err = os.MkdirTemp(at, ".ground.*"); err != nil {
			return fmt.Errorf("create a folder for pictures: %w", err)
		}
		defer func() { _ = os.RemoveAll(r.grounds) }() // it has a name that the next run does not use
	}
	if err := r.countAll(ctx); err != nil {
		return err
	}
	r.joinFlights()
	r.saveFlights()
	if err := r.print(stdout); err != nil {
		return err
	}
	if err := errors.Join(r.writePositions(), r.writeSheet()); err != nil {
		return err
	}
	return r.fault()
}

// probe reads what a decoder finds out about a clip before the first frame.
func (c *countCommand) probe(ctx context.Context, path string) (video.Info, error) {
	d, err := libav.Open(ctx, c.decoderFlags.config(), path)
	if err != nil {
		return video.Info{}, err
	}
	return d.Info(), d.Close()
}

// countRun counts the clips of one command.
type countRun struct {
	*countCommand
	found     listing
	plan      *plan
	stderr    io.Writer
	counter   *count.Counter
	lines     boundary.Set  // of every clip
	positions positions     // files of the flags
	results   *resultFolder // nil without an output folder
	grounds   string        // folder of outcome.ground
	outcomes  []outcome     // by clip
	flights   []countedFlight
}

// countAll counts the first readable clip of every flight, or all of them. It fails when ctx ends.
func (r *countRun) countAll(ctx context.Context) error {
	r.outcomes = slices.Repeat([]outcome{{sibling: -1}}, len(r.plan.clips))
	for i := range r.found.faults {
		f := r.found.faults[i]
		r.report(fmt.Errorf("%s: %w", footage.SafePath(f.rel), f.err))
	}
	for _, siblings := range r.plan.flights {
		counted := -1
		for _, i := range siblings {
			r.outcomes[i].sibling = counted
			if counted >= 0 && !r.All {
				continue
			}
			if err := r.countClip(ctx, i); err != nil {
				return err
			}
			if counted < 0 && r.outcomes[i].result != nil {
				counted = i
			}
		}
	}
	return nil
}

// countClip counts one clip and writes its results. It fails only when ctx ends.
func (r *countRun) countClip(ctx context.Context, i int) error {
	o := &r.outcomes[i]
	files, part, remove, err := r.evidenceOf()
	if err != nil {
		return err
	}
	defer remove()
	out, err := r.decode(ctx, &r.plan.clips[i], files)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		if advice := count.Advice(err); advice != "" {
			err = fmt.Errorf("%w; %s", err, advice)
		}
		o.err = err
		r.report(err)
		return nil
	}
	engine.MeasureVideo(&out.Result, part)
	o.laid = r.locate(&r.plan.clips[i], &out)
	o.result, o.trace = &out.Result, out.Trace
	if out.Evidence.Ground != nil && r.grounds != "" {
		o.ground = filepath.Join(r.grounds, strconv.Itoa(i))
		if err := os.WriteFile(o.ground, out.Evidence.Ground, 0o600); err != nil {
			o.ground = ""
			r.report(fmt.Errorf("keep pictures for the sheet of the flight: %w", err))
		}
	}
	if r.results != nil {
		note, err := r.results.write(i, out, part)
		if err != nil {
			o.unsaved = err
			r.report(err)
		}
		if note != "" {
			fmt.Fprintln(r.stderr, note)
		}
	}
	return nil
}

// report prints an error about one of several clips. The error of a single clip ends the command.
func (r *countRun) report(err error) {
	if r.found.folder {
		fmt.Fprintln(r.stderr, footage.SafeText(err.Error()))
	}
}

// decode counts one clip. It reads the whole file for its digest unless that is known.
func (r *countRun) decode(ctx context.Context, c *clip, files evidence.Options) (count.Outcome, error) {
	if c.digest.IsZero() {
		digest, size, err := filesum.Of(ctx, c.path)
		if err != nil {
			return count.Outcome{}, fmt.Errorf("%s: %w: %w", c.name(), errFootage, err)
		}
		c.digest, c.size = digest, size
	}
	m := newMeter(r.stderr, c.name())
	defer m.clear()
	src := count.Source{Path: c.path, Name: c.name(), Size: c.size, SHA256: c.digest}
	src.Lines = r.lines
	src.Evidence = files
	out, err := r.counter.Count(ctx, src, func(p job.Progress) {
		m.show(float64(p.FramesDone), float64(p.FramesTotal), "frames", fmt.Sprintf("%d animals", p.Count))
	})
	out.Result.Source.Name = c.sourceName()
	return out, err
}

// fault is the error of the command: nil when every clip was counted, or was left out on purpose.
func (r *countRun) fault() error {
	var unsaved, failed []error
	var broken error // of this machine, not of the footage
	for _, o := range r.outcomes {
		if o.unsaved != nil {
			unsaved = append(unsaved, o.unsaved)
		}
		if o.err != nil {
			failed = append(failed, o.err)
			if broken == nil && !count.IsFootageFault(o.err) && !errors.Is(o.err, errFootage) {
				broken = o.err
			}
		}
	}
	if !r.found.folder {
		return errors.Join(append(unsaved, failed...)...)
	}
	clips, folders := len(r.outcomes), 0
	for _, f := range r.found.faults {
		if f.folder {
			folders++
			continue
		}
		failed = append(failed, f.err)
		clips++
	}
	switch in := footage.SafePath(r.Path); {
	case len(unsaved) > 0:
		return fmt.Errorf("results of %d of %d clips cannot be written to %s", len(unsaved), clips, footage.SafePath(r.Out))
	case broken != nil:
		return fmt.Errorf("%d of %d clips in %s cannot be counted: %w", len(failed), clips, in, broken)
	case folders > 0:
		return fmt.Errorf("%w: %d of %d clips and %d unreadable subfolders in %s", errFootage, len(failed), clips,
			folders, in)
	case len(failed) > 0:
		return fmt.Errorf("%w: %d of %d clips in %s", errFootage, len(failed), clips, in)
	}
	return nil
}
