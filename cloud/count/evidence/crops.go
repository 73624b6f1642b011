package evidence

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"slices"

	xdraw "golang.org/x/image/draw"

	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/cloud/count/video"
)

// crops keeps the best picture of each animal, JPEG-compressed.
type crops struct {
	side   int // longer side of new pictures, in pixels
	bytes  int // of all pictures
	budget int
	best   map[int]*crop // by track
}

// of is the best picture of a track, nil for none. A track that was joined with an earlier one may have left its
// picture under its former ID; the detection tells.
func (c *crops) of(t *track.Track) *crop {
	if p := c.best[t.ID]; p != nil || len(c.best) == 0 {
		return p
	}
	var best *crop
	for _, p := range c.best {
		mine := slices.ContainsFunc(t.Way, func(f track.Fix) bool { return f.Frame == p.frame && rectOf(f.Box) == p.box })
		if mine && (best == nil || p.quality > best.quality || p.quality == best.quality && p.frame < best.frame) {
			best = p
		}
	}
	return best
}

// crop is the best sighting of one animal.
type crop struct {
	jpeg    []byte
	quality float64
	frame   int
	seconds float64
	score   float64
	box     rect        // of the animal, in pixels of the frame
	area    rect        // that the picture shows, in pixels of the frame
	size    image.Point // of the picture, in pixels
}

const (
	cropSide    = 224 // pixels
	leastSide   = 56
	cropBudget  = 40 << 20
	cropQuality = 85
	cropMargin  = 0.18 // of the longer side of the box, on each side
	clearlyMore = 1.15 // a picture must be better by this factor to replace another one
	leastHits   = 2    // tracks with fewer detections have no picture: most are no animals
)

func newCrops() crops {
	return crops{side: cropSide, budget: cropBudget, best: map[int]*crop{}}
}

// add offers the frame to every track that is detected in it.
func (c *crops) add(s *Step) {
	for _, p := range s.Tracks {
		t := p.Track
		box, score, ok := seen(t, s.Frame.Index)
		if !ok || t.Hits < leastHits {
			continue
		}
		old := c.best[t.ID]
		quality := score
		if !box.inside(s.Frame.Width, s.Frame.Height) {
			quality *= 0.25
		}
		if old != nil && quality*mostSharpness < clearlyMore*old.quality {
			continue
		}
		area, ok := around(box, s.Frame)
		if !ok {
			continue
		}
		quality *= sharpness(s.Frame, area)
		if old != nil && quality < clearlyMore*old.quality {
			continue
		}
		c.keep(t.ID, s, &crop{quality: quality, frame: s.Frame.Index, seconds: s.Seconds, score: score, box: box,
			area: rect{float64(area.Min.X), float64(area.Min.Y), float64(area.Max.X), float64(area.Max.Y)}}, area)
	}
}

// keep stores the picture of a sighting. A picture that cannot be encoded leaves the one before.
func (c *crops) keep(id int, s *Step, n *crop, area image.Rectangle) {
	img := resized(cut(s.Frame, area), c.side)
	b, err := encode(img, cropQuality)
	if err != nil {
		return
	}
	n.jpeg, n.size = b, img.Rect.Size()
	if old := c.best[id]; old != nil {
		c.bytes -= len(old.jpeg)
	}
	c.best[id], c.bytes = n, c.bytes+len(b)
	if c.bytes > c.budget && c.side > leastSide {
		c.coarsen()
	}
}

// coarsen halves the size of all pictures.
func (c *crops) coarsen() {
	c.side /= 2
	c.bytes = 0
	for id, p := range c.best {
		img, err := decode(p.jpeg)
		if err == nil {
			img = resized(img, c.side)
			p.jpeg, err = encode(img, cropQuality)
			p.size = img.Rect.Size()
		}
		if err != nil {
			delete(c.best, id)
			continue
		}
		c.bytes += len(p.jpeg)
	}
}

// around is the part of the frame that shows a box with a margin.
func around(box rect, f *video.Frame) (image.Rectangle, bool) {
	m := cropMargin * max(box.width(), box.height())
	r := image.Rect(int(box.x1-m), int(box.y1-m), int(math.Ceil(box.x2+m)), int(math.Ceil(box.y2+m)))
	r = r.Intersect(image.Rect(0, 0, f.Width, f.Height))
	return r, r.Dx() >= 8 && r.Dy() >= 8
}

const mostSharpness = 1.0

// sharpness grows from 0 to 1 with the mean contrast between neighboring pixels relative to the contrast of the whole
// part: motion blur lowers it, the colour of an animal does not.
func sharpness(f *video.Frame, r image.Rectangle) float64 {
	step := max(1, max(r.Dx(), r.Dy())/96)
	var steps, sum, squares float64
	n := 0
	green := func(x, y int) float64 { return float64(f.Pix[(y*f.Width+x)*3+1]) }
	for y := r.Min.Y; y+1 < r.Max.Y; y += step {
		for x := r.Min.X; x+1 < r.Max.X; x += step {
			v := green(x, y)
			steps += math.Abs(v-green(x+1, y)) + math.Abs(v-green(x, y+1))
			sum, squares = sum+v, squares+v*v
			n++
		}
	}
	mean := sum / float64(max(n, 1))
	spread := math.Sqrt(max(0, squares/float64(max(n, 1))-mean*mean)) + 4
	rel := steps / float64(max(n, 1)) / spread
	return mostSharpness * (0.5 + 0.5*rel/(rel+0.15))
}

// Contact sheets.
const (
	cellWidth, cellPicture = 192, 176 // pixels
	cellText               = 20
	cellHeight             = cellPicture + cellText
	pageColumns, pageRows  = 8, 10
	pageQuality            = 85
	mostPages              = 100
	titleHeight            = 34
)

// pages draws the contact sheets: one picture per counted animal, in order of ID.
func (c *crops) pages(name string, t tally.Result) ([][]byte, error) {
	const each = pageColumns * pageRows
	var pages [][]byte
	total := (len(t.Counted) + each - 1) / each
	for chunk := range slices.Chunk(t.Counted, each) {
		if len(pages) == mostPages {
			break
		}
		rows := (len(chunk) + pageColumns - 1) / pageColumns
		img := image.NewRGBA(image.Rect(0, 0, pageColumns*cellWidth, titleHeight+rows*cellHeight))
		fill(img, img.Rect, color.RGBA{32, 32, 32, 255})
		title := fmt.Sprintf("%s   %d animals (%d to %d)   page %d of %d", name, t.Unique, t.Low, t.High, len(pages)+1, total)
		lettering(textSize).write(img, 8, 23, fit(lettering(textSize), title, img.Rect.Dx()-16), white)
		for i, a := range chunk {
			at := image.Pt(i%pageColumns*cellWidth, titleHeight+i/pageColumns*cellHeight)
			if err := c.drawCell(img, at, a); err != nil {
				return nil, err
			}
		}
		b, err := encode(img, pageQuality)
		if err != nil {
			return nil, err
		}
		pages = append(pages, b)
	}
	return pages, nil
}

// drawCell draws one animal with its caption.
func (c *crops) drawCell(img *image.RGBA, at image.Point, t *track.Track) error {
	p, id := c.of(t), t.ID
	text := lettering(smallSize + 2)
	baseline := at.Y + cellPicture + cellText - 6
	if p == nil {
		text.write(img, at.X+8, baseline, fmt.Sprintf("%d  no picture", id), faint)
		return nil
	}
	pic, err := decode(p.jpeg)
	if err != nil {
		return err
	}
	w, h := cellWidth-8, cellPicture-8
	scale := min(float64(w)/float64(p.size.X), float64(h)/float64(p.size.Y), 3)
	size := image.Pt(int(float64(p.size.X)*scale), int(float64(p.size.Y)*scale))
	from := at.Add(image.Pt((cellWidth-size.X)/2, (cellPicture-size.Y)/2))
	to := image.Rectangle{Min: from, Max: from.Add(size)}
	xdraw.BiLinear.Scale(img, to, pic, pic.Rect, draw.Src, nil)
	drawCorners(img, to, p)
	text.write(img, at.X+8, baseline, fmt.Sprintf("%d", id), amber)
	text.write(img, at.X+8+text.width(fmt.Sprintf("%d   ", id)), baseline,
		fmt.Sprintf("%s   %.2f", clock(p.seconds), p.score), white)
	return nil
}

// drawCorners marks the corners of the box in a drawn crop: a crop may show neighbors too.
func drawCorners(img *image.RGBA, to image.Rectangle, p *crop) {
	sx, sy := float64(to.Dx())/p.area.width(), float64(to.Dy())/p.area.height()
	x, y := float64(to.Min.X)-p.area.x1*sx, float64(to.Min.Y)-p.area.y1*sy
	b := rect{x + p.box.x1*sx, y + p.box.y1*sy, x + p.box.x2*sx, y + p.box.y2*sy}
	arm := min(12, b.width()/4, b.height()/4)
	for _, c := range b.corners() {
		h, v := c, c
		h.X += math.Copysign(arm, b.centre().X-c.X)
		v.Y += math.Copysign(arm, b.centre().Y-c.Y)
		for _, end := range [...]motion.Point{h, v} {
			stroke(img, c, end, 3, dark)
			stroke(img, c, end, 1, amber)
		}
	}
}

// fit shortens s to a width.
func fit(l *letters, s string, width int) string {
	if l.width(s) <= width {
		return s
	}
	r := []rune(s)
	for len(r) > 0 && l.width(string(r)+"...") > width {
		r = r[:len(r)-1]
	}
	return string(r) + "..."
}
