// Package count counts the animals of one clip: it decodes, detects, tracks and tallies, and returns the result
// document and the still. It is pure Go: the caller supplies the decoder and the detector.
package count

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/evidence"
	"cattlecounter/cloud/count/flight"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/video"
	"cattlecounter/shared/boundary"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

// Source is one clip: a file of this machine or, with Content set, a clip that may still be downloading.
type Source struct {
	Path      string
	Content   io.ReaderAt // Size bytes; a read waits for what is missing
	Footage   footage.ID  // empty for a file counted without a server
	Name      string
	Size      int64 // bytes
	SHA256    footage.Digest
	Telemetry bool         // the footage has a telemetry sidecar
	Lines     boundary.Set // lines and zones to judge, valid; may be empty
	// Evidence says what to make for a person who checks the count. Its Video may be called again when the clip is
	// counted again.
	Evidence evidence.Options
}

// Outcome is the result of counting a clip.
type Outcome struct {
	Result report.Result
	Still  []byte // JPEG with the counted animals marked, nil when no frame shows any
	// Features are what the interval of the count follows from.
	Features tally.Features
	// Trace is what the count of the flight needs of this clip.
	Trace *flight.Trace
	// Evidence is what Source.Evidence asks for.
	Evidence evidence.Evidence
}

// Decoder reads the frames of one clip. libav.Decoder implements it.
type Decoder interface {
	Info() video.Info
	// Reading is what was read; it is complete after the last frame.
	Reading() video.Reading
	// Step is the usual time between the last decoded frames.
	Step() time.Duration
	// Next fills f with the first frame, then with every every-th one. It returns io.EOF after the last frame. Other
	// errors wrap an error class of package video.
	Next(ctx context.Context, f *video.Frame, every int) error
	Close() error
}

// Looker finds animals in tiles of one frame. detect.Tiler implements it. It must return scores down to
// WeakScore(Model.Threshold), and is called from several goroutines.
type Looker interface {
	Look(ctx context.Context, tiles []detect.Region) ([]detect.Box, error)
}

// Options configure a Counter. Open, Detector, Model and SampleFPS are required.
type Options struct {
	Open     func(ctx context.Context, s Source) (Decoder, error)
	Detector Looker
	Model    report.Model
	// Input is the side of the model's input in pixels, 0 when it takes tiles in any size.
	Input int
	// Fixed keeps to tiles of the size in Model. Otherwise near animals get larger tiles.
	Fixed bool
	// SampleFPS is how often per second of footage the detector looks at one place at most, except at ground that is in view
	// only briefly. Every, when above 0, makes it look at the whole of every Every-th frame instead, with the tiles of Model.
	SampleFPS float64
	Every     int
	Young     bool // tell adults and young animals apart
}

// stepFPS is how many frames per second of footage the camera and the animals are followed through.
const stepFPS = 6

// WeakScore is the least score that can continue a track, for a given least score that can start one.
func WeakScore(threshold float64) float64 { return 0.4 * threshold }

// Counter counts clips. It is safe for concurrent use when the detector is.
type Counter struct{ o Options }

// New returns a Counter.
func New(o Options) *Counter { return &Counter{o: o} }

const assumedFPS = 30 // when the container has no frame rate

// Count counts the animals of one clip. It calls progress a few times a second, from one goroutine; progress must
// return soon. Faults of the footage wrap an error class of package video. Count stops soon after ctx ends.
func (c *Counter) Count(ctx context.Context, s Source, progress func(job.Progress)) (Outcome, error) {
	d, err := c.o.Open(ctx, s)
	if err != nil {
		return Outcome{}, fmt.Errorf("%s: %w", s.Name, err)
	}
	defer d.Close()
	r := c.newRun(d, progress)
	r.judge = newJudge(s.Lines)
	if s.Evidence.Any() {
		if r.judge != nil {
			s.Evidence.Overlays = append(slices.Clone(s.Evidence.Overlays), outlines{r.judge})
		}
		r.evidence = evidence.New(s.Evidence, r.fps/float64(r.every))
		defer r.evidence.Discard()
	}
	if err := r.steps(ctx, d); err != nil {
		return Outcome{}, fmt.Errorf("%s: %w", s.Name, err)
	}
	if r.stepped == 0 {
		return Outcome{}, fmt.Errorf("%s: no frame can be read: %w", s.Name, video.ErrDecode)
	}
	r.reading = d.Reading()
	return r.outcome(s, c.o.Model)
}

// footageFaults are the classes of faults of the footage itself, each with its remedy.
var footageFaults = []struct {
	class  error
	advice string
}{
	{video.ErrEmpty, "copy the file from the card again"},
	{video.ErrTruncated, "copy the file from the card again, or have the drone's app repair it"},
	{video.ErrNotVideo, "check that the file is a recording of the drone"},
	{video.ErrLimit, "check the file; if such footage is expected, raise the limit in the section worker.decoder of the configuration"},
	{video.ErrDecode, "play the file to check that it is complete; H.264 and H.265 in MP4, MOV, MKV, AVI or TS can be counted"},
}

// IsFootageFault reports whether an error is a fault of the footage. A retry cannot repair such a fault.
func IsFootageFault(err error) bool { return Advice(err) != "" }

// Advice returns the remedy for a fault of the footage, and "" for any other error.
func Advice(err error) string {
	for _, f := range footageFaults {
		if errors.Is(err, f.class) {
			return f.advice
		}
	}
	return ""
}
