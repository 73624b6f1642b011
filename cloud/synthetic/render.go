package synthetic

import (
	"cmp"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"

	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/synthetic/aerial"
	"cattlecounter/cloud/synthetic/solid"
)

// world is what the camera films, without the herd.
type world struct {
	terrain *aerial.Terrain
	floor   *floor
	sprites *sprites
	expose  *exposure
	shades  *shades
	lamp    lamp    // in the frame of the ground
	soft    float64 // width of a shadow's edge in metres
	masks   [2][]uint8
	lens    *lens
}

// weathers holds the light of each kind: height of the sun, strength of sun and sky, warmth and softness.
var weathers = map[Light]struct{ height, direct, ambient, warm, soft float64 }{
	Day:     {48, 0.95, 0.3, 0.3, 0.03},
	Soft:    {50, 0.06, 0.85, 0, 0.4},
	Noon:    {68, 1.25, 0.2, 0, 0.015},
	Evening: {17, 0.9, 0.28, 1, 0.06},
}

var floors = map[Ground]aerial.Floor{
	Grass: aerial.Pasture, DryGrass: aerial.DryPasture, Soil: aerial.DrySoil, Road: aerial.DirtRoad, Concrete: aerial.Yard,
	Feedlot: aerial.Feedlot, Stubble: aerial.StubbleField,
}

func newWorld(c Config, r *rand.Rand, largest float64) *world {
	k := weathers[c.Light]
	direction := c.Sun * math.Pi / 180
	if s := 2 * math.Pi * r.Float64(); c.Sun == 0 {
		direction = s
	}
	w := &world{soft: k.soft}
	w.terrain = aerial.NewTerrain(aerial.TerrainOptions{
		Seed: r.Uint64(), Floor: floors[c.Ground], Clutter: c.Clutter, Lane: c.Lane,
		Light: aerial.Sunlight{Height: k.height, Direction: direction, Direct: k.direct, Ambient: k.ambient, Warm: k.warm},
	})
	light := w.terrain.Lighting()
	bgr := func(c solid.RGB) [3]float64 { return [3]float64{c.B, c.G, c.R} }
	w.lamp = lamp{light.Sun.X, -light.Sun.Y, light.Sun.Z, bgr(light.Direct), bgr(light.Sky), bgr(light.Floor)}
	w.expose = newExposure(w.terrain.Mean(), c.Exposure)
	w.shades = newShades(w.expose, light.Direct.Scale(light.Sun.Z), light.Sky)
	w.floor = newFloor(w.terrain, w.expose, largest, c.Width*c.Height)
	w.sprites = newSprites(largest)
	for i := range w.masks {
		w.masks[i] = make([]uint8, c.Width*c.Height)
	}
	w.lens = newLens(c, w.expose, r)
	return w
}

// inBands runs do for bands of rows at the same time.
func inBands(height int, do func(from, to int)) {
	n := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	for k := range n {
		wg.Go(func() { do(height*k/n, height*(k+1)/n) })
	}
	wg.Wait()
}

// render draws the ground, the shadows and then the animals from far to near. It returns the animals in view.
func (w *world) render(f *video.Frame, cam *camera, herd []*animal, index int, now float64) []Sighting {
	poses := w.poses(cam, herd)
	sheet := w.floor.inView(cam, index)
	inBands(f.Height, func(from, to int) {
		sheet.draw(f, cam, from, to)
		w.shade(f, poses, from, to)
		for i := range poses {
			poses[i].draw(f, w.expose, from, to)
		}
	})
	w.lens.record(f, index, now)
	visible := []Sighting{}
	for i := range poses {
		if s, ok := sighting(poses[i].id, poses[i].box, f); ok {
			visible = append(visible, s)
		}
	}
	return visible
}

// poses prepares the animals that may be seen, or whose shadow may be, from far to near.
func (w *world) poses(cam *camera, herd []*animal) []pose {
	const reach = 6 // metres, with a long shadow
	view := cam.view(reach)
	near := slices.DeleteFunc(slices.Clone(herd), func(a *animal) bool { return !view.holds(a.at) })
	slices.SortStableFunc(near, func(a, b *animal) int { return cmp.Compare(cam.depth(a.at), cam.depth(b.at)) })
	list := make([]pose, len(near))
	next := make(chan int, len(near))
	for i := range near {
		next <- i
	}
	close(next)
	var wg sync.WaitGroup
	for range min(len(near), runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := range next {
				list[i] = w.pose(near[i], cam)
			}
		})
	}
	wg.Wait()
	return list
}

// shade darkens rows of the ground in the shadows of animals.
func (w *world) shade(f *video.Frame, poses []pose, from, to int) {
	for i := range w.masks {
		clear(w.masks[i][from*f.Width : to*f.Width])
	}
	for i := range poses {
		poses[i].sun.put(w.masks[0], f.Width, from, to)
		poses[i].sky.put(w.masks[1], f.Width, from, to)
	}
	for o := from * f.Width; o < to*f.Width; o++ {
		if sun, sky := w.masks[0][o], w.masks[1][o]; sun|sky != 0 {
			t := &w.shades.table[w.shades.of(sun, sky)]
			for c := range 3 {
				f.Pix[o*3+c] = t[c][f.Pix[o*3+c]]
			}
		}
	}
}

// put adds the cover to rows of a mask. Where covers overlap, the darker one stays.
func (c *cover) put(mask []uint8, width, from, to int) {
	if c.step > 1 {
		c.spread(mask, width, from, to)
		return
	}
	for y := max(from, c.win.Y); y < min(to, c.win.Y+c.win.H); y++ {
		line := c.share[(y-c.win.Y)*c.win.W:]
		for x := max(0, c.win.X); x < min(width, c.win.X+c.win.W); x++ {
			o := y*width + x
			mask[o] = max(mask[o], uint8(line[x-c.win.X]*255))
		}
	}
}

// spread adds a cover of large cells, with interpolation between their middles.
func (c *cover) spread(mask []uint8, width, from, to int) {
	step := float32(c.step)
	left, top := c.win.X*c.step, c.win.Y*c.step
	right, low := left+(c.win.W-1)*c.step, top+(c.win.H-1)*c.step
	half := c.step / 2
	for y := max(from, top+half); y < min(to, low+half); y++ {
		v := float32(y-top-half) / step
		row := c.share[int(v)*c.win.W:]
		v -= float32(int(v))
		for x := max(0, left+half); x < min(width, right+half); x++ {
			u := float32(x-left-half) / step
			k := int(u)
			u -= float32(k)
			a := row[k] + u*(row[k+1]-row[k])
			b := row[k+c.win.W] + u*(row[k+c.win.W+1]-row[k+c.win.W])
			o := y*width + x
			mask[o] = max(mask[o], uint8((a+v*(b-a))*255))
		}
	}
}
