package place

import (
	"cattlecounter/cloud/count/crossing"
	"cattlecounter/cloud/count/track/motion"
)

// adult is the usual length of grown cattle from nose to tail as boxes show it from above, in metres.
const adult = 2.35

// adultError is the relative standard error of a scale by the length of the animals: breeds, and young animals among
// them.
const adultError = 0.12

// animalLength is the median length of the animals by segment, in ground pixels. The longer side of a box is shorter
// than the animal when it stands askew, so the upper part of the sides counts.
func animalLength(in Input) map[int]float64 {
	all := map[int][]float64{}
	for _, a := range in.Animals {
		best, seg := 0.0, 0
		for _, f := range a.Fixes {
			if s := stepOf(in.Steps, f.Frame); s != nil {
				side := float64(max(f.Box.Width(), f.Box.Height()))
				best = max(best, side*s.Pose.ToGround.ScaleAt(motion.Point{X: float64(f.Box.X1), Y: float64(f.Box.Y1)}))
				seg = s.Pose.Segment
			}
		}
		if best > 0 {
			all[seg] = append(all[seg], best)
		}
	}
	out := map[int]float64{}
	for seg, list := range all {
		out[seg] = median(list)
	}
	return out
}

func stepOf(steps []crossing.Step, frame int) *crossing.Step {
	low, high := 0, len(steps)
	for low < high {
		if mid := (low + high) / 2; steps[mid].Frame < frame {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low < len(steps) && steps[low].Frame == frame {
		return &steps[low]
	}
	return nil
}

// relative places the animals within the flight.
func relative(in Input) Result {
	r := Result{Way: Unplaced}
	length := animalLength(in)
	first := map[int]*crossing.Step{}
	for i := range in.Steps {
		if s := &in.Steps[i]; first[s.Pose.Segment] == nil {
			first[s.Pose.Segment] = s
		}
	}
	for _, a := range in.Animals {
		var xs, ys []float64
		seg, placed := 0, false
		for _, f := range thin(a.Fixes, mostFixes) {
			s := stepOf(in.Steps, f.Frame)
			if s == nil || length[s.Pose.Segment] == 0 || placed && s.Pose.Segment != seg {
				continue
			}
			seg, placed = s.Pose.Segment, true
			scale := adult / length[seg]
			g := s.Pose.ToGround.Apply(motion.Point{X: float64(f.Box.X1+f.Box.X2) / 2, Y: float64(f.Box.Y1+f.Box.Y2) / 2})
			o := first[seg]
			m := o.Pose.ToGround.Apply(motion.Point{X: float64(o.Width) / 2, Y: float64(o.Height) / 2})
			xs, ys = append(xs, (g.X-m.X)*scale), append(ys, (m.Y-g.Y)*scale)
		}
		if !placed {
			r.Missing = append(r.Missing, a.ID)
			continue
		}
		x, y := median(xs), median(ys)
		if !known(x, y) {
			r.Missing = append(r.Missing, a.ID)
			continue
		}
		var c covariance
		c.add(adultError*x, adultError*y)
		c.ee, c.nn = c.ee+1, c.nn+1
		r.Offsets = append(r.Offsets, Offset{ID: a.ID, Segment: seg, X: x, Y: y, Radius: c.radius()})
	}
	if len(r.Offsets) > 0 {
		r.Way, r.Scale = Relative, FromAnimals
	}
	return r
}
