package motion

import "math"

const (
	patchHalf  = 6 // window of 13 x 13 pixels on every level
	patchSide  = 2*patchHalf + 1
	patchLen   = patchSide * patchSide
	maxSteps   = 10
	stepEnough = 0.03 // pixels
	// leastMatch is the least normalised correlation of a patch with its match.
	leastMatch = 0.6
	// mostRefined is how far, in pixels of level 0, a finer level may move what the next coarser level found.
	mostRefined = 5.0
)

// match is the place of a patch in another picture.
type match struct {
	at    Point
	level int // the finest level on which the patch was found; finer texture is noise there
}

// follow finds the place in b of the patch around p in a, starting at guess on level from. All places are in pixels of
// level 0. The finest level with a good match counts: codecs blur smooth ground, and only coarse texture stays.
// Pixels that either mask hides do not count.
func follow(from, to *keyframe, p, guess Point, coarsest int) (match, bool) {
	var k patch
	a, b := from.pyr, to.pyr
	at := guess
	found, ok := match{}, false
	for level := min(coarsest, len(a)-1, len(b)-1); level >= 0 && a[level] != nil && b[level] != nil; level-- {
		if !k.weigh(from.hidden, to.hidden, p, at, level) || !k.sample(a[level], toLevel(p, level)) {
			continue
		}
		got, fits := k.search(b[level], toLevel(at, level))
		if !fits {
			if ok && level < found.level {
				break
			}
			continue
		}
		q := fromLevel(got, level)
		if ok && math.Hypot(q.X-at.X, q.Y-at.Y) > mostRefined {
			break
		}
		at = q
		if k.correlation >= leastMatch {
			found, ok = match{q, level}, true
		} else if ok {
			break // finer levels are noise
		}
	}
	return found, ok
}

// patch is a window of a picture without its mean, with its gradients.
type patch struct {
	weight        [patchLen]float64 // 1 or 0; all 1 when masked is not set
	masked        bool
	value, dx, dy [patchLen]float64
	hxx, hxy, hyy float64
	energy        float64 // sum of the squares of value
	correlation   float64 // with the window that search found
}

// weigh leaves out the pixels of the window that are hidden around p in one picture or around q in the other. It returns
// false when too few are left.
func (k *patch) weigh(a, b *mask, p, q Point, level int) bool {
	const least = patchLen / 3
	reach := float64(int(patchHalf) << level)
	k.masked = a.anyIn(p, reach) || b.anyIn(q, reach)
	if !k.masked {
		return true
	}
	step := float64(int(1) << level)
	n, i := 0, 0
	for y := -patchHalf; y <= patchHalf; y++ {
		for x := -patchHalf; x <= patchHalf; x++ {
			dx, dy := float64(x)*step, float64(y)*step
			k.weight[i] = 0
			if !a.at(Point{p.X + dx, p.Y + dy}) && !b.at(Point{q.X + dx, q.Y + dy}) {
				k.weight[i] = 1
				n++
			}
			i++
		}
	}
	return n >= least
}

// sample reads the window around at. It returns false outside of the picture and for a window without texture.
func (k *patch) sample(g *gray, at Point) bool {
	if !g.inside(at.X, at.Y, patchHalf+2) {
		return false
	}
	k.hxx, k.hxy, k.hyy = 0, 0, 0
	// One pixel more on each side than the window, for the gradients.
	const side = patchSide + 2
	var v [side * side]float64
	g.window(at.X-patchHalf-1, at.Y-patchHalf-1, side, v[:])
	i := 0
	for y := 1; y <= patchSide; y++ {
		for x := 1; x <= patchSide; x++ {
			j := y*side + x
			gx, gy := (v[j+1]-v[j-1])/2, (v[j+side]-v[j-side])/2
			if k.masked {
				gx, gy = gx*k.weight[i], gy*k.weight[i]
			}
			k.value[i], k.dx[i], k.dy[i] = v[j], gx, gy
			k.hxx, k.hxy, k.hyy = k.hxx+gx*gx, k.hxy+gx*gy, k.hyy+gy*gy
			i++
		}
	}
	k.energy = k.centre(&k.value)
	return k.hxx*k.hyy-k.hxy*k.hxy > 1
}

// search finds the patch in g near at, by Gauss-Newton steps with the gradients of the patch.
func (k *patch) search(g *gray, at Point) (Point, bool) {
	det := k.hxx*k.hyy - k.hxy*k.hxy
	var window [patchLen]float64
	for range maxSteps {
		if !g.inside(at.X, at.Y, patchHalf+1) {
			return at, false
		}
		g.window(at.X-patchHalf, at.Y-patchHalf, patchSide, window[:])
		energy := k.centre(&window)
		var bx, by, both float64
		for i, v := range window {
			e := v - k.value[i]
			bx, by = bx+e*k.dx[i], by+e*k.dy[i]
			both += v * k.value[i]
		}
		k.correlation = both / math.Sqrt(max(1, k.energy*energy))
		sx := (k.hyy*bx - k.hxy*by) / det
		sy := (k.hxx*by - k.hxy*bx) / det
		at.X, at.Y = at.X-sx, at.Y-sy
		if math.Hypot(sx, sy) < stepEnough {
			break
		}
	}
	return at, g.inside(at.X, at.Y, 1)
}

// centre subtracts the mean of the pixels that count, sets the others to 0 and returns the sum of the squares.
func (k *patch) centre(v *[patchLen]float64) (energy float64) {
	sum, n := 0.0, float64(patchLen)
	if k.masked {
		n = 0
		for i, w := range k.weight {
			sum, n = sum+w*v[i], n+w
		}
	} else {
		for _, x := range v {
			sum += x
		}
	}
	mean := sum / n
	for i := range v {
		v[i] -= mean
		if k.masked {
			v[i] *= k.weight[i]
		}
		energy += v[i] * v[i]
	}
	return energy
}
