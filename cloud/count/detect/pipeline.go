package detect

import (
	"context"
	"errors"
	"io"

	"golang.org/x/sync/errgroup"

	"cattlecounter/cloud/count/video"
)

// Source fills f with the next frame, or returns io.EOF after the last one. One goroutine at a time calls it.
type Source func(ctx context.Context, f *video.Frame) error

// Pipeline runs decoding and the detection of several frames in parallel. It holds at most 2*Workers+2 frames at a
// time, so a slow consumer slows the source down.
type Pipeline struct {
	Source   Source
	Detector Detector
	// Workers is how many frames are in detection at the same time, 0 for one. On a CPU the number of cores is best,
	// with one thread per run. On a GPU two are best: one runs while the tiles of the next are cut.
	Workers int
}

// work is a frame in the pipeline. boxes or err is set before done is closed.
type work struct {
	frame *video.Frame
	boxes []Box
	err   error
	done  chan struct{}
}

// Run calls yield for every frame in the order of the source. It returns nil at the end of the source, the cause of ctx
// when ctx ends, or the first error of the source, the detector or yield. Frames before a failing one are yielded
// first. yield may use the frame until it returns, and may retain the boxes. All goroutines have ended when Run
// returns. A Pipeline runs once.
func (p *Pipeline) Run(ctx context.Context, yield func(*video.Frame, []Box) error) error {
	workers := max(p.Workers, 1)
	// The free list bounds the pipeline: every frame comes from it.
	free := make(chan *video.Frame, 2*workers+2)
	for range cap(free) {
		free <- &video.Frame{}
	}
	todo := make(chan *work)
	order := make(chan *work, cap(free))

	g, run := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(todo)
		defer close(order)
		return p.read(run, free, todo, order)
	})
	for range workers {
		g.Go(func() error {
			for w := range todo {
				w.boxes, w.err = p.detect(run, w.frame)
				close(w.done)
			}
			return nil
		})
	}
	g.Go(func() error { return p.collect(run, order, free, yield) })
	err := g.Wait()
	if cause := context.Cause(ctx); cause != nil && err != nil {
		return cause
	}
	return err
}

// read sends each frame to a worker and, in order, to the collector. An error of the source is sent in order too, after
// the frames before it.
func (p *Pipeline) read(ctx context.Context, free <-chan *video.Frame, todo, order chan<- *work) error {
	for {
		w := &work{done: make(chan struct{})}
		select {
		case w.frame = <-free:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := p.Source(ctx, w.frame); err != nil {
			if !errors.Is(err, io.EOF) {
				w.err = err
				close(w.done)
				order <- w // never blocks: it has room for every frame
			}
			return nil
		}
		order <- w
		select {
		case todo <- w:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *Pipeline) detect(ctx context.Context, f *video.Frame) ([]Box, error) {
	boxes, err := p.Detector.Detect(ctx, []*video.Frame{f})
	if err != nil {
		return nil, err
	}
	return boxes[0], nil
}

func (p *Pipeline) collect(ctx context.Context, order <-chan *work, free chan<- *video.Frame,
	yield func(*video.Frame, []Box) error) error {
	for w := range order {
		select {
		case <-w.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if w.err != nil {
			return w.err
		}
		if err := yield(w.frame, w.boxes); err != nil {
			return err
		}
		free <- w.frame
	}
	return nil
}
