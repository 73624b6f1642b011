package ground

import (
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"cattlecounter/cloud/flightlog"
	"cattlecounter/cloud/place"
	"cattlecounter/cloud/place/paddock"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
)

// spread places the animals of a count, and divides them among the paddocks that held when the footage was recorded.
// result is the result document.
func (p *Placer) spread(ctx context.Context, v ledger.FootageView, result []byte, log *flightlog.Log, g *ledger.Ground) error {
	trace, err := ReadBlob(ctx, p.Logs.Blobs, strings.TrimSuffix(v.Job.ResultKey, path.Ext(v.Job.ResultKey))+".trace", maxTrace)
	if err != nil && !errors.Is(err, blob.ErrNotFound) {
		return err
	}
	res, err := place.Stored(result, trace, log)
	if err != nil {
		p.Log.Warn("stored count cannot be placed", "footage", v.ID, "err", err)
		return nil
	}
	g.Way, g.Placed, g.Footprint = res.Place.Way, res.Place.Placed, res.Place.Footprint
	for _, t := range res.Tracks {
		if q := t.Position; q != nil {
			g.Places = append(g.Places, ledger.Place{ID: t.ID, Class: t.Label, Lat: q.Latitude, Lon: q.Longitude, Radius: q.Radius,
				Seconds: q.Seconds})
		}
	}
	return p.divide(ctx, v, g)
}

// kept places a count by what was found before: the log was inside a video that retention has removed.
func (p *Placer) kept(ctx context.Context, v ledger.FootageView, g *ledger.Ground) error {
	before, err := p.Grounds.Get(ctx, v.ID)
	if err != nil {
		return err
	}
	*g = before
	g.Taken, g.Borders, g.Paddocks = v.Taken, 0, nil
	for i := range g.Places {
		g.Places[i].Paddocks = nil
	}
	if g.Way == "" || v.Count == nil {
		return nil
	}
	return p.divide(ctx, v, g)
}

// divide counts the animals of a ground in the paddocks that held when the footage was recorded.
func (p *Placer) divide(ctx context.Context, v ledger.FootageView, g *ledger.Ground) error {
	at := g.Taken
	if at.IsZero() {
		at = v.Captured
	}
	if at.IsZero() {
		at = v.Received
	}
	set, version, err := p.paddocks(ctx, v.Site, at)
	if err != nil || set == nil {
		return err
	}
	g.Borders = version
	var points []paddock.Point
	animals := map[int]int{} // places by the number of their animal
	for i, a := range g.Places {
		animals[a.ID] = i
		points = append(points, paddock.Point{ID: a.ID, Lat: a.Lat, Lon: a.Lon, Radius: a.Radius})
	}
	found := set.Points(points, g.Footprint, paddock.Whole{Unique: v.Count.Unique, Low: v.Count.Low, High: v.Count.High,
		Placed: g.Placed})
	for _, i := range slices.Sorted(maps.Keys(found)) {
		c := found[i]
		for _, id := range c.Tracks {
			a := &g.Places[animals[id]]
			a.Paddocks = append(a.Paddocks, c.Name)
		}
		if c.Seen > 0 || len(c.Tracks) > 0 || c.Near > 0 {
			g.Paddocks = append(g.Paddocks, ledger.PaddockCount{Name: c.Name, Animals: c.Animals, Low: c.Low, High: c.High,
				Border: c.Border, Near: c.Near, Area: c.Area, Seen: c.Seen})
		}
	}
	return nil
}

// setKey is a version of the paddocks of a site.
type setKey struct {
	site    string
	version int64
}

const mostSets = 20

// paddocks returns the paddocks of a site that held at a time, nil for a site without.
func (p *Placer) paddocks(ctx context.Context, site string, at time.Time) (*paddock.Set, int64, error) {
	b, err := p.Borders.At(ctx, site, at)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	key := setKey{site, b.Version}
	if p.sets[key] == nil {
		list, err := paddock.ReadAny([]byte(b.Document))
		if err != nil {
			return nil, 0, err
		}
		if p.sets == nil || len(p.sets) >= mostSets {
			p.sets = map[setKey]*paddock.Set{}
		}
		p.sets[key] = paddock.NewSet(list)
	}
	return p.sets[key], b.Version, nil
}
