package examples

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"cattlecounter/cloud/count/coco"
	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/video"
	"cattlecounter/shared/footage"
)

// Frames decodes one clip. libav.Decoder implements it.
type Frames interface {
	Next(ctx context.Context, f *video.Frame, every int) error
	Close() error
}

// Options say how to make pictures.
type Options struct {
	Folder string // COCO folder, new or existing
	Images int    // pictures to make at most, above 0
	Seed   uint64 // the same inputs and seed give the same pictures
	Side   int    // of a picture in pixels, 0 for eight lengths of an animal
	Open   func(ctx context.Context, path string) (Frames, error)
	// Detector finds what no person reviewed. It should find weak detections too.
	Detector detect.Detector
	// Progress is called after each looked-at tile; may be nil.
	Progress func(done, all int)
}

// Summary is what was made.
type Summary struct {
	Pictures int // of this run
	Cattle   int // boxes in them
	Others   int // boxes of other animals
	Ignored  int // regions that training leaves out
	Empty    int // pictures without any animal
	Flights  int // in the whole folder
	Total    int // pictures in the whole folder
	Alike    int // tiles that were left out because they are nearly equal to others
	Skipped  int // tiles whose frame cannot be decoded
}

// picture is a finished tile in a temporary file.
type picture struct {
	candidate
	file   string
	look   look
	labels []label
}

// Make adds pictures to a COCO folder. Pictures of the same footage from an earlier run are replaced; others stay. Before
// the first picture is stored, an error leaves the folder as it was. The error wraps ErrInput or coco.ErrFolder, is of the decoder, of the detector or of
// the disk, or is the cause of ctx.
func Make(ctx context.Context, list []*Footage, o Options) (Summary, error) {
	old, err := coco.Read(o.Folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		old = coco.New()
	case err != nil:
		return Summary{}, err
	}
	var all []candidate
	var faults []error
	for _, f := range list {
		c, err := f.candidates(o.Side, o.Seed)
		faults = append(faults, err)
		all = append(all, c...)
	}
	if err := errors.Join(faults...); err != nil {
		return Summary{}, err
	}
	if err := os.MkdirAll(filepath.Join(o.Folder, coco.Images), 0o755); err != nil {
		return Summary{}, fmt.Errorf("data set: %w", err)
	}
	work, err := os.MkdirTemp(o.Folder, ".examples-*")
	if err != nil {
		return Summary{}, fmt.Errorf("data set: %w", err)
	}
	defer os.RemoveAll(work)
	const spare = 1.3 // some tiles turn out to be nearly equal
	ranked := rank(all, int(spare*float64(o.Images))+4)
	m := maker{Options: o, work: work, all: len(ranked)}
	pictures, err := m.cutAll(ctx, ranked)
	if err != nil {
		return Summary{}, err
	}
	kept, dropped := distinct(pictures, looksOf(old, list), o.Images)
	s := Summary{Alike: dropped, Skipped: m.skipped}
	err = m.save(old, list, kept, &s)
	return s, err
}

// maker makes the pictures of one call.
type maker struct {
	Options
	work    string
	all     int // tiles to cut
	done    int
	skipped int
}

// cutAll cuts the tiles, clip by clip. The result is in the order of ranked; tiles without a frame are nil.
func (m *maker) cutAll(ctx context.Context, ranked []candidate) ([]*picture, error) {
	out := make([]*picture, len(ranked))
	byClip := map[*Footage][]int{}
	var order []*Footage
	for i, c := range ranked {
		if byClip[c.footage] == nil {
			order = append(order, c.footage)
		}
		byClip[c.footage] = append(byClip[c.footage], i)
	}
	for _, f := range order {
		tiles := byClip[f]
		slices.SortStableFunc(tiles, func(a, b int) int { return cmp.Compare(ranked[a].frame, ranked[b].frame) })
		if err := m.cutClip(ctx, f, tiles, ranked, out); err != nil {
			return nil, fmt.Errorf("%s: %w", footage.SafePath(f.Clip.Path), err)
		}
	}
	return out, nil
}

// cutClip decodes a clip up to its last tile. tiles are indices in the order of frames.
func (m *maker) cutClip(ctx context.Context, f *Footage, tiles []int, ranked []candidate, out []*picture) error {
	d, err := m.Open(ctx, f.Clip.Path)
	if err != nil {
		return err
	}
	defer d.Close()
	var frame video.Frame
	ordered := 0 // number of the frame that the decoder returns next
	for k := 0; k < len(tiles); {
		want := ranked[tiles[k]].frame
		same := k // tiles of one frame
		for same < len(tiles) && ranked[tiles[same]].frame == want {
			same++
		}
		if want < ordered { // damage moved the decoder on
			m.skip(same - k)
			k = same
			continue
		}
		step := want - ordered // from the frame that comes now to the wanted one
		if step == 0 && same < len(tiles) {
			step = ranked[tiles[same]].frame - want
		}
		step = max(step, 1)
		err := d.Next(ctx, &frame, step)
		if errors.Is(err, io.EOF) || errors.Is(err, video.ErrTruncated) {
			m.skip(len(tiles) - k)
			return nil
		}
		if err != nil {
			return err
		}
		ordered = frame.Index + step
		if frame.Index != want {
			continue
		}
		for _, i := range tiles[k:same] {
			if out[i], err = m.cut(ctx, ranked[i], i, &frame); err != nil {
				return err
			}
		}
		k = same
	}
	return nil
}

func (m *maker) skip(n int) { m.skipped += n }

// cut labels one tile and writes it into a temporary file.
func (m *maker) cut(ctx context.Context, c candidate, number int, f *video.Frame) (*picture, error) {
	if v := c.footage.Result.Video; f.Width != v.Width || f.Height != v.Height {
		return nil, fmt.Errorf("frame %d has %dx%d pixels, %s says %dx%d: %w", f.Index, f.Width, f.Height,
			c.footage.ResultFile, v.Width, v.Height, ErrInput)
	}
	const margin = 64 // pixels, so that animals at the edge are found
	whole := box{0, 0, float64(f.Width), float64(f.Height)}
	around := box{c.view[0] - margin, c.view[1] - margin, c.view[2] + margin, c.view[3] + margin}.cut(whole)
	found, err := m.Detector.Detect(ctx, []*video.Frame{part(f, around)})
	if err != nil {
		return nil, err
	}
	for i := range found[0] {
		b := &found[0][i]
		dx, dy := float32(around[0]), float32(around[1])
		b.X1, b.Y1, b.X2, b.Y2 = b.X1+dx, b.Y1+dy, b.X2+dx, b.Y2+dy
	}
	tile := part(f, c.view).Image()
	p := &picture{candidate: c, look: lookOf(tile), file: filepath.Join(m.work, fmt.Sprintf("%d.jpg", number)),
		labels: labelsOf(placeAll(c.animals, f.Index, c.seconds), found[0], c.view)}
	b, err := encode(tile)
	if err == nil {
		err = os.WriteFile(p.file, b, 0o644)
	}
	m.done++
	if m.Progress != nil {
		m.Progress(m.done, m.all)
	}
	return p, err
}

// part copies a part of a frame.
func part(f *video.Frame, b box) *video.Frame {
	x, y := int(b[0]), int(b[1])
	out := &video.Frame{Index: f.Index, Time: f.Time}
	out.Resize(int(b[2])-x, int(b[3])-y)
	for row := range out.Height {
		from := ((y+row)*f.Width + x) * 3
		copy(out.Pix[row*out.Width*3:(row+1)*out.Width*3], f.Pix[from:])
	}
	return out
}

func encode(img *image.RGBA) ([]byte, error) {
	const quality = 95
	var b bytes.Buffer
	err := jpeg.Encode(&b, img, &jpeg.Options{Quality: quality})
	return b.Bytes(), err
}
