package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/worker/engine"
	"cattlecounter/shared/filesum"
	"cattlecounter/shared/job"
)

// countCommand is `worker count`: it counts clips on this machine's disk, without a server.
type countCommand struct {
	Path string `arg:"" placeholder:"FILE|FOLDER" help:"A clip, or a folder with clips (looked through with its subfolders)."`
	JSON bool   `name:"json" help:"Print the result document alone on standard output; for a folder, a list of them."`
	Out  string `placeholder:"DIR" type:"path" help:"Also write NAME.json, NAME.csv and NAME.jpg of each clip into this folder."`
	countFlags
}

// errFootage marks clips that could not be counted. The other clips of the folder were counted.
var errFootage = errors.New("footage cannot be counted")

// failedClip is the entry of a clip without a count in the list of documents.
type failedClip struct {
	Source report.Source `json:"source"`
	Error  string        `json:"error"`
}

// run writes progress and errors to stderr, results to stdout.
func (c *countCommand) run(ctx context.Context, stdout, stderr io.Writer) error {
	clips, folder, err := findClips(c.Path)
	if err != nil {
		return err
	}
	e, err := engine.Open(c.settings())
	if err != nil {
		return err
	}
	defer e.Close()
	if c.Out != "" {
		if err := os.MkdirAll(c.Out, 0o755); err != nil {
			return fmt.Errorf("create the output folder: %w", err)
		}
	}
	var results []report.Result
	var documents []any
	var faults []error
	for _, clip := range clips {
		r, err := c.countClip(ctx, e, clip, stderr)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			if advice := count.Advice(err); advice != "" {
				err = fmt.Errorf("%w; %s", err, advice)
			}
			if folder {
				fmt.Fprintln(stderr, err)
			}
			faults = append(faults, err)
			documents = append(documents, failedClip{report.Source{Name: filepath.Base(clip)}, err.Error()})
			continue
		}
		results = append(results, r)
		documents = append(documents, r)
	}
	if err := c.print(stdout, results, documents, folder); err != nil {
		return err
	}
	switch {
	case len(faults) == 0:
		return nil
	case !folder:
		return faults[0]
	}
	return fmt.Errorf("%w: %d of %d clips in %s", errFootage, len(faults), len(clips), c.Path)
}

func (c *countCommand) countClip(ctx context.Context, e *engine.Engine, clip string,
	stderr io.Writer) (report.Result, error) {
	src, err := openSource(ctx, clip)
	if err != nil {
		return report.Result{}, err
	}
	m := newMeter(stderr, src.Name)
	out, err := e.Counter.Count(ctx, src, func(p job.Progress) {
		m.show(float64(p.FramesDone), float64(p.FramesTotal), "frames", fmt.Sprintf("%d animals", p.Count))
	})
	m.clear()
	if err != nil {
		return report.Result{}, err
	}
	if c.Out == "" {
		return out.Result, nil
	}
	return out.Result, c.writeFiles(src.Name, out)
}

func (c *countCommand) writeFiles(name string, out count.Outcome) error {
	base := filepath.Join(c.Out, strings.TrimSuffix(name, filepath.Ext(name)))
	for ext, write := range map[string]func(io.Writer) error{
		".json": out.Result.WriteJSON, ".csv": out.Result.WriteCSV,
	} {
		f, err := os.Create(base + ext)
		if err != nil {
			return fmt.Errorf("write result: %w", err)
		}
		if err := errors.Join(write(f), f.Close()); err != nil {
			return fmt.Errorf("write %s: %w", f.Name(), err)
		}
	}
	if out.Still == nil {
		return nil
	}
	if err := os.WriteFile(base+".jpg", out.Still, 0o644); err != nil {
		return fmt.Errorf("write still: %w", err)
	}
	return nil
}

func (c *countCommand) print(w io.Writer, results []report.Result, documents []any, folder bool) error {
	if c.JSON {
		if !folder && len(results) == 1 {
			return results[0].WriteJSON(w)
		}
		if !folder {
			return nil // the error is on stderr
		}
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(documents)
	}
	if len(results) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "FOOTAGE\tANIMALS\t95 % INTERVAL\tLENGTH\tLOOKED AT\tTOOK")
	sum := 0
	for _, r := range results {
		sum += r.Count.Unique
		fmt.Fprintf(t, "%s\t%d\t%d to %d\t%.1f s\t%d of %d frames\t%.1f s\n", r.Source.Name, r.Count.Unique,
			r.Count.Low, r.Count.High,
			r.Video.Duration, r.Video.Analysed, r.Video.Frames, r.Timings.TotalSeconds)
	}
	if len(results) > 1 {
		fmt.Fprintf(t, "sum, if no animal is in two clips\t%d\t\t\t\t\n", sum)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "Counted by %s, SHA-256 %s.\n", results[0].Model.Name, results[0].Model.Digest)
	for _, r := range results {
		for _, warn := range r.Warnings {
			if warn.Code != report.NoTelemetry { // expected: this command has no telemetry
				fmt.Fprintf(w, "%s: %s\n", r.Source.Name, warn.Text)
			}
		}
	}
	return nil
}

var clipExtensions = []string{".mp4", ".mov", ".mkv", ".avi", ".ts", ".m4v", ".webm", ".mts", ".m2ts"}

// findClips lists the clips to count, sorted. folder is true when path is a folder.
func findClips(path string) (clips []string, folder bool, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w", errFootage, err)
	}
	if !info.IsDir() {
		return []string{path}, false, nil
	}
	err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		isClip := slices.Contains(clipExtensions, strings.ToLower(filepath.Ext(p)))
		if err == nil && !d.IsDir() && !strings.HasPrefix(d.Name(), ".") && isClip {
			clips = append(clips, p)
		}
		return err
	})
	if err == nil && len(clips) == 0 {
		err = fmt.Errorf("%w: folder %s has no file ending in %s", errFootage, path, strings.Join(clipExtensions, " "))
	}
	return clips, true, err
}

// openSource describes a clip. It reads the whole file once for its digest.
func openSource(ctx context.Context, path string) (count.Source, error) {
	digest, size, err := filesum.Of(ctx, path)
	if err != nil {
		return count.Source{}, fmt.Errorf("%w: %w", errFootage, err)
	}
	return count.Source{Path: path, Name: filepath.Base(path), Size: size, SHA256: digest}, nil
}
