// Package count counts the animals of one clip: it decodes, detects, tracks and tallies, and returns the result
// document and the still. It is pure Go: the caller supplies the decoder and the detector.
package count

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"cattlecounter/cloud/count/condition"
	"cattlecounter/cloud/count/crossing"
	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
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
}

// Outcome is the result of counting a clip.
type Outcome struct {
	Result report.Result
	Still  []byte // JPEG with the counted animals marked, nil when no frame shows any
	// Features are what the interval of the count follows from.
	Features tally.Features
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

// Options configure a Counter. All but Every and Workers are required.
type Options struct {
	Open     func(ctx context.Context, s Source) (Decoder, error)
	Detector detect.Detector // must return scores down to WeakScore(Model.Threshold)
	Model    report.Model
	// SampleFPS is how many frames per second of footage are analysed, as near as whole steps allow. Every, when above
	// 0, is the step itself.
	SampleFPS float64
	Every     int
	Workers   int // frames in detection at the same time, 0 for one
}

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
	r := c.newRun(d.Info(), progress)
	r.judge = newJudge(s.Lines)
	p := detect.Pipeline{
		Source:   func(ctx context.Context, f *video.Frame) error { return d.Next(ctx, f, c.pace(d, r.every)) },
		Detector: timed{c.o.Detector, &r.detecting},
		Workers:  c.o.Workers,
	}
	if err := p.Run(ctx, r.addFrame); err != nil {
		return Outcome{}, fmt.Errorf("%s: %w", s.Name, err)
	}
	if r.analysed == 0 {
		return Outcome{}, fmt.Errorf("%s: no frame can be read: %w", s.Name, video.ErrDecode)
	}
	r.reading = d.Reading()
	return r.outcome(s, c.o.Model)
}

// pace is the number of frames to the next one that is analysed. usual fits the frame rate of the headers; where frames
// come at another rate, pace follows it, so that the camera does not move too far between two analysed frames.
func (c *Counter) pace(d Decoder, usual int) int {
	step := d.Step()
	if c.o.Every > 0 || step <= 0 {
		return usual
	}
	return max(1, int(math.Round(1/(step.Seconds()*c.o.SampleFPS))))
}

func (c *Counter) newRun(info video.Info, progress func(job.Progress)) *run {
	r := &run{
		info: info, every: c.o.Every, progress: progress, began: time.Now(),
		tracker: track.New(track.Options{Threshold: c.o.Model.Threshold}), threshold: c.o.Model.Threshold,
	}
	r.fps = info.FPS
	if !(r.fps > 0) {
		r.fps = assumedFPS
	}
	if r.every <= 0 {
		r.every = max(1, int(math.Round(r.fps/c.o.SampleFPS)))
	}
	return r
}

// run is the state of one clip. One goroutine calls addFrame.
type run struct {
	info      video.Info
	reading   video.Reading // complete after the last frame
	fps       float64
	every     int
	threshold float64
	progress  func(job.Progress)
	began     time.Time
	reported  time.Time // last call of progress
	detecting duration

	camera   motion.Registrar
	guessed  int // frames with a guessed camera pose
	tracker  *track.Tracker
	analysed int
	last     int // index of the last frame
	most     int // largest count so far
	visible  []report.Visible
	best     still

	conditions condition.Clip
	judge      *crossing.Judge // nil without lines and zones
}

// addFrame follows the camera and the animals into the next frame.
func (r *run) addFrame(f *video.Frame, boxes []detect.Box) error {
	pose := r.camera.Register(f, nil)
	if pose.Inliers == 0 {
		r.guessed++
	}
	seconds := float64(f.Index) / r.fps
	if f.Time > 0 {
		seconds = f.Time.Seconds()
	}
	ids := r.tracker.Observe(track.Observation{
		Index: f.Index, Seconds: seconds, Width: f.Width, Height: f.Height, Boxes: boxes, Pose: pose,
	})
	r.conditions.Add(f, seconds)
	r.judgeStep(f, seconds, pose, nil)
	r.analysed++
	r.last = f.Index
	strong := 0
	for _, b := range boxes {
		if float64(b.Score) >= r.threshold {
			strong++
		}
	}
	r.addVisible(int(seconds), strong)
	r.best.offer(f, boxes, ids, strong)
	r.reportProgress()
	return nil
}

// addVisible records the largest number of animals in one frame of a second.
func (r *run) addVisible(second, animals int) {
	if n := len(r.visible); n > 0 && r.visible[n-1].Second == second {
		r.visible[n-1].Animals = max(r.visible[n-1].Animals, animals)
		return
	}
	r.visible = append(r.visible, report.Visible{Second: second, Animals: animals})
}

const progressEvery = 250 * time.Millisecond

func (r *run) reportProgress() {
	now := time.Now()
	if r.progress == nil || now.Sub(r.reported) < progressEvery {
		return
	}
	r.reported = now
	r.most = max(r.most, tally.Count(r.tracker.Tracks()).Unique)
	done := r.last + 1
	p := job.Progress{Stage: job.StageDetect, FramesDone: done, FramesTotal: r.info.Frames, Count: r.most,
		FPS: float64(done) / now.Sub(r.began).Seconds()}
	if total := r.info.Frames; total > 0 {
		// Totals of a container can be too low. The last percent is the report.
		const almost = 99
		p.Percent = min(almost, 100*float64(done)/float64(total))
		left := max(0, float64(total-done)/p.FPS)
		p.ETASeconds = &left
	}
	r.progress(p)
}

func (r *run) outcome(s Source, m report.Model) (Outcome, error) {
	counted := tally.Count(r.tracker.Tracks())
	features := counted.Judge(r.circumstances())
	total := time.Since(r.began).Seconds()
	res := report.Result{
		Schema: report.Schema, Footage: s.Footage, Model: m,
		Source: report.Source{Name: s.Name, Size: s.Size, SHA256: s.SHA256},
		Video: report.Video{
			Width: r.info.Width, Height: r.info.Height, FPS: r.info.FPS, Frames: r.reading.Decoded, Analysed: r.analysed,
			Every: r.every, Duration: r.reading.Duration.Seconds(), Codec: r.info.Codec, Container: r.info.Container,
		},
		Reading: readingOf(r.info, r.reading),
		Count: report.Count{
			Unique: counted.Unique, Low: counted.Low, High: counted.High, ByClass: counted.ByClass, Method: report.Method,
		},
		Visible:  r.visible,
		Tracks:   make([]report.Track, 0, len(counted.Counted)),
		Warnings: r.warnings(s, counted),
		Timings: report.Timings{TotalSeconds: total, FramesPerSec: float64(r.last+1) / total,
			DetectSeconds: r.detecting.seconds()},
	}
	for _, t := range counted.Counted {
		res.Tracks = append(res.Tracks, trackOf(t))
	}
	r.addLines(&res, counted)
	jpeg, err := r.best.draw(res)
	if err != nil {
		return Outcome{}, err
	}
	return Outcome{Result: res, Still: jpeg, Features: features}, nil
}

// circumstances are what the interval of the count depends on beside the tracks.
func (r *run) circumstances() tally.Circumstances {
	c := tally.Circumstances{
		Width: r.info.Width, Height: r.info.Height, Guessed: float64(r.guessed) / float64(max(r.analysed, 1)),
	}
	for _, f := range r.conditions.Findings() {
		c.Poor = min(1, c.Poor+f.Share)
	}
	return c
}

func trackOf(t *track.Track) report.Track {
	b := t.Best
	return report.Track{
		ID: t.ID, Label: t.Label(), FirstFrame: t.First, LastFrame: t.Last, Detections: t.Hits,
		Confidence: t.Confidence(),
		Best: report.Best{
			Frame: t.BestFrame, Score: float64(b.Score),
			Box: [4]float64{float64(b.X1), float64(b.Y1), float64(b.X2), float64(b.Y2)},
		},
	}
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
