package detr

import "cattlecounter/cloud/count/detect"

// normalisation turns a byte of a colour channel into the network's input: value*scale + shift. The channels are in the
// order red, green, blue.
type normalisation struct{ scale, shift [3]float32 }

// preparer cuts regions out of frames into planar RGB floats. It reuses its scratch memory and belongs to one goroutine
// at a time.
type preparer struct {
	table  [3][256]float32 // of each byte value, channels red, green, blue
	norm   normalisation
	filter resampling

	// Weights of the last resize, and the rows after its horizontal pass.
	srcW, srcH, dstW, dstH int
	across, down           taps
	rows                   []float32
	line                   []byte
}

func newPreparer(n normalisation, r resampling) *preparer {
	p := &preparer{norm: n, filter: r}
	for c := range p.table {
		for v := range p.table[c] {
			p.table[c][v] = float32(v)*n.scale[c] + n.shift[c]
		}
	}
	return p
}

// fill writes the region, resized to width x height, into dst of 3*width*height values: the red plane, then green, then
// blue.
func (p *preparer) fill(dst []float32, r detect.Region, width, height int) {
	if r.Width == width && r.Height == height {
		p.copy(dst, r)
		return
	}
	p.resize(dst, r, width, height)
}

// copy is fill without a change of size.
func (p *preparer) copy(dst []float32, r detect.Region) {
	plane := r.Width * r.Height
	red, green, blue := dst[:plane], dst[plane:2*plane], dst[2*plane:3*plane]
	inW := max(0, min(r.Width, r.Frame.Width-r.X))
	for y := range r.Height {
		at := y * r.Width
		cr, cg, cb := red[at:at+r.Width], green[at:at+r.Width], blue[at:at+r.Width]
		used := 0
		if r.Y+y < r.Frame.Height {
			used = inW
			from := ((r.Y+y)*r.Frame.Width + r.X) * 3
			src := r.Frame.Pix[from : from+used*3]
			for x := range used {
				s := src[x*3 : x*3+3 : x*3+3]
				cb[x] = p.table[2][s[0]]
				cg[x] = p.table[1][s[1]]
				cr[x] = p.table[0][s[2]]
			}
		}
		for x := used; x < r.Width; x++ {
			cr[x], cg[x], cb[x] = p.table[0][0], p.table[1][0], p.table[2][0]
		}
	}
}

// resize is fill with a change of size, in two passes.
func (p *preparer) resize(dst []float32, r detect.Region, width, height int) {
	p.plan(r.Width, r.Height, width, height)
	for y := range r.Height {
		p.resizeLine(p.rows[y*width*3:(y+1)*width*3], p.source(r, y), width)
	}
	plane := width * height
	stride := width * 3
	for y := range height {
		weights := p.down.weight[y*p.down.width : (y+1)*p.down.width]
		first := p.down.first[y]
		for x := range width {
			var b, g, rd float32
			at := first*stride + x*3
			for _, w := range weights {
				v := p.rows[at : at+3 : at+3]
				b += w * v[0]
				g += w * v[1]
				rd += w * v[2]
				at += stride
			}
			o := y*width + x
			dst[o] = clampByte(rd)*p.norm.scale[0] + p.norm.shift[0]
			dst[plane+o] = clampByte(g)*p.norm.scale[1] + p.norm.shift[1]
			dst[2*plane+o] = clampByte(b)*p.norm.scale[2] + p.norm.shift[2]
		}
	}
}

// clampByte removes the overshoot of the bicubic and Lanczos filters.
func clampByte(v float32) float32 { return min(max(v, 0), 255) }

// plan computes weights and scratch memory after a change of the sizes.
func (p *preparer) plan(srcW, srcH, dstW, dstH int) {
	if p.srcW == srcW && p.srcH == srcH && p.dstW == dstW && p.dstH == dstH {
		return
	}
	p.srcW, p.srcH, p.dstW, p.dstH = srcW, srcH, dstW, dstH
	p.across, p.down = newTaps(srcW, dstW, p.filter), newTaps(srcH, dstH, p.filter)
	if n := srcH * dstW * 3; cap(p.rows) < n {
		p.rows = make([]float32, n)
	} else {
		p.rows = p.rows[:n]
	}
	if n := srcW * 3; cap(p.line) < n {
		p.line = make([]byte, n)
	} else {
		p.line = p.line[:n]
	}
}

// source returns row y of the region as BGR bytes, black outside the frame.
func (p *preparer) source(r detect.Region, y int) []byte {
	inW := max(0, min(r.Width, r.Frame.Width-r.X))
	if r.Y+y >= r.Frame.Height {
		inW = 0
	}
	from := ((r.Y+y)*r.Frame.Width + r.X) * 3
	if inW == r.Width {
		return r.Frame.Pix[from : from+inW*3]
	}
	n := 0
	if inW > 0 {
		n = copy(p.line, r.Frame.Pix[from:from+inW*3])
	}
	clear(p.line[n:])
	return p.line
}

// resizeLine is the horizontal pass over one row of BGR pixels.
func (p *preparer) resizeLine(dst []float32, src []byte, width int) {
	n := p.across.width
	for x := range width {
		var b, g, r float32
		at := p.across.first[x] * 3
		for _, w := range p.across.weight[x*n : (x+1)*n] {
			s := src[at : at+3 : at+3]
			b += w * float32(s[0])
			g += w * float32(s[1])
			r += w * float32(s[2])
			at += 3
		}
		d := dst[x*3 : x*3+3 : x*3+3]
		d[0], d[1], d[2] = b, g, r
	}
}
