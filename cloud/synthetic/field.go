package synthetic

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sync"

	"cattlecounter/cloud/synthetic/grain"
)

// point is a place on the ground in metres.
type point struct{ x, y float64 }

func (p point) dist(q point) float64 { return math.Hypot(p.x-q.x, p.y-q.y) }

// field is the ground: a picture of it, and the places where animals cannot stand.
type field struct {
	left, top     float64 // metres
	scale         float64 // pixels per metre
	width, height int     // pixels
	pix           []byte  // BGR
	ponds, bushes []disc
}

// disc is a round object with a ragged edge.
type disc struct {
	point
	radius float64
}

// Colours of the ground. Green is the strongest channel everywhere, as on real pastures.
var (
	grassDark  = colour{0.20, 0.31, 0.12}
	grassLight = colour{0.38, 0.49, 0.22}
	grassDry   = colour{0.53, 0.54, 0.32}
	worn       = colour{0.51, 0.51, 0.34}
	water      = colour{0.20, 0.32, 0.27}
	bank       = colour{0.39, 0.42, 0.26}
	leafDark   = colour{0.08, 0.17, 0.06}
	leafLight  = colour{0.25, 0.38, 0.14}
)

// newField paints the ground between two corners.
func newField(r *rand.Rand, from, to point, scale float64) *field {
	f := &field{left: from.x, top: from.y, scale: scale,
		width: int(math.Ceil((to.x - from.x) * scale)), height: int(math.Ceil((to.y - from.y) * scale))}
	f.pix = make([]byte, f.width*f.height*3)
	within := func() point { return point{grain.Mix(from.x, to.x, r.Float64()), grain.Mix(from.y, to.y, r.Float64())} }
	area := (to.x - from.x) * (to.y - from.y)
	for range 1 + int(area/6000) {
		f.ponds = append(f.ponds, disc{within(), 3 + 4*r.Float64()})
	}
	for range int(area / 160) {
		if b := (disc{within(), 0.5 + 1.1*r.Float64()*r.Float64()}); f.canStand(b.point) {
			f.bushes = append(f.bushes, b)
		}
	}
	f.paint(grain.Noise{Seed: r.Uint64()}, newTracks(r, from, to))
	return f
}

// track is a path of animals or a tractor: a sine across the field.
type track struct {
	start, slope, swing, length, phase float64
	gauge                              float64 // distance of the two ruts, 0 for one path
}

func newTracks(r *rand.Rand, from, to point) []track {
	var list []track
	for i := range 3 {
		t := track{start: grain.Mix(from.y, to.y, r.Float64()), slope: 0.5 * (r.Float64() - 0.5),
			swing: 1 + 3*r.Float64(), length: 15 + 20*r.Float64(), phase: 6 * r.Float64()}
		if i == 0 {
			t.gauge = 1.7
		}
		list = append(list, t)
	}
	return list
}

// bareness is how bare the ground is at p, 0..1.
func (t track) bareness(p point) float64 {
	off := math.Abs(p.y - t.start - t.slope*p.x - t.swing*math.Sin(p.x/t.length*2*math.Pi+t.phase))
	if t.gauge > 0 {
		return 1 - grain.Ramp(0.15, 0.45, math.Abs(off-t.gauge/2))
	}
	return 0.8 * (1 - grain.Ramp(0.1, 0.4, off))
}

func (f *field) paint(n grain.Noise, tracks []track) {
	fine := grain.Noise{Seed: n.Seed + 1}
	bands := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	for k := range bands {
		wg.Go(func() {
			for y := f.height * k / bands; y < f.height*(k+1)/bands; y++ {
				for x := range f.width {
					p := point{f.left + float64(x)/f.scale, f.top + float64(y)/f.scale}
					f.grass(n, fine, p, tracks).put(f.pix[(y*f.width+x)*3:])
				}
			}
		})
	}
	wg.Wait()
	for _, d := range f.ponds {
		f.stamp(d, 1.5, func(p point, edge float64) (colour, float64) {
			ripple := 0.9 + 0.2*fine.Fractal(p.x*1.2, p.y*3, 3)
			return bank.mix(water.scale(ripple), 1-grain.Ramp(-0.8, 0, edge)), 1 - grain.Ramp(0, 1.2, edge)
		}, n)
	}
	for _, d := range f.bushes {
		shade := disc{point{d.x + sunX*d.radius, d.y + sunY*d.radius}, d.radius}
		f.stamp(shade, 0.3, func(_ point, edge float64) (colour, float64) {
			return leafDark.scale(0.6), 0.55 * (1 - grain.Ramp(-0.3, 0.2, edge))
		}, n)
		f.stamp(d, 0.3, func(p point, edge float64) (colour, float64) {
			lit := fine.Fractal(p.x*5, p.y*5, 2) - 0.25*((p.x-d.x)*sunX+(p.y-d.y)*sunY)/d.radius
			return leafDark.mix(leafLight, grain.Clamp(lit, 0, 1)), 1 - grain.Ramp(-0.15, 0.1, edge)
		}, n)
	}
}

func (f *field) grass(n, fine grain.Noise, p point, tracks []track) colour {
	c := grassDark.mix(grassLight, n.Fractal(p.x/9, p.y/9, 4))
	c = c.mix(grassDry, 0.8*grain.Ramp(0.5, 0.75, n.Fractal(p.x/14+80, p.y/14-40, 3)))
	for _, t := range tracks {
		c = c.mix(worn, 0.75*t.bareness(p)*(0.5+0.5*fine.At(p.x*2, p.y*2)))
	}
	tuft := fine.Fractal(p.x*3, p.y*3, 2)
	blade := fine.Lattice(int64(p.x*f.scale), int64(p.y*f.scale))
	return c.scale(0.74 + 0.36*tuft + 0.16*blade)
}

// stamp paints a disc. paint gets the distance outside of its ragged edge in metres and returns colour and opacity.
func (f *field) stamp(d disc, margin float64, paint func(p point, edge float64) (colour, float64), n grain.Noise) {
	reach := d.radius*1.4 + margin
	x0, x1 := max(0, int((d.x-reach-f.left)*f.scale)), min(f.width, int((d.x+reach-f.left)*f.scale))
	y0, y1 := max(0, int((d.y-reach-f.top)*f.scale)), min(f.height, int((d.y+reach-f.top)*f.scale))
	for y := y0; y < y1; y++ {
		for x := x0; x < x1; x++ {
			p := point{f.left + float64(x)/f.scale, f.top + float64(y)/f.scale}
			angle := math.Atan2(p.y-d.y, p.x-d.x)
			ragged := d.radius * (0.75 + 0.5*n.At(3+2*math.Cos(angle)+d.x, 3+2*math.Sin(angle)+d.y))
			if c, a := paint(p, p.dist(d.point)-ragged); a > 0 {
				c.over(f.pix[(y*f.width+x)*3:], a)
			}
		}
	}
}

// canStand reports whether an animal can stand at p.
func (f *field) canStand(p point) bool {
	for _, d := range f.ponds {
		if p.dist(d.point) < d.radius*1.3+1.5 {
			return false
		}
	}
	for _, d := range f.bushes {
		if p.dist(d.point) < d.radius+1.2 {
			return false
		}
	}
	return true
}

// sample reads the ground with interpolation. Outside of the field it continues the edge.
func (f *field) sample(dst []byte, p point) {
	x := grain.Clamp((p.x-f.left)*f.scale, 0, float64(f.width)-1.001)
	y := grain.Clamp((p.y-f.top)*f.scale, 0, float64(f.height)-1.001)
	ix, iy := int(x), int(y)
	tx, ty := int(256*(x-float64(ix))), int(256*(y-float64(iy)))
	a := f.pix[(iy*f.width+ix)*3:]
	b := f.pix[((iy+1)*f.width+ix)*3:]
	for c := range 3 {
		top := int(a[c])*(256-tx) + int(a[c+3])*tx
		bottom := int(b[c])*(256-tx) + int(b[c+3])*tx
		dst[c] = byte((top*(256-ty) + bottom*ty) >> 16)
	}
}
