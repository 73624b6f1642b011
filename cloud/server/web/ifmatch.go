package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/place/mapfile"
	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// A change with the header If-Match replaces the document that its author has read, or nothing (RFC 9110 section
// 13.1.1): two people who edit at once do not overwrite each other unseen.

// tagOf is the entity tag of a document that is computed for each request.
func tagOf(body []byte) string { return `"` + footage.Sum(body).String() + `"` }

// names reports whether a header If-Match has one of the tags of a document that exists. A tag that a proxy made weak
// names the same document: it is a digest of its content.
func names(header string, tags ...string) bool {
	for part := range strings.SplitSeq(header, ",") {
		t := strings.TrimPrefix(strings.TrimSpace(part), "W/")
		if t == "*" {
			return true
		}
		for _, tag := range tags {
			if t == tag {
				return true
			}
		}
	}
	return false
}

// replacedPaddocks is the version that a request wants to replace, 0 for whichever holds now.
func (s *Server) replacedPaddocks(c *fiber.Ctx, site string) (version int64, err error) {
	header := text(c.Get(fiber.HeaderIfMatch))
	if header == "" {
		return 0, nil
	}
	b, err := s.o.Ledger.Borders.At(c.UserContext(), site, s.now())
	if errors.Is(err, ledger.ErrNotFound) {
		return 0, problem.New(wire.SlugStale, "%s has no paddocks now. Leave out If-Match to set the first ones.", site)
	}
	if err != nil {
		return 0, err
	}
	var tags []string
	for _, form := range []mapfile.Format{mapfile.GeoJSON, mapfile.KML, mapfile.GPKG} {
		doc, err := paddocksAs(c.UserContext(), form, b)
		if err != nil {
			return 0, err
		}
		tags = append(tags, tagOf(doc))
	}
	if !names(header, tags...) {
		return 0, s.stalePaddocks(c.UserContext(), site)
	}
	return b.Version, nil
}

// stalePaddocks is the answer to a change of paddocks that others have changed meanwhile.
func (s *Server) stalePaddocks(ctx context.Context, site string) error {
	b, err := s.o.Ledger.Borders.At(ctx, site, s.now())
	if err != nil {
		return err
	}
	return problem.New(wire.SlugStale, "The paddocks of %s have changed meanwhile: version %d%s of %s holds now. Load it, and "+
		"make the change again.", site, b.Version, by(b.Who), b.Created.UTC().Format(time.RFC3339))
}

// by names who made something, "" when that is not known.
func by(who string) string {
	if who == "" {
		return ""
	}
	return fmt.Sprintf(" by %.64s", who)
}

// overwriter stores paddocks in place of a version.
type overwriter struct {
	borders borders
	over    int64 // 0 for whichever holds
}

// Put stores a version.
func (o overwriter) Put(ctx context.Context, b ledger.Borders) (ledger.Borders, error) {
	return o.borders.PutOver(ctx, b, o.over)
}

// putBookOver stores expected numbers, in place of those that the request has read when it says so.
func (s *Server) putBookOver(c *fiber.Ctx, r siteChange, list []ledger.Expected) error {
	ctx := ledger.By(c.UserContext(), r.who)
	header := text(c.Get(fiber.HeaderIfMatch))
	if header == "" {
		return s.o.Ledger.Book.Put(ctx, r.site, r.from, list)
	}
	now, history, err := s.bookNow(ctx, r.site)
	if err != nil {
		return err
	}
	doc, err := json.Marshal(bookView(r.site, now, history))
	if err != nil {
		return err
	}
	table, err := bookTable(now)
	if err != nil {
		return err
	}
	if len(history) == 0 || !names(header, tagOf(doc), tagOf(table)) {
		return staleBook(r.site, history)
	}
	err = s.o.Ledger.Book.PutOver(ctx, r.site, r.from, list, history)
	if errors.Is(err, ledger.ErrChanged) {
		if _, history, err = s.bookNow(ctx, r.site); err == nil {
			err = staleBook(r.site, history)
		}
	}
	return err
}

func staleBook(site string, history []ledger.Expected) error {
	if len(history) == 0 {
		return problem.New(wire.SlugStale, "%s has no expected numbers now. Leave out If-Match to set the first ones.", site)
	}
	return problem.New(wire.SlugStale, "The expected numbers of %s have changed meanwhile: those%s of %s hold now. Load them, "+
		"and make the change again.", site, by(history[0].Who), history[0].Since.UTC().Format(time.RFC3339))
}
