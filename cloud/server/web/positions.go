package web

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/flightlog"
	"cattlecounter/cloud/place"
	"cattlecounter/cloud/place/mapfile"
	"cattlecounter/cloud/place/paddock"
	"cattlecounter/cloud/server/ground"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
)

// Limits of what positions are computed from, in bytes.
const (
	maxResult = 64 << 20
	maxTrace  = 128 << 20
)

// sendPositions answers with the positions of a count in the form of the parameter format. They are computed for each
// request from what the count stored and the flight log, so a log that came after the count is used.
func (s *Server) sendPositions(c *fiber.Ctx) error {
	id, err := idArg(c, "footage")
	if err != nil {
		return err
	}
	form, err := mapfile.ParseFormat(cmp.Or(text(c.Query("format")), string(mapfile.GeoJSON)))
	if err != nil {
		return badRequest("format: %v.", err)
	}
	ctx := c.UserContext()
	leave, err := s.enterPlacing(ctx)
	if err != nil {
		return err
	}
	defer leave()
	body, err := s.positions(ctx, id, form)
	if err != nil {
		return err
	}
	return sendTagged(c, body, form.ContentType(), safeName(string(id))+"-positions."+string(form))
}

// positions writes the positions of a count.
func (s *Server) positions(ctx context.Context, id footage.ID, form mapfile.Format) ([]byte, error) {
	p, err := s.placed(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.writePositions(ctx, p, form)
}

func (s *Server) writePositions(ctx context.Context, p placed, form mapfile.Format) ([]byte, error) {
	set, err := s.countedPaddocks(ctx, p.view)
	if err != nil {
		return nil, err
	}
	var borders []paddock.Paddock
	if set != nil {
		set.Count(&p.Result)
		borders = set.List()
	}
	var out bytes.Buffer
	if err := mapfile.Write(&out, form, p.Result, p.view.Taken, borders...); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// placed places the animals of a count that the request may read.
func (s *Server) placed(ctx context.Context, id footage.ID) (placed, error) {
	v, err := s.resultOf(ctx, id)
	if err != nil {
		return placed{}, err
	}
	return s.placedView(ctx, v)
}

// placedView places the animals of the count of footage.
func (s *Server) placedView(ctx context.Context, v ledger.FootageView) (p placed, err error) {
	p.view = v
	f, err := resultFile(v, "json")
	if err != nil {
		return p, err
	}
	p.key = strings.TrimSuffix(f.key, path.Ext(f.key))
	doc, err := s.readBlob(ctx, f.key, maxResult)
	if err != nil {
		return p, err
	}
	trace, err := s.readBlob(ctx, p.key+".trace", maxTrace)
	if err != nil && !errors.Is(err, blob.ErrNotFound) {
		return p, err
	}
	log, err := s.flightLog(ctx, p.view)
	if err != nil {
		return p, err
	}
	if p.Counted, err = place.StoredGround(doc, trace, log); err != nil {
		return p, fmt.Errorf("positions of %s: %w", v.ID, err)
	}
	if log == nil {
		before, err := s.placesBefore(ctx, p.view)
		if err != nil {
			return p, err
		}
		if len(before.Places) > 0 {
			place.Keep(&p.Result, before.Way, positionsOf(before.Places), before.Footprint)
		}
	}
	return p, nil
}

// flightLog finds the flight log of footage; nil without one that fits and can be read. The footage view says why.
func (s *Server) flightLog(ctx context.Context, v ledger.FootageView) (*flightlog.Log, error) {
	length, err := s.logs.Length(ctx, v)
	if err != nil {
		return nil, err
	}
	log, _, err := s.logs.Find(ctx, v.Footage, length)
	return log, err
}

// placesBefore is the ground that was found while the video was stored that has the flight log: it was removed, or it is that
// of the original. It has no places where there is none.
func (s *Server) placesBefore(ctx context.Context, v ledger.FootageView) (ledger.Ground, error) {
	if v.BlobKey != "" || v.Count == nil {
		return ledger.Ground{}, nil
	}
	g, err := s.o.Ledger.Grounds.Get(ctx, v.Count.Footage)
	if err != nil || g.Log.State != ledger.LogOK {
		return ledger.Ground{}, ignore(err, ledger.ErrNotFound)
	}
	return g, nil
}

func positionsOf(places []ledger.Place) (out []place.Position) {
	for _, p := range places {
		out = append(out, place.Position{ID: p.ID, Lat: p.Lat, Lon: p.Lon, Radius: p.Radius, Seconds: p.Seconds})
	}
	return out
}

// countedPaddocks are the paddocks that a count was divided by, nil for none.
func (s *Server) countedPaddocks(ctx context.Context, v ledger.FootageView) (*paddock.Set, error) {
	if v.Count == nil || v.Count.Spread.Borders == 0 {
		return nil, nil
	}
	b, err := s.o.Ledger.Borders.Get(ctx, cmp.Or(v.OriginalSite, v.Site), v.Count.Spread.Borders)
	if err != nil {
		return nil, ignore(err, ledger.ErrNotFound)
	}
	list, err := paddock.ReadAny([]byte(b.Document))
	if err != nil {
		return nil, fmt.Errorf("paddocks of %s version %d: %w", b.Site, b.Version, err)
	}
	return paddock.NewSet(list), nil
}

// ignore returns nil for an error of a class.
func ignore(err, class error) error {
	if errors.Is(err, class) {
		return nil
	}
	return err
}

// readBlob reads at most most bytes of a blob.
func (s *Server) readBlob(ctx context.Context, key string, most int64) ([]byte, error) {
	return ground.ReadBlob(ctx, s.o.Blobs, key, most)
}
