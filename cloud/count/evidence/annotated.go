package evidence

import (
	"fmt"
	"image"
	"strconv"
	"time"

	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track/motion"
)

// picturesAhead is how many drawn pictures may wait for the encoder. When all wait, the count waits too.
const picturesAhead = 3

// picture is a drawn picture of the annotated video.
type picture struct {
	img *image.RGBA
	at  time.Duration
}

// annotated draws the annotated video and encodes it in a goroutine of its own, so that encoding uses another core than
// the steps.
type annotated struct {
	options Options
	rate    float64
	info    Video
	todo    chan picture // nil before the first step
	free    chan *image.RGBA
	done    chan error // gets the end of the goroutine
	failed  chan struct{}
	err     error // of the opening
	ended   bool
	last    time.Duration
	lines   []labelled // reused
}

func newAnnotated(o Options, rate float64) *annotated {
	return &annotated{options: o, rate: rate, last: -1}
}

// open starts the video with the size of the first frame.
func (a *annotated) open(s *Step) {
	w, h := sizeWithin(s.Frame.Width, s.Frame.Height, a.options.Side)
	out, err := a.options.Video(w, h, a.rate)
	if err != nil {
		a.err = err
		return
	}
	a.info.Width, a.info.Height = w, h
	a.todo, a.free = make(chan picture, picturesAhead), make(chan *image.RGBA, picturesAhead)
	a.done, a.failed = make(chan error, 1), make(chan struct{})
	for range picturesAhead {
		a.free <- image.NewRGBA(image.Rect(0, 0, w, h))
	}
	go a.encode(out)
}

// encode writes pictures until todo is closed. After an error it only returns the pictures.
func (a *annotated) encode(out VideoWriter) {
	var fault error
	for p := range a.todo {
		if fault == nil {
			if fault = out.Write(p.img, p.at); fault != nil {
				close(a.failed)
			}
		}
		a.free <- p.img // has room for every picture
	}
	if err := out.Close(); fault == nil {
		fault = err
	}
	a.done <- fault
}

// add draws a step and hands it to the encoder. Steps that are not later than the one before are left out, and so are
// those that come much faster than the usual ones, because the camera turns fast.
func (a *annotated) add(s *Step) {
	at := time.Duration(s.Seconds * float64(time.Second)).Truncate(time.Millisecond)
	const most = 1.7 // times the usual rate
	soon := time.Duration(float64(time.Second) / (most * a.rate))
	if a.err != nil || at <= a.last || a.info.Pictures > 0 && at-a.last < soon {
		return
	}
	if a.todo == nil {
		if a.open(s); a.err != nil {
			return
		}
	}
	select {
	case <-a.failed:
		return
	default:
	}
	img := <-a.free
	a.draw(img, s)
	a.last = at
	a.info.Pictures, a.info.Seconds = a.info.Pictures+1, s.Seconds
	a.todo <- picture{img, at} // has room for every picture
}

// close ends the goroutine and completes the file.
func (a *annotated) close() error {
	if a.err != nil || a.todo == nil || a.ended {
		return a.err
	}
	a.ended = true
	close(a.todo)
	a.err = <-a.done
	return a.err
}

// finish returns what was written, nil without a whole video.
func (a *annotated) finish() (*Video, error) {
	if err := a.close(); err != nil {
		return nil, fmt.Errorf("annotated video: %w", err)
	}
	if a.info.Pictures == 0 {
		return nil, nil
	}
	return &a.info, nil
}

// labelled is a box with its label.
type labelled struct {
	box    rect
	id     int
	seen   bool // detected in this frame
	likely bool // would be counted so far
}

// draw draws the frame with everything in it.
func (a *annotated) draw(img *image.RGBA, s *Step) {
	shrink(img, s.Frame)
	c := &Canvas{img: img, toPicture: scaling(img, s.Frame.Width, s.Frame.Height)}
	for _, o := range a.options.Overlays {
		o.Draw(c, s)
	}
	a.lines = a.lines[:0]
	for _, p := range s.Tracks {
		l := labelled{id: p.Track.ID, likely: tally.Probability(p.Track) > 0.5}
		if l.box, _, l.seen = seen(p.Track, s.Frame.Index); !l.seen {
			l.box = rect{p.Box.X1, p.Box.Y1, p.Box.X2, p.Box.Y2}
		}
		a.lines = append(a.lines, l)
	}
	for _, l := range a.lines {
		drawBox(c, l)
	}
	for _, l := range a.lines {
		if l.likely {
			drawLabel(c, l)
		}
	}
	status := fmt.Sprintf("%s   counted: %d", clock(s.Seconds), s.Count)
	if s.Pose.Inliers == 0 {
		status += "   camera lost"
	}
	big := lettering(titleSize)
	writePlate(img, big, 0, big.height, status, white)
}

func drawBox(c *Canvas, l labelled) {
	colour, width := identity(l.id), 2
	if !l.likely {
		colour = faint
	}
	if !l.seen || !l.likely {
		width = 1
	}
	c.box(l.box, width, colour)
}

func drawLabel(c *Canvas, l labelled) {
	size := textSize
	q := c.quad(l.box)
	if q[2].X-q[0].X < 34 {
		size = smallSize
	}
	writePlate(c.img, lettering(size), int(q[0].X), int(q[0].Y), strconv.Itoa(l.id), identity(l.id))
}

// scaling maps a frame of w x h pixels to a picture.
func scaling(img *image.RGBA, w, h int) motion.Transform {
	sx, sy := float64(img.Rect.Dx())/float64(w), float64(img.Rect.Dy())/float64(h)
	return motion.Transform{A: (sx + sy) / 2, C: (sx - sy) / 2}
}

// clock is a time of the clip for people, such as 3:07.5.
func clock(seconds float64) string {
	tenths := int(seconds*10 + 0.5)
	return fmt.Sprintf("%d:%02d.%d", tenths/600, tenths/10%60, tenths%10)
}
