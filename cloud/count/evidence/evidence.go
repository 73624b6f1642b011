// Package evidence makes what a person needs to check a count: an annotated video, a sheet of the whole flown ground
// with every counted animal marked once, and a contact sheet with one good picture of each animal.
//
// A Recorder gets every step of a count, in order, and keeps small JPEG pictures within fixed budgets. It is pure Go
// and does no I/O: the caller supplies the writer of the video.
package evidence

import (
	"errors"
	"image"
	"time"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/cloud/count/video"
)

// Step is one step of a count: a frame, the place of the camera, and the animals in view.
type Step struct {
	Frame   *video.Frame
	Seconds float64 // from the start of the clip
	Pose    motion.Pose
	Looked  []motion.Rect  // parts of the frame that the detector looked at, in pixels of the frame; may be empty
	Tracks  []track.Placed // the tracks in view, at their places in the frame
	Count   int            // animals counted so far
}

// VideoWriter takes the pictures of the annotated video. libav.Encoder implements it. One goroutine at a time uses it.
type VideoWriter interface {
	// Write appends a picture that is shown from at on. It does not retain img.
	Write(img *image.RGBA, at time.Duration) error
	// Close completes the video.
	Close() error
}

// Overlay draws something of its own into each picture of the annotated video, such as lines and zones.
type Overlay interface {
	// Draw draws into c, which has the coordinates of the step's frame. It must not retain the step.
	Draw(c *Canvas, s *Step)
}

// Options say which evidence to make. The zero value makes none.
type Options struct {
	// Video opens the annotated video of width x height pixels and usually rate pictures per second; nil: no video.
	Video func(width, height int, rate float64) (VideoWriter, error)
	// Side is the longer side of the annotated video in pixels, 0 for 1280. Smaller frames are not enlarged.
	Side int
	// Overlays draw into the annotated video, in this order, below the boxes.
	Overlays []Overlay
	// Sheets makes the count sheet and the contact sheets.
	Sheets bool
}

// Any reports whether there is something to make.
func (o Options) Any() bool { return o.Video != nil || o.Sheets }

const defaultSide = 1280

// Recorder gathers the evidence of one clip. It belongs to one goroutine at a time.
type Recorder struct {
	options Options
	video   *annotated // nil without video
	ground  ground
	crops   crops
}

// New returns a Recorder. rate is the usual number of steps per second of footage, above 0. The caller must call Finish
// or Discard.
func New(o Options, rate float64) *Recorder {
	if o.Side <= 0 {
		o.Side = defaultSide
	}
	r := &Recorder{options: o, ground: newGround(), crops: newCrops()}
	if o.Video != nil {
		r.video = newAnnotated(o, rate)
	}
	return r
}

// Observe adds the next step. It retains neither the frame nor the tracks. A fault of the video ends the video, not the
// count; Finish returns it.
func (r *Recorder) Observe(s *Step) {
	if r.video != nil {
		r.video.add(s)
	}
	if r.options.Sheets {
		r.ground.add(s)
		r.crops.add(s)
	}
}

// Discard frees the Recorder of a count that has failed. The annotated video is not complete then.
func (r *Recorder) Discard() {
	if r.video != nil {
		_ = r.video.close() // the count has failed already
	}
}

// Evidence is what a Recorder has made.
type Evidence struct {
	Sheet   []byte   // JPEG; nil when no animal and no ground was seen
	Ground  []byte   // small pictures of the ground for FlightSheet, at most MaxGround bytes; nil without a sheet
	Contact [][]byte // JPEG, by page; empty when nothing was counted
	Video   *Video   // nil without a video
}

// Video describes the annotated video.
type Video struct {
	Width, Height int // pixels
	Pictures      int
	Seconds       float64 // time of the last picture
}

// Finish completes the video and draws the sheets. The error says why the video is missing or not complete; the other
// evidence is valid all the same. name is that of the clip, for people.
func (r *Recorder) Finish(name string, t tally.Result) (Evidence, error) {
	var e Evidence
	var faults []error
	if r.video != nil {
		v, err := r.video.finish()
		e.Video = v
		faults = append(faults, err)
	}
	if r.options.Sheets {
		var err error
		if e.Sheet, err = r.ground.sheet(name, t, &r.crops); err != nil {
			faults = append(faults, err)
		}
		if e.Ground, err = r.ground.encode(); err != nil {
			faults = append(faults, err)
		}
		if e.Contact, err = r.crops.pages(name, t); err != nil {
			faults = append(faults, err)
		}
	}
	return e, errors.Join(faults...)
}

// letterOf has what stands for the reasons on the count sheet.
var letterOf = map[tally.Reason]string{tally.TooBrief: "b", tally.Weak: "w", tally.PartOf: "p", tally.SameAs: "s",
	tally.Outside: "o", tally.Size: "z", tally.OtherAnimal: "a"}

// rect is a box in pixels of a frame.
type rect struct{ x1, y1, x2, y2 float64 }

func (r rect) width() float64       { return r.x2 - r.x1 }
func (r rect) height() float64      { return r.y2 - r.y1 }
func (r rect) centre() motion.Point { return motion.Point{X: (r.x1 + r.x2) / 2, Y: (r.y1 + r.y2) / 2} }
func (r rect) corners() [4]motion.Point {
	return [4]motion.Point{{X: r.x1, Y: r.y1}, {X: r.x2, Y: r.y1}, {X: r.x2, Y: r.y2}, {X: r.x1, Y: r.y2}}
}

// inside reports whether a frame shows all of r, with a margin of a few pixels.
func (r rect) inside(width, height int) bool {
	const edge = 3
	return r.x1 >= edge && r.y1 >= edge && r.x2 <= float64(width)-edge && r.y2 <= float64(height)-edge
}

// seen is the detection of a track in a frame.
func seen(t *track.Track, frame int) (r rect, score float64, ok bool) {
	if len(t.Way) == 0 || t.Way[len(t.Way)-1].Frame != frame {
		return rect{}, 0, false
	}
	b := t.Way[len(t.Way)-1].Box
	return rectOf(b), float64(b.Score), true
}

func rectOf(b detect.Box) rect {
	return rect{float64(b.X1), float64(b.Y1), float64(b.X2), float64(b.Y2)}
}
