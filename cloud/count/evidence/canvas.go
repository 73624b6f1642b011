package evidence

import (
	"image"
	"image/color"
	"image/draw"
	"math"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"cattlecounter/cloud/count/track/motion"
)

// Canvas is a picture to draw into. Its coordinates are those of a frame, whatever the size of the picture. It belongs
// to one goroutine at a time.
type Canvas struct {
	img *image.RGBA
	// toPicture maps the coordinates of the frame to pixels of the picture.
	toPicture motion.Transform
}

// Colours that keep apart from grass, soil and animals. Each is drawn on a dark outline.
var (
	dark     = color.RGBA{0, 0, 0, 255}
	plate    = color.RGBA{0, 0, 0, 185}
	white    = color.RGBA{255, 255, 255, 255}
	amber    = color.RGBA{255, 196, 0, 255}
	faint    = color.RGBA{215, 215, 215, 255}
	unseen   = color.RGBA{118, 118, 118, 255}
	rejected = color.RGBA{255, 90, 70, 255}
)

// identities are the colours of boxes by track, so that an eye can follow one animal among others.
var identities = [...]color.RGBA{
	{255, 196, 0, 255}, {0, 224, 255, 255}, {255, 110, 199, 255}, {140, 255, 80, 255},
	{255, 140, 60, 255}, {170, 150, 255, 255}, {255, 255, 130, 255}, {80, 255, 200, 255},
}

func identity(id int) color.RGBA { return identities[id%len(identities)] }

// Line draws a straight line of some pixels of the picture in width, with a dark outline.
func (c *Canvas) Line(from, to motion.Point, width int, colour color.RGBA) {
	a, b := c.toPicture.Apply(from), c.toPicture.Apply(to)
	stroke(c.img, a, b, width+2, dark)
	stroke(c.img, a, b, width, colour)
}

// Text writes s with its lower left corner at a place, on a dark plate. It stays within the picture.
func (c *Canvas) Text(at motion.Point, s string, colour color.RGBA) {
	p := c.toPicture.Apply(at)
	writePlate(c.img, lettering(textSize), int(p.X), int(p.Y), s, colour)
}

// box draws the sides of a box.
func (c *Canvas) box(r rect, width int, colour color.RGBA) {
	outline(c.img, c.quad(r), width, colour)
}

func (c *Canvas) quad(r rect) [4]motion.Point {
	q := r.corners()
	for i := range q {
		q[i] = c.toPicture.Apply(q[i])
	}
	return q
}

// outline draws a closed line through four points, with a dark outline.
func outline(img *image.RGBA, q [4]motion.Point, width int, colour color.RGBA) {
	for i := range q {
		stroke(img, q[i], q[(i+1)%4], width+2, dark)
	}
	for i := range q {
		stroke(img, q[i], q[(i+1)%4], width, colour)
	}
}

// stroke draws a line of a width without smoothing. It clips far ends, so that no coordinate makes it slow.
func stroke(img *image.RGBA, a, b motion.Point, width int, colour color.RGBA) {
	const far = 1 << 14
	for _, v := range [...]float64{a.X, a.Y, b.X, b.Y} {
		if !(math.Abs(v) < far) {
			return
		}
	}
	n := max(1, int(math.Ceil(max(math.Abs(b.X-a.X), math.Abs(b.Y-a.Y)))))
	lo := -(width / 2)
	for i := range n + 1 {
		t := float64(i) / float64(n)
		x, y := int(math.Round(a.X+t*(b.X-a.X))), int(math.Round(a.Y+t*(b.Y-a.Y)))
		fill(img, image.Rect(x+lo, y+lo, x+lo+width, y+lo+width), colour)
	}
}

// fill paints an opaque rectangle.
func fill(img *image.RGBA, r image.Rectangle, c color.RGBA) {
	r = r.Intersect(img.Rect)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := img.Pix[img.PixOffset(r.Min.X, y):img.PixOffset(r.Max.X, y)]
		for i := 0; i+3 < len(row); i += 4 {
			row[i], row[i+1], row[i+2], row[i+3] = c.R, c.G, c.B, 255
		}
	}
}

// Sizes of text in pixels.
const (
	textSize  = 16
	smallSize = 12
	titleSize = 22
)

// letters holds the drawn letters of one size. The letters are drawn once: a video has thousands of labels.
type letters struct {
	mu     sync.Mutex
	face   font.Face
	cache  map[rune]letter
	ascent int
	height int
}

type letter struct {
	mask    *image.Alpha
	offset  image.Point // of the mask from the pen
	advance int
}

var (
	fonts  sync.Map // size -> *letters
	goBold = sync.OnceValue(func() *opentype.Font {
		f, err := opentype.Parse(gobold.TTF)
		if err != nil {
			panic(err) // the font is part of the program
		}
		return f
	})
)

// lettering returns the letters of a size. It is safe for concurrent use.
func lettering(size int) *letters {
	if l, ok := fonts.Load(size); ok {
		return l.(*letters)
	}
	face, err := opentype.NewFace(goBold(), &opentype.FaceOptions{Size: float64(size), DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		panic(err) // the font is part of the program
	}
	m := face.Metrics()
	l := &letters{face: face, cache: map[rune]letter{}, ascent: m.Ascent.Ceil(), height: (m.Ascent + m.Descent).Ceil()}
	stored, _ := fonts.LoadOrStore(size, l)
	return stored.(*letters)
}

func (l *letters) letter(r rune) letter {
	l.mu.Lock()
	defer l.mu.Unlock()
	g, ok := l.cache[r]
	if !ok {
		if r < ' ' || r > '~' {
			r = '?' // names of files may have any letter; the cache stays small
		}
		box, mask, from, advance, _ := l.face.Glyph(fixed.Point26_6{}, r)
		g = letter{offset: box.Min, advance: advance.Ceil()}
		g.mask = image.NewAlpha(image.Rect(0, 0, box.Dx(), box.Dy()))
		if mask != nil {
			draw.Draw(g.mask, g.mask.Rect, mask, from, draw.Src)
		}
		if len(l.cache) < 512 {
			l.cache[r] = g
		}
	}
	return g
}

func (l *letters) width(s string) int {
	w := 0
	for _, r := range s {
		w += l.letter(r).advance
	}
	return w
}

// write writes s with its baseline at y.
func (l *letters) write(img *image.RGBA, x, y int, s string, colour color.Color) {
	src := image.NewUniform(colour)
	for _, r := range s {
		g := l.letter(r)
		at := image.Pt(x, y).Add(g.offset)
		draw.DrawMask(img, g.mask.Rect.Add(at), src, image.Point{}, g.mask, image.Point{}, draw.Over)
		x += g.advance
	}
}

// writePlate writes s on a dark plate whose lower left corner is at x, y, moved into the picture. It returns the plate.
func writePlate(img *image.RGBA, l *letters, x, y int, s string, colour color.RGBA) image.Rectangle {
	r := plateFor(img.Rect, l, x, y, s)
	drawPlate(img, l, r, s, colour)
	return r
}

// drawPlate writes s on a dark plate.
func drawPlate(img *image.RGBA, l *letters, r image.Rectangle, s string, colour color.RGBA) {
	draw.Draw(img, r, image.NewUniform(plate), image.Point{}, draw.Over)
	l.write(img, r.Min.X+platePad, r.Min.Y+l.ascent, s, colour)
}

const platePad = 3

// plateFor is the plate for s with its lower left corner at x, y, moved into an area.
func plateFor(area image.Rectangle, l *letters, x, y int, s string) image.Rectangle {
	w, h := l.width(s)+2*platePad, l.height
	x = max(area.Min.X, min(x, area.Max.X-w))
	y = max(area.Min.Y+h, min(y, area.Max.Y))
	return image.Rect(x, y-h, x+w, y)
}
