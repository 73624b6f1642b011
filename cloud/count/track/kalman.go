package track

import "math"

// kalman is a constant-velocity filter for one axis of the ground plane, in ground pixels and seconds.
type kalman struct {
	pos, vel      float64
	ppp, ppv, pvv float64 // covariance
	unit          float64 // the animal's size; all noise is proportional to it
}

// Noise in units of the animal's size. A cow is about 2.4 m long and walks at up to 1.5 m/s. The boxes of one animal
// vary by about a tenth of their size.
const (
	boxNoise     = 0.1
	cutNoise     = 0.4 // across the edge that cuts a box: its centre is not that of the animal
	insideNoise  = 0.2 // the same for an animal of known length, whose other end is seen
	alongNoise   = 0.2 // along that edge: the part in view is not the middle of the animal
	firstSpeed   = 0.5 // per second, standard deviation before the first measurement
	acceleration = 0.3 // per second squared
	coast        = 4.0 // seconds in which the speed of an unseen animal halves
	mostDoubt    = 1.0 // sizes; the largest doubt about the place of an unseen animal
)

// newKalman starts at a measured place. noise is its standard deviation in sizes.
func newKalman(pos, unit, noise float64) kalman {
	return kalman{pos: pos, unit: unit, ppp: noise * unit * noise * unit, pvv: firstSpeed * unit * firstSpeed * unit}
}

// doubt is the standard deviation of the place. The bounds of predict may leave a variance a little below 0.
func (k *kalman) doubt() float64 { return math.Sqrt(max(k.ppp, 0)) }

func (k *kalman) predict(dt float64) {
	if dt <= 0 {
		return
	}
	k.pos += k.vel * dt
	k.vel *= math.Exp2(-dt / coast)
	q := acceleration * k.unit
	q *= q
	k.ppp += 2*dt*k.ppv + dt*dt*k.pvv + q*dt*dt*dt*dt/4
	k.ppv += dt*k.pvv + q*dt*dt*dt/2
	k.pvv += q * dt * dt
	if most := mostDoubt * k.unit; k.ppp > most*most {
		k.ppp, k.ppv = most*most, 0
	}
	if most := firstSpeed * k.unit; k.pvv > 4*most*most {
		k.pvv = 4 * most * most
	}
}

// update takes in a measured place. noise is its standard deviation in sizes.
func (k *kalman) update(z, noise float64) {
	s := k.ppp + noise*k.unit*noise*k.unit
	gp, gv := k.ppp/s, k.ppv/s
	e := z - k.pos
	k.pos += gp * e
	k.vel += gv * e
	k.pvv -= gv * k.ppv
	k.ppv *= 1 - gp
	k.ppp *= 1 - gp
}
