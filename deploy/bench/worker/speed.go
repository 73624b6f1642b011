// Package worker compares the speed of the worker, from a clip to boxes, with the speed of the network alone in ONNX
// Runtime.
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
	"cattlecounter/cloud/count/video/libav"
)

// Options describe a measurement.
type Options struct {
	Clip    string
	Model   detr.Options // Parallel is set to Workers
	Workers int          // frames at the same time, at least 1
	Every   int          // one frame in so many is analysed, at least 1
	Frames  int          // to analyse, at least 1; a shorter clip has fewer
}

// Report is one measurement.
type Report struct {
	Frames, Regions int
	Boxes           int
	Wall            time.Duration // from the first request for a frame to the last boxes
	Inside          float64       // share of Wall times Workers inside ONNX Runtime
	Bare            time.Duration // time of the network alone for as many regions, with Workers in parallel
	PeakRSS         int64         // bytes of the process, 0 when unknown

	// Processor time of the whole process and its decoder during Wall and Bare. On a busy machine it is a better measure than the
	// clock.
	CPU, BareCPU time.Duration
}

// FPS is the number of analysed frames per second.
func (r Report) FPS() float64 { return float64(r.Frames) / r.Wall.Seconds() }

// Ratio is the speed of the worker as a share of that of the network alone.
func (r Report) Ratio() float64 { return r.Bare.Seconds() / r.Wall.Seconds() }

// CPURatio is Ratio in processor time: the share of the network in all work; the rest is decoding, cutting and merging.
// It equals Ratio when all processors are busy.
func (r Report) CPURatio() float64 { return r.BareCPU.Seconds() / r.CPU.Seconds() }

// Measure runs the pipeline on the clip once. It runs the network alone on the tiles of the first frame, half of the
// times before and half after the pipeline, so that a change in the speed of the machine affects both.
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
	if _, err := bare(ctx, model, tiles, o.Workers, 1); err != nil { // the first run of a network allocates memory
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
	d, err := libav.Open(ctx, libav.Config{}, clip)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	f := &video.Frame{}
	return f, d.Next(ctx, f, 1)
}

// bare runs the network alone in parallel workers and returns the time of the slowest.
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
	d, err := libav.Open(ctx, libav.Config{}, o.Clip)
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
		return Report{}, errors.New("the clip has no frames to analyse")
	}
	is := m.Stats()
	rep.Regions = int(is.Regions - was.Regions)
	rep.Inside = (is.Running - was.Running).Seconds() / (rep.Wall.Seconds() * float64(o.Workers))
	return rep, nil
}

// cpuTime is the processor time of the process and of its ended children, which decode, 0 when unknown.
func cpuTime() time.Duration {
	var total time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			return 0
		}
		total += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return total
}

// peakRSS is the peak of the memory of the process in RAM, in bytes, 0 when unknown.
func peakRSS() int64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			if f := bytes.Fields(rest); len(f) == 2 && string(f[1]) == "kB" {
				n, _ := strconv.ParseInt(string(f[0]), 10, 64) // 0 for an invalid number
				return n << 10
			}
		}
	}
	return 0
}

// String formats the report.
func (r Report) String() string {
	return fmt.Sprintf("%.2f frames/s (%d frames, %d tiles, %d boxes in %v), %.0f %% of the time inside ONNX Runtime, %.3f of the speed of ONNX Runtime alone (%.3f in processor time), peak RSS %d MiB",
		r.FPS(), r.Frames, r.Regions, r.Boxes, r.Wall.Round(time.Millisecond), 100*r.Inside, r.Ratio(), r.CPURatio(), r.PeakRSS>>20)
}
