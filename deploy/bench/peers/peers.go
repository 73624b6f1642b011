// Package peers compares the worker with what a user would pick instead: a Python program with OpenCV and ONNX Runtime
// around a published tracker (peer.py), with the same detector, tiles, threshold and clips, on the same machine.
package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// options are the command's arguments.
type options struct {
	worker, python, script, model, data, out, only string
}

// Main runs the command with its arguments and returns the exit code: 0 for done, 1 for an error, 2 for wrong arguments.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.worker, "worker", "build/bin/worker", "the worker")
	flags.StringVar(&o.python, "python", "build/peers/venv/bin/python", "Python with the peers")
	flags.StringVar(&o.script, "script", "deploy/bench/peers/peer.py", "the peers' program")
	flags.StringVar(&o.model, "model", "cloud/model/default", "folder of the detector")
	flags.StringVar(&o.data, "data", "../shared/data", "folder of the hand-outs")
	flags.StringVar(&o.out, "out", "build/peers/clips", "folder for the clips")
	flags.StringVar(&o.only, "only", "", "only clips whose name contains this")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if err := compare(ctx, o, stdout); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

// methods are what is compared. The line counts come from the run of ByteTrack.
var methods = []string{"worker", "ByteTrack", "LineZone", "BoT-SORT"}

// measured is one method on one clip.
type measured struct {
	method    string
	clip      clip
	count     int
	cpu, wall time.Duration
	peak      int64 // bytes
}

func compare(ctx context.Context, o options, w io.Writer) error {
	clips, err := prepare(ctx, o.out, o.data, w)
	if err != nil {
		return err
	}
	slices.SortFunc(clips, func(a, b clip) int { return strings.Compare(a.kind+a.name, b.kind+b.name) })
	var all []measured
	for _, c := range clips {
		if !strings.Contains(c.name, o.only) {
			continue
		}
		results, err := o.count(ctx, c)
		if err != nil {
			return fmt.Errorf("clip %s: %w", c.name, err)
		}
		fmt.Fprintf(w, "%-55s truth %4d", c.name, c.truth)
		for _, r := range results {
			fmt.Fprintf(w, "  %s %d (%.1f s)", r.method, r.count, r.cpu.Seconds())
		}
		fmt.Fprintln(w)
		all = append(all, results...)
	}
	writeTable(w, all)
	return nil
}

// count runs every method on a clip, one after another.
func (o options) count(ctx context.Context, c clip) ([]measured, error) {
	var own struct {
		Count struct {
			Unique int `json:"unique"`
		} `json:"count"`
	}
	ours, err := run(ctx, &own, o.worker, "count", "--json", "--model", o.model, c.path)
	if err != nil {
		return nil, err
	}
	ours.method, ours.count = "worker", own.Count.Unique
	all := []measured{ours}
	for name, argument := range map[string]string{"ByteTrack": "bytetrack", "BoT-SORT": "botsort"} {
		var got struct{ Tracks, Line int }
		m, err := run(ctx, &got, o.python, o.script, argument, c.path, o.model)
		if err != nil {
			return nil, err
		}
		m.method, m.count = name, got.Tracks
		all = append(all, m)
		if name == "ByteTrack" {
			m.method, m.count = "LineZone", got.Line
			all = append(all, m)
		}
	}
	for i := range all {
		all[i].clip = c
	}
	slices.SortFunc(all, func(a, b measured) int {
		return slices.Index(methods, a.method) - slices.Index(methods, b.method)
	})
	return all, nil
}

// run runs a program that prints one JSON value, and measures it with its children.
func run(ctx context.Context, into any, name string, args ...string) (measured, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return measured{}, fmt.Errorf("%s: %w", cmd, err)
	}
	ended, peak := make(chan struct{}), make(chan int64)
	go func() { peak <- watchMemory(cmd.Process.Pid, ended) }()
	err := cmd.Wait()
	close(ended)
	most := <-peak
	if err != nil {
		return measured{}, fmt.Errorf("%s: %w: %s", cmd, err, lastLine(errs.String()))
	}
	m := measured{wall: time.Since(began), peak: most,
		cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if err := json.Unmarshal(out.Bytes(), into); err != nil {
		return measured{}, fmt.Errorf("%s: output: %w", cmd, err)
	}
	return m, nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// writeTable writes the sums of each method on each kind of clip and on all, with the ratios to the worker.
func writeTable(w io.Writer, all []measured) {
	kinds := []string{}
	for _, m := range all {
		if !slices.Contains(kinds, m.clip.kind) {
			kinds = append(kinds, m.clip.kind)
		}
	}
	fmt.Fprintln(w, "\n| clips | method | mean error, animals | mean error | CPU, s | of the worker's | wall, s | peak, MiB |")
	fmt.Fprintln(w, "| --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, kind := range append(kinds, "all") {
		base := 0.0
		for _, method := range methods {
			var of []measured
			for _, m := range all {
				if m.method == method && (kind == "all" || m.clip.kind == kind) {
					of = append(of, m)
				}
			}
			base = writeRow(w, kind, method, of, base)
		}
	}
}

// writeRow writes one row and returns the processor time that ratios refer to: that of the first row.
func writeRow(w io.Writer, kind, method string, of []measured, base float64) float64 {
	if len(of) == 0 {
		return base
	}
	n := float64(len(of))
	var animals, share, cpu, wall float64
	var peak int64
	for _, m := range of {
		e := math.Abs(float64(m.count - m.clip.truth))
		animals += e / n
		share += e / float64(max(m.clip.truth, 1)) / n
		cpu += m.cpu.Seconds()
		wall += m.wall.Seconds()
		peak = max(peak, m.peak)
	}
	if base == 0 {
		base = cpu
	}
	fmt.Fprintf(w, "| %d, %s | %s | %.1f | %.1f %% | %.1f | %.2f | %.1f | %d |\n", len(of), kind, method, animals, 100*share,
		cpu, cpu/base, wall, peak>>20)
	return base
}
