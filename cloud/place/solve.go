package place

import "math"

// matrix is a small symmetric one.
type matrix [unknowns][unknowns]float64

// invert returns the inverse of a positive definite matrix by Gauss and Jordan. Every matrix here has the knowledge of
// priors on its diagonal, so it has one.
func (m matrix) invert() matrix {
	var inv matrix
	for i := range inv {
		inv[i][i] = 1
	}
	for i := range m {
		best := i
		for k := i + 1; k < unknowns; k++ {
			if math.Abs(m[k][i]) > math.Abs(m[best][i]) {
				best = k
			}
		}
		m[i], m[best], inv[i], inv[best] = m[best], m[i], inv[best], inv[i]
		f := 1 / m[i][i]
		for c := range m {
			m[i][c] *= f
			inv[i][c] *= f
		}
		for r := range m {
			if f := m[r][i]; r != i && f != 0 {
				for c := range m {
					m[r][c] -= f * m[i][c]
					inv[r][c] -= f * inv[i][c]
				}
			}
		}
	}
	return inv
}

// observation is a difference that should be 0, with its derivatives and its standard error.
type observation struct {
	value, sigma float64
	by           unknown
}

// delta is a small change of each unknown, for derivatives.
var delta = unknown{0.1, 0.1, 1e-3, 1e-3, 1e-3, 1e-3, 0.1, 1e-2, 1e-3, 1e-3}

// rounds are the most steps of solve; a camera that leans by 45 degrees needs ten.
const rounds = 12

// solve finds the unknowns that explain the observations best, given their priors, by Gauss and Newton with the
// weights of Huber. weight scales the knowledge of all observations together, because neighbors repeat each other's
// errors.
func solve(start, mean, sigma unknown, weight float64, observe func(*unknown) []observation) (unknown, matrix) {
	u := start
	var spread matrix
	for range rounds {
		var a matrix
		var b unknown
		for i := range u {
			w := 1 / (sigma[i] * sigma[i])
			a[i][i] += w
			b[i] += w * (mean[i] - u[i])
		}
		for _, o := range observe(&u) {
			const robust = 2.0
			w := weight / (o.sigma * o.sigma)
			if r := math.Abs(o.value) / o.sigma; r > robust {
				w *= robust / r
			}
			for i := range u {
				for k := range u {
					a[i][k] += w * o.by[i] * o.by[k]
				}
				b[i] -= w * o.by[i] * o.value
			}
		}
		spread = a.invert()
		most := 0.0 // of the changes, in standard errors
		for i := range u {
			change := 0.0
			for k := range u {
				change += spread[i][k] * b[k]
			}
			u[i] += change
			most = max(most, math.Abs(change)/sigma[i])
		}
		const still = 0.01
		if most < still {
			break
		}
	}
	return u, spread
}
