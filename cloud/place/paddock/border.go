package paddock

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
)

// border is what the nearness of the border does to a number of animals: those that may be on its other side, by flight.
type border map[int][]standing

// standing is an animal near the border, which is taken to be straight there.
type standing struct {
	inside bool
	to     [2]float64 // the direction to the border, of length 1
	away   float64    // distance to the border in standard errors of the place
}

// farStanding is how many standard errors from the border an animal is surely on its side.
const farStanding = 3

// add adds an animal of a flight whose nearest border is so many metres to the east and north.
func (b border) add(flight int, inside bool, to [2]float64, radius float64) {
	const radii = 2.4477 // standard deviations within the 95 % radius of two dimensions
	sigma, d := radius/radii, math.Hypot(to[0], to[1])
	if sigma <= 0 || d > farStanding*sigma {
		return
	}
	s := standing{inside: inside, away: d / sigma}
	if d > 0 {
		s.to = [2]float64{to[0] / d, to[1] / d}
	} else {
		s.to = [2]float64{1, 0}
	}
	b[flight] = append(b[flight], s)
}

// shifts are equally likely errors of place in standard errors: the middles of rings and sectors of equal weight of a
// normal distribution in both directions.
var shifts = func() (list [][2]float64) {
	const rings, sectors = 12, 16
	for k := range rings {
		r := math.Sqrt(-2 * math.Log(1-(float64(k)+0.5)/rings))
		for i := range sectors {
			s, c := math.Sincos(2 * math.Pi * (float64(i) + 0.5*float64(k%2)) / sectors)
			list = append(list, [2]float64{r * c, r * s})
		}
	}
	return list
}()

// crossings are equally likely numbers of animals that come over the border into the paddock, below 0 for those that
// leave it. The places of one flight are off by the same error (its GNSS and its heading give most of it), so its animals
// cross together. Flights are independent of each other.
func (b border) crossings() []float64 {
	sums := make([]float64, len(shifts))
	for k, flight := range slices.Sorted(maps.Keys(b)) {
		order := rand.New(rand.NewPCG(uint64(k), 1)).Perm(len(shifts)) // the same at each call
		for i, n := range order {
			s := shifts[n]
			for _, a := range b[flight] {
				switch {
				case a.to[0]*s[0]+a.to[1]*s[1] <= a.away:
				case a.inside:
					sums[i]--
				default:
					sums[i]++
				}
			}
		}
	}
	return sums
}

// interval is the 95 % interval of n animals of a count. It holds 95 % of the mixture of what the animals at the border
// may do. For each of these numbers, the interval of the count shrinks with the square root of its share of the animals,
// because animals are missed and doubled one by one. Above come the animals whose place is not known.
func (b border) interval(n int, w Whole) (low, high int) {
	numbers := b.crossings()
	for i := range numbers {
		numbers[i] += float64(n)
	}
	// below is the share of the mixture that lies below x.
	below := func(x float64) float64 {
		sum := 0.0
		for _, m := range numbers {
			side := float64(w.Unique - w.Low)
			if x > m {
				side = float64(w.High - w.Unique)
			}
			sigma := side / 1.96 * math.Sqrt(min(1, max(m, 1)/max(float64(w.Unique), 1)))
			sum += 0.5 * math.Erfc((m-x)/max(sigma, 1e-6)/math.Sqrt2)
		}
		return sum / float64(len(numbers))
	}
	quantile := func(share float64) float64 {
		from, to := -1.0, 2*(slices.Max(numbers)+float64(w.High-w.Unique)+1)
		for range 40 {
			if mid := (from + to) / 2; below(mid) < share {
				from = mid
			} else {
				to = mid
			}
		}
		return to
	}
	const exact = 0.01 // animals
	tail := 0.025
	if len(b) > 0 {
		// The true number is often at an end of the mixture: all animals of a herd along a fence are on one side of it.
		tail = 0.015
	}
	low = max(0, int(math.Floor(quantile(tail)+exact)))
	high = int(math.Ceil(quantile(1-tail)-exact)) + max(0, w.Unique-w.Placed)
	return min(low, n), max(high, n)
}
