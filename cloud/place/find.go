package place

import (
	"fmt"
	"math"
	"slices"
	"time"

	"cattlecounter/cloud/count/track"
)

// result places all animals.
func (v *viewer) result(in Input) Result {
	r := Result{Heading: v.heading, Scale: v.scale, Causes: map[string]float64{}, Path: v.path.moments(v.length())}
	sum := map[string]float64{}
	for _, a := range in.Animals {
		p, causes, ok := v.locate(a)
		if !ok {
			r.Missing = append(r.Missing, a.ID)
			continue
		}
		r.Positions = append(r.Positions, p)
		for k, c := range causes {
			sum[k] += c
		}
	}
	for k, c := range sum {
		r.Causes[k] = math.Round(100*c/float64(len(r.Positions))) / 100
	}
	switch {
	case len(v.views) == 0 && len(in.Steps) > 0 || len(r.Positions) == 0 && len(in.Animals) > 0:
		r.Way, r.Heading, r.Scale = Point, "", ""
		r.Positions, r.Missing = nil, r.Missing[:0]
		for _, a := range in.Animals {
			r.Missing = append(r.Missing, a.ID)
		}
		r.Why = "the log has no heading of the camera, and the drone did not fly far enough to find it from the path"
		if v.heading != FromPath {
			r.Why = "the log has no height, or no animal was seen while it has a position"
		}
		return r
	case v.path.gimbal && v.path.directing && v.scale == FromHeight:
		r.Way = Camera
	case v.scale == FromHeight && v.leaning:
		r.Way, r.Why = Height, fmt.Sprintf("the log has no angles of the camera; by the growth of the picture it leans by "+
			"about %.0f degrees from straight down", math.Abs(v.u[pitch])*180/math.Pi)
	case v.scale == FromHeight:
		r.Way, r.Why = Height, "the log has no angles of the camera; it is taken to look straight down"
	default:
		r.Way, r.Why = Path, "the log has no height above ground; the scale comes from the flown path"
		if v.scale == FromAnimals {
			r.Why = "the log has no height above ground; the scale comes from the length of the animals"
		}
	}
	v.footprint(&r)
	return r
}

func (v *viewer) length() time.Duration {
	last := 0.0
	if n := len(v.in.Steps); n > 0 {
		last = v.in.Steps[n-1].Seconds
	}
	for _, a := range v.in.Animals {
		for _, f := range a.Fixes {
			last = max(last, f.Seconds)
		}
	}
	return time.Duration(last * float64(time.Second))
}

// causes are the unknowns by the name of their cause.
var causes = [unknowns]string{"gnss", "gnss", "yaw", "pitch", "pitch", "focal_length", "height", "clock",
	"terrain", "terrain"}

const (
	mostFixes  = 40
	edgePixels = 4 // distance to the frame's edge within which a box counts as cut by it
)

// sighting is a detection whose view is known.
type sighting struct {
	w    view
	x, y float64 // pixels
	t    float64
}

// sightings are the detections of an animal that a position can be found from: whole boxes, or all when none is whole.
func (v *viewer) sightings(a Animal) []sighting {
	var whole, all []sighting
	for _, f := range thin(a.Fixes, mostFixes) {
		w, ok := v.find(f.Frame, f.Seconds)
		if !ok {
			continue
		}
		s := sighting{w: w, x: float64(f.Box.X1+f.Box.X2) / 2, y: float64(f.Box.Y1+f.Box.Y2) / 2, t: f.Seconds}
		all = append(all, s)
		if f.Box.X1 >= edgePixels && f.Box.Y1 >= edgePixels && float64(f.Box.X2) <= w.width-edgePixels &&
			float64(f.Box.Y2) <= 2*w.my-edgePixels {
			whole = append(whole, s)
		}
	}
	if len(whole) > 0 {
		return whole
	}
	return all
}

// thin keeps at most n values, evenly.
func thin(fixes []track.Fix, n int) []track.Fix {
	if len(fixes) <= n {
		return fixes
	}
	out := make([]track.Fix, n)
	for i := range out {
		out[i] = fixes[i*(len(fixes)-1)/(n-1)]
	}
	return out
}

// locate is the median over the detections, and the radius by the covariance of the unknowns.
func (v *viewer) locate(a Animal) (p Position, parts map[string]float64, ok bool) {
	list := v.sightings(a)
	var es, ns, ts []float64
	var used []sighting
	for i := range list {
		e, n, ok := v.ground(&list[i].w, &v.u, list[i].x, list[i].y)
		if ok {
			es, ns, ts, used = append(es, e), append(ns, n), append(ts, list[i].t), append(used, list[i])
		}
	}
	if len(used) == 0 {
		return p, nil, false
	}
	e, n := median(es), median(ns)
	p = Position{ID: a.ID, Seconds: median(ts)}
	p.Lat, p.Lon = v.path.frame.Degrees(e, n)
	c, parts := v.uncertainty(used, es, ns, e, n)
	p.Radius = c.radius()
	return p, parts, true
}

// uncertainty is the covariance of a place at e, n that was found from sightings, whose grounds are es, ns, and the radius
// that each cause alone gives.
func (v *viewer) uncertainty(used []sighting, es, ns []float64, e, n float64) (covariance, map[string]float64) {
	var by [unknowns][2]float64
	for i := range by {
		moved := v.u
		moved[i] += delta[i]
		var de, dn float64
		for k := range used {
			if e2, n2, ok := v.ground(&used[k].w, &moved, used[k].x, used[k].y); ok {
				de, dn = de+e2-es[k], dn+n2-ns[k]
			}
		}
		by[i] = [2]float64{de / delta[i] / float64(len(used)), dn / delta[i] / float64(len(used))}
	}
	var c covariance
	parts := map[string]float64{}
	split := map[string]covariance{}
	for i := range by {
		for k := range by {
			s := v.spread[i][k]
			c.ee, c.nn = c.ee+s*by[i][0]*by[k][0], c.nn+s*by[i][1]*by[k][1]
			c.en += s * (by[i][0]*by[k][1] + by[k][0]*by[i][1]) / 2
		}
		one, s := split[causes[i]], math.Sqrt(v.spread[i][i])
		one.add(s*by[i][0], s*by[i][1])
		split[causes[i]] = one
	}
	own := v.ownError(used, es, ns, e, n)
	c.ee, c.nn = c.ee+own*own, c.nn+own*own
	for k, one := range split {
		parts[k] = one.radius()
	}
	parts["animal"] = covariance{ee: own * own, nn: own * own}.radius()
	return c, parts
}

// ownError is the standard error in metres that an animal does not share with the others: jitter of the log, bumps of
// the ground, the middle of the box, and its own way.
func (v *viewer) ownError(used []sighting, es, ns []float64, e, n float64) float64 {
	span := used[len(used)-1].t - used[0].t
	independent := min(float64(len(used)), 1+span/2)
	const (
		boxes = 0.25 // metres
		bumps = 0.5
	)
	var off, away []float64
	between := 0.0
	for i := range used {
		w := &used[i].w
		side := w.loose * math.Hypot(es[i]-w.at.e, ns[i]-w.at.n)
		between += (side*side + w.slack*w.slack) / float64(len(used))
		off = append(off, math.Hypot(es[i]-w.at.e, ns[i]-w.at.n)/max(w.up, lowest))
		away = append(away, math.Hypot(es[i]-e, ns[i]-n))
	}
	slices.Sort(away)
	walk := away[len(away)/2] / math.Sqrt(independent)
	jitter, bump := v.path.jitter(), bumps*median(off)
	return math.Sqrt(boxes*boxes + jitter*jitter/independent + bump*bump + walk*walk +
		between/independent)
}
