package count

import (
	"bytes"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"cattlecounter/cloud/count/annotate"
	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/video"
)

// still holds the frame with the most animals.
type still struct {
	frame   video.Frame
	animals []mark
}

// mark is an animal in the frame.
type mark struct {
	id  int // track
	box detect.Box
}

// offer copies a frame that shows more animals than the one before.
func (s *still) offer(f *video.Frame, animals []track.Placed) {
	if len(animals) <= len(s.animals) {
		return
	}
	s.frame.Resize(f.Width, f.Height)
	s.frame.Index, s.frame.Time = f.Index, f.Time
	copy(s.frame.Pix, f.Pix)
	s.animals = s.animals[:0]
	for _, a := range animals {
		b := a.Track.Best
		b.X1, b.Y1 = float32(max(a.Box.X1, 0)), float32(max(a.Box.Y1, 0))
		b.X2, b.Y2 = float32(min(a.Box.X2, float64(f.Width))), float32(min(a.Box.Y2, float64(f.Height)))
		s.animals = append(s.animals, mark{a.Track.ID, b})
	}
}

// draw returns the frame as a JPEG with the counted animals and the IDs of their tracks, nil without a frame.
func (s *still) draw(r report.Result) ([]byte, error) {
	if len(s.animals) == 0 {
		return nil, nil
	}
	counted := map[int]bool{}
	for _, t := range r.Tracks {
		counted[t.ID] = true
	}
	var marks []annotate.Mark
	for _, a := range s.animals {
		if counted[a.id] {
			marks = append(marks, annotate.Mark{Box: a.box, Text: strconv.Itoa(a.id)})
		}
	}
	foot := fmt.Sprintf("%s  frame %d  %d of %d animals in view  (95 %%: %d to %d)",
		r.Source.Name, s.frame.Index, len(marks), r.Count.Unique, r.Count.Low, r.Count.High)
	var b bytes.Buffer
	if err := annotate.Still(&b, &s.frame, marks, foot); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// duration sums the time of several goroutines.
type duration struct{ ns atomic.Int64 }

func (d *duration) seconds() float64 { return time.Duration(d.ns.Load()).Seconds() }
