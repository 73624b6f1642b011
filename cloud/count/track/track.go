// Package track follows animals through a clip in ground coordinates.
//
// Each detection is placed on the ground plane with the camera pose of its frame, and joined to the track that is most
// likely the same animal. The measure is the distance to the place that a constant-velocity Kalman filter predicts, in
// sizes of the animal. The joins are the best assignment within groups of competing tracks. A track continues when its
// animal leaves the view: its place on the ground stays, with growing doubt. So a second pass over the same ground
// finds the same track and does not count the animal twice. An animal that walked out of the frame by itself can only come
// back near the line on which it walked. Weak detections can continue a track but never start one
// (Zhang et al., "ByteTrack", 2022).
//
// It is pure Go, does no I/O and is deterministic.
package track

import (
	"math"
	"slices"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/cloud/count/video"
)

// Track is probably one animal.
type Track struct {
	ID int
	// Segment is the piece of footage that the ground coordinates X and Y belong to.
	Segment int
	X, Y    float64 // centre on the ground, in ground pixels
	W, H    float64 // box on the ground, in ground pixels

	First, Last int // frame indexes of the first and last detection
	Hits        int // frames with a detection
	Strong      int // hits at or above the threshold
	// Visible is the number of analysed frames from the first detection on in which the animal was in plain view and
	// should have been detected.
	Visible  int
	ScoreSum float64 // of the hits
	// Best is the detection with the highest score, preferably one that the frame's edge does not cut. BestFrame is its
	// frame index.
	Best      detect.Box
	BestFrame int

	// Outside says that the edge of the frame cut the animal in every detection, so far that its middle was outside.
	Outside bool
	// Way has a Fix for every detection, in order of time.
	Way []Fix

	// Evidence is the logarithm of the odds that the looks at the track showed an animal: hits add to it by their
	// score, misses in plain view take from it. It is 0 for hits with the least score that can start a track.
	Evidence float64

	classes   map[string]float64 // label -> sum of scores
	others    map[string]float64 // the same for detections as another animal; nil without any
	kx, ky    kalman
	seconds   float64 // time of kx and ky
	seen      float64 // time of the last detection
	color     color
	expected  expectation
	matched   int // index of the sighting in the current frame, -1 for none
	bestWhole bool
	leaving   leaving
}

// Fix is the place of an animal at one detection.
type Fix struct {
	Frame   int        // frame index
	Seconds float64    // from the start of the clip
	X, Y    float64    // centre of the animal in ground pixels of the track's segment, filtered
	Box     detect.Box // as detected, in pixels of the frame
}

// Label is the class with the largest sum of scores, among those of its kind: cattle, or other animals.
func (t *Track) Label() string {
	best, name := 0.0, t.Best.Label
	classes := t.classes
	if t.Other() {
		classes = t.others
	}
	for l, s := range classes {
		if s > best || s == best && l < name {
			best, name = s, l
		}
	}
	return name
}

// Confidence is the mean score of the hits, 0..1.
func (t *Track) Confidence() float64 { return t.ScoreSum / float64(max(t.Hits, 1)) }

// Size is the geometric mean of the box's sides on the ground, in pixels.
func (t *Track) Size() float64 { return math.Sqrt(t.W * t.H) }

// Other reports whether the track is that of another animal, by most of the scores.
func (t *Track) Other() bool {
	sum := 0.0
	for _, s := range t.others {
		sum += s
	}
	return sum > t.ScoreSum/2
}

// Whole reports whether a detection showed the animal away from the edges of the frame.
func (t *Track) Whole() bool { return t.bestWhole }

// Options configure a Tracker. The zero value is the defaults.
type Options struct {
	// Threshold is the least score that can start a track; 0 means 0.25. Detections below it can only continue tracks.
	Threshold float64
}

// Tracker follows the animals through the frames of one clip, in order. It is not safe for concurrent use.
type Tracker struct {
	threshold float64
	tracks    []*Track // of the current segment
	ended     []*Track // of earlier segments, and flickers
	nextID    int
	segment   int
	frames    int
	lastTime  float64
	lengths   lengths
}

// New returns a tracker.
func New(o Options) *Tracker {
	if o.Threshold == 0 {
		o.Threshold = 0.25
	}
	return &Tracker{threshold: o.Threshold}
}

// Observation is one analysed frame.
type Observation struct {
	Index         int     // frame index
	Seconds       float64 // from the start of the clip
	Width, Height int     // pixels of the frame
	Boxes         []detect.Box
	Pose          motion.Pose
	// Looked has the parts of the frame that the detector looked at, in pixels; nil stands for the whole frame. An
	// animal outside of them counts neither as detected nor as missed.
	Looked []motion.Rect
	// Frame is the frame itself, for the colors of the animals; nil for none.
	Frame *video.Frame
}

// Observe adds the next frame that the detector looked at. It returns the ID of the track of each box, 0 for a box
// without a track.
func (tr *Tracker) Observe(o Observation) []int {
	tr.Follow(o.Pose)
	dt := 0.0
	if tr.frames > 0 {
		dt = max(o.Seconds-tr.lastTime, 0)
	}
	tr.frames++
	tr.lastTime = max(o.Seconds, tr.lastTime)

	v := newView(o)
	for _, t := range tr.tracks {
		t.predict(dt)
		t.expected = v.project(t, t.kx, t.ky)
		if t.leaving.hits > 0 && !v.hasRim(t.leaving.last, t.Size()) {
			t.leaving = leaving{}
		}
	}
	sightings := v.sightings(o, tr.threshold)
	tr.lengths.judge(sightings, v)
	match(tr.tracks, sightings, true)
	match(tr.tracks, sightings, false)
	ids := make([]int, len(sightings))
	for _, t := range tr.tracks {
		t.record(sightings, o, v, tr.threshold)
		if t.matched >= 0 {
			ids[t.matched] = t.ID
		}
	}
	herd := tr.herdSpeeds()
	// Where a place is a guess, an animal that is known may seem to be another one.
	guess := o.Pose.Inliers == 0 && len(tr.tracks) > 0
	for i := range sightings {
		if s := &sightings[i]; s.strong && !s.matched && !guess {
			ids[i] = tr.start(s, o, herd)
		}
	}
	tr.dropFlickers()
	return ids
}

// Follow notes the pose of a frame that the detector did not look at. A pose of another segment ends the tracks of the
// segment before it, and continues those of the new one if the camera was there before. A pose that joins two segments
// brings their tracks together.
func (tr *Tracker) Follow(p motion.Pose) {
	if p.Joined != nil {
		tr.join(*p.Joined)
	}
	if p.Segment != tr.segment {
		tr.enter(p.Segment)
	}
}

func (tr *Tracker) start(s *sighting, o Observation, herd []mover) int {
	tr.nextID++
	t := &Track{
		ID: tr.nextID, Segment: tr.segment, X: s.x, Y: s.y, W: s.w, H: s.h, First: o.Index, seconds: o.Seconds,
		classes: map[string]float64{},
	}
	unit := t.Size()
	nx, ny := s.noise(cutNoise)
	t.kx, t.ky = newKalman(s.x, unit, nx), newKalman(s.y, unit, ny)
	t.walkWith(herd)
	t.Outside = true
	t.addHit(s, o, tr.threshold)
	t.Visible = 1
	tr.tracks = append(tr.tracks, t)
	return t.ID
}

// dropFlickers stops following tracks with one or two hits in many frames of plain view. This bounds the work. It
// cannot change a count, because tally never confirms such a track.
func (tr *Tracker) dropFlickers() {
	const plain, flicker = 12, 2
	tr.tracks = slices.DeleteFunc(tr.tracks, func(t *Track) bool {
		drop := t.Visible >= plain && t.Hits <= flicker
		if drop {
			tr.ended = append(tr.ended, t)
		}
		return drop
	})
}

// Tracks returns every track so far, including those of earlier segments, in order of ID.
func (tr *Tracker) Tracks() []*Track {
	all := append(slices.Clone(tr.ended), tr.tracks...)
	slices.SortFunc(all, func(a, b *Track) int { return a.ID - b.ID })
	return all
}
