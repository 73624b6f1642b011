package count

import (
	"context"
	"errors"
	"io"
	"math"
	"sync"
	"time"

	"cattlecounter/cloud/count/condition"
	"cattlecounter/cloud/count/crossing"
	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/evidence"
	"cattlecounter/cloud/count/flight"
	"cattlecounter/cloud/count/look"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/count/young"
	"cattlecounter/shared/job"
)

// depth is how many steps may wait for the detector. What is planned for a step follows from what was found up to depth
// steps earlier, so it does not depend on the speed of the machine. More steps take more memory.
const depth = 3

// run is the state of one clip. It belongs to one goroutine; only the looks run in others.
type run struct {
	o         Options
	info      video.Info
	reading   video.Reading // complete after the last frame
	fps       float64
	every     int // frames from one step to the next
	threshold float64
	progress  func(job.Progress)
	began     time.Time
	reported  time.Time // last call of progress
	detecting duration

	camera  motion.Registrar
	views   flight.Recorder
	planner *look.Planner
	tracker *track.Tracker
	queue   []*step
	free    []*video.Frame

	stepped int
	looks   int // steps with a look
	guessed int // steps with a guessed camera pose
	last    int // index of the last frame
	most    int // largest count so far
	visible []report.Visible
	best    still

	evidence *evidence.Recorder // nil without evidence
	counted  int                // animals so far; see running
	tallied  int                // second of the footage in which counted was found

	young young.Measurer

	conditions condition.Clip
	judged     float64         // seconds of the last frame that conditions has
	judge      *crossing.Judge // nil without lines and zones
}

// step is a frame on its way. found and err are set before done is closed.
type step struct {
	frame   *video.Frame
	seconds float64
	left    float64 // seconds to the end of the clip; infinite when unknown
	pose    motion.Pose
	plan    [][]detect.Region
	found   [][]detect.Box // for each list of the plan
	err     error
	looked  []motion.Rect // parts of the frame that the detector looked at, empty for none
	done    chan struct{} // nil without a look
}

func (c *Counter) newRun(d Decoder, progress func(job.Progress)) *run {
	info := d.Info()
	r := &run{
		o: c.o, info: info, every: c.o.Every, progress: progress, began: time.Now(),
		tracker: track.New(track.Options{Threshold: c.o.Model.Threshold}), threshold: c.o.Model.Threshold,
		judged: math.Inf(-1),
	}
	r.planner = look.New(look.Options{
		Grid:  detect.Grid{Tile: c.o.Model.Tile, Overlap: c.o.Model.Overlap},
		Input: c.o.Input, Fixed: c.o.Fixed, Gap: 1 / c.o.SampleFPS, All: c.o.Every > 0,
	})
	r.fps = info.FPS
	if !(r.fps > 0) {
		r.fps = assumedFPS
	}
	if r.every <= 0 {
		r.every = max(1, int(math.Round(r.fps/r.stepFPS())))
	}
	return r
}

func (r *run) stepFPS() float64 { return max(stepFPS, r.o.SampleFPS) }

// pace is the number of frames to the next step. Where frames come at another rate than the headers say, it follows that
// rate, so that the camera does not move too far between two steps. A camera that turns fast gets more steps.
func (r *run) pace(d Decoder) int {
	if r.o.Every > 0 {
		return r.every
	}
	every := r.every
	if usual := d.Step(); usual > 0 {
		const most = 4 // times the usual: time stamps of a broken file must not skip the clip
		every = min(max(1, int(math.Round(1/(usual.Seconds()*r.stepFPS())))), most*r.every)
	}
	return max(1, int(float64(every)/r.hurry()))
}

// hurry is how many times as many steps a camera needs that turns or flies so fast that animals are in view only briefly,
// 1 for a usual one.
func (r *run) hurry() float64 {
	const (
		usual = 0.08 // of the picture's width in a usual step
		most  = 5
	)
	return min(most, max(1, r.camera.Swiftness()/usual))
}

// steps takes the clip through the camera's motion, the detector and the tracker, step by step.
func (r *run) steps(ctx context.Context, d Decoder) error {
	ctx, stop := context.WithCancelCause(ctx)
	var looks sync.WaitGroup
	defer looks.Wait()
	defer stop(nil)
	for {
		f := r.frame()
		if err := d.Next(ctx, f, r.pace(d)); err != nil {
			if errors.Is(err, io.EOF) {
				r.lookAtEnd(ctx)
			}
			// The frames before the fault come first.
			for len(r.queue) > 0 {
				if err := r.finish(ctx); err != nil {
					return err
				}
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		s := r.begin(f)
		r.queue = append(r.queue, s)
		if s.done != nil {
			looks.Go(func() { r.look(ctx, s) })
		}
		for len(r.queue) >= depth || r.looks == 0 && len(r.queue) > 0 {
			if err := r.finish(ctx); err != nil {
				return err
			}
		}
	}
}

// frame returns a frame to decode into.
func (r *run) frame() *video.Frame {
	if n := len(r.free); n > 0 {
		f := r.free[n-1]
		r.free = r.free[:n-1]
		return f
	}
	return &video.Frame{}
}

// begin follows the camera into the next frame and plans the look at it.
func (r *run) begin(f *video.Frame) *step {
	s := &step{frame: f, seconds: float64(f.Index) / r.fps, looked: []motion.Rect{}}
	if f.Time > 0 {
		s.seconds = f.Time.Seconds()
	}
	s.pose = r.camera.Register(f, r.animals(f, s.seconds))
	s.left = math.Inf(1)
	if r.info.Frames > 0 {
		s.left = max(0, float64(r.info.Frames-1-f.Index)/r.fps)
	}
	r.plan(s)
	return s
}

// plan plans the look at a step.
func (r *run) plan(s *step) {
	f := s.frame
	s.plan = r.planner.Plan(look.Step{
		Frame: f, Seconds: s.seconds, Remaining: s.left, Pose: s.pose,
		InView: r.tracker.InView(s.pose, s.seconds, f.Width, f.Height),
	})
	if s.plan != nil {
		s.done = make(chan struct{})
	}
}

// lookAtEnd plans the look at the last frame again where it came before its time: the containers of some clips, such as those
// whose time stamps jump, tell a wrong length or none. Without it what came into view last would never be looked at.
func (r *run) lookAtEnd(ctx context.Context) {
	const early = 0.5 // seconds
	if len(r.queue) == 0 {
		return
	}
	s := r.queue[len(r.queue)-1]
	if s.done != nil || s.left < early {
		return
	}
	s.left = 0
	if r.plan(s); s.done != nil {
		r.look(ctx, s)
	}
}

// animals are the places of the known animals, by the motion of the camera so far.
func (r *run) animals(f *video.Frame, seconds float64) []motion.Rect {
	pose, ok := r.camera.Guess(f)
	if !ok {
		return nil
	}
	var list []motion.Rect
	for _, a := range r.tracker.InView(pose, seconds, f.Width, f.Height) {
		list = append(list, a.Box)
	}
	return list
}

// look runs the detector on the plan of a step.
func (r *run) look(ctx context.Context, s *step) {
	defer close(s.done)
	began := time.Now()
	defer func() { r.detecting.ns.Add(int64(time.Since(began))) }()
	for _, tiles := range s.plan {
		boxes, err := r.o.Detector.Look(ctx, tiles)
		if err != nil {
			s.err = err
			return
		}
		s.found = append(s.found, boxes)
		if r.planner.Enough(s.plan, s.found, r.threshold) {
			return
		}
	}
}

// finish takes the oldest step from the queue and follows the animals into it.
func (r *run) finish(ctx context.Context) error {
	s := r.queue[0]
	r.queue = r.queue[1:]
	if s.done != nil {
		select {
		case <-s.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if s.err != nil {
			return s.err
		}
		r.observe(s)
	} else {
		r.tracker.Follow(s.pose)
	}
	seen := crossing.Step{Frame: s.frame.Index, Seconds: s.seconds, Width: s.frame.Width, Height: s.frame.Height, Pose: s.pose,
		Looked: s.looked}
	r.views.See(seen)
	if r.judge != nil {
		r.judge.Add(seen)
	}
	r.addEvidence(s)
	r.young.Join(s.pose)
	r.stepped++
	r.last = s.frame.Index
	if s.pose.Inliers == 0 {
		r.guessed++
	}
	if r.o.Every > 0 || s.seconds-r.judged >= 1/r.o.SampleFPS-1/r.fps/2 {
		r.conditions.Add(s.frame, s.seconds)
		r.judged = s.seconds
	}
	r.free = append(r.free, s.frame)
	r.reportProgress(s.seconds)
	return nil
}

// observe gives the boxes of a look to the tracker.
func (r *run) observe(s *step) {
	used := r.planner.Learn(look.Step{Frame: s.frame, Seconds: s.seconds, Pose: s.pose}, s.plan, s.found, r.threshold)
	f := s.frame
	o := track.Observation{
		Index: f.Index, Seconds: s.seconds, Width: f.Width, Height: f.Height, Boxes: s.found[used], Pose: s.pose, Frame: f,
	}
	for _, t := range s.plan[used] {
		s.looked = append(s.looked, motion.Rect{
			X1: float64(t.X), Y1: float64(t.Y), X2: float64(t.X + t.Width), Y2: float64(t.Y + t.Height)})
	}
	o.Looked = s.looked
	if s.pose.Inliers == 0 { // white, fog or blur: that nothing is found means nothing
		o.Looked = []motion.Rect{}
	}
	r.tracker.Observe(o)
	r.young.Add(f.Index, f.Width, f.Height, s.pose)
	r.looks++
	var sure []track.Placed
	for _, a := range r.tracker.InView(s.pose, s.seconds, f.Width, f.Height) {
		if tally.Probability(a.Track) > 0.5 || a.Track.Last == f.Index && !a.Track.Other() {
			sure = append(sure, a)
		}
	}
	r.addVisible(int(s.seconds), len(sure))
	r.best.offer(f, sure)
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

// running is the number of animals counted so far. It is renewed once a second of footage, and at each of the first steps:
// a tally of some thousand tracks takes longer than a step should.
func (r *run) running(seconds float64) int {
	const first = 6
	if second := int(seconds); second != r.tallied || r.stepped <= first {
		r.counted, r.tallied = tally.Count(r.tracker.Tracks()).Unique, second
	}
	return r.counted
}

func (r *run) reportProgress(seconds float64) {
	now := time.Now()
	if r.progress == nil || now.Sub(r.reported) < progressEvery {
		return
	}
	r.reported = now
	r.most = max(r.most, r.running(seconds))
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
