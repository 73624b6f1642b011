package young

import (
	"math"
	"slices"
)

// mixture is the distribution of the logarithms of the lengths of a herd.
type mixture struct {
	adult, calf  float64 // means
	spread, wide float64 // standard deviations of adults and of young animals
	share        float64 // of young animals
}

// Bounds of a herd of cattle. A weaned calf has three quarters of the length of a cow, a new one half.
const (
	longestCalf  = 0.74 // mean, of the mean adult
	shortestCalf = 0.40
	leastSpread  = 0.04
	mostSpread   = 0.14 // of adults: breeds, sexes and errors of the boxes
	widestSpread = 0.22 // of young animals: their ages
	rounds       = 60
	// certainly is by how much two kinds must explain the lengths better than one, in the logarithm of the likelihood,
	// for each parameter more.
	certainly = 1.5
)

// fit fits the mixture to at least two logarithms of lengths.
func fit(logs []float64) mixture {
	sorted := slices.Clone(logs)
	slices.Sort(sorted)
	middle := median(sorted)
	// One kind; a single animal that is much shorter than the others is young all the same.
	one := mixture{adult: middle, calf: middle + math.Log(0.6), spread: clampSpread(1.48*deviation(sorted, middle), mostSpread),
		wide: widestSpread, share: 0.02}
	best, score := one, one.likelihood(logs)+certainly*3
	// The herd may have more young than adults, so the adults are looked for at several places.
	for _, part := range [...]float64{0.5, 0.7, 0.85, 0.95} {
		m := mixture{adult: sorted[int(part*float64(len(sorted)-1))], spread: 0.08, wide: 0.16, share: 0.3}
		m.calf = m.adult + math.Log(0.62)
		for range rounds {
			m = m.improve(logs)
		}
		if l := m.likelihood(logs); l > score {
			best, score = m, l
		}
	}
	return best
}

// improve is one round of expectation and maximization. Priors keep a share of 0 or 1 and a spread of 0 away.
func (m mixture) improve(logs []float64) mixture {
	var n, sum, squares [2]float64
	for _, x := range logs {
		p := m.young(x)
		for k, w := range [2]float64{1 - p, p} {
			n[k], sum[k], squares[k] = n[k]+w, sum[k]+w*x, squares[k]+w*x*x
		}
	}
	const weight = 4.0 // animals that the prior of a spread is worth
	spread := func(k int, mean, prior, most float64) float64 {
		v := squares[k] - 2*mean*sum[k] + n[k]*mean*mean
		return clampSpread(math.Sqrt(max(0, v+weight*prior*prior)/(n[k]+weight)), most)
	}
	out := m
	out.adult = sum[0] / max(n[0], 1e-9)
	out.calf = min(max(sum[1]/max(n[1], 1e-9), out.adult+math.Log(shortestCalf)), out.adult+math.Log(longestCalf))
	out.spread, out.wide = spread(0, out.adult, 0.08, mostSpread), spread(1, out.calf, 0.16, widestSpread)
	out.share = (n[1] + 0.5) / (n[0] + n[1] + 2)
	return out
}

func clampSpread(s, most float64) float64 { return min(max(s, leastSpread), most) }

// young is the probability that an animal of a length is young. Above the mean adult it never is, although the wider
// distribution says so far out.
func (m mixture) young(x float64) float64 {
	if x >= m.adult {
		return 0
	}
	if x <= m.calf {
		x = m.calf // shorter is not less young
	}
	y, a := m.share*normal(x, m.calf, m.wide), (1-m.share)*normal(x, m.adult, m.spread)
	return y / (y + a)
}

// likelihood is the logarithm of the likelihood. A floor keeps a box of something else from deciding.
func (m mixture) likelihood(logs []float64) float64 {
	const floor = 1e-3
	l := 0.0
	for _, x := range logs {
		l += math.Log(m.share*normal(x, m.calf, m.wide) + (1-m.share)*normal(x, m.adult, m.spread) + floor)
	}
	return l
}

func normal(x, mean, spread float64) float64 {
	d := (x - mean) / spread
	return math.Exp(-d*d/2) / (spread * math.Sqrt(2*math.Pi))
}

// deviation is the median distance from a place.
func deviation(v []float64, from float64) float64 {
	d := make([]float64, len(v))
	for i, x := range v {
		d[i] = math.Abs(x - from)
	}
	return median(d)
}
