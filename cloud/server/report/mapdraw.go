package report

import (
	"fmt"
	"math"

	"codeberg.org/go-pdf/fpdf"
)

// Bounds of what the map draws. More points are thinned evenly.
const (
	mostCorners = 400  // of a ring or a path
	mostRings   = 2000 // of all outlines together
	mostDots    = 5000
)

// box is an extent in degrees.
type box struct{ west, south, east, north float64 }

func (b *box) add(p [2]float64) {
	if math.IsNaN(p[0]) || math.IsNaN(p[1]) {
		return
	}
	b.west, b.east = min(b.west, p[0]), max(b.east, p[0])
	b.south, b.north = min(b.south, p[1]), max(b.north, p[1])
}

// bounds is the extent of what was seen, flown and counted, and of the paddocks that it touches. Without those it is the
// extent of all paddocks; nil for nothing at all.
func (g *Ground) bounds() *box {
	b := box{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)}
	eachPoint(g.Seen, b.add)
	for _, path := range g.Paths {
		for _, p := range path {
			b.add(p)
		}
	}
	for _, p := range g.Animals {
		b.add(p)
	}
	flown := b
	for _, o := range g.Paddocks {
		own := box{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)}
		eachPoint(o.Polygons, own.add)
		if flown.west > flown.east || own.west <= flown.east && own.east >= flown.west && own.south <= flown.north &&
			own.north >= flown.south {
			b.add([2]float64{own.west, own.south})
			b.add([2]float64{own.east, own.north})
		}
	}
	if b.west > b.east || math.IsInf(b.west, 0) || math.IsInf(b.east, 0) {
		return nil
	}
	return &b
}

func eachPoint(polygons [][][][2]float64, do func([2]float64)) {
	for _, polygon := range polygons {
		for _, ring := range polygon {
			for _, p := range ring {
				do(p)
			}
		}
	}
}

// chart maps degrees to millimetres of the page.
type chart struct {
	x, y, width, height float64 // of the frame
	west, north         float64
	perLon, perLat      float64 // millimetres a degree
	perMetre            float64
}

const metresPerDegree = 111_195.0 // of latitude

func newChart(b box, x, y, width, height float64) chart {
	c := chart{x: x, y: y, width: width, height: height}
	cos := max(0.01, math.Cos((b.south+b.north)/2*math.Pi/180))
	w, h := max((b.east-b.west)*cos*metresPerDegree, 40)*1.06, max((b.north-b.south)*metresPerDegree, 40)*1.06
	c.perMetre = min(width/w, height/h)
	c.perLat, c.perLon = c.perMetre*metresPerDegree, c.perMetre*metresPerDegree*cos
	c.west = (b.west+b.east)/2 - width/2/c.perLon
	c.north = (b.south+b.north)/2 + height/2/c.perLat
	return c
}

func (c chart) at(p [2]float64) fpdf.PointType {
	clamp := func(v, low, high float64) float64 { return min(max(v, low-500), high+500) }
	return fpdf.PointType{X: clamp(c.x+(p[0]-c.west)*c.perLon, c.x, c.x+c.width),
		Y: clamp(c.y+(c.north-p[1])*c.perLat, c.y, c.y+c.height)}
}

// thin takes at most n points, evenly, with the last one.
func thin(points [][2]float64, n int) [][2]float64 {
	if len(points) <= n {
		return points
	}
	out := make([][2]float64, 0, n)
	for i := range n {
		out = append(out, points[i*(len(points)-1)/(n-1)])
	}
	return out
}

// drawMap draws the map in a frame of the whole width.
func (d *drawing) drawMap(height float64) {
	top := d.pdf.GetY()
	g := &d.in.Ground
	c := newChart(*g.bounds(), margin, top, d.width, height)
	d.pdf.ClipRect(c.x, c.y, c.width, c.height, false)
	d.pdf.SetFillColor(247, 247, 243)
	d.pdf.Rect(c.x, c.y, c.width, c.height, "F")
	rings := 0
	d.pdf.SetFillColor(222, 224, 218)
	d.areas(c, g.Seen, "F", &rings)
	d.pdf.SetDrawColor(70, 90, 60)
	d.pdf.SetLineWidth(0.35)
	for _, o := range g.Paddocks {
		d.areas(c, o.Polygons, "D", &rings)
	}
	d.pdf.SetDrawColor(40, 95, 180)
	d.pdf.SetLineWidth(0.25)
	for _, path := range g.Paths {
		d.path(c, path)
	}
	d.pdf.SetFillColor(200, 40, 30)
	for _, p := range thin(g.Animals, mostDots) {
		at := c.at(p)
		d.pdf.Circle(at.X, at.Y, 0.55, "F")
	}
	d.labels(c)
	d.scale(c)
	d.pdf.ClipEnd()
	d.pdf.SetDrawColor(150, 150, 150)
	d.pdf.SetLineWidth(0.2)
	d.pdf.Rect(c.x, c.y, c.width, c.height, "D")
	d.pdf.SetY(top + height + 1)
}

// areas draws polygons: the rings of one with their holes, filled by the even-odd rule.
func (d *drawing) areas(c chart, polygons [][][][2]float64, style string, rings *int) {
	if style == "F" {
		style = "f*"
	}
	for _, polygon := range polygons {
		drawn := false
		for _, ring := range polygon {
			if *rings++; *rings > mostRings || len(ring) < 3 {
				continue
			}
			for i, p := range thin(ring, mostCorners) {
				at := c.at(p)
				if i == 0 {
					d.pdf.MoveTo(at.X, at.Y)
				} else {
					d.pdf.LineTo(at.X, at.Y)
				}
			}
			d.pdf.ClosePath()
			drawn = true
		}
		if drawn {
			d.pdf.DrawPath(style)
		}
	}
}

func (d *drawing) path(c chart, path [][2]float64) {
	for i, p := range thin(path, mostCorners) {
		at := c.at(p)
		if i == 0 {
			d.pdf.MoveTo(at.X, at.Y)
		} else {
			d.pdf.LineTo(at.X, at.Y)
		}
	}
	if len(path) > 1 {
		d.pdf.DrawPath("D")
	}
}

// labels writes the number of each paddock, and its name where that fits.
func (d *drawing) labels(c chart) {
	for i, o := range d.in.Ground.Paddocks {
		b := box{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)}
		eachPoint(o.Polygons, b.add)
		if b.west > b.east {
			continue
		}
		from, to := c.at([2]float64{b.west, b.north}), c.at([2]float64{b.east, b.south})
		d.font(6.5, true, color{50, 75, 45})
		text := fmt.Sprint(i + 1)
		if named := text + " " + d.name(o.Name); d.pdf.GetStringWidth(named) < 0.9*(to.X-from.X) {
			text = named
		}
		d.pdf.Text((from.X+to.X-d.pdf.GetStringWidth(text))/2, (from.Y+to.Y)/2+1, text)
	}
}

// scale draws a bar of a round length.
func (d *drawing) scale(c chart) {
	metres := math.Pow(10, math.Floor(math.Log10(0.3*c.width/c.perMetre)))
	for _, m := range []float64{5, 2} {
		if metres*m*c.perMetre <= 0.3*c.width {
			metres *= m
			break
		}
	}
	x, y := c.x+4, c.y+c.height-4
	d.pdf.SetDrawColor(0, 0, 0)
	d.pdf.SetLineWidth(0.5)
	d.pdf.Line(x, y, x+metres*c.perMetre, y)
	d.font(small, false, black)
	d.pdf.Text(x, y-1.2, fmt.Sprintf(d.say(wMetres), d.number(int(metres))))
}
