// Package countcmd is the worker's `count` command: the count of clips on this
// machine's disk, without a server.
package countcmd

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
	"cattlecounter/cloud/worker/meter"
	"cattlecounter/shared/filesum"
	"cattlecounter/shared/job"
)

// Command is the command line of `worker count`.
type Command struct {
	Path string `arg:"" placeholder:"FILE|FOLDER" help:"A clip, or a folder with clips (looked through with its subfolders)."`
	JSON bool   `name:"json" help:"Print the result document alone on standard output; for a folder, a list of them."`
	Out  string `placeholder:"DIR" type:"path" help:"Also write NAME.json, NAME.csv and NAME.jpg of each clip into this folder."`
	engine.Flags
}

// ErrFootage is returned when some clips could not be counted; the others were.
var ErrFootage = errors.New("some footage could not be counted")

// failure is what stands in the list of documents for a clip without a count.
type failure struct {
	Source report.Source `json:"source"`
	Error  string        `json:"error"`
}

// Run does the command. Progress and faults go to stderr, results to stdout.
func (c *Command) Run(ctx context.Context, stdout, stderr io.Writer) error {
	clips, folder, err := find(c.Path)
	if err != nil {
		return err
	}
	e, err := engine.Open(c.Settings())
	if err != nil {
		return err
	}
	defer e.Close()
	if c.Out != "" {
		if err := os.MkdirAll(c.Out, 0o755); err != nil {
			return fmt.Errorf("make the output folder: %w", err)
		}
	}
	var results []report.Result
	var documents []any
	var faults []error
	for _, clip := range clips {
		r, err := c.one(ctx, e, clip, stderr)
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
			documents = append(documents, failure{report.Source{Name: filepath.Base(clip)}, err.Error()})
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
	return fmt.Errorf("%d of %d clips: %w", len(faults), len(clips), ErrFootage)
}

func (c *Command) one(ctx context.Context, e *engine.Engine, clip string, stderr io.Writer) (report.Result, error) {
	src, err := source(ctx, clip)
	if err != nil {
		return report.Result{}, err
	}
	m := meter.New(stderr, src.Name)
	out, err := e.Counter.Count(ctx, src, func(p job.Progress) {
		m.Show(float64(p.FramesDone), float64(p.FramesTotal), "frames", fmt.Sprintf("%d animals", p.Count))
	})
	m.Clear()
	if err != nil {
		return report.Result{}, err
	}
	if c.Out == "" {
		return out.Result, nil
	}
	return out.Result, c.write(src.Name, out)
}

func (c *Command) write(name string, out count.Outcome) error {
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

func (c *Command) print(w io.Writer, results []report.Result, documents []any, folder bool) error {
	if c.JSON {
		if !folder && len(results) == 1 {
			return results[0].WriteJSON(w)
		}
		if !folder {
			return nil // the fault was told on stderr
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
		fmt.Fprintf(t, "%s\t%d\t%d to %d\t%.1f s\t%d of %d frames\t%.1f s\n", r.Source.Name, r.Count.Unique, r.Count.Low, r.Count.High,
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
			if warn.Code != report.NoTelemetry { // nobody can change that here
				fmt.Fprintf(w, "%s: %s\n", r.Source.Name, warn.Text)
			}
		}
	}
	return nil
}

var extensions = []string{".mp4", ".mov", ".mkv", ".avi", ".ts", ".m4v", ".webm", ".mts", ".m2ts"}

// find lists the clips to count, sorted.
func find(path string) (clips []string, folder bool, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, false, fmt.Errorf("footage: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, false, nil
	}
	err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasPrefix(d.Name(), ".") && slices.Contains(extensions, strings.ToLower(filepath.Ext(p))) {
			clips = append(clips, p)
		}
		return err
	})
	if err == nil && len(clips) == 0 {
		err = fmt.Errorf("footage: %s has no file ending in %s", path, strings.Join(extensions, " "))
	}
	return clips, true, err
}

func source(ctx context.Context, path string) (count.Source, error) {
	digest, size, err := filesum.Of(ctx, path)
	if err != nil {
		return count.Source{}, fmt.Errorf("footage: %w", err)
	}
	return count.Source{Path: path, Name: filepath.Base(path), Size: size, SHA256: digest}, nil
}
