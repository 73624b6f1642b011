package scene

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// library is the animals that were cut out of labelled pictures, by half of the bench.
type library struct {
	load   sync.Once
	folder string
	looks  [2][]*picture
	err    error
}

// of returns the cut-outs of one half.
func (l *library) of(check bool) ([]*picture, error) {
	l.load.Do(func() { l.err = l.read() })
	half := 0
	if check {
		half = 1
	}
	if l.err == nil && len(l.looks[half]) == 0 {
		l.err = fmt.Errorf("no clean cut-out in %s", l.folder)
	}
	return l.looks[half], l.err
}

func (l *library) read() error {
	files, err := filepath.Glob(filepath.Join(l.folder, "dairy-boxes", "images", "*_1.jpg"))
	if err != nil {
		return fmt.Errorf("cut-outs: %w", err)
	}
	var scenes [][]*picture
	for _, f := range files {
		p, err := readPicture(f)
		if err != nil {
			return err
		}
		boxes, err := readBoxes(filepath.Join(l.folder, "dairy-boxes", "labels", stem(f)+".txt"), p.w, p.h)
		if err != nil {
			return err
		}
		scenes = append(scenes, cutOuts(p, boxes))
	}
	// Scenes that follow each other may show the same animals, so the halves are stretches of them with as many animals.
	total, so := 0, 0
	for _, s := range scenes {
		total += len(s)
	}
	for _, s := range scenes {
		half := 0
		if 2*so >= total {
			half = 1
		}
		so += len(s)
		l.looks[half] = append(l.looks[half], s...)
	}
	return l.readStills()
}

// lengths are the lengths of animals in pixels in the stills that give cut-outs, by the beginning of their name.
var lengths = []struct {
	prefix string
	pixels float64
}{
	{"isavill_2p", 40}, {"waid", 70}, {"yak_paddock_1__16239184908927598", 56},
}

// readStills cuts animals out of stills with points.
func (l *library) readStills() error {
	for _, s := range findStills(l.folder) {
		for _, k := range lengths {
			if !strings.HasPrefix(stem(s.path), k.prefix) {
				continue
			}
			p, err := readPicture(s.path)
			if err != nil {
				return err
			}
			points, err := readPoints(s.points)
			if err != nil {
				return err
			}
			var boxes []box
			for _, q := range points {
				boxes = append(boxes, box{q.x - 0.6*k.pixels, q.y - 0.6*k.pixels, q.x + 0.6*k.pixels, q.y + 0.6*k.pixels})
			}
			half := 0
			if s.check {
				half = 1
			}
			l.looks[half] = append(l.looks[half], cutOuts(p, boxes)...)
		}
	}
	return nil
}

// cutOuts cuts all animals out of a picture that allow it.
func cutOuts(p *picture, boxes []box) []*picture {
	var all []*picture
	for _, b := range boxes {
		if look, err := cutOut(p, b, boxes); err == nil {
			all = append(all, look)
		}
	}
	return all
}

// composed describes a clip of cut-out animals on empty ground.
type composed struct {
	number        int
	ground        string
	check         bool
	animals       int
	length        float64 // of an animal in the frame, pixels
	tight         bool
	walking       float64 // share
	way           int
	width, height int
	seconds       float64
	condition     int
	library       *library
}

func (c composed) clip() Clip {
	density, motion := "sparse", "standing"
	if c.tight {
		density = "tight"
	}
	if c.walking > 0 {
		motion = "walking"
	}
	name := fmt.Sprintf("composed/%03d/%s/%s/%s/%s", c.number, stem(c.ground), density, motion, wayNames[c.way])
	kind := fmt.Sprintf("composed: %s, %s", density, motion)
	if strings.HasPrefix(stem(c.ground), "dunes") {
		kind = Outside + "a beach"
	}
	if c.condition != clear {
		name += "/" + conditionNames[c.condition]
		kind = "condition: " + conditionNames[c.condition]
	}
	return Clip{Name: name, Kind: kind, Check: c.check, Encoded: c.number%10 == 7, Open: func() (Film, error) { return c.open(name) }}
}

func (c composed) open(name string) (Film, error) {
	r := random(name)
	looks, err := c.library.of(c.check)
	if err != nil {
		return nil, err
	}
	ground, err := readPicture(c.ground)
	if err != nil {
		return nil, err
	}
	zoom := max(float64(c.width)/float64(ground.w), float64(c.height)/float64(ground.h)) / (0.45 + 0.2*r.Float64())
	zoom = wideEnough(c.way, ground, c.width, c.height, zoom)
	a := inside(ground.w, ground.h, c.width, c.height, zoom*1.02)
	a = insideTurning(c.way, a, ground, c.width, c.height, zoom)
	o := &over{
		ground: ground, way: newWay(c.way, a, zoom, r.Float64()), width: c.width, height: c.height,
		fps: filmFPS, frames: int(math.Round(c.seconds * filmFPS)),
	}
	for i := range o.wind {
		o.wind[i] = 2 * math.Pi * r.Float64()
	}
	c.populate(o, looks, c.length/zoom, r)
	return under(o, c.condition, r), nil
}

// populate puts the herd on the ground. length is that of an animal in pixels of the ground picture.
func (c composed) populate(o *over, looks []*picture, length float64, r *rand.Rand) {
	distance := 1.7 * length
	if c.tight {
		distance = 0.85 * length
	}
	o.space = distance
	shadow := point{}
	if r.Float64() < 0.5 {
		angle := 2 * math.Pi * r.Float64()
		shadow = point{0.2 * length * math.Cos(angle), 0.2 * length * math.Sin(angle)}
	}
	w, h := float64(o.ground.w), float64(o.ground.h)
	groups := make([]point, max(1, c.animals/20))
	for i := range groups {
		groups[i] = point{w * (0.15 + 0.7*r.Float64()), h * (0.15 + 0.7*r.Float64())}
	}
	const daylight = 115 // mean level of ground in full light
	light := min(max(o.ground.brightness()/daylight, 0.6), 1)
	direction := 2 * math.Pi * r.Float64()
	metre := length / 2.3
	const tries = 300
	for range c.animals {
		for range tries {
			p := point{w * r.Float64(), h * r.Float64()}
			if c.tight {
				g, spread := groups[r.IntN(len(groups))], 3*length
				p = point{g.x + spread*r.NormFloat64(), g.y + spread*r.NormFloat64()}
			}
			outside := p.x < 0 || p.y < 0 || p.x > w || p.y > h
			if outside || slices.ContainsFunc(o.herd, func(s *sprite) bool { return s.at.dist(p) < distance }) {
				continue
			}
			look := looks[r.IntN(len(looks))]
			size := length * (0.85 + 0.3*r.Float64())
			s := &sprite{look: look.resized(size / look.bodyLength()).dimmed(light), at: p, heading: 2 * math.Pi * r.Float64(), shadow: shadow}
			if c.tight { // a group stands and walks one way
				s.heading = direction + 0.25*r.NormFloat64()
			}
			if r.Float64() < c.walking {
				s.speed, s.turning = metre*(0.5+0.7*r.Float64()), 0.1*r.NormFloat64()
			}
			o.herd = append(o.herd, s)
			break
		}
	}
}

// compositions are the clips of animals on empty ground.
func compositions(data string) []Clip {
	grounds, err := filepath.Glob(filepath.Join(data, "empty-ground", "*.jpg"))
	labelled, errL := filepath.Glob(filepath.Join(data, "dairy-boxes", "labels", "*.txt"))
	if err != nil || errL != nil || len(grounds) == 0 || len(labelled) == 0 {
		return nil
	}
	l := &library{folder: data}
	var all []Clip
	first := map[string]int{}
	for i, g := range grounds {
		place, _, _ := strings.Cut(stem(g), "_")
		n := first[place]
		first[place]++
		if strings.HasPrefix(stem(g), "dunes") && i%3 != 0 { // a beach is no pasture; its footprints look like animals
			continue
		}
		// Photographs that follow each other overlap, so the halves are stretches of them.
		total := 0
		for _, o := range grounds {
			if strings.HasPrefix(stem(o), place+"_") {
				total++
			}
		}
		r := random(fmt.Sprint("composition", i))
		c := composed{
			number: i, ground: g, check: n >= total/2, animals: 30 + r.IntN(120), length: 30 + 70*r.Float64(),
			tight: i%3 == 1, walking: []float64{0, 0.3, 1}[i/3%3], way: (i * 3) % wayKinds, width: 1280, height: 720,
			seconds: 4, library: l,
		}
		if c.way == waySerpentine || c.way == wayThereAndBack {
			c.seconds = 6
		}
		if i%9 == 5 {
			c.width, c.height = 1920, 1080
		}
		if i%4 == 3 {
			c.condition = 1 + i/4%(conditionKinds-1)
		}
		all = append(all, c.clip())
	}
	return all
}
