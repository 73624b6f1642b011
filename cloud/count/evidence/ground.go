package evidence

import (
	"image"
	"math"
	"slices"

	"cattlecounter/cloud/count/track/motion"
)

// ground keeps small pictures of the flown ground, JPEG-compressed.
type ground struct {
	side   int // longer side of new pictures, in pixels
	bytes  int
	budget int
	moved  float64 // share of a frame by which the camera must have moved for a new picture
	keys   []*key
}

// key is a frame that shows ground which no earlier one has near its centre.
type key struct {
	jpeg          []byte
	size          image.Point // of the picture, in pixels
	width, height float64     // of the frame, in pixels
	segment       int
	toGround      motion.Transform // pixels of the frame -> ground
	toFrame       motion.Transform
	frame         int
	seconds       float64
	small         []byte      // the picture for the sheet of the flight
	smallSize     image.Point // in pixels
	top           float64     // first row of the frame that is shown
}

const (
	keySide      = 1280 // pixels
	leastKeySide = 320
	keyBudget    = 48 << 20
	keyQuality   = 82
	mostKeys     = 3000 // then the camera must move farther
	keyMoved     = 0.3
)

func newGround() ground { return ground{side: keySide, budget: keyBudget, moved: keyMoved} }

// add keeps the frame when it shows new ground.
func (g *ground) add(s *Step) {
	if j := s.Pose.Joined; j != nil {
		g.join(*j)
	}
	k := &key{
		width: float64(s.Frame.Width), height: float64(s.Frame.Height), segment: s.Pose.Segment,
		toGround: s.Pose.ToGround, toFrame: s.Pose.ToGround.Inverse(), frame: s.Frame.Index, seconds: s.Seconds,
	}
	if s.Pose.Inliers == 0 || !g.isNew(k, g.patience(s)) {
		return // a guessed place would put animals where they are not
	}
	w, h := sizeWithin(s.Frame.Width, s.Frame.Height, g.side)
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	shrink(img, s.Frame)
	b, err := encode(img, keyQuality)
	if err != nil {
		return
	}
	k.jpeg, k.size = b, img.Rect.Size()
	img = resized(img, keptSide)
	if k.small, err = encode(img, keptQuality); err != nil {
		return
	}
	k.smallSize = img.Rect.Size()
	g.keys, g.bytes = append(g.keys, k), g.bytes+len(b)
	if g.bytes > g.budget && g.side > leastKeySide {
		g.coarsen()
	}
	if len(g.keys) > mostKeys || g.bytes > g.budget {
		g.thin()
	}
}

// join moves the pictures of a segment that was recognised as a part of another one.
func (g *ground) join(j motion.Join) {
	for _, k := range g.keys {
		if k.segment == j.From {
			k.segment, k.toGround = j.To, k.toGround.Then(j.Map)
			k.toFrame = k.toGround.Inverse()
		}
	}
}

// patience is the share of a frame by which the camera must have moved: more for a frame that the detector did not look
// at, because the place of its animals is less sure.
func (g *ground) patience(s *Step) float64 {
	const unlooked = 1.4
	if len(s.Looked) > 0 {
		return g.moved
	}
	return unlooked * g.moved
}

// isNew reports whether no picture was taken near the place of k from about the same height.
func (g *ground) isNew(k *key, moved float64) bool {
	centre := k.toGround.Apply(motion.Point{X: k.width / 2, Y: k.height / 2})
	scale := k.toGround.ScaleAt(motion.Point{X: k.width / 2, Y: k.height / 2})
	if !(scale > 0) || math.IsInf(scale, 0) {
		return false
	}
	return !slices.ContainsFunc(g.keys, func(o *key) bool {
		if o.segment != k.segment || o.offCentre(centre) >= 2*moved {
			return false
		}
		zoom := scale / o.toGround.ScaleAt(motion.Point{X: o.width / 2, Y: o.height / 2})
		return zoom > 0.67 // a picture from farther away shows less
	})
}

// offCentre is the distance of a place on the ground from the centre of the frame: 0 at the centre, 1 at the edges.
func (k *key) offCentre(p motion.Point) float64 {
	f := k.toFrame.Apply(p)
	return max(math.Abs(2*f.X/k.width-1), math.Abs(2*f.Y/k.height-1))
}

// coarsen reduces all pictures to three quarters of the size.
func (g *ground) coarsen() {
	g.side = max(leastKeySide, g.side*3/4)
	g.bytes = 0
	g.keys = slices.DeleteFunc(g.keys, func(k *key) bool {
		img, err := decode(k.jpeg)
		if err == nil {
			img = resized(img, g.side)
			k.jpeg, err = encode(img, keyQuality)
			k.size = img.Rect.Size()
		}
		g.bytes += len(k.jpeg)
		return err != nil
	})
}

// thin drops every second picture of the first half of the flight, and takes new ones less often.
func (g *ground) thin() {
	g.moved = min(0.6, g.moved*1.15)
	half, n := len(g.keys)/2, 0
	g.keys = slices.DeleteFunc(g.keys, func(k *key) bool {
		n++
		drop := n <= half && n%2 == 0
		if drop {
			g.bytes -= len(k.jpeg)
		}
		return drop
	})
}

// segments returns the pictures by segment, in order of time.
func (g *ground) segments() [][]*key {
	at := map[int]int{}
	var list [][]*key
	for _, k := range g.keys {
		i, ok := at[k.segment]
		if !ok {
			i = len(list)
			at[k.segment] = i
			list = append(list, nil)
		}
		list[i] = append(list[i], k)
	}
	return list
}
