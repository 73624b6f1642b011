// Package gather reads what a report of a count shows: digests, reviews, a sample of animals, count sheets, the flown ground.
package gather

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"cattlecounter/cloud/place/paddock"
	"cattlecounter/cloud/server/ground"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

type (
	catalog interface {
		Get(ctx context.Context, id footage.ID) (ledger.FootageView, error)
	}
	reviews interface {
		List(ctx context.Context, id footage.ID) ([]ledger.Review, error)
	}
	flights interface {
		Get(ctx context.Context, id string) (ledger.FlightView, error)
	}
	borders interface {
		Get(ctx context.Context, site string, version int64) (ledger.Borders, error)
	}
)

// Gatherer reads reports. All fields are required. It is safe for concurrent use; use New.
type Gatherer struct {
	Footage catalog
	Reviews reviews
	Flights flights
	Borders borders
	Blobs   ground.Blobs
	Logs    ground.Logs

	mu      sync.Mutex
	digests map[string]footage.Digest // of result documents by their keys, which never change their content
}

const mostDigests = 4096 // that are remembered

// Subject is what a report is about.
type Subject struct {
	Of     string // survey, flight or footage
	ID     string
	Survey wire.Survey
	Counts []ledger.SurveyPart // of Survey.Parts
}

// Report returns the report of a subject.
func (g *Gatherer) Report(ctx context.Context, s Subject) (wire.Report, error) {
	r := wire.Report{Survey: s.Survey, Of: s.Of, ID: s.ID, Models: []wire.ReportModel{}, Sources: []wire.ReportSource{},
		Sample: []wire.ReportAnimal{}, Reviews: []wire.ReportReview{}, Missing: []wire.ReportMissing{}}
	seed := sha256.New()
	for _, p := range s.Counts {
		if p.Count.At.After(r.State) {
			r.State = p.Count.At
		}
		source, err := g.source(ctx, p)
		if err != nil {
			return r, err
		}
		if source.Result == nil {
			r.Missing = append(r.Missing, wire.ReportMissing{What: "result", Footage: source.Footage})
		}
		r.Sources = append(r.Sources, source)
		addSeed(seed, source)
		addModel(&r, p.Count)
		if err := g.addReviews(ctx, &r, p.Count); err != nil {
			return r, err
		}
	}
	if r.State.IsZero() {
		r.State = s.Survey.Created
	}
	r.State = r.State.UTC()
	if r.Survey.Created.IsZero() { // that of a flight is stored nowhere
		r.Survey.Created = r.State
	}
	_, zone, err := g.zone(ctx, s)
	if err != nil {
		return r, err
	}
	r.Zone = zone
	r.Sample, err = g.draw(ctx, s.Counts, seed)
	return r, err
}

// source is a part with its digests.
func (g *Gatherer) source(ctx context.Context, p ledger.SurveyPart) (wire.ReportSource, error) {
	s := wire.ReportSource{Footage: p.Footage.ID, Name: p.Footage.Name, Size: p.Footage.Size, SHA256: p.Footage.SHA256,
		Unique: p.Unique}
	if t := p.Footage.Taken; !t.IsZero() {
		t = t.UTC()
		s.Captured = &t
	}
	key, err := g.resultKey(ctx, p.Footage.ID)
	if err != nil || key == "" {
		return s, err
	}
	d, err := g.digest(ctx, key)
	if errors.Is(err, blob.ErrNotFound) {
		return s, nil
	}
	s.Result = &d
	return s, err
}

// resultKey is the blob key of the result document of footage, "" without one.
func (g *Gatherer) resultKey(ctx context.Context, id footage.ID) (string, error) {
	v, err := g.Footage.Get(ctx, id)
	if err != nil || v.Job == nil {
		return "", err
	}
	return v.Job.ResultKey, nil
}

// digest is the SHA-256 of a blob, which is read as a stream.
func (g *Gatherer) digest(ctx context.Context, key string) (footage.Digest, error) {
	g.mu.Lock()
	d, ok := g.digests[key]
	g.mu.Unlock()
	if ok {
		return d, nil
	}
	r, err := g.Blobs.Open(ctx, key, 0, -1)
	if err != nil {
		return d, err
	}
	h := sha256.New()
	_, err = io.Copy(h, r)
	if err := errors.Join(err, r.Close()); err != nil {
		return d, fmt.Errorf("digest of %s: %w", key, err)
	}
	h.Sum(d[:0])
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.digests == nil || len(g.digests) >= mostDigests {
		g.digests = map[string]footage.Digest{}
	}
	g.digests[key] = d
	return d, nil
}

func addSeed(seed hash.Hash, s wire.ReportSource) {
	seed.Write(s.SHA256[:])
	if s.Result != nil {
		seed.Write(s.Result[:])
	}
}

func addModel(r *wire.Report, c ledger.Count) {
	i := slices.IndexFunc(r.Models, func(m wire.ReportModel) bool { return m.Name == c.Model && m.Digest == c.ModelDigest })
	if i < 0 {
		r.Models = append(r.Models, wire.ReportModel{Name: c.Model, Digest: c.ModelDigest})
		i = len(r.Models) - 1
	}
	r.Models[i].Counts++
}

// addReviews adds the reviews of a count. Those of an earlier count of the footage say nothing of this one.
func (g *Gatherer) addReviews(ctx context.Context, r *wire.Report, c ledger.Count) error {
	all, err := g.Reviews.List(ctx, c.Footage)
	if err != nil {
		return err
	}
	for _, v := range all {
		if v.Counted.UnixMicro() != c.At.UnixMicro() {
			continue
		}
		r.Reviews = append(r.Reviews, wire.ReportReview{Footage: c.Footage, Who: v.Reviewer, At: v.Updated.UTC(), Animals: v.Animals,
			Unique: c.Unique, Judged: v.Judged, Of: v.Tracks})
		if v.Updated.After(r.State) {
			r.State = v.Updated
		}
	}
	return nil
}

// zone is the time zone at the first place that is known, UTC without one.
func (g *Gatherer) zone(ctx context.Context, s Subject) (*time.Location, string, error) {
	for _, p := range s.Counts {
		if len(p.Ground.Places) > 0 {
			l, name := ground.ZoneAt(p.Ground.Places[0].Lat, p.Ground.Places[0].Lon)
			return l, name, nil
		}
	}
	list, err := g.paddocks(ctx, s.Survey)
	if err != nil || len(list) == 0 {
		return time.UTC, "UTC", err
	}
	corner := list[0].Polygons[0][0][0]
	l, name := ground.ZoneAt(corner[1], corner[0])
	return l, name, nil
}

// paddocks are those that the survey is divided by.
func (g *Gatherer) paddocks(ctx context.Context, v wire.Survey) ([]paddock.Paddock, error) {
	if v.Version == 0 {
		return nil, nil
	}
	b, err := g.Borders.Get(ctx, v.Site, v.Version)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list, err := paddock.ReadAny([]byte(b.Document))
	if err != nil {
		return nil, fmt.Errorf("paddocks of %s version %d: %w", v.Site, v.Version, err)
	}
	return list, nil
}

// Contact sheets have a picture of each counted animal; the sizes are those of cloud/count/evidence.
const (
	cellWidth, cellHeight = 192, 196
	titleHeight           = 34
	sheetColumns          = 8
	sheetCells            = 80
	mostPages             = 100
)

// SampleSize is how many animals a sample has, and drawn how many are drawn for it: some have no picture.
const (
	SampleSize = 24
	drawn      = 3 * SampleSize
)

// draw draws animals that have a picture, each with the same chance.
func (g *Gatherer) draw(ctx context.Context, counts []ledger.SurveyPart, seed hash.Hash) ([]wire.ReportAnimal, error) {
	total := 0
	for _, p := range counts {
		total += min(max(p.Unique, 0), sheetCells*mostPages)
	}
	sum := seed.Sum(nil)
	random := rand.New(rand.NewPCG(binary.BigEndian.Uint64(sum), binary.BigEndian.Uint64(sum[8:])))
	chosen := []int{}
	for tries := 0; len(chosen) < min(drawn, total) && tries < 100*drawn; tries++ {
		if n := random.IntN(total); !slices.Contains(chosen, n) {
			chosen = append(chosen, n)
		}
	}
	out := []wire.ReportAnimal{}
	exists := map[string]bool{}
	for _, n := range chosen {
		if len(out) == SampleSize {
			break
		}
		a := animalAt(counts, n)
		key, err := g.contactKey(ctx, a)
		if err != nil {
			return nil, err
		}
		has, known := exists[key]
		if !known {
			_, err := g.Blobs.Stat(ctx, key)
			if err != nil && !errors.Is(err, blob.ErrNotFound) {
				return nil, err
			}
			has = err == nil
			exists[key] = has
		}
		if has {
			out = append(out, a)
		}
	}
	return out, nil
}

// animalAt is the n-th animal of all counts.
func animalAt(counts []ledger.SurveyPart, n int) wire.ReportAnimal {
	for _, p := range counts {
		here := min(max(p.Unique, 0), sheetCells*mostPages)
		if n < here {
			return wire.ReportAnimal{Footage: p.Footage.ID, Page: n/sheetCells + 1, Cell: n%sheetCells + 1}
		}
		n -= here
	}
	return wire.ReportAnimal{}
}

func (g *Gatherer) contactKey(ctx context.Context, a wire.ReportAnimal) (string, error) {
	key, err := g.resultKey(ctx, a.Footage)
	if err != nil || key == "" {
		return "none", err
	}
	return sibling(key, wire.ContactExt(a.Page)), nil
}

// sibling is the key of another file of a result.
func sibling(result, ext string) string {
	return strings.TrimSuffix(result, path.Ext(result)) + "." + ext
}
