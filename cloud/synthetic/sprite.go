package synthetic

import (
	"math"
	"sync"

	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/synthetic/cattle"
	"cattlecounter/cloud/synthetic/solid"
)

// sprite is an animal in one posture, seen along one line of sight, with what light needs: for each texel the colour of
// the coat, the direction of the surface and how much of the sky it sees. u is along the animal to its head and v to
// its right; the window counts texels from the animal's place on the ground.
type sprite struct {
	win     solid.Window
	density float64 // texels per metre
	texels  []texel
	outline []solid.Vec // corners of the mesh: u, v and height in metres
	coarse  *solid.Mesh // for the shadow
}

// texel holds values times its cover, so that the mean of texels is right at the outline.
type texel struct {
	r, g, b uint8 // square root of the reflectance
	cover   uint8
	u, v, z int8 // direction of the surface
	open    uint8
}

// spriteKey says which posture and line of sight a sprite shows.
type spriteKey struct {
	id           int
	gait         gait
	step         int
	slantX, side int // in steps of slantStep
}

// slantStep is the distance between the lines of sight that have a sprite of their own.
const slantStep = 0.08

// sprites keeps sprites for later frames. It forgets all when it is full. Safe for concurrent use.
type sprites struct {
	mu      sync.Mutex
	list    map[spriteKey]*sprite
	texels  int
	density float64
}

// maxTexels bounds the memory of the cache, to about 100 MB.
const maxTexels = 10 << 20

// newSprites returns an empty cache for pictures of a largest scale.
func newSprites(scale float64) *sprites {
	const finest = 130 // the coats have nothing finer
	return &sprites{list: map[spriteKey]*sprite{}, density: min(1.3*scale, finest)}
}

// stepKinds folds the moments of a walk that look the same: legs swing forth and back.
var stepKinds = [8]int{0, 1, 2, 1, 0, 3, 4, 3}

// stepPhases are the moments of the walk of stepKinds.
var stepPhases = [5]float64{0, 0.125, 0.25, 0.625, 0.75}

// stepLength is the length of two steps of a grown animal in metres.
const stepLength = 1.3

// of returns the sprite of an animal with its slant in its own frame, and the slant of the sprite.
func (c *sprites) of(a *animal, sx, sy float64) (s *sprite, ownX, ownY float64) {
	k := spriteKey{id: a.id, gait: a.gait, slantX: int(math.Round(sx / slantStep)), side: int(math.Round(sy / slantStep))}
	if a.gait == walking {
		cycle := a.steps / (stepLength * a.size)
		k.step = stepKinds[int((cycle-math.Floor(cycle))*8)&7]
	}
	ownX, ownY = float64(k.slantX)*slantStep, float64(k.side)*slantStep
	c.mu.Lock()
	s = c.list[k]
	c.mu.Unlock()
	if s != nil {
		return s, ownX, ownY
	}
	beast := a.beasts[a.gait]
	if a.gait == walking {
		beast = beast.Stepping(stepPhases[k.step])
	}
	s = newSprite(beast, c.density, ownX, ownY)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.texels += len(s.texels); c.texels > maxTexels {
		clear(c.list)
		c.texels = len(s.texels)
	}
	c.list[k] = s
	return s, ownX, ownY
}

// newSprite draws an animal seen along a slant.
func newSprite(b *cattle.Beast, density, sx, sy float64) *sprite {
	// Small sprites have four samples in each texel.
	n := 1
	if density < 70 {
		n = 2
	}
	s := &sprite{density: density}
	mesh := b.Mesh(cattle.Length * density)
	mesh.Place(solid.Vec{}, 0, b.Size)
	s.coarse = b.Mesh(0)
	s.coarse.Place(solid.Vec{}, 0, b.Size)
	for _, v := range mesh.Verts {
		s.outline = append(s.outline, solid.Vec{X: v.P.X, Y: -v.P.Y, Z: v.P.Z})
	}
	shade := b.Shade(func(reflects solid.RGB, _ *solid.Surface) solid.RGB { return reflects })
	var sums [][8]float32
	floorDiv := func(a, b int) int { return int(math.Floor(float64(a) / float64(b))) }
	solid.Slant{X: sx, Y: sy, PerMetre: density * float64(n)}.Trace(mesh, func(w solid.Window) {
		s.win = solid.Window{X: floorDiv(w.X, n) - 1, Y: floorDiv(w.Y, n) - 1}
		s.win.W, s.win.H = floorDiv(w.X+w.W, n)-s.win.X+2, floorDiv(w.Y+w.H, n)-s.win.Y+2
		sums = make([][8]float32, s.win.W*s.win.H)
	}, func(x, y int, f *solid.Surface) {
		c, ok := shade(f)
		if !ok {
			return
		}
		c.G, c.B = min(c.G, 1.02*c.R), min(c.B, c.R) // no coat is green or blue
		t := &sums[(floorDiv(y, n)-s.win.Y)*s.win.W+floorDiv(x, n)-s.win.X]
		// The underside sees little of the sky.
		open := 0.45 + 0.55*smoothStep(0.2*b.Size, 1.1*b.Size, f.P.Z)
		for i, v := range [8]float64{math.Sqrt(c.R), math.Sqrt(c.G), math.Sqrt(c.B), 1, f.N.X, -f.N.Y, f.N.Z, open} {
			t[i] += float32(v)
		}
	})
	s.texels = make([]texel, len(sums))
	share := float32(1) / float32(n*n)
	for i := range sums {
		t := &sums[i]
		unit := func(k int) uint8 { return uint8(min(max(t[k]*share, 0), 1)*255 + 0.5) }
		signed := func(k int) int8 { return int8(math.Round(float64(min(max(t[k]*share, -1), 1) * 127))) }
		s.texels[i] = texel{unit(0), unit(1), unit(2), unit(3), signed(4), signed(5), signed(6), unit(7)}
	}
	return s
}

func smoothStep(a, b, v float64) float64 {
	t := min(max((v-a)/(b-a), 0), 1)
	return t * t * (3 - 2*t)
}

// pose is an animal prepared for drawing into one frame.
type pose struct {
	*sprite
	id  int
	box bounds // in the frame, without the shadow
	// toTexel maps pixels to texels of the window, as camera.toGround does to the ground.
	toTexel  [6]float64
	light    lamp // in the animal's frame
	sun, sky cover
}

// lamp is the light on an animal.
type lamp struct {
	sunU, sunV, sunZ   float64
	direct, sky, floor [3]float64 // blue, green, red
}

// cover is a shadow: the covered share of each cell of a window. Cells are squares of step pixels of the frame.
type cover struct {
	win   solid.Window
	share []float32
	step  int
}

// pose prepares an animal for a view.
func (w *world) pose(a *animal, cam *camera) pose {
	sin, cos := math.Sincos(a.heading)
	sx, sy, k := cam.slant(a.at)
	ux, uy := sx*cos+sy*sin, sy*cos-sx*sin
	s, ownX, ownY := w.sprites.of(a, ux, uy)
	p := pose{sprite: s, id: a.id, box: emptyBounds()}
	for _, v := range s.outline {
		p.box.add(cam.project(point{a.at.x + v.X*cos - v.Y*sin, a.at.y + v.X*sin + v.Y*cos}, v.Z))
	}
	// The sprite's line of sight differs a little: put its middle to the right place.
	const mean = 0.8
	du, dv := (ux-ownX)*mean*a.size, (uy-ownY)*mean*a.size
	g := cam.toGround()
	for i := range 3 {
		x, y := g[i], g[i+3]
		if i == 2 {
			x, y = x-a.at.x, y-a.at.y
		}
		u, v := (x*cos+y*sin)/k, (y*cos-x*sin)/k
		if i == 2 {
			u, v = u-du, v-dv
		}
		p.toTexel[i], p.toTexel[i+3] = u*s.density, v*s.density
	}
	p.toTexel[2] -= float64(s.win.X)
	p.toTexel[5] -= float64(s.win.Y)
	p.light = w.lamp
	p.light.sunU, p.light.sunV = w.lamp.sunU*cos+w.lamp.sunV*sin, w.lamp.sunV*cos-w.lamp.sunU*sin
	p.sun = w.shadow(a, cam, s.coarse, -w.lamp.sunU/w.lamp.sunZ, -w.lamp.sunV/w.lamp.sunZ, w.soft)
	p.sky = w.shadow(a, cam, s.coarse, 0, 0, 0.5)
	return p
}

// shadow is the shadow of an animal whose points fall to the ground by dx and dy for each metre of height.
func (w *world) shadow(a *animal, cam *camera, m *solid.Mesh, dx, dy, soft float64) cover {
	sin, cos := math.Sincos(a.heading)
	radius := soft * cam.scale / 2
	c := cover{step: max(1, int(radius/3))} // a soft edge needs no fine cells
	cell := 1 / float64(c.step)
	c.win, c.share = solid.Silhouette(m, func(p solid.Vec) (x, y float64) {
		g := point{a.at.x + p.X*cos + p.Y*sin + p.Z*dx, a.at.y + p.X*sin - p.Y*cos + p.Z*dy}
		x, y = cam.project(g, 0)
		return x * cell, y * cell
	}, int(math.Round(radius*cell)))
	return c
}

// draw blends the animal over rows of a frame.
func (p *pose) draw(f *video.Frame, e *exposure, from, to int) {
	m := &p.toTexel
	b := p.box
	b.grow(3)
	x0, x1 := max(0, int(b.x0)), min(f.Width, int(math.Ceil(b.x1)))
	y0, y1 := max(from, int(b.y0)), min(to, int(math.Ceil(b.y1)))
	w, h := p.win.W, p.win.H
	for y := y0; y < y1; y++ {
		py := float64(y) + 0.5
		for x := x0; x < x1; x++ {
			px := float64(x) + 0.5
			u, v := m[0]*px+m[1]*py+m[2]-0.5, m[3]*px+m[4]*py+m[5]-0.5
			if u < 0 || v < 0 || u >= float64(w-1) || v >= float64(h-1) {
				continue
			}
			iu, iv := int(u), int(v)
			t := p.texels[iv*w+iu:]
			o := (y*f.Width + x) * 3
			p.blend(f.Pix[o:o+3:o+3], e, &t[0], &t[1], &t[w], &t[w+1], u-float64(iu), v-float64(iv))
		}
	}
}

// blend lights the mean of four texels and blends it over a pixel.
func (p *pose) blend(dst []uint8, e *exposure, a, b, c, d *texel, tu, tv float64) {
	if a.cover|b.cover|c.cover|d.cover == 0 {
		return
	}
	wd := tu * tv
	wb, wc := tu-wd, tv-wd
	wa := 1 - tu - wc
	mean := func(a, b, c, d uint8) float64 {
		return (wa*float64(a) + wb*float64(b) + wc*float64(c) + wd*float64(d)) * (1.0 / 255)
	}
	mix := func(a, b, c, d int8) float64 {
		return wa*float64(a) + wb*float64(b) + wc*float64(c) + wd*float64(d)
	}
	cover := mean(a.cover, b.cover, c.cover, d.cover)
	if cover < 0.004 {
		return
	}
	inv := 1 / cover
	nu, nv, nz := mix(a.u, b.u, c.u, d.u), mix(a.v, b.v, c.v, d.v), mix(a.z, b.z, c.z, d.z)
	l := &p.light
	norm := 1 / math.Sqrt(nu*nu+nv*nv+nz*nz+1e-9)
	lit := max((nu*l.sunU+nv*l.sunV+nz*l.sunZ)*norm, 0)
	up := 0.5 + 0.5*nz*norm
	open := mean(a.open, b.open, c.open, d.open) * inv
	roots := [3]float64{mean(a.b, b.b, c.b, d.b) * inv, mean(a.g, b.g, c.g, d.g) * inv, mean(a.r, b.r, c.r, d.r) * inv}
	for i, r := range roots {
		v := r * r * (l.direct[i]*lit + (l.sky[i]*up+l.floor[i]*(1-up))*open)
		dst[i] = uint8(float64(dst[i])*(1-cover) + float64(e.level(v))*cover + 0.5)
	}
}
