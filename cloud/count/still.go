package count

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"cattlecounter/cloud/count/annotate"
	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/video"
)

// still holds the frame with the most animals.
type still struct {
	frame video.Frame
	boxes []detect.Box
	ids   []int // track of each box, 0 for none
	most  int   // animals in it
}

// offer copies a frame that shows more animals than the one before.
func (s *still) offer(f *video.Frame, boxes []detect.Box, ids []int, animals int) {
	if animals <= s.most {
		return
	}
	s.most = animals
	s.frame.Resize(f.Width, f.Height)
	s.frame.Index, s.frame.Time = f.Index, f.Time
	copy(s.frame.Pix, f.Pix)
	s.boxes, s.ids = slices.Clone(boxes), slices.Clone(ids)
}

// draw returns the frame as a JPEG with the counted animals and the IDs of their tracks, nil without a frame.
func (s *still) draw(r report.Result) ([]byte, error) {
	if s.most == 0 {
		return nil, nil
	}
	counted := map[int]bool{}
	for _, t := range r.Tracks {
		counted[t.ID] = true
	}
	var marks []annotate.Mark
	for i, b := range s.boxes {
		if counted[s.ids[i]] {
			marks = append(marks, annotate.Mark{Box: b, Text: strconv.Itoa(s.ids[i])})
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

// timed measures the time that a detector takes.
type timed struct {
	detect.Detector
	spent *duration
}

func (t timed) Detect(ctx context.Context, frames []*video.Frame) ([][]detect.Box, error) {
	began := time.Now()
	defer func() { t.spent.ns.Add(int64(time.Since(began))) }()
	return t.Detector.Detect(ctx, frames)
}
