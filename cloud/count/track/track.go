// Package track follows animals through a clip in ground coordinates.
//
// Each detection is placed on the ground plane with the camera pose of its frame, and joined to the track that is most
// likely the same animal. The measure is the distance to the place that a constant-velocity Kalman filter predicts, in
// sizes of the animal. The joins are the best assignment within groups of competing tracks. A track continues when its
// animal leaves the view: its place on the ground stays, with growing doubt. So a second pass over the same ground
// finds the same track and does not count the animal twice. Weak detections can continue a track but never start one
// (Zhang et al., "ByteTrack", 2022).
//
// It is pure Go, does no I/O and is deterministic.
package track

import (
	"math"
	"slices"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/track/motion"
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

	classes   map[string]float64 // label -> sum of scores
	kx, ky    kalman
	expected  expectation
	matched   int // index of the sighting in the current frame, -1 for none
	bestWhole bool
}

// Label is the class with the largest sum of scores.
func (t *Track) Label() string {
	best, name := 0.0, t.Best.Label
	for l, s := range t.classes {
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

// Options configure a Tracker. The zero value is the defaults.
type Options struct {
	// Threshold is the least score that can start a track; 0 means 0.25. Detections below it can only continue tracks.
	Threshold float64
}

// Tracker follows the animals through the frames of one clip, in order. It is not safe for concurrent use.
type Tracker struct {
	threshold float64
	tracks    []*Track // of the current segment
	ended     []*Track // of earlier segments
	nextID    int
	segment   int
	frames    int
	lastTime  float64
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
}

// Observe adds the next analysed frame. It returns the ID of the track of each box, 0 for a box without a track.
func (tr *Tracker) Observe(o Observation) []int {
	if tr.frames > 0 && o.Pose.Segment != tr.segment {
		tr.ended = append(tr.ended, tr.tracks...)
		tr.tracks = nil
	}
	dt := 0.0
	if tr.frames > 0 {
		dt = max(o.Seconds-tr.lastTime, 0)
	}
	tr.frames++
	tr.segment, tr.lastTime = o.Pose.Segment, o.Seconds

	v := newView(o)
	for _, t := range tr.tracks {
		t.predict(dt)
		t.expected = v.project(t)
	}
	sightings := v.sightings(o.Boxes, tr.threshold)
	match(tr.tracks, sightings, true)
	match(tr.tracks, sightings, false)
	ids := make([]int, len(sightings))
	for _, t := range tr.tracks {
		t.record(sightings, o.Index, v)
		if t.matched >= 0 {
			ids[t.matched] = t.ID
		}
	}
	for i := range sightings {
		if s := &sightings[i]; s.strong && !s.matched {
			ids[i] = tr.start(s, o.Index)
		}
	}
	tr.dropFlickers()
	return ids
}

func (tr *Tracker) start(s *sighting, frame int) int {
	tr.nextID++
	t := &Track{
		ID: tr.nextID, Segment: tr.segment, X: s.x, Y: s.y, W: s.w, H: s.h, First: frame,
		classes: map[string]float64{},
	}
	unit := t.Size()
	t.kx, t.ky = newKalman(s.x, unit, s.cut), newKalman(s.y, unit, s.cut)
	t.addHit(s, frame)
	t.Visible = 1
	tr.tracks = append(tr.tracks, t)
	return t.ID
}

// dropFlickers drops tracks with one or two hits in many frames of plain view. This bounds the work. It cannot change a
// count, because tally never confirms such a track.
func (tr *Tracker) dropFlickers() {
	const plain, flicker = 12, 2
	tr.tracks = slices.DeleteFunc(tr.tracks, func(t *Track) bool { return t.Visible >= plain && t.Hits <= flicker })
}

// Tracks returns every track so far, including those of earlier segments, in order of ID.
func (tr *Tracker) Tracks() []*Track {
	return append(slices.Clone(tr.ended), tr.tracks...)
}
