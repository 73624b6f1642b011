// Package examples makes labeled pictures for training out of counted and reviewed footage.
//
// Accepted and added animals become boxes. Rejected ones stay in the picture without a box, so that a model learns that
// they are none, or become boxes of another animal. Everything else that the count or the detector saw in a picture and
// that no person reviewed becomes a region that training leaves out (iscrowd), because it may be an animal.
//
// The pictures are tiles of frames. They are chosen where the model was wrong or in doubt, spread over time and ground,
// with every fourth one wherever there is none yet. Footage is decoded once, from its start, one frame at a time.
package examples

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/review"
	"cattlecounter/shared/filesum"
	"cattlecounter/shared/footage"
)

// ErrInput marks reviews, result documents and clips that do not fit each other.
var ErrInput = errors.New("reviews, results and clips do not fit each other")

// Clip is a file of footage.
type Clip struct {
	Path string
	Size int64
}

// Footage is one piece of reviewed footage.
type Footage struct {
	Clip   Clip
	Flight string // name of its flight, for the split of a data set
	Result report.Result
	Review review.Footage
	// ReviewFile and ResultFile are for messages.
	ReviewFile, ResultFile string
}

const maxDocument = 512 << 20 // bytes

// Gather reads reviews and finds the result document and the clip of each by the digests. results are files and folders
// that are searched with their subfolders. It reads only clips whose size a result names. The error names the file and
// the entry of every fault, and wraps ErrInput or review.ErrInvalid, or is the cause of ctx.
func Gather(ctx context.Context, reviews, results []string, clips []Clip) ([]*Footage, error) {
	found, err := readReviews(reviews)
	if err != nil {
		return nil, err
	}
	wanted := map[footage.Digest]*Footage{}
	for _, f := range found {
		wanted[f.Review.SHA256] = f
	}
	docs := documents{wanted: wanted, flights: map[footage.Digest]string{}, names: map[string]bool{}}
	for _, path := range results {
		if err := docs.search(ctx, path); err != nil {
			return nil, err
		}
	}
	faults := docs.faults
	for _, f := range found {
		if f.ResultFile != "" {
			continue
		}
		hint := "count the clip with: worker count --out DIR"
		if docs.names[f.Review.Name] {
			hint = "there is a result of another file with this name; the review may be of another clip"
		}
		faults = append(faults, fmt.Errorf("%s: %s has no result document in %s; %s", f.ReviewFile, f.Review.Label(),
			footage.SafePath(strings.Join(results, ", ")), hint))
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("%w: %w", errors.Join(faults...), ErrInput)
	}
	if err := findClips(ctx, found, clips); err != nil {
		return nil, err
	}
	for _, f := range found {
		f.Flight = docs.flights[f.Review.SHA256]
		if f.Flight == "" {
			f.Flight = flightName(f.Result.Source.Name, f.Review.SHA256)
		}
	}
	return found, nil
}

// flightName is unique among flights, also when cameras number their files from 1 again.
func flightName(file string, digest footage.Digest) string {
	return footage.SafeName(strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))) + "-" + digest.String()[:8]
}

// readReviews reads review files. The list is in their order.
func readReviews(files []string) ([]*Footage, error) {
	var found []*Footage
	first := map[footage.Digest]string{}
	for _, path := range files {
		info, err := os.Stat(path)
		if err == nil && info.Size() > review.MaxBytes {
			err = fmt.Errorf("%s has more than %d bytes", path, review.MaxBytes)
		}
		var b []byte
		if err == nil {
			b, err = os.ReadFile(path)
		}
		if err != nil {
			return nil, fmt.Errorf("review: %w: %w", err, ErrInput)
		}
		r, err := review.Parse(path, b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		for _, f := range r.Footage {
			if other := first[f.SHA256]; other != "" {
				return nil, fmt.Errorf("%s: %s has a review in %s already: %w", path, f.Label(), other, ErrInput)
			}
			first[f.SHA256] = path
			found = append(found, &Footage{Review: f, ReviewFile: path})
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no review names any footage: %w", ErrInput)
	}
	return found, nil
}

// documents are the result documents of reviewed footage.
type documents struct {
	wanted  map[footage.Digest]*Footage
	flights map[footage.Digest]string // names of flights of several parts
	names   map[string]bool           // of all counted files
	faults  []error
}

// search reads the documents at a path. Files that are no result documents are passed over.
func (d *documents) search(ctx context.Context, root string) error {
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("result documents: %w: %w", err, ErrInput)
		}
		if e.IsDir() || !strings.HasSuffix(strings.ToLower(e.Name()), ".json") {
			return nil
		}
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() || info.Size() > maxDocument {
			return nil //nolint:nilerr // such as a broken link; a missing document is reported with its footage
		}
		b, err := os.ReadFile(path) //nolint:gosec // a folder of the operator's own
		if err != nil {
			return fmt.Errorf("result documents: %w: %w", err, ErrInput)
		}
		d.add(path, b)
		return nil
	})
}

// add takes a document of reviewed footage, or of a flight.
func (d *documents) add(path string, b []byte) {
	var head struct {
		Schema int           `json:"schema"`
		Source report.Source `json:"source"`
		Video  *report.Video `json:"video"`
		Parts  []struct {
			Name   string         `json:"name"`
			SHA256 footage.Digest `json:"sha256"`
		} `json:"parts"`
	}
	if json.Unmarshal(b, &head) != nil || head.Schema != report.Schema || head.Source.SHA256.IsZero() {
		return
	}
	if len(head.Parts) > 0 {
		for _, p := range head.Parts {
			d.flights[p.SHA256] = flightName(head.Parts[0].Name, head.Parts[0].SHA256)
		}
		return
	}
	if head.Video == nil {
		return
	}
	d.names[head.Source.Name] = true
	f := d.wanted[head.Source.SHA256]
	if f == nil {
		return
	}
	r, err := ParseResult(b)
	switch {
	case err != nil:
		d.faults = append(d.faults, fmt.Errorf("%s: %w", path, err))
	case f.ResultFile != "" && !sameTracks(f.Result, r):
		d.faults = append(d.faults, fmt.Errorf("%s and %s are different results of %s; name the one that was reviewed with --results",
			f.ResultFile, path, f.Review.Label()))
	}
	if f.ResultFile == "" {
		f.Result, f.ResultFile = r, path
	}
}

// ParseResult reads a result document and checks what pictures are cut by. The error wraps ErrInput.
func ParseResult(b []byte) (report.Result, error) {
	var r report.Result
	if err := json.Unmarshal(b, &r); err != nil {
		return report.Result{}, fmt.Errorf("not a result document: %w: %w", err, ErrInput)
	}
	const most = 1 << 16 // pixels
	if r.Video.Width < 1 || r.Video.Height < 1 || r.Video.Width > most || r.Video.Height > most || r.Video.Frames < 1 {
		return report.Result{}, fmt.Errorf("video of %dx%d pixels and %d frames: %w", r.Video.Width, r.Video.Height,
			r.Video.Frames, ErrInput)
	}
	ids := map[int]bool{}
	check := func(id int, b report.Best) error {
		if id < 1 || ids[id] {
			return fmt.Errorf("track %d: the id is used twice or is not a number from 1 on: %w", id, ErrInput)
		}
		ids[id] = true
		if b.Frame < 0 || b.Frame >= r.Video.Frames || !proper(b.Box, r.Video.Width, r.Video.Height) {
			return fmt.Errorf("track %d: box %v of frame %d is outside of the video: %w", id, b.Box, b.Frame, ErrInput)
		}
		return nil
	}
	for _, t := range r.Tracks {
		if err := check(t.ID, t.Best); err != nil {
			return report.Result{}, err
		}
	}
	for _, t := range r.NotCounted {
		if err := check(t.ID, t.Best); err != nil {
			return report.Result{}, err
		}
	}
	return r, nil
}

// proper reports whether a box has an area and lies within a picture, up to rounding.
func proper(b [4]float64, width, height int) bool {
	const slack = 2
	return b[0] >= -slack && b[1] >= -slack && b[2] <= float64(width)+slack && b[3] <= float64(height)+slack &&
		b[2]-b[0] >= 1 && b[3]-b[1] >= 1
}

// sameTracks reports whether verdicts on one result are verdicts on the other.
func sameTracks(a, b report.Result) bool {
	return slices.EqualFunc(a.Tracks, b.Tracks, func(x, y report.Track) bool { return x.ID == y.ID && x.Best == y.Best }) &&
		slices.EqualFunc(a.NotCounted, b.NotCounted, func(x, y report.NotCounted) bool { return x.ID == y.ID && x.Best == y.Best })
}

// findClips finds the files of the footage by size and digest.
func findClips(ctx context.Context, found []*Footage, clips []Clip) error {
	var faults []error
	known := map[string]footage.Digest{}
	for _, f := range found {
		source := f.Result.Source
		for _, c := range clips {
			if c.Size != source.Size || f.Clip.Path != "" {
				continue
			}
			d, ok := known[c.Path]
			if !ok {
				var err error
				if d, _, err = filesum.Of(ctx, c.Path); err != nil {
					if ctx.Err() != nil {
						return context.Cause(ctx)
					}
					return fmt.Errorf("read %s: %w: %w", footage.SafePath(c.Path), err, ErrInput)
				}
				known[c.Path] = d
			}
			if d == source.SHA256 {
				f.Clip = c
			}
		}
		if f.Clip.Path == "" {
			faults = append(faults, fmt.Errorf("%s: %s is not among the clips: none has its %d bytes and digest", f.ReviewFile,
				f.Review.Label(), source.Size))
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: %w", errors.Join(faults...), ErrInput)
	}
	return nil
}
