package evidence

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"strconv"

	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
)

const sheetQuality = 85

var paper = color.RGBA{32, 32, 32, 255}

// sheet draws the count sheet, nil without any picture of the ground.
func (g *ground) sheet(name string, t tally.Result, c *crops) ([]byte, error) {
	return g.draw(name, t, &sheet{crops: c, number: func(_ int, a *track.Track) string { return strconv.Itoa(a.ID) }})
}

// draw draws the ground into s, nil without any picture of the ground.
func (g *ground) draw(name string, t tally.Result, s *sheet) ([]byte, error) {
	if len(g.keys) == 0 {
		return nil, nil
	}
	segments := g.segments()
	s.layout = plan(segments)
	l := s.layout
	s.img = image.NewRGBA(image.Rectangle{Max: l.size})
	fill(s.img, s.img.Rect, paper)
	for i := range l.pieces {
		if err := s.drawPiece(&l.pieces[i], len(segments)); err != nil {
			return nil, err
		}
	}
	s.markAll(t)
	s.drawHead(name, t)
	return encode(s.img, sheetQuality)
}

// sheet is a count sheet that is being drawn.
type sheet struct {
	img    *image.RGBA
	layout layout
	crops  *crops
	labels []image.Rectangle // of the numbers so far
	insets int
	absent int // counted animals without a place on the sheet
	// number is what is written at the counted animal i.
	number  func(i int, a *track.Track) string
	without int // parts of a flight that left no pictures
}

// drawPiece stitches the pictures of a piece: each place is shown by the picture whose centre is nearest. There is no
// blending, which would show animals half, or twice.
func (s *sheet) drawPiece(p *piece, segments int) error {
	fill(s.img, p.at, unseen)
	nearest := make([]uint8, p.at.Dx()*p.at.Dy())
	for i := range nearest {
		nearest[i] = math.MaxUint8
	}
	for _, k := range p.keys {
		if err := s.drawKey(p, k, nearest); err != nil {
			return err
		}
	}
	from, to := p.keys[0].seconds, p.keys[len(p.keys)-1].seconds
	caption := fmt.Sprintf("%s to %s", clock(from), clock(to))
	if segments > 1 {
		caption = fmt.Sprintf("segment %d of %d, %s", p.segment+1, segments, caption)
	}
	if p.of > 1 {
		caption += fmt.Sprintf(", part %d of %d", p.part, p.of)
	}
	l := lettering(textSize)
	l.write(s.img, p.at.Min.X, p.at.Min.Y-7, fit(l, caption, max(p.at.Dx(), 160)), faint)
	return nil
}

// drawKey draws one picture where it is the nearest so far. nearest has the distances, by pixel of the piece.
func (s *sheet) drawKey(p *piece, k *key, nearest []uint8) error {
	part := bounds(k.toGround.Then(p.toSheet), k.used()).Intersect(p.at)
	if part.Empty() {
		return nil
	}
	pic, err := decode(k.jpeg)
	if err != nil {
		return err
	}
	toFrame := p.toSheet.Inverse().Then(k.toFrame)
	zoom := float64(k.size.X) / k.width
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			f := toFrame.Apply(motion.Point{X: float64(x) + 0.5, Y: float64(y) + 0.5})
			d := max(math.Abs(2*f.X/k.width-1), math.Abs(2*f.Y/k.height-1))
			at := (y-p.at.Min.Y)*p.at.Dx() + x - p.at.Min.X
			if !(d < 1) || f.Y < k.top || uint8(d*254) >= nearest[at] {
				continue
			}
			nearest[at] = uint8(d * 254)
			sample(s.img.Pix[s.img.PixOffset(x, y):], pic, f.X*zoom, f.Y*zoom)
		}
	}
	return nil
}

// sample writes the colour of pic at x, y, where the centre of its first pixel is 0.5, into a pixel.
func sample(out []uint8, pic *image.RGBA, x, y float64) {
	const one = 1 << 8
	px := min(max(0, int(x*one)-one/2), (pic.Rect.Dx()-1)*one)
	py := min(max(0, int(y*one)-one/2), (pic.Rect.Dy()-1)*one)
	ax, ay := px%one, py%one
	i := py/one*pic.Stride + px/one*4
	right, down := 4, pic.Stride
	if ax == 0 {
		right = 0
	}
	if ay == 0 {
		down = 0
	}
	for c := range 3 {
		top := int(pic.Pix[i+c])*(one-ax) + int(pic.Pix[i+right+c])*ax
		bottom := int(pic.Pix[i+down+c])*(one-ax) + int(pic.Pix[i+down+right+c])*ax
		out[c] = uint8((top*(one-ay) + bottom*ay) / (one * one))
	}
	out[3] = 255
}

// bounds is the smallest rectangle of whole pixels around a mapped one.
func bounds(t motion.Transform, r rect) image.Rectangle {
	x1, y1, x2, y2 := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for _, c := range r.corners() {
		p := t.Apply(c)
		x1, x2, y1, y2 = min(x1, p.X), max(x2, p.X), min(y1, p.Y), max(y2, p.Y)
	}
	const far = 1 << 20
	if !(x1 > -far && y1 > -far && x2 < far && y2 < far) {
		return image.Rectangle{}
	}
	return image.Rect(int(math.Floor(x1)), int(math.Floor(y1)), int(math.Ceil(x2)), int(math.Ceil(y2)))
}

// drawHead writes the title and the legend.
func (s *sheet) drawHead(name string, t tally.Result) {
	title := fmt.Sprintf("%s   %d animals (%d to %d)", name, t.Unique, t.Low, t.High)
	l := lettering(titleSize)
	l.write(s.img, sheetGap, 27, fit(l, title, s.img.Rect.Dx()-2*sheetGap), white)
	legend := "Numbered: counted.  Red: not counted (b too brief, w weak, p part of another, s same as another, o outside).  " +
		"Gray: not seen."
	if s.insets > 0 {
		legend += fmt.Sprintf("  White frame: %d shown by a picture of another moment.", s.insets)
	}
	if s.absent > 0 {
		legend += fmt.Sprintf("  Not on the sheet: %d.", s.absent)
	}
	if n := len(t.Counted); n != t.Unique {
		legend += fmt.Sprintf("  %d marks for %d animals: some were seen on both sides of a cut, or in a part without tracks.", n,
			t.Unique)
	}
	if s.without > 0 {
		legend += fmt.Sprintf("  Parts without pictures: %d.", s.without)
	}
	small := lettering(smallSize + 1)
	small.write(s.img, sheetGap, 50, fit(small, legend, s.img.Rect.Dx()-2*sheetGap), faint)
}
