package scene

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
)

// random returns the generator of a name, so that a clip depends on nothing but its name.
func random(name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name)) // never fails
	return rand.New(rand.NewPCG(h.Sum64(), 0x5CE7E))
}

// still is a real picture with the places of its animals.
type still struct {
	path, points string
	kind         string
	check        bool
}

// stillKinds are the flights behind the stills, by the beginning of the file name. The stills of one kind and half are
// frames of one flight or of one part of it.
var stillKinds = []struct {
	prefix, kind string
	check        bool
}{
	{"yak_paddock_1", "paddock, steep", false},
	{"yak_paddock_2", "paddock, oblique", true},
	{"buffalo_pasture__161717897", "pasture, far and oblique", false},
	{"buffalo_pasture", "pasture, far and oblique", true}, // twelve minutes later
	{"isavill_00", "straight down", false},
	{"isavill_2p", "straight down", true},
	{"koger", "straight down, large herd", false},
	{"shao", "straight down", true},
	{"waid", "straight down", false},
}

// findStills returns the stills of the hand-outs that are there, in order of name.
func findStills(data string) []still {
	var all []still
	for _, pattern := range []string{"drone-stills/images/*", "nadir-stills/*.jpg", "nadir-stills/*.png"} {
		files, err := filepath.Glob(filepath.Join(data, pattern))
		if err != nil { // only for a malformed pattern
			continue
		}
		for _, f := range files {
			for _, k := range stillKinds {
				if !strings.HasPrefix(filepath.Base(f), k.prefix) {
					continue
				}
				dir := filepath.Dir(f)
				if filepath.Base(dir) == "images" {
					dir = filepath.Dir(dir)
				}
				all = append(all, still{f, filepath.Join(dir, "points", stem(f)+".csv"), k.kind, k.check})
				break
			}
		}
	}
	return all
}

// pan describes a flight of a virtual camera over a still.
type pan struct {
	still         still
	way           int
	width, height int
	seconds       float64
	condition     int
	encoded       bool
}

const filmFPS = 6 // of the films; every rendered frame may be looked at

func (p pan) clip() Clip {
	name := fmt.Sprintf("still/%s/%s", stem(p.still.path), wayNames[p.way])
	kind := "still: " + p.still.kind
	if p.condition != clear {
		name += "/" + conditionNames[p.condition]
		kind = "condition: " + conditionNames[p.condition]
	}
	return Clip{Name: name, Kind: kind, Check: p.still.check, Encoded: p.encoded, Open: func() (Film, error) { return p.open(name) }}
}

func (p pan) open(name string) (Film, error) {
	r := random(name)
	ground, err := readPicture(p.still.path)
	if err != nil {
		return nil, err
	}
	points, err := readPoints(p.still.points)
	if err != nil {
		return nil, err
	}
	// The frame covers about a third of the picture.
	share := 0.5 + 0.15*r.Float64()
	zoom := max(float64(p.width)/float64(ground.w), float64(p.height)/float64(ground.h)) / share
	zoom = wideEnough(p.way, ground, p.width, p.height, zoom)
	a := inside(ground.w, ground.h, p.width, p.height, zoom*1.02)
	a = insideTurning(p.way, a, ground, p.width, p.height, zoom)
	o := &over{
		ground: ground, fixed: points, way: newWay(p.way, a, zoom, r.Float64()), width: p.width, height: p.height,
		fps: filmFPS, frames: int(math.Round(p.seconds * filmFPS)),
	}
	for i := range o.wind {
		o.wind[i] = 2 * math.Pi * r.Float64()
	}
	return under(o, p.condition, r), nil
}

// under puts a film under a condition.
func under(f Film, condition int, r *rand.Rand) Film {
	if condition == clear {
		return f
	}
	return &changed{Film: f, condition: condition, strength: r.Float64(), noise: r}
}

// pans are the flights over the stills. A still of a long series gets fewer ways.
func pans(data string) []Clip {
	var all []Clip
	series := map[string]int{}
	for _, s := range findStills(data) {
		n := series[s.kind+fmt.Sprint(s.check)]
		series[s.kind+fmt.Sprint(s.check)]++
		ways := 2
		if strings.Contains(s.kind, "straight down") {
			ways = 5
		}
		for k := range ways {
			p := pan{still: s, way: (2*n + k*3) % wayKinds, width: 1280, height: 720, seconds: 4, encoded: (n+k)%10 == 9}
			if p.way == waySerpentine || p.way == wayThereAndBack {
				p.seconds = 6
			}
			if (n+k)%8 == 4 {
				p.width, p.height = 1920, 1080
			}
			all = append(all, p.clip())
		}
		if n%3 == 0 || ways == 5 {
			c := 1 + (n/3+len(s.kind))%(conditionKinds-1)
			p := pan{still: s, way: cmp.Or(n%3, wayDiagonal), width: 1280, height: 720, seconds: 5, condition: c}
			all = append(all, p.clip())
		}
	}
	return all
}
