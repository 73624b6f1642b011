package examples

import (
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"math"
	"math/bits"
	"os"
	"path/filepath"
	"slices"

	"cattlecounter/cloud/count/coco"
	"cattlecounter/shared/footage"
)

// look is a coarse form of a picture: for each pair of neighboring cells, whether it gets brighter to the right.
type look [lookSide * lookSide / 8]byte

const (
	lookSide = 16
	// equalBits is the largest difference of two pictures that are nearly equal. Pictures that have nothing to do with
	// each other differ in about half of the 256 bits.
	equalBits = 26
)

// lookOf averages the green values of 17 x 16 cells.
func lookOf(img *image.RGBA) (l look) {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	mean := func(i, k int) float64 {
		x0, x1 := i*w/(lookSide+1), max((i+1)*w/(lookSide+1), i*w/(lookSide+1)+1)
		y0, y1 := k*h/lookSide, max((k+1)*h/lookSide, k*h/lookSide+1)
		sum, n := 0, 0
		for y := y0; y < min(y1, h); y++ {
			for x := x0; x < min(x1, w); x++ {
				sum += int(img.Pix[y*img.Stride+4*x+1])
				n++
			}
		}
		return float64(sum) / float64(max(n, 1))
	}
	for k := range lookSide {
		left := mean(0, k)
		for i := range lookSide {
			right := mean(i+1, k)
			if right > left {
				bit := k*lookSide + i
				l[bit/8] |= 1 << (bit % 8)
			}
			left = right
		}
	}
	return l
}

func (l look) differs(o look) (n int) {
	for i := range l {
		n += bits.OnesCount8(l[i] ^ o[i])
	}
	return n
}

// looksOf are the looks of the pictures of other footage in a folder.
func looksOf(f *coco.Folder, list []*Footage) (out []look) {
	for _, m := range f.Images {
		if m.Source == nil || ofFootage(m, list) {
			continue
		}
		if b, err := hex.DecodeString(m.Source.Look); err == nil && len(b) == len(look{}) {
			out = append(out, look(b))
		}
	}
	return out
}

func ofFootage(m *coco.Image, list []*Footage) bool {
	return m.Source != nil && slices.ContainsFunc(list, func(f *Footage) bool { return f.Review.SHA256 == m.Source.SHA256 })
}

// distinct keeps the first n pictures that are not nearly equal to another one.
func distinct(pictures []*picture, looks []look, n int) (kept []*picture, dropped int) {
	for _, p := range pictures {
		switch {
		case p == nil || len(kept) == n:
		case slices.ContainsFunc(looks, func(l look) bool { return l.differs(p.look) <= equalBits }):
			dropped++
		default:
			kept, looks = append(kept, p), append(looks, p.look)
		}
	}
	return kept, dropped
}

// fileName is the name of a picture below images/.
func (p *picture) fileName() string {
	return fmt.Sprintf("%s-%06d-%d-%d.jpg", flightName(p.footage.Result.Source.Name, p.footage.Review.SHA256), p.frame,
		int(p.view[0]), int(p.view[1]))
}

// save puts the pictures into the folder: first the pictures, then the annotations, then it removes pictures that the
// annotations do not name any more.
func (m *maker) save(f *coco.Folder, list []*Footage, kept []*picture, s *Summary) error {
	dir := filepath.Join(m.Folder, coco.Images)
	for _, p := range kept {
		b, err := os.ReadFile(p.file)
		if err == nil {
			err = coco.Replace(filepath.Join(dir, p.fileName()), b)
		}
		if err != nil {
			return fmt.Errorf("data set: %w", err)
		}
	}
	former := replaceImages(f, list, kept, s)
	if err := f.Write(m.Folder); err != nil {
		return fmt.Errorf("data set: %w", err)
	}
	for _, name := range former {
		if err := os.Remove(filepath.Join(dir, filepath.FromSlash(name))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("data set: %w", err)
		}
	}
	flights := map[string]bool{}
	for _, i := range f.Images {
		flights[i.Clip] = true
	}
	s.Pictures, s.Total, s.Flights = len(kept), len(f.Images), len(flights)
	return nil
}

// replaceImages puts the pictures in the place of those of the same footage. It returns the files that are not needed
// any more. Pictures and annotations that were there keep their numbers.
func replaceImages(f *coco.Folder, list []*Footage, kept []*picture, s *Summary) (former []string) {
	ids, most := map[string]int{}, 0
	free, mostBox := map[int][]int{}, 0 // numbers of annotations by image
	ours := map[int]bool{}
	for _, i := range f.Images {
		most = max(most, i.ID)
		if ofFootage(i, list) {
			ids[i.File], ours[i.ID] = i.ID, true
		}
	}
	for _, a := range f.Annotations {
		mostBox = max(mostBox, a.ID)
		if ours[a.Image] {
			free[a.Image] = append(free[a.Image], a.ID)
		}
	}
	f.Images = slices.DeleteFunc(f.Images, func(i *coco.Image) bool { return ours[i.ID] })
	f.Annotations = slices.DeleteFunc(f.Annotations, func(a *coco.Annotation) bool { return ours[a.Image] })
	category := map[kind]int{cattle: f.Category(coco.Cattle), other: f.Category(coco.Other)}
	category[unknown] = category[cattle]
	for _, p := range kept {
		id, known := ids[p.fileName()]
		if !known {
			most++
			id = most
		}
		delete(ids, p.fileName())
		f.Images = append(f.Images, p.entry(id))
		animals := 0
		for _, l := range p.labels {
			n := mostBox + 1
			if spare := free[id]; known && len(spare) > 0 {
				n, free[id] = spare[0], spare[1:]
			}
			mostBox = max(mostBox, n)
			f.Annotations = append(f.Annotations, l.entry(n, id, category[l.kind]))
			switch l.kind {
			case cattle:
				s.Cattle++
				animals++
			case other:
				s.Others++
				animals++
			default:
				s.Ignored++
			}
		}
		if animals == 0 {
			s.Empty++
		}
	}
	slices.SortFunc(f.Images, func(a, b *coco.Image) int { return a.ID - b.ID })
	slices.SortFunc(f.Annotations, func(a, b *coco.Annotation) int { return a.ID - b.ID })
	for name := range ids {
		former = append(former, name)
	}
	return former
}

// entry describes the picture.
func (p *picture) entry(id int) *coco.Image {
	return &coco.Image{
		ID: id, File: p.fileName(), Width: int(p.view.width()), Height: int(p.view.height()), Clip: p.footage.Flight,
		Source: &coco.Source{
			SHA256: p.footage.Review.SHA256, Name: footage.SafeName(p.footage.Result.Source.Name), Frame: p.frame,
			Seconds: math.Round(p.seconds*1000) / 1000, X: int(p.view[0]), Y: int(p.view[1]), Why: p.focus.why,
			Look: hex.EncodeToString(p.look[:]),
		},
	}
}

// entry describes the region.
func (l label) entry(id, image, category int) *coco.Annotation {
	round := func(v float64) float64 { return math.Round(v*100) / 100 }
	a := &coco.Annotation{ID: id, Image: image, Category: category, Track: l.track,
		Box: [4]float64{round(l.box[0]), round(l.box[1]), round(l.box.width()), round(l.box.height())}}
	a.Area = round(a.Box[2] * a.Box[3])
	if l.kind == unknown {
		a.Crowd = 1
	}
	return a
}
