package aerial

import (
	"math"
	"math/rand/v2"
	"sync"

	"cattlecounter/cloud/synthetic/grain"
	"cattlecounter/cloud/synthetic/solid"
)

// standing is a thing at its place on a Terrain. at has +y down.
type standing struct {
	x, y, turn float64
	size       float64 // factor
	radius     float64 // of the place where no animal stands, metres
	build      func() thing
}

// thingsIn returns the things of a cell. The same cell has the same things.
func (t *Terrain) thingsIn(col, row int) []standing {
	r := t.inCell(col, row, 0x7419)
	var list []standing
	put := func(mean, size float64, build func(*rand.Rand) thing) {
		for range int(mean*t.o.Clutter + r.Float64()) {
			x, y := (float64(col)+r.Float64())*cell, (float64(row)+r.Float64())*cell
			s := standing{x: x, y: y, turn: 2 * math.Pi * r.Float64(), size: size}
			seed := r.Uint64()
			s.build = func() thing { return build(rand.New(rand.NewPCG(seed, 1))) }
			s.radius = size * s.build().place.radius
			if t.o.Lane == 0 || math.Abs(s.y) > t.o.Lane/2+s.radius+0.6 {
				list = append(list, s)
			}
		}
	}
	switch t.o.Floor {
	case Yard:
		put(0.08, 1, trough)
		put(0.05, 1, tank)
	case Feedlot:
		put(0.1, 1, trough)
		put(0.03, 1, tank)
		put(0.1, 0.4, rock)
	case DirtRoad, DrySoil:
		put(0.3, 0.4, rock)
		put(0.25, 0.8, bush)
		put(0.02, 1, log)
	case StubbleField:
		put(0.05, 1, bale)
	default:
		put(0.4, 0.8, bush)
		put(0.12, 0.4, rock)
		put(0.02, 1, trough)
		put(0.02, 1, log)
	}
	return append(list, t.fencesIn(col, row)...)
}

// fencesIn returns the parts of the fences along the lane that begin in a cell.
func (t *Terrain) fencesIn(col, row int) []standing {
	if t.o.Lane == 0 {
		return nil
	}
	var list []standing
	for _, side := range []float64{-1, 1} {
		if y := side * (t.o.Lane/2 + 0.5); int(math.Floor(y/cell)) == row {
			list = append(list, standing{x: float64(col) * cell, y: y, size: 1, build: func() thing { return t.fence() }})
		}
	}
	return list
}

// fence is a piece of the fence: posts and two wires along +x over one cell.
func (t *Terrain) fence() thing {
	m := &solid.Mesh{}
	bar := func(from, to solid.Vec, thick float64, part uint8) {
		ends := []solid.Joint{{At: from, Width: thick, High: thick}, {At: to, Width: thick, High: thick}}
		m.Limb(ends, xyz(0, 1, 0), 5, part)
	}
	const posts, high = 3, 1.25
	for i := range posts {
		x := float64(i) * cell / posts
		bar(xyz(x, 0, 0), xyz(x, 0.02, high), 0.06, 0)
	}
	for _, z := range []float64{1.15, 0.7} {
		bar(xyz(0, 0, z), xyz(cell, 0, z), 0.012, 1)
	}
	return thing{m, flatTones(t.o.Seed, solid.SRGB(130, 112, 92), solid.SRGB(150, 150, 148)), place{}}
}

// Blocked reports whether a thing is nearer to a place than some metres. The fences of a lane do not count.
func (t *Terrain) Blocked(x, y, metres float64) bool {
	if t.o.Clutter == 0 {
		return false
	}
	blocked := false
	cells(x, y, 0, func(col, row int) {
		for _, s := range t.things.of(t, col, row) {
			blocked = blocked || s.radius > 0 && math.Hypot(s.x-x, s.y-y) < s.radius+metres
		}
	})
	return blocked
}

// patch is a thing as drawn on the ground, seen from straight above.
type patch struct {
	win    solid.Window
	colour []solid.RGB
	cover  []bool
	shadow shadowPatch
}

// shadowPatch is the shadow of a thing: the covered share of the sun, 0..1.
type shadowPatch struct {
	win   solid.Window
	cover []float32
}

// thingCache keeps the things of cells and their drawings. It forgets all when it is full.
type thingCache struct {
	mu      sync.Mutex
	cells   map[[2]int][]standing
	patches map[patchKey]*patch
	pixels  int // of all patches
}

type patchKey struct{ x, y, perMetre float64 }

// Limits of the cache.
const (
	maxCells  = 20000
	maxPixels = 3 << 20 // about 90 MB
)

func newThingCache() *thingCache {
	return &thingCache{cells: map[[2]int][]standing{}, patches: map[patchKey]*patch{}}
}

func (c *thingCache) of(t *Terrain, col, row int) []standing {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := [2]int{col, row}
	list, ok := c.cells[key]
	if !ok {
		list = t.thingsIn(col, row)
		if len(c.cells) >= maxCells {
			clear(c.cells)
		}
		c.cells[key] = list
	}
	return list
}

func (c *thingCache) patch(t *Terrain, s standing, perMetre float64) *patch {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := patchKey{s.x, s.y, perMetre}
	p, ok := c.patches[key]
	if !ok {
		p = t.draw(s, perMetre)
		n := len(p.colour) + len(p.shadow.cover)
		if c.pixels += n; c.pixels > maxPixels {
			clear(c.patches)
			c.pixels = n
		}
		c.patches[key] = p
	}
	return p
}

// draw draws a thing with its shadow in samples of the ground.
func (t *Terrain) draw(s standing, perMetre float64) *patch {
	th := s.build()
	th.mesh.Place(xyz(s.x, -s.y, 0), -s.turn, s.size)
	p := &patch{}
	shade := th.shade(t.light)
	solid.Slant{PerMetre: perMetre}.Trace(th.mesh, func(w solid.Window) {
		p.win, p.colour, p.cover = w, make([]solid.RGB, w.W*w.H), make([]bool, w.W*w.H)
	}, func(x, y int, f *solid.Surface) {
		if c, ok := shade(f); ok {
			o := (y-p.win.Y)*p.win.W + x - p.win.X
			p.colour[o], p.cover[o] = c, true
		}
	})
	sun := t.light.sun
	soft := 0.02
	if t.o.Light.Direct < 0.3 {
		soft = 0.15
	}
	p.shadow.win, p.shadow.cover = solid.Shadow(th.mesh, sun, perMetre, soft)
	return p
}

// putThings adds the things to a painted square.
func (t *Terrain) putThings(x, y, perMetre float64, size int, out []solid.RGB) {
	if t.o.Clutter == 0 && t.o.Lane == 0 {
		return
	}
	left, top := int(math.Round(x*perMetre)), int(math.Round(y*perMetre))
	var list []*patch
	cells(x, y, float64(size)/perMetre, func(col, row int) {
		for _, s := range t.things.of(t, col, row) {
			list = append(list, t.things.patch(t, s, perMetre))
		}
	})
	inShade := t.light.sky.Scale(0.9)
	full := t.sunlit()
	dark := solid.RGB{R: inShade.R / full.R, G: inShade.G / full.G, B: inShade.B / full.B}
	for _, p := range list {
		p.shadow.win.Inside(left, top, size, func(o, k int) {
			if s := float64(p.shadow.cover[k]); s > 0 {
				out[o] = out[o].Mul(solid.RGB{R: 1, G: 1, B: 1}.Mix(dark, grain.Clamp(s, 0, 1)))
			}
		})
	}
	for _, p := range list {
		p.win.Inside(left, top, size, func(o, k int) {
			if p.cover[k] {
				out[o] = p.colour[k]
			}
		})
	}
}
