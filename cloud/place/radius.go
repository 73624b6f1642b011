package place

import "math"

// covariance is that of a place: east, north, and both.
type covariance struct{ ee, nn, en float64 }

func (c *covariance) add(e, n float64) {
	c.ee, c.nn, c.en = c.ee+e*e, c.nn+n*n, c.en+e*n
}

// radius is that of the circle around the mean that holds 95 % of a normal distribution.
func (c covariance) radius() float64 {
	mid, dif := (c.ee+c.nn)/2, math.Hypot((c.ee-c.nn)/2, c.en)
	long, short := math.Sqrt(max(mid+dif, 0)), math.Sqrt(max(mid-dif, 0))
	if long == 0 {
		return 0
	}
	// The factor grows from that of a line, 1.96, to that of a circle, 2.448. Bisection, because there is no closed form.
	low, high := 1.9, 2.5
	for range 20 {
		if k := (low + high) / 2; within(k, short/long) < 0.95 {
			low = k
		} else {
			high = k
		}
	}
	return high * long
}

// within is the share of a normal distribution with the standard deviations 1 and c that lies in a circle of radius r.
func within(r, c float64) float64 {
	const steps = 64
	sum := 0.0
	for i := range steps {
		x := r * (float64(i) + 0.5) / steps
		other := 1.0
		if c > 1e-6 {
			other = math.Erf(math.Sqrt(r*r-x*x) / c / math.Sqrt2)
		}
		sum += math.Exp(-x*x/2) * other
	}
	return 2 * sum * r / steps / math.Sqrt(2*math.Pi)
}
