// Package cattle models single animals as meshes with coats: dairy and beef cattle, yaks and water buffaloes, in the
// poses that are visible from a drone.
package cattle

import (
	"math/rand/v2"

	"cattlecounter/cloud/synthetic/grain"
	"cattlecounter/cloud/synthetic/solid"
)

// Breed is a kind of body.
type Breed int

const (
	Dairy   Breed = iota // angular, visible hip bones, udder
	Beef                 // deep and blocky
	Yak                  // long hair to the knees, hump, wide horns
	Buffalo              // barrel, swept horns, thin hair
	breeds
)

// Pose is the posture of an animal.
type Pose int

const (
	Standing Pose = iota
	Walking
	Grazing
	Lying
	poses
)

// Length of the trunk and head of a grown standing animal in metres.
const Length = 2.2

// Parts of an animal, the part numbers of its mesh.
const (
	partTrunk uint8 = iota
	partNeck
	partHead
	partMuzzle
	partEar
	partHorn
	partLeg
	partHoof
	partTail
	partUdder
	partHair
)

// Beast is one animal. The head points to +x of its own frame.
type Beast struct {
	Breed Breed
	Size  float64 // 1 is grown
	Pose  Pose

	girth, tall float64 // factors of width and leg
	bend        float64 // of the spine to the left, metres at the ends
	neckPitch   float64 // radians above level
	neckYaw     float64 // radians to the left
	headPitch   float64 // radians below level
	headYaw     float64 // radians to the left, added to the neck's
	stride      float64 // metres
	side        float64 // to which a lying animal leans, 1 or -1
	horned      bool
	earDrop     float64
	coat        coat
	grain       grain.Noise
}

// New returns a random animal of a breed in a pose.
func New(r *rand.Rand, breed Breed, pose Pose, coat Coat) *Beast {
	b := &Beast{Breed: breed, Pose: pose, Size: 0.9 + 0.2*r.Float64(), girth: 0.93 + 0.2*r.Float64(), tall: 0.93 + 0.14*r.Float64(),
		bend: 0.06 * r.NormFloat64(), side: 1, grain: grain.Noise{Seed: r.Uint64()}, earDrop: r.Float64()}
	if r.Float64() < 0.5 {
		b.side = -1
	}
	switch breed {
	case Dairy:
		b.horned = r.Float64() < 0.15
	case Beef:
		b.girth *= 1.08
		b.horned = r.Float64() < 0.25
	default:
		b.horned = r.Float64() < 0.92
	}
	if r.Float64() < 0.14 {
		b.Size *= 0.45 + 0.3*r.Float64() // a calf
		b.girth *= 0.88
		b.tall *= 1.12
		b.horned = b.horned && r.Float64() < 0.3
	}
	b.carry(r)
	b.coat = newCoat(r, breed, coat)
	return b
}

// carry sets the angles of neck and head for the pose.
func (b *Beast) carry(r *rand.Rand) {
	b.neckYaw, b.headYaw = 0.3*r.NormFloat64(), 0.2*r.NormFloat64()
	switch b.Pose {
	case Walking:
		b.neckPitch, b.headPitch, b.stride = 0.1+0.25*r.Float64(), 0.5+0.3*r.Float64(), 0.16+0.16*r.Float64()
		b.neckYaw /= 2
	case Grazing:
		b.neckPitch, b.headPitch = -0.85-0.25*r.Float64(), 1.0+0.3*r.Float64()
	case Lying:
		b.neckPitch, b.headPitch = 0.3+0.4*r.Float64(), 0.3+0.4*r.Float64()
		b.neckYaw *= 1.6
		if r.Float64() < 0.2 { // asleep, with its head at its flank
			b.neckPitch, b.headPitch = -0.2, 0.4
			b.neckYaw = 1.3 * b.side
		}
	default:
		b.neckPitch, b.headPitch = 0.05+0.45*r.Float64(), 0.4+0.5*r.Float64()
	}
	if b.Breed == Yak || b.Breed == Buffalo {
		b.neckPitch = min(b.neckPitch, 0.12)
	}
	if b.Pose != Walking && r.Float64() < 0.4 {
		b.stride = 0.12 * r.NormFloat64()
	}
}

// Light returns the light from a surface towards the camera, for its reflectance and place.
type Light func(reflects solid.RGB, s *solid.Surface) solid.RGB
