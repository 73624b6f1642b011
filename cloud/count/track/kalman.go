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
	cutNoise     = 0.4 // the centre of a box cut by the frame's edge is wrong
	firstSpeed   = 0.5 // per second, standard deviation before the first measurement
	acceleration = 0.3 // per second squared
	coast        = 4.0 // seconds in which the speed of an unseen animal halves
	mostDoubt    = 1.0 // sizes; the largest doubt about the place of an unseen animal
)

func newKalman(pos, unit float64, cut bool) kalman {
	k := kalman{pos: pos, unit: unit}
	k.ppp = k.noise(cut)
	k.pvv = firstSpeed * unit * firstSpeed * unit
	return k
}

func (k *kalman) noise(cut bool) float64 {
	n := boxNoise * k.unit
	if cut {
		n = cutNoise * k.unit
	}
	return n * n
}

func (k *kalman) doubt() float64 { return math.Sqrt(k.ppp) }

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

func (k *kalman) update(z float64, cut bool) {
	s := k.ppp + k.noise(cut)
	gp, gv := k.ppp/s, k.ppv/s
	e := z - k.pos
	k.pos += gp * e
	k.vel += gv * e
	k.pvv -= gv * k.ppv
	k.ppv *= 1 - gp
	k.ppp *= 1 - gp
}
