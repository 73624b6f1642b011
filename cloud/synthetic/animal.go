package synthetic

import (
	"math"
	"math/rand/v2"

	"cattlecounter/cloud/synthetic/cattle"
	"cattlecounter/cloud/synthetic/grain"
)

// gait is the activity of an animal.
type gait int

const (
	standing gait = iota
	grazing
	walking
	lying
	gaits
)

// postures are the poses of the gaits.
var postures = [gaits]cattle.Pose{cattle.Standing, cattle.Grazing, cattle.Walking, cattle.Lying}

// animal is one of the herd.
type animal struct {
	id      int
	at      point
	heading float64 // radians, direction of the head
	size    float64 // 1 is grown
	coat    cattle.Coat
	beasts  [gaits]*cattle.Beast

	gait  gait
	steps float64 // metres walked, for the position of the legs
	way   way     // unless nil, where the animal is at any time

	// Of an animal without a way.
	until float64 // seconds, end of the current gait
	speed float64 // metres a second
	turn  float64 // radians a second
}

// herdbook describes the animals of a clip.
type herdbook struct {
	breed cattle.Breed
	coat  Coat
	young float64
}

func (h *herdbook) animal(r *rand.Rand, id int) *animal {
	coat := h.pick(r)
	b := cattle.NewAged(r, h.breed, cattle.Standing, coat, r.Float64() < h.young)
	a := &animal{id: id, heading: 2 * math.Pi * r.Float64(), size: b.Size, coat: coat}
	for g := range a.beasts {
		a.beasts[g] = b.In(r, postures[g])
	}
	return a
}

func (h *herdbook) pick(r *rand.Rand) cattle.Coat {
	pick := func(list ...cattle.Coat) cattle.Coat { return list[r.IntN(len(list))] }
	switch h.coat {
	case Black:
		return cattle.Black
	case White:
		return pick(cattle.White, cattle.White, cattle.Cream)
	case Brown:
		return pick(cattle.Brown, cattle.Red)
	case Grey:
		return cattle.Grey
	case Pied:
		return pick(cattle.Pied, cattle.Pied, cattle.RedPied)
	}
	return cattle.AnyCoat(r, h.breed)
}

// chooseGait chooses the next activity of an animal. moving is the share of animals that walk.
func (a *animal) chooseGait(r *rand.Rand, now, moving float64) {
	a.until = now + 2 + 6*r.Float64()
	a.speed, a.turn = 0, 0
	switch v := r.Float64(); {
	case v < moving:
		a.gait, a.speed, a.turn = walking, 0.5+0.7*r.Float64(), 0.3*(r.Float64()-0.5)
	case v < moving+(1-moving)*0.6:
		a.graze(r)
	case v < moving+(1-moving)*0.85:
		a.gait = standing
	default:
		a.gait = lying
	}
}

// graze lets the animal graze with slow steps.
func (a *animal) graze(r *rand.Rand) {
	a.gait, a.speed, a.turn = grazing, 0.08*r.Float64(), 0.1*(r.Float64()-0.5)
}

// move advances an animal without a way by dt seconds. It turns away from other animals and from things in its way.
func (a *animal) move(r *rand.Rand, now, dt float64, c *Clip) {
	if now >= a.until {
		c.chooseGait(a, now)
	}
	if a.speed == 0 {
		return
	}
	next := a.at.along(a.heading, a.speed*dt)
	if a.blocked(next, c) {
		a.heading += 1.2 * dt
		return
	}
	a.at = next
	a.heading += a.turn * dt
	a.steps += a.speed * dt
}

// personalSpace is the least distance between two animals of a loose herd in metres.
const personalSpace = 2.1

func (a *animal) blocked(next point, c *Clip) bool {
	for _, o := range c.herd {
		if math.Abs(o.at.x-next.x) > personalSpace || math.Abs(o.at.y-next.y) > personalSpace {
			continue
		}
		if d := next.dist(o.at); o != a && d < personalSpace && d < a.at.dist(o.at) {
			return true
		}
	}
	return c.world.terrain.Blocked(next.x, next.y, clearance)
}

// clearance is the distance of an animal's middle from things in metres.
const clearance = 1.2

// discs are the places and radii along a body that no other body may overlap.
func discs(at point, heading, size float64) [4][3]float64 {
	s, c := math.Sincos(heading)
	var out [4][3]float64
	for i, d := range [4][2]float64{{-0.6, 0.36}, {0, 0.4}, {0.55, 0.36}, {1.15, 0.2}} {
		out[i] = [3]float64{at.x + c*d[0]*size, at.y + s*d[0]*size, d[1] * size}
	}
	return out
}

// overlap reports whether the bodies of two animals are nearer than room times their radii.
func overlap(a stance, sizeA float64, b stance, sizeB, room float64) bool {
	if far := 3 * room; math.Abs(a.at.x-b.at.x) > far || math.Abs(a.at.y-b.at.y) > far {
		return false
	}
	for _, p := range discs(a.at, a.heading, sizeA) {
		for _, q := range discs(b.at, b.heading, sizeB) {
			if math.Hypot(p[0]-q[0], p[1]-q[1]) < (p[2]+q[2])*room {
				return true
			}
		}
	}
	return false
}

// turned goes from one heading to another as t goes from 0 to 1.
func turned(from, by, t float64) float64 { return from + by*grain.Smooth(grain.Clamp(t, 0, 1)) }
