package count

import (
	"context"
	"fmt"
	"io"
	"syscall"
	"testing"
	"time"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/evidence"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/video"
)

// survey is a camera that flies rows over a large herd, there and back. It is both the decoder and a perfect detector.
type survey struct {
	minutes float64
	rows    int // after which it flies back
	length  int // of a row in ground pixels
	lost    int // first frames that are over another ground
	next    int
	used    []time.Duration // processor time at the start of each minute
}

const (
	rowStep    = 220 // ground pixels
	surveyStep = 4   // ground pixels a frame
	pasture    = 130
)

// at is the upper left corner of the view in a frame.
func (s *survey) at(frame int) (x, y int) {
	const elsewhere = 1 << 20
	if frame < s.lost {
		return elsewhere + frame*surveyStep, 0
	}
	path := (frame - s.lost) * surveyStep
	row, along := path/(s.length+rowStep), path%(s.length+rowStep)
	lap := row % (2 * s.rows) // there and back
	x, y = min(along, s.length), lap*rowStep+max(0, along-s.length)
	if lap >= s.rows {
		y = (2*s.rows-1)*rowStep - y
	}
	if row%2 == 1 {
		x = s.length - x
	}
	return x, max(0, y)
}

func (s *survey) frames() int { return int(s.minutes * 60 * fps) }

func (s *survey) Info() video.Info {
	return video.Info{Width: viewW, Height: viewH, FPS: fps, Frames: s.frames(), Codec: "h264", Container: "mp4"}
}
func (s *survey) Close() error { return nil }
func (s *survey) Reading() video.Reading {
	return video.Reading{Decoded: min(s.next, s.frames()), Duration: time.Duration(min(s.next, s.frames())) * time.Second / fps}
}
func (s *survey) Step() time.Duration { return time.Second / fps }

func (s *survey) Next(_ context.Context, f *video.Frame, every int) error {
	for int(float64(s.next)/fps/60) >= len(s.used) {
		s.used = append(s.used, processorTime())
	}
	if s.next >= s.frames() {
		return io.EOF
	}
	f.Resize(viewW, viewH)
	f.Index, f.Time = s.next, time.Duration(s.next)*time.Second/fps
	x0, y0 := s.at(s.next)
	const block = 8
	for y := range viewH {
		row := f.Pix[y*viewW*3 : (y+1)*viewW*3]
		for x := 0; x < viewW; {
			gx, gy := uint32(x0+x)/block, uint32(y0+y)/block
			h := gx*0x9E3779B1 ^ gy*0x85EBCA77
			h = (h ^ h>>15) * 0x2C1B3C6D
			v := byte(h >> 24)
			for end := min(viewW, x+block-(x0+x)%block); x < end; x++ {
				row[3*x], row[3*x+1], row[3*x+2] = v/2, v/4*3, v
			}
		}
	}
	s.next += every
	return nil
}

func (s *survey) Look(_ context.Context, tiles []detect.Region) ([]detect.Box, error) {
	x0, y0 := s.at(tiles[0].Frame.Index)
	var boxes []detect.Box
	for gy := y0/pasture - 1; gy <= (y0+viewH)/pasture+1; gy++ {
		for gx := x0/pasture - 1; gx <= (x0+viewW)/pasture+1; gx++ {
			x, y := gx*pasture+(gy*37)%50-x0, gy*pasture+(gx*53)%50-y0
			b := detect.Box{X1: float32(max(0, x)), Y1: float32(max(0, y)), X2: float32(min(viewW, x+40)), Y2: float32(min(viewH, y+24)),
				Score: 0.8, Label: "cow"}
			if b.X2-b.X1 < 10 || b.Y2-b.Y1 < 8 {
				continue
			}
			for _, t := range tiles {
				if int(b.X1) >= t.X && int(b.X2) <= t.X+t.Width && int(b.Y1) >= t.Y && int(b.Y2) <= t.Y+t.Height {
					boxes = append(boxes, b)
					break
				}
			}
		}
	}
	return boxes, nil
}

func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A minute costs as much at the end of a long flight over hundreds of animals as at its start, also when the camera flies over
// the same ground again and again and was over ground of another segment before.
func BenchmarkLongFlight(b *testing.B) {
	for name, s := range map[string]survey{
		"survey":      {rows: 1000, length: 6000},
		"two grounds": {rows: 2, length: 1200, lost: 10 * fps},
	} {
		b.Run(name, func(b *testing.B) {
			const minutes = 3
			for b.Loop() {
				s.minutes, s.next, s.used = minutes, 0, nil
				c := New(Options{
					Open:     func(context.Context, Source) (Decoder, error) { return &s, nil },
					Detector: &s, Model: report.Model{Threshold: 0.4, Tile: 240, Overlap: 0.2}, SampleFPS: 3,
				})
				out, err := c.Count(b.Context(), Source{Name: "survey", Evidence: evidence.Options{Sheets: true}}, nil)
				if err != nil {
					b.Fatal(err)
				}
				for m := range minutes {
					b.ReportMetric((s.used[m+1] - s.used[m]).Seconds(), fmt.Sprintf("s/minute-%d", m+1))
				}
				b.ReportMetric(float64(out.Result.Count.Unique), "animals")
			}
		})
	}
}
