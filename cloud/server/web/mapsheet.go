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

	"cattlecounter/cloud/place"
	"cattlecounter/cloud/place/mapsheet"
	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// sendMapSheet answers with the count sheet of footage or of a flight as GeoTIFF. It is drawn for each request from what
// the count stored and the flight log, so a log that came after the count is used.
func (s *Server) sendMapSheet(draw func(ctx context.Context, id footage.ID) (body []byte, name string, err error)) fiber.Handler {
	return func(c *fiber.Ctx) error {
		id, err := idArg(c, "id")
		if err != nil {
			return err
		}
		ctx := c.UserContext()
		leave, err := s.enterPlacing(ctx)
		if err != nil {
			return err
		}
		defer leave()
		body, name, err := draw(ctx, id)
		if errors.Is(err, mapsheet.ErrNone) {
			return problem.New(wire.SlugNotFound, "%s: %v. A flight log may also be uploaded after the count; without pictures "+
				"of the ground, count the footage again.", id, err)
		}
		if err != nil {
			return err
		}
		return sendTagged(c, body, mapsheet.ContentType, safeName(name)+"-count"+mapsheet.Ending)
	}
}

// footageMapSheet draws the sheet of footage.
func (s *Server) footageMapSheet(ctx context.Context, id footage.ID) ([]byte, string, error) {
	p, err := s.placed(ctx, id)
	if err != nil {
		return nil, "", err
	}
	var out bytes.Buffer
	err = mapsheet.Write(&out, p.view.Name, []mapsheet.Part{s.sheetPart(ctx, p)}, mapsheet.AnimalsOf(p.Result))
	return out.Bytes(), strings.TrimSuffix(path.Base("/"+p.view.Name), path.Ext(p.view.Name)), err
}

// sheetPart reads the pictures of a count when the sheet is drawn.
func (s *Server) sheetPart(ctx context.Context, p placed) mapsheet.Part {
	return mapsheet.Part{Ground: p.Ground, Pictures: func() ([]byte, error) {
		b, err := s.readBlob(ctx, p.key+"."+wire.GroundExt, maxTrace)
		return b, ignore(err, blob.ErrNotFound)
	}}
}

// flightMapSheet draws the sheet of all parts of a flight, in which an animal of two parts is marked once.
func (s *Server) flightMapSheet(ctx context.Context, id footage.ID) ([]byte, string, error) {
	f, err := s.flightFor(ctx, id)
	if err != nil {
		return nil, "", err
	}
	file, err := s.flightResult(ctx, id)
	if err != nil {
		return nil, "", err
	}
	text, err := s.readBlob(ctx, file.key, maxResult)
	if err != nil {
		return nil, "", err
	}
	var parts []mapsheet.Part
	var counts []place.Counted
	for _, part := range f.Parts {
		p, err := s.placed(ctx, part.Footage)
		if err != nil && !errors.Is(err, blob.ErrNotFound) && !errors.Is(err, ledger.ErrNotFound) {
			return nil, "", err
		}
		parts, counts = append(parts, s.sheetPart(ctx, p)), append(counts, p.Counted)
	}
	first, animals, err := mapsheet.StoredFlight(text, counts)
	if err != nil {
		return nil, "", fmt.Errorf("flight %s: %w", id, err)
	}
	name := "flight-" + string(id)
	var out bytes.Buffer
	err = mapsheet.Write(&out, cmp.Or(first, name), parts, animals)
	return out.Bytes(), name, err
}

// placed is a count with the places of its animals and of its pictures.
type placed struct {
	place.Counted
	view ledger.FootageView
	key  string // of its blobs, without their endings
}
