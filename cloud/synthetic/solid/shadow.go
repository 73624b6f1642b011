package solid

import "math"

// Shadow returns the shadow of the mesh on the ground as the covered share of each sample, 0..1, of a window with the
// origin of the ground at sample 0, 0. sun is the direction to the sun, upwards. soft is the width of the shadow's edge
// in metres.
func Shadow(m *Mesh, sun Vec, perMetre, soft float64) (Window, []float32) {
	return Silhouette(m, func(p Vec) (x, y float64) {
		p = p.Sub(sun.Scale(p.Z / sun.Z))
		return p.X * perMetre, -p.Y * perMetre
	}, int(math.Round(soft*perMetre/2)))
}

// Silhouette returns the covered share, 0..1, of each sample of a window. place gives the sample of a point; it sees
// the outside of the mesh as Slant does. The edge is smooth over radius samples to both sides, at least 1.
func Silhouette(m *Mesh, place func(Vec) (x, y float64), radius int) (Window, []float32) {
	if len(m.Verts) == 0 {
		return Window{}, nil
	}
	radius = max(1, radius)
	pts := make([]spot, len(m.Verts))
	x0, y0, x1, y1 := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for i := range m.Verts {
		x, y := place(m.Verts[i].P)
		pts[i] = spot{x: x, y: y, ok: true}
		x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x), max(y1, y)
	}
	w := Window{X: int(math.Floor(x0)) - 2*radius, Y: int(math.Floor(y0)) - 2*radius}
	w.W, w.H = int(math.Ceil(x1))+2*radius-w.X+1, int(math.Ceil(y1))+2*radius-w.Y+1
	cover := make([]float32, w.W*w.H)
	for _, f := range m.Faces {
		p, q, r := pts[f[0]], pts[f[1]], pts[f[2]]
		if m.Open || turn(p, q, r) < 0 {
			rows(p, q, r, func(y, from, to int) {
				line := cover[(y-w.Y)*w.W:]
				for x := from; x <= to; x++ {
					line[x-w.X] = 1
				}
			})
		}
	}
	soften(w, cover, radius)
	return w, cover
}

// soften smooths twice, which is almost a Gaussian.
func soften(w Window, cover []float32, radius int) {
	line := make([]float32, max(w.W, w.H))
	for range 2 {
		for y := range w.H {
			boxMean(cover[y*w.W:], line, 1, w.W, radius)
		}
		for x := range w.W {
			boxMean(cover[x:], line, w.W, w.H, radius)
		}
	}
}

// rows calls visit for each row of samples of a triangle, with its first and last sample.
func rows(p, q, r spot, visit func(y, from, to int)) {
	last := int(math.Floor(max(p.y, q.y, r.y) - 0.5))
	for y := int(math.Ceil(min(p.y, q.y, r.y) - 0.5)); y <= last; y++ {
		from, to := crossing(p, q, r, float64(y)+0.5)
		if from <= to {
			visit(y, int(math.Ceil(from-0.5)), int(math.Floor(to-0.5)))
		}
	}
}

// boxMean takes the running mean over 2 radius + 1 of n values. Values beyond the ends are 0.
func boxMean(v, line []float32, step, n, radius int) {
	for i := range n {
		line[i] = v[i*step]
	}
	sum, share := float32(0), 1/float32(2*radius+1)
	for i := range min(radius, n) {
		sum += line[i]
	}
	for i := range n {
		if i+radius < n {
			sum += line[i+radius]
		}
		v[i*step] = max(sum*share, 0)
		if i >= radius {
			sum -= line[i-radius]
		}
	}
}
