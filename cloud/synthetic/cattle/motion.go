package cattle

import (
	"math"
	"math/rand/v2"
)

// ofAge is the size that separates young from grown animals.
const ofAge = 0.85

// NewAged returns a random young or grown animal of a breed in a pose.
func NewAged(r *rand.Rand, breed Breed, pose Pose, coat Coat, young bool) *Beast {
	for {
		if b := New(r, breed, pose, coat); b.Young() == young {
			return b
		}
	}
}

// Young reports whether the animal is not grown.
func (b *Beast) Young() bool { return b.Size < ofAge }

// In returns the same animal in another pose.
func (b *Beast) In(r *rand.Rand, pose Pose) *Beast {
	o := *b
	o.Pose, o.stride = pose, 0
	o.carry(r)
	return &o
}

// Stepping returns the same animal at a moment of its walk. phase is 0..1 for two steps, one with each side.
func (b *Beast) Stepping(phase float64) *Beast {
	o := *b
	o.stride = 0.26 * math.Sin(2*math.Pi*phase)
	o.headPitch += 0.06 * math.Cos(4*math.Pi*phase)
	return &o
}

// String is the name of the coat.
func (c Coat) String() string {
	return [coats]string{"black", "brown", "red", "cream", "white", "grey", "pied", "red pied", "belted", "roan"}[c]
}
