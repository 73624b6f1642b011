package motion

import "math"

const (
	patchHalf  = 6 // window of 13 x 13 pixels on every level
	patchSide  = 2*patchHalf + 1
	patchLen   = patchSide * patchSide
	maxSteps   = 12
	stepEnough = 0.02 // pixels
	// worstResidual is the largest mean absolute difference of gray values in a match, without the difference of the
	// means.
	worstResidual = 14.0
)

// follow finds the place in b of the patch around p in a, starting at guess. All places are in pixels of level 0.
func follow(a, b pyramid, p, guess Point) (Point, bool) {
	var k patch
	at := guess
	for level := min(len(a), len(b)) - 1; level >= 0; level-- {
		f := 1 / float64(int(1)<<level)
		// Pixel centres: level coordinate = (x + 0.5) * f - 0.5.
		src := Point{(p.X+0.5)*f - 0.5, (p.Y+0.5)*f - 0.5}
		dst := Point{(at.X+0.5)*f - 0.5, (at.Y+0.5)*f - 0.5}
		if !k.sample(a[level], src) {
			if level == 0 {
				return Point{}, false
			}
			continue
		}
		got, ok := k.search(b[level], dst)
		if !ok {
			if level == 0 {
				return Point{}, false
			}
			continue
		}
		at = Point{(got.X+0.5)/f - 0.5, (got.Y+0.5)/f - 0.5}
	}
	return at, k.residual <= worstResidual
}

// patch is a window of a picture without its mean, with its gradients.
type patch struct {
	value, dx, dy [patchLen]float64
	hxx, hxy, hyy float64
	residual      float64
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
	mean := 0.0
	i := 0
	for y := 1; y <= patchSide; y++ {
		for x := 1; x <= patchSide; x++ {
			j := y*side + x
			gx, gy := (v[j+1]-v[j-1])/2, (v[j+side]-v[j-side])/2
			k.value[i], k.dx[i], k.dy[i] = v[j], gx, gy
			mean += v[j]
			k.hxx, k.hxy, k.hyy = k.hxx+gx*gx, k.hxy+gx*gy, k.hyy+gy*gy
			i++
		}
	}
	mean /= patchLen
	for i := range k.value {
		k.value[i] -= mean
	}
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
		mean := 0.0
		for _, v := range window {
			mean += v
		}
		mean /= patchLen
		var bx, by, sum float64
		for i, v := range window {
			e := v - mean - k.value[i]
			bx, by = bx+e*k.dx[i], by+e*k.dy[i]
			sum += math.Abs(e)
		}
		k.residual = sum / patchLen
		sx := (k.hyy*bx - k.hxy*by) / det
		sy := (k.hxx*by - k.hxy*bx) / det
		at.X, at.Y = at.X-sx, at.Y-sy
		if math.Hypot(sx, sy) < stepEnough {
			break
		}
	}
	return at, true
}

// coarseShift finds the shift of b against a without a good guess. It compares the smallest levels at every shift of up
// to 60 % of the picture. The shift is in pixels of level 0.
func coarseShift(a, b pyramid) (Point, bool) {
	level := min(len(a), len(b)) - 1
	for level > 0 && a[level].w < 2*minLevelSide {
		level--
	}
	g, h := a[level], b[level]
	const reach = 0.6
	rx, ry := int(reach*float64(g.w)), int(reach*float64(g.h))
	best, at := 0.0, Point{}
	for dy := -ry; dy <= ry; dy++ {
		for dx := -rx; dx <= rx; dx++ {
			if c := correlation(g, h, dx, dy); c > best {
				best, at = c, Point{float64(dx), float64(dy)}
			}
		}
	}
	f := float64(int(1) << level)
	const enough = 0.3
	return Point{at.X * f, at.Y * f}, best > enough
}

// correlation is the normalised correlation of a(x, y) with b(x+dx, y+dy) in their overlap. A large overlap gives a
// slightly higher value.
func correlation(a, b *gray, dx, dy int) float64 {
	x0, x1 := max(0, -dx), min(a.w, b.w-dx)
	y0, y1 := max(0, -dy), min(a.h, b.h-dy)
	var n, sa, sb, saa, sbb, sab float64
	for y := y0; y < y1; y++ {
		ra := a.pix[y*a.w+x0 : y*a.w+x1]
		rb := b.pix[(y+dy)*b.w+x0+dx : (y+dy)*b.w+x1+dx]
		var ia, ib, iaa, ibb, iab int
		for i, va := range ra {
			p, q := int(va), int(rb[i])
			ia, ib, iaa, ibb, iab = ia+p, ib+q, iaa+p*p, ibb+q*q, iab+p*q
		}
		n += float64(len(ra))
		sa, sb, saa, sbb, sab = sa+float64(ia), sb+float64(ib), saa+float64(iaa), sbb+float64(ibb), sab+float64(iab)
	}
	va, vb := n*saa-sa*sa, n*sbb-sb*sb
	if va <= 0 || vb <= 0 {
		return 0
	}
	share := n / float64(a.w*a.h)
	return (n*sab - sa*sb) / math.Sqrt(va*vb) * math.Pow(share, 0.1)
}
