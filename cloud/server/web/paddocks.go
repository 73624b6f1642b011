package web

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/place/mapfile"
	"cattlecounter/cloud/place/paddock"
	"cattlecounter/cloud/server/access"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

const versionsShown = 200

func spreadView(s ledger.Spread) wire.Spread {
	if s.Way == "" {
		return wire.Spread{}
	}
	v := wire.Spread{Way: s.Way, Placed: &s.Placed, PaddocksVersion: s.Borders}
	for _, p := range s.Paddocks {
		v.Paddocks = append(v.Paddocks, wire.PaddockCount(p))
	}
	return v
}

func bordersView(b ledger.Borders) wire.Borders {
	return wire.Borders{Site: b.Site, Version: b.Version, From: timeOrNil(b.From), Paddocks: b.Paddocks, Created: b.Created,
		Who: b.Who}
}

// siteArg is the site in the path. It is not found for a holder that may not do this there; a device reads of its own site.
func siteArg(c *fiber.Ctx, a access.Action) (string, error) {
	site, h := text(c.Params("site")), holderOf(c.UserContext())
	_, err := footage.ParseID(site)
	if err != nil || !h.May(a) || !h.Sites.Has(site) || h.Device != "" && a != access.Read {
		return "", fmt.Errorf("site %.64q: %w", site, ledger.ErrNotFound)
	}
	return site, nil
}

// getPaddocks answers with the borders of a version: the one that the parameter names, else the one that holds now.
func (s *Server) getPaddocks(c *fiber.Ctx) error {
	site, err := siteArg(c, access.Read)
	if err != nil {
		return err
	}
	var b ledger.Borders
	if v := c.Query("version"); v == "" {
		b, err = s.o.Ledger.Borders.At(c.UserContext(), site, s.now())
	} else {
		n, _ := strconv.ParseInt(v, 10, 64) // checkQuery has read it
		b, err = s.o.Ledger.Borders.Get(c.UserContext(), site, n)
	}
	if err != nil {
		return err
	}
	form := mapfile.Format(cmp.Or(text(c.Query("format")), string(mapfile.GeoJSON)))
	doc, err := paddocksAs(c.UserContext(), form, b)
	if err != nil {
		return err
	}
	return sendTagged(c, doc, form.ContentType(), fmt.Sprintf("%s-paddocks-%d.%s", safeName(site), b.Version, form))
}

// paddocksAs is a version of paddocks as KML, GeoPackage or GeoJSON.
func paddocksAs(ctx context.Context, form mapfile.Format, b ledger.Borders) ([]byte, error) {
	list, err := paddock.ReadAny([]byte(b.Document))
	if err != nil {
		return nil, fmt.Errorf("paddocks of %s version %d: %w", b.Site, b.Version, err)
	}
	var out bytes.Buffer
	switch form {
	case mapfile.KML:
		err := paddock.WriteKML(&out, b.Site, list)
		return out.Bytes(), err
	case mapfile.GPKG:
		err := paddock.WriteGeoPackage(ctx, &out, b.Created, list)
		return out.Bytes(), err
	}
	about := bordersView(b)
	extra := map[string]any{"site": about.Site, "version": about.Version, "created": about.Created}
	if about.From != nil {
		extra["valid_from"] = about.From
	}
	err = paddock.WriteGeoJSON(&out, list, extra)
	return out.Bytes(), err
}

func (s *Server) listPaddocks(c *fiber.Ctx) error {
	site, err := siteArg(c, access.Read)
	if err != nil {
		return err
	}
	bs, err := s.o.Ledger.Borders.List(c.UserContext(), site, versionsShown)
	if err != nil {
		return err
	}
	return sendJSON(c, pageOf(bs, "", bordersView))
}

// siteChange is a request that stores something of a site that holds from a time on.
type siteChange struct {
	who  string // changes it
	site string
	from time.Time // zero for now
	body []byte
}

// siteChange reads a change of a site whose body has at most limit bytes. The error is a problem.
func (s *Server) siteChange(c *fiber.Ctx, limit int64) (siteChange, error) {
	d, err := s.authenticate(c)
	if err != nil {
		return siteChange{}, err
	}
	r := siteChange{who: d.Name}
	if r.site, err = siteArg(c, access.Change); err != nil {
		return siteChange{}, err
	}
	if r.from, err = moment(c, "from"); err != nil {
		return siteChange{}, err
	}
	r.body, err = s.readBody(c, limit)
	return r, err
}

// putPaddocks stores a new version of the paddocks of a site. It needs the token of an operator.
func (s *Server) putPaddocks(c *fiber.Ctx) error {
	r, err := s.siteChange(c, paddock.MaxFile)
	if err != nil {
		return err
	}
	list, err := paddock.ReadAny(r.body)
	if err != nil {
		return badRequest("The body cannot be used: %v.", err)
	}
	warnings, err := s.checkPlace(c.UserContext(), r.site, list)
	if err != nil {
		return err
	}
	over, err := s.replacedPaddocks(c, r.site)
	if err != nil {
		return err
	}
	b, err := SetPaddocks(ledger.By(c.UserContext(), r.who), overwriter{s.o.Ledger.Borders, over}, r.site, r.from, list)
	if errors.Is(err, ledger.ErrChanged) {
		return s.stalePaddocks(c.UserContext(), r.site)
	}
	if err != nil {
		return err
	}
	s.log.Info("paddocks set by request", "site", r.site, "version", b.Version, "paddocks", b.Paddocks)
	v := bordersView(b)
	v.Warnings = warnings
	return sendJSON(c, v)
}

// SetPaddocks stores paddocks of a site that hold from a time on, and from now on when that is zero. The same paddocks as
// before change nothing.
func SetPaddocks(ctx context.Context, borders interface {
	Put(ctx context.Context, b ledger.Borders) (ledger.Borders, error)
}, site string, from time.Time, list []paddock.Paddock) (ledger.Borders, error) {
	var doc bytes.Buffer
	if err := paddock.WriteGeoJSON(&doc, list, nil); err != nil {
		return ledger.Borders{}, err
	}
	return borders.Put(ctx, ledger.Borders{Site: site, From: from, Document: doc.String(), Paddocks: len(list)})
}

// flightsCompared is how many counts of a site its paddocks are compared with.
const flightsCompared = 50

// checkPlace compares paddocks with the flights of the site. Swapped axes are refused; what is far away is a warning, and so is
// a name that several paddocks have.
func (s *Server) checkPlace(ctx context.Context, site string, list []paddock.Paddock) ([]string, error) {
	places, err := s.o.Ledger.Grounds.ListPlaced(ctx, site, flightsCompared)
	if err != nil {
		return nil, err
	}
	var points [][2]float64
	for _, p := range places {
		points = append(points, [2]float64{p.Lon, p.Lat})
	}
	var warnings []string
	if names := repeatedNames(list); len(names) > 0 {
		warnings = append(warnings, "several paddocks have the same name, so book and messages cannot tell them apart: "+firstOf(names))
	}
	far, swapped := paddock.Far(list, points)
	switch {
	case swapped:
		return nil, badRequest("Latitude and longitude are swapped: the paddocks are far from every flight of %s, and near to "+
			"them the other way. The longitude comes first; export the file again.", site)
	case far:
		warnings = append(warnings, "every flight of "+site+" is more than 100 km away from these paddocks; check their coordinates")
	}
	return warnings, nil
}

// repeatedNames lists the names that several paddocks have.
func repeatedNames(list []paddock.Paddock) (names []string) {
	n := map[string]int{}
	for _, p := range list {
		if n[p.Name]++; n[p.Name] == 2 {
			names = append(names, fmt.Sprintf("%.64q", p.Name))
		}
	}
	return names
}
