package synthetic

import (
	"math"
	"math/rand/v2"

	"cattlecounter/cloud/synthetic/grain"
)

// Measures of a grown animal (size 1) in metres.
const (
	bodyLength = 1.55
	bodyWidth  = 0.66
	legHeight  = 0.62
	backHeight = 1.38
)

// Coats.
const (
	coatBlack = iota
	coatBrown
	coatCream
	coatPied // black patches on white
	coatRedPied
	coatGrey
	coatKinds
)

// coatColours holds the main colour and the patch colour of each coat.
var coatColours = [coatKinds][2]colour{
	{{0.09, 0.08, 0.08}, {0.13, 0.11, 0.10}},
	{{0.38, 0.22, 0.13}, {0.30, 0.17, 0.10}},
	{{0.80, 0.74, 0.64}, {0.72, 0.64, 0.52}},
	{{0.88, 0.87, 0.85}, {0.08, 0.08, 0.08}},
	{{0.87, 0.84, 0.80}, {0.42, 0.21, 0.12}},
	{{0.55, 0.53, 0.51}, {0.40, 0.38, 0.37}},
}

// gait is the activity of an animal.
type gait int

const (
	standing gait = iota
	grazing
	walking
	lying
)

// animal is one of the herd.
type animal struct {
	id      int
	at      point
	heading float64 // radians, direction of the head
	size    float64 // 1 is grown
	coat    int
	pattern grain.Noise
	spot    float64 // level of the noise above which the coat has the patch colour

	gait  gait
	until float64 // seconds, end of the current gait
	speed float64 // metres a second
	turn  float64 // radians a second
	steps float64 // metres walked, for the position of the legs
}

func newAnimal(r *rand.Rand, id int, at point, moving float64) *animal {
	a := &animal{id: id, at: at, heading: 2 * math.Pi * r.Float64(), size: 0.9 + 0.2*r.Float64(),
		coat: r.IntN(coatKinds), pattern: grain.Noise{Seed: r.Uint64()}, spot: 0.42 + 0.16*r.Float64()}
	if r.Float64() < 0.15 {
		a.size = 0.55 + 0.15*r.Float64() // a calf
	}
	a.chooseGait(r, 0, moving)
	a.until *= r.Float64()
	return a
}

// chooseGait chooses the next activity of the animal. moving is the share of animals that walk.
func (a *animal) chooseGait(r *rand.Rand, now, moving float64) {
	a.until = now + 2 + 6*r.Float64()
	a.speed, a.turn = 0, 0
	switch v := r.Float64(); {
	case v < moving:
		a.gait, a.speed, a.turn = walking, 0.5+0.7*r.Float64(), 0.3*(r.Float64()-0.5)
	case v < moving+(1-moving)*0.6:
		a.gait, a.speed, a.turn = grazing, 0.08*r.Float64(), 0.1*(r.Float64()-0.5)
	case v < moving+(1-moving)*0.85:
		a.gait = standing
	default:
		a.gait = lying
	}
}

// lift is how much lower than a standing body a lying one is.
func (a *animal) lift() float64 {
	if a.gait == lying {
		return -0.45
	}
	return 0
}

// move advances the animal by dt seconds. It turns away from other animals, water and bushes in its way.
func (a *animal) move(r *rand.Rand, now, dt, moving float64, herd []*animal, f *field) {
	if now >= a.until {
		a.chooseGait(r, now, moving)
	}
	if a.speed == 0 {
		return
	}
	next := point{a.at.x + a.speed*dt*math.Cos(a.heading), a.at.y + a.speed*dt*math.Sin(a.heading)}
	if a.blocked(next, herd, f) {
		a.heading += 1.2 * dt
		return
	}
	a.at = next
	a.heading += a.turn * dt
	a.steps += a.speed * dt
}

// personalSpace is the least distance between two animals in metres.
const personalSpace = 2.1

func (a *animal) blocked(next point, herd []*animal, f *field) bool {
	for _, o := range herd {
		if d := next.dist(o.at); o != a && d < personalSpace && d < a.at.dist(o.at) {
			return true
		}
	}
	return !f.canStand(next)
}
