package flight

import (
	"math"

	"cattlecounter/cloud/count/crossing"
	"cattlecounter/cloud/count/track/motion"
)

const (
	// hastyAcross is the number of pieces of ground across the larger side of a frame.
	hastyAcross = 16
	// hastyEdge is the number of pieces at each edge of the frame that do not count: ground there shows cut animals.
	hastyEdge = 1
	// hastyLooks is the number of looks below which ground was seen in haste. The detector looks four times at ground that
	// stays in view for a second.
	hastyLooks = 3
)

// Hasty is the share of the ground in the steps, 0..1, that the detector looked at less than three times: the camera
// turned or flew too fast, and animals there may be missed. It is 0 without steps.
func (s Steps) Hasty() float64 {
	g := haste{looks: map[piece]int{}, sides: map[int]float64{}}
	for _, c := range s {
		g.add(c)
	}
	hasty := 0
	for _, n := range g.looks {
		if n < hastyLooks {
			hasty++
		}
	}
	return float64(hasty) / float64(max(len(g.looks), 1))
}

type piece struct{ segment, x, y int }

// haste has the number of looks at each piece of the ground.
type haste struct {
	looks map[piece]int
	sides map[int]float64 // of the pieces of each segment
}

// add notes the ground in the picture of a step.
func (g *haste) add(s crossing.Step) {
	side := float64(max(s.Width, s.Height)) / hastyAcross // pixels
	if side <= 0 {
		return
	}
	if g.sides[s.Pose.Segment] == 0 {
		k := s.Pose.ToGround.ScaleAt(motion.Point{X: float64(s.Width) / 2, Y: float64(s.Height) / 2})
		if !(k*side > 0) || math.IsInf(k, 0) {
			return
		}
		g.sides[s.Pose.Segment] = k * side
	}
	done := map[piece]bool{}
	nx, ny := int(float64(s.Width)/side), int(float64(s.Height)/side)
	w, h := float64(s.Width)/float64(nx), float64(s.Height)/float64(ny)
	for y := hastyEdge; y < ny-hastyEdge; y++ {
		for x := hastyEdge; x < nx-hastyEdge; x++ {
			g.see(s, motion.Point{X: (float64(x) + 0.5) * w, Y: (float64(y) + 0.5) * h}, done)
		}
	}
}

// see notes one place of the picture. done are the pieces of the step that were counted.
func (g *haste) see(s crossing.Step, at motion.Point, done map[piece]bool) {
	p, side := s.Pose.ToGround.Apply(at), g.sides[s.Pose.Segment]
	k := piece{s.Pose.Segment, int(math.Floor(p.X / side)), int(math.Floor(p.Y / side))}
	if done[k] {
		return
	}
	n := 0
	if lookedAt(s.Looked, at) {
		n, done[k] = 1, true
	}
	g.looks[k] += n
}

// lookedAt reports whether a place of the picture was looked at. nil stands for the whole picture.
func lookedAt(parts []motion.Rect, at motion.Point) bool {
	if parts == nil {
		return true
	}
	for _, p := range parts {
		if at.X >= p.X1 && at.Y >= p.Y1 && at.X <= p.X2 && at.Y <= p.Y2 {
			return true
		}
	}
	return false
}
