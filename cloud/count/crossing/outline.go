package crossing

import (
	"math"

	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/shared/boundary"
)

// Outline is a line or a zone in the frame of a step.
type Outline struct {
	Name   string
	Points []motion.Point // in pixels of the frame; those of a zone are closed
	Zone   bool
	// In is a point on the side of a line that an animal reaches when it comes in. It lies beside the middle of the line.
	In motion.Point
}

// Outlines returns where the lines and zones are in the frame of the last step. It leaves out those on the ground whose
// place is not known there: before the time at which they are drawn, and after the motion of the camera was lost.
func (j *Judge) Outlines() []Outline {
	if len(j.steps) == 0 {
		return nil
	}
	var all []Outline
	for i, l := range j.set.Lines {
		if ps := j.inFrame(i, l.Place, l.From, l.To); ps != nil {
			all = append(all, Outline{Name: l.Name, Points: ps, In: inSide(ps[0], ps[1])})
		}
	}
	for i, z := range j.set.Zones {
		if ps := j.inFrame(len(j.set.Lines)+i, z.Place, z.Polygon...); ps != nil {
			all = append(all, Outline{Name: z.Name, Points: ps, Zone: true})
		}
	}
	return all
}

// inSide is a point to the right of a line, at a twelfth of its length.
func inSide(a, b motion.Point) motion.Point {
	const part = 1.0 / 12
	return motion.Point{X: (a.X+b.X)/2 - part*(b.Y-a.Y), Y: (a.Y+b.Y)/2 + part*(b.X-a.X)}
}

// inFrame returns the points of definition n in the frame of the last step, nil when they are not known.
func (j *Judge) inFrame(n int, place boundary.Place, points ...boundary.Point) []motion.Point {
	now := &j.steps[len(j.steps)-1]
	drawn := &j.steps[0]
	if place.OnGround() {
		at, ok := j.drawnAt[n]
		if !ok {
			_, s, found := j.locate(place)
			if !found {
				return nil
			}
			at, _ = j.at(s.Frame)
			j.drawnAt[n] = at
		}
		if drawn = &j.steps[at]; drawn.Pose.Segment != now.Pose.Segment {
			return nil
		}
	}
	out := make([]motion.Point, len(points))
	for i, p := range points {
		if place.OnGround() {
			out[i] = now.toFrame.Apply(inPlane(place, p, drawn, drawn))
		} else {
			out[i] = inPlane(place, p, now, drawn)
		}
		if !finite(out[i]) || math.Abs(out[i].X) > 1e6 || math.Abs(out[i].Y) > 1e6 {
			return nil
		}
	}
	return out
}
