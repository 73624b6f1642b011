// Package compare measures two detectors on the same labeled pictures and says which one is better.
package compare

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"cattlecounter/cloud/count/coco"
	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/detect/score"
	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/count/video/still"
)

// Picture is a labeled picture.
type Picture struct {
	Path          string
	Clip          string // its flight
	Width, Height int    // pixels
	Animals       []score.Point
	Ignored       []score.Region
}

// Load lists the pictures of a COCO folder, of all clips or only of some. Animals are the middles of the boxes of cattle.
// The error wraps coco.ErrFolder and names clips that are not there.
func Load(dir string, clips []string) ([]Picture, error) {
	f, err := coco.Read(dir)
	if err != nil {
		return nil, err
	}
	others, boxes := f.Others(), f.ByImage()
	missing := slices.Clone(clips)
	var list []Picture
	for _, m := range f.Images {
		if len(clips) > 0 && !slices.Contains(clips, m.Clip) {
			continue
		}
		missing = slices.DeleteFunc(missing, func(c string) bool { return c == m.Clip })
		p := Picture{Path: m.Path(dir), Clip: m.Clip, Width: m.Width, Height: m.Height}
		for _, a := range boxes[m.ID] {
			x, y, w, h := float32(a.Box[0]), float32(a.Box[1]), float32(a.Box[2]), float32(a.Box[3])
			switch {
			case a.Crowd == 1:
				p.Ignored = append(p.Ignored, score.Region{X1: x, Y1: y, X2: x + w, Y2: y + h})
			case !others[a.Category]:
				p.Animals = append(p.Animals, score.Point{X: x + w/2, Y: y + h/2})
			}
		}
		list = append(list, p)
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%s has no pictures of the clips %s: %w", dir, strings.Join(missing, ", "), coco.ErrFolder)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s has no pictures: %w", dir, coco.ErrFolder)
	}
	return list, nil
}

// Tally are the sums over some pictures.
type Tally struct {
	Clip     string `json:"clip"`
	Pictures int    `json:"pictures"`
	Animals  int    `json:"animals"`
	Boxes    int    `json:"boxes"` // without those in regions that have no label
	Hits     int    `json:"hits"`
}

func (t Tally) score() score.Tally {
	return score.Tally{Points: t.Animals, Boxes: t.Boxes, Hits: t.Hits}
}

// Precision is the share of boxes on an animal, 0 without boxes.
func (t Tally) Precision() float64 { return t.score().Precision() }

// Recall is the share of animals with a box, 0 without animals.
func (t Tally) Recall() float64 { return t.score().Recall() }

// F1 is the harmonic mean of both.
func (t Tally) F1() float64 { return t.score().F1() }

// CountError is the error of the number of boxes, as a share of the animals; 0 without animals.
func (t Tally) CountError() float64 { return t.score().CountError() }

// False is the number of boxes without an animal for each picture.
func (t Tally) False() float64 { return float64(t.Boxes-t.Hits) / float64(max(t.Pictures, 1)) }

func (t *Tally) add(o score.Tally) {
	t.Pictures++
	t.Animals, t.Boxes, t.Hits = t.Animals+o.Points, t.Boxes+o.Boxes, t.Hits+o.Hits
}

// Total names the sum over all clips.
const Total = "total"

// Measure runs a detector over the pictures, workers of them at a time. It returns the tallies of the clips, by name, and
// the total at the end. A picture that cannot be read or has another size than its label says is an error.
func Measure(ctx context.Context, list []Picture, d detect.Detector, workers int, progress func(done, all int)) ([]Tally, error) {
	byClip, total, at := map[string]*Tally{}, Tally{Clip: Total}, 0
	next := func(_ context.Context, f *video.Frame) error {
		if at == len(list) {
			return io.EOF
		}
		p := list[at]
		if err := still.Read(p.Path, f); err != nil {
			return err
		}
		if f.Width != p.Width || f.Height != p.Height {
			return fmt.Errorf("%s has %dx%d pixels, its labels are for %dx%d: %w", p.Path, f.Width, f.Height, p.Width, p.Height,
				coco.ErrFolder)
		}
		f.Index = at
		at++
		return nil
	}
	run := detect.Pipeline{Source: next, Detector: d, Workers: workers}
	done := 0
	err := run.Run(ctx, func(f *video.Frame, boxes []detect.Box) error {
		p := list[f.Index]
		cattle := slices.DeleteFunc(slices.Clone(boxes), func(b detect.Box) bool { return b.Other })
		s := score.MatchOutside(cattle, p.Animals, p.Ignored)
		t := byClip[p.Clip]
		if t == nil {
			t = &Tally{Clip: p.Clip}
			byClip[p.Clip] = t
		}
		t.add(s)
		total.add(s)
		done++
		if progress != nil {
			progress(done, len(list))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var out []Tally
	for _, t := range byClip {
		out = append(out, *t)
	}
	slices.SortFunc(out, func(a, b Tally) int { return strings.Compare(a.Clip, b.Clip) })
	return append(out, total), nil
}

// Verdicts.
const (
	Better = "better"
	Equal  = "equal"
	Worse  = "worse"
)

// How much worse a new model may be in total. Less is chance.
const (
	mostF1    = 0.005
	mostCount = 0.02 // of the animals
	mostFalse = 0.1  // boxes a picture, and the same share of those before
)

// Judge compares the totals. A model is worse when it is clearly worse in one of F1, the error of the count and false
// boxes, and better when it is not, and clearly better in one of them.
func Judge(before, now Tally) (verdict string, reasons []string) {
	verdict = Equal
	check := func(worse, better bool, format string, v ...any) {
		if worse {
			verdict = Worse
		} else if better && verdict == Equal {
			verdict = Better
		}
		if worse || better {
			reasons = append(reasons, fmt.Sprintf(format, v...))
		}
	}
	if before.Animals > 0 {
		gain := now.F1() - before.F1()
		check(gain < -mostF1, gain > mostF1, "F1 %.3f to %.3f", before.F1(), now.F1())
		grown := math.Abs(now.CountError()) - math.Abs(before.CountError())
		check(grown > mostCount, grown < -mostCount, "count error %+.1f %% to %+.1f %%", 100*before.CountError(), 100*now.CountError())
	}
	more := now.False() - before.False()
	most := mostFalse * (1 + before.False())
	check(more > most, more < -most, "false boxes a picture %.2f to %.2f", before.False(), now.False())
	return verdict, reasons
}
