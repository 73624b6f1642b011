package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"sync"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/detect/detr"
	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/count/video/still"
	ground "cattlecounter/cloud/place"
)

// detectRun is the state of one command. The pipeline calls next in one goroutine and write in another, so unreadable
// has a lock.
type detectRun struct {
	folder string
	names  []string
	out    *output
	model  detr.Info
	meter  *meter

	at      int // next picture to read
	written int // next picture to write
	boxes   int

	mu         sync.Mutex
	unreadable map[int]error // by index of the picture
}

// next reads the next readable picture and records the unreadable ones before it.
func (r *detectRun) next(_ context.Context, f *video.Frame) error {
	for r.at < len(r.names) {
		i := r.at
		r.at++
		f.Index, f.Time = i, 0
		err := still.Read(filepath.Join(r.folder, r.names[i]), f)
		if err == nil {
			return nil
		}
		r.mu.Lock()
		r.unreadable[i] = err
		r.mu.Unlock()
	}
	return io.EOF
}

// write writes the line of one picture, after the error lines of the unreadable ones before it.
func (r *detectRun) write(f *video.Frame, boxes []detect.Box) error {
	if err := r.writeUnreadable(f.Index); err != nil {
		return err
	}
	line := detectLine{Image: r.names[f.Index], Width: f.Width, Height: f.Height, Model: r.model.Name,
		Digest: r.model.Digest, Detections: make([]detection, 0, len(boxes))}
	places := r.places(f, boxes)
	for i, b := range boxes {
		d := detection{Position: places[i], Box: [4]float64{round(b.X1, 1), round(b.Y1, 1), round(b.X2, 1), round(b.Y2, 1)},
			Score: round(b.Score, 4), Label: b.Label}
		if b.Other {
			line.Others = append(line.Others, d)
		} else {
			line.Detections = append(line.Detections, d)
		}
	}
	r.boxes += len(line.Detections)
	r.written++
	r.meter.show(float64(r.written), float64(len(r.names)), "pictures", fmt.Sprintf("%d detections", r.boxes))
	return r.out.line(line)
}

// places is where the detections of a photograph are, by their index. A picture without the pose of its camera has none.
func (r *detectRun) places(f *video.Frame, boxes []detect.Box) map[int]*detectedPlace {
	log, err := readPhoto(filepath.Join(r.folder, r.names[f.Index]))
	if err != nil {
		return nil // most pictures have no pose
	}
	found := map[int]*detectedPlace{}
	for _, p := range ground.Still(f.Width, f.Height, boxes, log) {
		found[p.ID] = &detectedPlace{Latitude: math.Round(p.Lat*1e7) / 1e7, Longitude: math.Round(p.Lon*1e7) / 1e7,
			Radius: math.Ceil(10*p.Radius) / 10}
	}
	return found
}

// writeUnreadable writes the error lines of the unreadable pictures before index end.
func (r *detectRun) writeUnreadable(end int) error {
	for ; r.written < end; r.written++ {
		r.mu.Lock()
		err := r.unreadable[r.written]
		r.mu.Unlock()
		if err := r.out.line(detectLine{Image: r.names[r.written], Error: fmt.Sprint(err), Model: r.model.Name,
			Digest: r.model.Digest}); err != nil {
			return err
		}
	}
	return nil
}

// round keeps the given number of decimals; further digits are noise of the network.
func round(v float32, decimals int) float64 {
	p := math.Pow10(decimals)
	return math.Round(float64(v)*p) / p
}

// output writes JSON lines to a stream, or to a file that gets its name when it is complete.
type output struct {
	w    *bufio.Writer
	enc  *json.Encoder
	file *os.File // nil for a stream
	path string
}

func openOutput(path string, stdout io.Writer) (*output, error) {
	o := &output{path: path}
	to := stdout
	if path != "-" {
		f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
		if err != nil {
			return nil, fmt.Errorf("output: %w", err)
		}
		o.file, to = f, f
	}
	o.w = bufio.NewWriter(to)
	o.enc = json.NewEncoder(o.w)
	o.enc.SetEscapeHTML(false)
	return o, nil
}

// line writes one line. On a stream the line is flushed at once.
func (o *output) line(l detectLine) error {
	if err := o.enc.Encode(l); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	if o.file != nil {
		return nil
	}
	if err := o.w.Flush(); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	return nil
}

// commit flushes the lines and gives a file its name.
func (o *output) commit() error {
	if err := o.w.Flush(); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	if o.file == nil {
		return nil
	}
	if err := o.file.Chmod(0o644); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	if err := o.file.Close(); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	if err := os.Rename(o.file.Name(), o.path); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	o.file = nil
	return nil
}

// discard removes a file that has no name yet.
func (o *output) discard() {
	if o.file != nil {
		o.file.Close()
		os.Remove(o.file.Name())
	}
}
