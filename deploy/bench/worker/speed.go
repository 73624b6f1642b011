// Package worker measures the way from a clip to boxes against the network
// alone: how much of what ONNX Runtime can do reaches the user.
package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/detect/detr"
	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/count/video/opencv"
)

// Options say what to measure.
type Options struct {
	Clip    string
	Model   detr.Options // Parallel is set to Workers
	Workers int          // frames at the same time, at least 1
	Every   int          // look at every so many frames, at least 1
	Frames  int          // to look at, at least 1; a shorter clip gives fewer
}

// Report is one measurement.
type Report struct {
	Frames, Regions int
	Boxes           int
	Wall            time.Duration // from the first frame asked for to the last boxes
	Inside          float64       // share of Wall times Workers spent inside ONNX Runtime
	Bare            time.Duration // the same number of regions by the network alone, Workers side by side
	PeakRSS         int64         // bytes of the process so far, 0 when not known

	// Processor time of the whole process, for Wall and for Bare: on a machine
	// that other work keeps busy, clocks say little.
	CPU, BareCPU time.Duration
}

// FPS is how many frames a second were looked at.
func (r Report) FPS() float64 { return float64(r.Frames) / r.Wall.Seconds() }

// Ratio is the speed of the whole way as a part of that of the network alone.
func (r Report) Ratio() float64 { return r.Bare.Seconds() / r.Wall.Seconds() }

// CPURatio is Ratio in processor time: the part of the work that is the
// network's, when decoding, cutting and merging are the rest. It equals Ratio
// where processors are the limit and all of them are busy.
func (r Report) CPURatio() float64 { return r.BareCPU.Seconds() / r.CPU.Seconds() }

// Measure runs the clip through the pipeline once, and the network alone over
// the first frame's tiles half before and half after it, so that a machine
// that gets slower or faster meanwhile hits both.
func Measure(ctx context.Context, o Options) (Report, error) {
	o.Model.Parallel = o.Workers
	model, err := detr.Open(o.Model)
	if err != nil {
		return Report{}, err
	}
	defer model.Close()
	info := model.Info()
	grid := detect.Grid{Tile: info.Tile, Overlap: info.Overlap}
	first, err := firstFrame(ctx, o.Clip)
	if err != nil {
		return Report{}, err
	}
	tiles := grid.Regions(nil, first)
	if _, err := bare(ctx, model, tiles, o.Workers, 1); err != nil { // the first run of a network allocates
		return Report{}, err
	}
	const rounds = 4
	cpu0 := cpuTime()
	before, err := bare(ctx, model, tiles, o.Workers, rounds)
	if err != nil {
		return Report{}, err
	}
	cpu1 := cpuTime()
	rep, err := pipeline(ctx, model, grid, o)
	if err != nil {
		return Report{}, err
	}
	cpu2 := cpuTime()
	after, err := bare(ctx, model, tiles, o.Workers, rounds)
	if err != nil {
		return Report{}, err
	}
	share := float64(rep.Regions) / float64(2*rounds*o.Workers*len(tiles))
	rep.Bare = time.Duration(share * float64(before+after))
	rep.CPU = cpu2 - cpu1
	rep.BareCPU = time.Duration(share * float64(cpu1-cpu0+cpuTime()-cpu2))
	rep.PeakRSS = peakRSS()
	return rep, nil
}

func firstFrame(ctx context.Context, clip string) (*video.Frame, error) {
	d, err := opencv.Open(clip)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	f := &video.Frame{}
	return f, d.Next(ctx, f, 1)
}

// bare has workers rehearse side by side and returns the time of the slowest.
func bare(ctx context.Context, m *detr.Model, tiles []detect.Region, workers, rounds int) (time.Duration, error) {
	spent := make([]time.Duration, workers)
	g, ctx := errgroup.WithContext(ctx)
	for i := range workers {
		g.Go(func() (err error) {
			spent[i], err = m.TimeNetwork(ctx, tiles, rounds)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return 0, err
	}
	longest := time.Duration(0)
	for _, s := range spent {
		longest = max(longest, s)
	}
	return longest, nil
}

func pipeline(ctx context.Context, m *detr.Model, grid detect.Grid, o Options) (Report, error) {
	d, err := opencv.Open(o.Clip)
	if err != nil {
		return Report{}, err
	}
	defer d.Close()
	tiler, err := detect.NewTiler(m, grid, m.Info().Threshold)
	if err != nil {
		return Report{}, err
	}
	var rep Report
	read := 0
	p := detect.Pipeline{Detector: tiler, Workers: o.Workers, Source: func(ctx context.Context, f *video.Frame) error {
		if read == o.Frames {
			return io.EOF
		}
		read++
		return d.Next(ctx, f, o.Every)
	}}
	was, start := m.Stats(), time.Now()
	err = p.Run(ctx, func(_ *video.Frame, boxes []detect.Box) error {
		rep.Frames++
		rep.Boxes += len(boxes)
		return nil
	})
	rep.Wall = time.Since(start)
	if err != nil {
		return Report{}, err
	}
	if rep.Frames == 0 {
		return Report{}, errors.New("the clip has no frames to look at")
	}
	is := m.Stats()
	rep.Regions = int(is.Regions - was.Regions)
	rep.Inside = (is.Running - was.Running).Seconds() / (rep.Wall.Seconds() * float64(o.Workers))
	return rep, nil
}

// cpuTime is what the process has used of the processors, 0 when not known.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakRSS reads the high-water mark of the process's memory.
func peakRSS() int64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			if f := bytes.Fields(rest); len(f) == 2 && string(f[1]) == "kB" {
				n, _ := strconv.ParseInt(string(f[0]), 10, 64) // 0 for what is no number
				return n << 10
			}
		}
	}
	return 0
}

// String is the report for people.
func (r Report) String() string {
	return fmt.Sprintf("%.2f frames/s (%d frames, %d tiles, %d boxes in %v), %.0f %% of the time inside ONNX Runtime, %.3f of the speed of ONNX Runtime alone (%.3f in processor time), peak RSS %d MiB",
		r.FPS(), r.Frames, r.Regions, r.Boxes, r.Wall.Round(time.Millisecond), 100*r.Inside, r.Ratio(), r.CPURatio(), r.PeakRSS>>20)
}
