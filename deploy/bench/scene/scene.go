// Package scene renders clips with an exact truth for the benches: a virtual camera that flies over a real picture, real
// animals that stand and walk on it, simulated herds, and the same footage in fog, darkness or with lost ground.
//
// The pictures are hand-outs beside the project; Clips leaves out what is not there. The same arguments give the same
// pixels on every machine of one processor family.
//
// An animal counts as seen when its middle is inside at least one rendered frame. That is the rule of package synthetic
// too: at least half of the animal is in view once.
package scene

import (
	"context"
	"io"
	"time"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/synthetic"
)

// Film renders the frames of one clip. It belongs to one goroutine at a time.
type Film interface {
	// Info describes the clip. Frames and FPS are exact.
	Info() video.Info
	// Render draws the next frame into f, or returns io.EOF after the last one.
	Render(ctx context.Context, f *video.Frame) error
	// Truth is the number of different animals in the frames so far.
	Truth() int
}

// Detailed is a Film that knows where each animal is in each frame.
type Detailed interface {
	// Detailed is the truth of the frames so far. It shares memory with the film: it holds until the next Render.
	Detailed() synthetic.Truth
}

// Outside begins the kinds of clips whose ground is none that cattle are counted on. They show what happens there; they
// fit nothing and are in no sum.
const Outside = "outside: "

// Clip is one clip of a bench.
type Clip struct {
	Name string // unique in the bench
	Kind string // the row of the table
	// Check says that the clip belongs to the half for checking. Clips of one scene (a flight, a piece of ground, a
	// group of animals) are all in the same half.
	Check bool
	// Encoded asks for a real video file instead of the bare frames.
	Encoded bool
	Open    func() (Film, error)
}

// Decoder is a film as a decoder of footage. It belongs to one goroutine at a time.
type Decoder struct {
	film Film
	read int
	done bool
}

// NewDecoder returns the decoder of a film that no frame was read from.
func NewDecoder(f Film) *Decoder { return &Decoder{film: f} }

var _ count.Decoder = (*Decoder)(nil)

// Info implements count.Decoder.
func (d *Decoder) Info() video.Info { return d.film.Info() }

// Reading implements count.Decoder.
func (d *Decoder) Reading() video.Reading {
	return video.Reading{Decoded: d.read, Duration: time.Duration(d.read) * d.Step()}
}

// Step implements count.Decoder.
func (d *Decoder) Step() time.Duration {
	return time.Duration(float64(time.Second) / d.film.Info().FPS)
}

// Next implements count.Decoder.
func (d *Decoder) Next(ctx context.Context, f *video.Frame, every int) error {
	if d.done {
		return io.EOF
	}
	skip := every
	if d.read == 0 {
		skip = 1
	}
	for range skip {
		if err := d.film.Render(ctx, f); err != nil {
			d.done = true
			return err
		}
		f.Index, f.Time = d.read, time.Duration(d.read)*d.Step()
		d.read++
	}
	return nil
}

// Close implements count.Decoder. It does nothing.
func (d *Decoder) Close() error { return nil }
