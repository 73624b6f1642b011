// Package coco reads and writes COCO folders, the form in which training and comparing models want labeled pictures.
//
// A COCO folder is annotations.json (keys images, annotations, categories) and the pictures below images/. Boxes are
// left, top, width, height in pixels of the upright picture. Two keys are not in the standard: "clip" of an image names
// its flight, because pictures of one flight must not be on both sides of a split; and "source" says which part of
// which footage an image shows. Keys that this package does not know stay as they are.
//
// The rules are those of cattletrain/coco.py in cloud/training, which reads the same folders.
package coco

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cattlecounter/shared/footage"
)

// ErrFolder marks a folder that is no COCO folder, or has faults.
var ErrFolder = errors.New("not a usable COCO folder")

// Parts of a COCO folder.
const (
	File   = "annotations.json"
	Images = "images"
)

// Names of the categories that this project writes.
const (
	Cattle = "cattle"
	Other  = "other animal"
)

// others are the names of categories that are no cattle, as in cattletrain.coco.OTHERS.
var others = strings.Fields("other sheep lamb goat horse pony foal donkey mule pig deer elk moose antelope gazelle impala " +
	"zebra giraffe elephant rhino camel llama alpaca kangaroo dog bird chicken person")

// IsOther reports whether a category is another animal than cattle, by its name.
func IsOther(name string) bool {
	name = strings.ToLower(strings.TrimSpace(name))
	return name == Other || slices.Contains(others, name)
}

// Bounds of an annotations.json.
const (
	maxFile = 256 << 20 // bytes
	maxSide = 65535     // pixels
)

// Folder is what an annotations.json has.
type Folder struct {
	Images      []*Image
	Annotations []*Annotation
	Categories  []*Category
	rest        map[string]json.RawMessage // further keys of the document
}

// Image is one picture.
type Image struct {
	ID     int     `json:"id"`
	File   string  `json:"file_name"` // below images/, with slashes
	Width  int     `json:"width"`     // pixels
	Height int     `json:"height"`
	Clip   string  `json:"clip,omitempty"`   // name of the flight
	Source *Source `json:"source,omitempty"` // of a picture out of footage
	rest   map[string]json.RawMessage
}

// Source is the part of a piece of footage that a picture shows.
type Source struct {
	SHA256  footage.Digest `json:"sha256"` // of the footage
	Name    string         `json:"name"`   // of its file
	Frame   int            `json:"frame"`
	Seconds float64        `json:"seconds"` // from the start of the footage
	X       int            `json:"x"`       // left edge in the frame, pixels
	Y       int            `json:"y"`
	Why     string         `json:"why"`  // why the picture was chosen
	Look    string         `json:"look"` // a coarse form of the picture, to find others that are nearly equal
}

// Annotation is one labeled region of an image.
type Annotation struct {
	ID       int        `json:"id"`
	Image    int        `json:"image_id"`
	Category int        `json:"category_id"`
	Box      [4]float64 `json:"bbox"` // left, top, width, height in pixels
	Area     float64    `json:"area"` // square pixels
	Crowd    int        `json:"iscrowd"`
	Track    int        `json:"track,omitempty"` // number of the animal in its footage
	rest     map[string]json.RawMessage
}

// Category is one class.
type Category struct {
	ID    int    `json:"id"`
	Name  string `json:"name"`
	Super string `json:"supercategory,omitempty"`
	rest  map[string]json.RawMessage
}

// New returns an empty folder with the categories of this project.
func New() *Folder {
	return &Folder{Categories: []*Category{{ID: 1, Name: Cattle, Super: "animal"}, {ID: 2, Name: Other, Super: "animal"}}}
}

// Category returns the id of the category with a name, which is added when it is missing.
func (f *Folder) Category(name string) int {
	most := 0
	for _, c := range f.Categories {
		if c.Name == name {
			return c.ID
		}
		most = max(most, c.ID)
	}
	f.Categories = append(f.Categories, &Category{ID: most + 1, Name: name, Super: "animal"})
	return most + 1
}

// Others has the ids of the categories of other animals.
func (f *Folder) Others() map[int]bool {
	ids := map[int]bool{}
	for _, c := range f.Categories {
		if IsOther(c.Name) {
			ids[c.ID] = true
		}
	}
	return ids
}

// Of returns the annotations of an image.
func (f *Folder) Of(image int) (list []*Annotation) {
	for _, a := range f.Annotations {
		if a.Image == image {
			list = append(list, a)
		}
	}
	return list
}

// ByImage returns the annotations by the id of their image.
func (f *Folder) ByImage() map[int][]*Annotation {
	list := map[int][]*Annotation{}
	for _, a := range f.Annotations {
		list[a.Image] = append(list[a.Image], a)
	}
	return list
}

// Read reads the annotations.json of a folder and checks it. It does not read the pictures. The error names the file
// and each faulty entry, up to 20, and wraps ErrFolder; for a folder without the file it wraps fs.ErrNotExist too.
func Read(dir string) (*Folder, error) {
	path := filepath.Join(dir, File)
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrFolder)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s has %d bytes, at most %d: %w", path, info.Size(), maxFile, ErrFolder)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrFolder)
	}
	f, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// Parse is Read for the content of an annotations.json.
func Parse(b []byte) (*Folder, error) {
	f := &Folder{}
	var faults []error
	var err error
	f.rest, err = decode(b, map[string]any{"images": &f.Images, "annotations": &f.Annotations, "categories": &f.Categories},
		"images", "annotations", "categories")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrFolder)
	}
	const most = 20
	fault := func(format string, v ...any) {
		if len(faults) == most {
			faults = append(faults, errors.New("more faults are not listed"))
		} else if len(faults) < most {
			faults = append(faults, fmt.Errorf(format, v...))
		}
	}
	f.check(fault)
	if len(faults) > 0 {
		return nil, fmt.Errorf("%w: %w", errors.Join(faults...), ErrFolder)
	}
	return f, nil
}

// check reports every fault.
func (f *Folder) check(fault func(format string, v ...any)) {
	kinds, images, ids, files := map[int]bool{}, map[int]*Image{}, map[int]bool{}, map[string]bool{}
	for i, c := range f.Categories {
		switch {
		case c == nil:
			fault("category at position %d is not an object", i)
		case c.Name == "" || kinds[c.ID]:
			fault("category %d: it has no name, or its id is used twice", c.ID)
		default:
			kinds[c.ID] = true
		}
	}
	for i, m := range f.Images {
		switch {
		case m == nil:
			fault("image at position %d is not an object", i)
		case images[m.ID] != nil:
			fault("image %d: id is used twice", m.ID)
		case !fs.ValidPath(m.File) || m.File == "." || strings.ContainsAny(m.File, "\\\x00") || !filepath.IsLocal(m.File):
			fault("image %d: file_name %.100q is not a file below the folder", m.ID, m.File)
		case files[m.File]:
			fault("image %d: file_name %.100q is used twice", m.ID, m.File)
		case m.Width < 1 || m.Width > maxSide || m.Height < 1 || m.Height > maxSide:
			fault("image %d: %dx%d pixels, want 1 to %d", m.ID, m.Width, m.Height, maxSide)
		default:
			images[m.ID], files[m.File] = m, true
		}
	}
	for i, a := range f.Annotations {
		if a == nil {
			fault("annotation at position %d is not an object", i)
			continue
		}
		m := images[a.Image]
		switch {
		case ids[a.ID]:
			fault("annotation %d: id is used twice", a.ID)
		case m == nil:
			fault("annotation %d: image_id %d is not in the file", a.ID, a.Image)
		case !kinds[a.Category]:
			fault("annotation %d: category_id %d is not in the file", a.ID, a.Category)
		case a.Crowd != 0 && a.Crowd != 1:
			fault("annotation %d: iscrowd must be 0 or 1", a.ID)
		case !within(a.Box, m):
			fault("annotation %d: bbox %v is empty or outside of its picture of %dx%d", a.ID, a.Box, m.Width, m.Height)
		}
		ids[a.ID] = true
	}
}

// leastSide is the side in pixels below which a box is empty, also after the cut at the edge of its picture.
const leastSide = 0.5

func within(b [4]float64, m *Image) bool {
	for _, v := range b {
		if math.IsNaN(v) || math.Abs(v) > 1e6 {
			return false
		}
	}
	w, h := min(b[0]+b[2], float64(m.Width))-max(b[0], 0), min(b[1]+b[3], float64(m.Height))-max(b[1], 0)
	return b[2] >= leastSide && b[3] >= leastSide && w >= leastSide && h >= leastSide
}

// Path is the file of an image of the folder at dir: below images/, or else below dir.
func (m *Image) Path(dir string) string {
	path := filepath.Join(dir, Images, filepath.FromSlash(m.File))
	if _, err := os.Stat(path); err != nil {
		if other := filepath.Join(dir, filepath.FromSlash(m.File)); other != path {
			if _, err := os.Stat(other); err == nil {
				return other
			}
		}
	}
	return path
}

// Write replaces the annotations.json of a folder as a whole, and is durable on return. The same content leaves the
// file as it is. The pictures must be there before.
func (f *Folder) Write(dir string) error {
	b, err := f.encode()
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Join(dir, File), err)
	}
	return Replace(filepath.Join(dir, File), b)
}

// Replace writes a file that gets its name when its content is durable. A file with this content stays as it is.
func Replace(path string, b []byte) error {
	if old, err := os.ReadFile(path); err == nil && slices.Equal(old, b) {
		return nil
	}
	part, err := os.CreateTemp(filepath.Dir(path), ".part-*")
	if err != nil {
		return err
	}
	_, err = part.Write(b)
	err = errors.Join(err, part.Chmod(0o644), part.Sync(), part.Close())
	if err == nil {
		err = os.Rename(part.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(part.Name()))
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
