package web

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/place/mapfile"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/cell"
)

// windowArg is the parameter bbox, nil without it.
func windowArg(c *fiber.Ctx) (*ledger.Window, error) {
	v := text(c.Query("bbox"))
	if v == "" {
		return nil, nil
	}
	w, err := parseWindow(v)
	if err != nil {
		return nil, badRequest("bbox: %v.", err)
	}
	return &w, nil
}

// parseWindow reads west,south,east,north in degrees (RFC 7946 section 5). A box over the 180th meridian has its west
// above its east.
func parseWindow(v string) (w ledger.Window, err error) {
	parts := strings.Split(v, ",")
	if len(parts) != 4 {
		return w, fmt.Errorf("%.80q has %d numbers, want west,south,east,north in degrees", v, len(parts))
	}
	for i, to := range []*float64{&w.West, &w.South, &w.East, &w.North} {
		n, err := strconv.ParseFloat(strings.TrimSpace(parts[i]), 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return w, fmt.Errorf("%.40q is no number of degrees", parts[i])
		}
		*to = n
	}
	if err := w.Check(); err != nil {
		return w, errors.New(strings.TrimSuffix(err.Error(), ": "+ledger.ErrInvalid.Error()))
	}
	return w, nil
}

// positionFeatures is a page of positions as GeoJSON.
type positionFeatures struct {
	Type     string            `json:"type"`
	Features []positionFeature `json:"features"`
	Next     string            `json:"next,omitempty"`
}

type positionFeature struct {
	Type     string `json:"type"`
	Geometry struct {
		Type        string     `json:"type"`
		Coordinates [2]float64 `json:"coordinates"`
	} `json:"geometry"`
	Properties positionProperties `json:"properties"`
}

type positionProperties struct {
	Kind     string     `json:"kind"`
	ID       int        `json:"id"`
	Class    string     `json:"class"`
	Radius   float64    `json:"radius_m"`
	Seconds  float64    `json:"seconds"`
	Footage  string     `json:"footage"`
	Flight   string     `json:"flight,omitempty"`
	Site     string     `json:"site"`
	Device   string     `json:"device"`
	Captured *time.Time `json:"captured,omitempty"`
	Paddock  string     `json:"paddock,omitempty"`
}

// listPositions answers with a page of the animals of all counts in a window, as GeoJSON or CSV.
func (s *Server) listPositions(c *fiber.Ctx) error {
	p, err := filterArgs(c)
	if err != nil {
		return err
	}
	if q := c.Query("limit"); q != "" {
		p.Limit, _ = strconv.Atoi(q) // checkQuery has read it
	}
	ps, next, err := s.o.Ledger.Positions.List(c.UserContext(), p)
	if err != nil {
		return err
	}
	if next != "" {
		if err := linkNext(c, next); err != nil {
			return err
		}
	}
	form := mapfile.Format(cmp.Or(text(c.Query("format")), string(mapfile.GeoJSON)))
	body, err := positionsAs(form, ps, next)
	if err != nil {
		return fmt.Errorf("positions as %s: %w", form, err)
	}
	return sendTagged(c, body, form.ContentType(), "positions."+string(form))
}

func positionsAs(form mapfile.Format, ps []ledger.Position, next string) ([]byte, error) {
	if form == mapfile.CSV {
		return positionTable(ps)
	}
	doc := positionFeatures{Type: "FeatureCollection", Features: make([]positionFeature, len(ps)), Next: next}
	for i, p := range ps {
		f := &doc.Features[i]
		f.Type, f.Geometry.Type, f.Geometry.Coordinates = "Feature", "Point", [2]float64{p.Lon, p.Lat}
		f.Properties = positionProperties{Kind: "animal", ID: p.ID, Class: p.Class, Radius: p.Radius, Seconds: p.Seconds,
			Footage: string(p.Footage), Flight: p.Flight, Site: p.Site, Device: p.Device, Captured: timeOrNil(p.Taken),
			Paddock: strings.Join(p.Paddocks, "; ")}
	}
	return json.Marshal(doc)
}

func positionTable(ps []ledger.Position) ([]byte, error) {
	rows := [][]string{{"footage", "flight", "site", "device", "captured", "id", "label", "latitude", "longitude", "radius_m",
		"seconds", "paddock"}}
	for _, p := range ps {
		rows = append(rows, []string{string(p.Footage), p.Flight, p.Site, p.Device, moments(&p.Taken), strconv.Itoa(p.ID),
			cell.Text(p.Class), strconv.FormatFloat(p.Lat, 'f', 7, 64), strconv.FormatFloat(p.Lon, 'f', 7, 64),
			strconv.FormatFloat(p.Radius, 'f', 1, 64), strconv.FormatFloat(p.Seconds, 'f', 2, 64),
			cell.Text(strings.Join(p.Paddocks, "; "))})
	}
	var out bytes.Buffer
	err := csv.NewWriter(&out).WriteAll(rows)
	return out.Bytes(), err
}

// linkNext sets the address of the next page in the header Link (RFC 8288).
func linkNext(c *fiber.Ctx, next string) error {
	query, err := url.ParseQuery(string(c.Context().URI().QueryString()))
	if err != nil {
		return badRequest("The query of the address is not valid: %v.", err)
	}
	query.Set("after", next)
	c.Set(fiber.HeaderLink, fmt.Sprintf("<%s?%s>; rel=\"next\"", c.Context().Path(), query.Encode()))
	return nil
}
