package synthetic

import (
	"math"
	"runtime"
	"sync"

	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/synthetic/aerial"
	"cattlecounter/cloud/synthetic/solid"
)

// tileSide is the side of a tile of painted ground in texels. A tile has one more row and column, of its neighbours.
const (
	tileBits = 7
	tileSide = 1 << tileBits
	tileRow  = (tileSide + 1) * 3 // bytes
)

// tile is a square of painted ground, BGR.
type tile struct {
	pix  []uint8
	used int // last frame that showed it
}

// floor is the painted ground. It paints tiles when they come into view and forgets those not seen for longest.
type floor struct {
	terrain *aerial.Terrain
	expose  *exposure
	density float64 // texels per metre
	limit   int     // tiles kept
	tiles   map[[2]int]*tile
}

// newFloor returns the ground for frames of a number of pixels.
func newFloor(t *aerial.Terrain, e *exposure, density float64, pixels int) *floor {
	const least = 1024 // 50 MB
	limit := max(least, 5*pixels/(tileSide*tileSide))
	return &floor{terrain: t, expose: e, density: density, limit: limit, tiles: map[[2]int]*tile{}}
}

// sheet is the ground in view of a frame: tiles by column and row.
type sheet struct {
	col, row, cols int
	tiles          []*tile
	density        float64
}

// inView paints what is missing in the view and returns its tiles. frame counts up.
func (f *floor) inView(cam *camera, frame int) *sheet {
	b := cam.view(2 / f.density)
	at := func(v float64) int { return int(math.Floor(v * f.density / tileSide)) }
	s := &sheet{col: at(b.x0), row: at(b.y0), density: f.density}
	s.cols = at(b.x1) - s.col + 1
	n := s.cols * (at(b.y1) - s.row + 1)
	s.tiles = make([]*tile, n)
	f.makeRoom(n, frame)
	missing := make(chan int, n)
	for i := range s.tiles {
		key := [2]int{s.col + i%s.cols, s.row + i/s.cols}
		t := f.tiles[key]
		if t == nil {
			t = &tile{}
			f.tiles[key] = t
			missing <- i
		}
		t.used, s.tiles[i] = frame, t
	}
	close(missing)
	var wg sync.WaitGroup
	for range min(len(missing), runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			light := make([]solid.RGB, (tileSide+1)*(tileSide+1))
			for i := range missing {
				f.paint(s.tiles[i], s.col+i%s.cols, s.row+i/s.cols, light)
			}
		})
	}
	wg.Wait()
	return s
}

// makeRoom forgets tiles that were not in view for longest, when n more could exceed the limit.
func (f *floor) makeRoom(n, frame int) {
	for age := 256; len(f.tiles)+n > f.limit && age > 0; age /= 2 {
		for key, t := range f.tiles {
			if frame-t.used > age {
				delete(f.tiles, key)
			}
		}
	}
}

func (f *floor) paint(t *tile, col, row int, light []solid.RGB) {
	const side = tileSide + 1
	f.terrain.Paint(float64(col)*tileSide/f.density, float64(row)*tileSide/f.density, f.density, side, light)
	t.pix = make([]uint8, side*tileRow)
	for i, c := range light {
		t.pix[i*3], t.pix[i*3+1], t.pix[i*3+2] = f.expose.level(c.B), f.expose.level(c.G), f.expose.level(c.R)
	}
}

// draw fills rows of a frame with the ground. A pixel that covers more than 1.4 texels in a direction is the mean of
// four samples.
func (s *sheet) draw(f *video.Frame, cam *camera, from, to int) {
	m := cam.toGround()
	for i := range m {
		m[i] *= s.density
	}
	m[2] -= float64(s.col * tileSide)
	m[5] -= float64(s.row * tileSide)
	fine := math.Hypot(m[0], m[3]) > 1.4 || math.Hypot(m[1], m[4]) > 1.4
	for y := from; y < to; y++ {
		line := f.Pix[y*f.Width*3 : (y+1)*f.Width*3]
		if fine {
			s.drawFine(line, &m, float64(y))
			continue
		}
		// 16 bits behind the point. The centre of a texel is at its place plus a half.
		u := int64((m[0]*0.5 + m[1]*(float64(y)+0.5) + m[2] - 0.5) * 65536)
		v := int64((m[3]*0.5 + m[4]*(float64(y)+0.5) + m[5] - 0.5) * 65536)
		du, dv := int64(m[0]*65536), int64(m[3]*65536)
		for o := 0; o < len(line); o += 3 {
			s.sample(line[o:o+3:o+3], u, v)
			u, v = u+du, v+dv
		}
	}
}

func (s *sheet) drawFine(line []uint8, m *[6]float64, y float64) {
	var p [4][3]uint8
	for x := 0; x*3 < len(line); x++ {
		for k := range p {
			px, py := float64(x)+0.25+0.5*float64(k%2), y+0.25+0.5*float64(k/2)
			s.sample(p[k][:], int64((m[0]*px+m[1]*py+m[2]-0.5)*65536), int64((m[3]*px+m[4]*py+m[5]-0.5)*65536))
		}
		for c := range 3 {
			line[x*3+c] = uint8((int(p[0][c]) + int(p[1][c]) + int(p[2][c]) + int(p[3][c]) + 2) / 4)
		}
	}
}

// sample reads a texel with interpolation. u and v have 16 bits behind the point.
func (s *sheet) sample(dst []uint8, u, v int64) {
	ix, iy := int(u>>16), int(v>>16)
	pix := s.tiles[(iy>>tileBits)*s.cols+(ix>>tileBits)].pix
	o := (iy&(tileSide-1))*tileRow + (ix&(tileSide-1))*3
	tx, ty := int(u>>8)&255, int(v>>8)&255
	a, b := pix[o:o+6:o+6], pix[o+tileRow:o+tileRow+6:o+tileRow+6]
	for c := range 3 {
		top := int(a[c])*(256-tx) + int(a[c+3])*tx
		low := int(b[c])*(256-tx) + int(b[c+3])*tx
		dst[c] = uint8((top*(256-ty) + low*ty) >> 16)
	}
}
