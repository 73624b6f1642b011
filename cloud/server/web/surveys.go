package web

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/place/paddock"
	"cattlecounter/cloud/place/survey"
	"cattlecounter/cloud/server/access"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/cell"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

const maxSurveyBody = 64 << 10

func surveyHead(s ledger.Survey) wire.SurveyHead {
	return wire.SurveyHead{ID: s.ID, Created: s.Created, Who: s.Who, NewSurvey: wire.NewSurvey{Site: s.Site, Name: s.Name,
		From: timeOrNil(s.From), To: timeOrNil(s.To), Footage: s.Footage}}
}

// mayUseSite reports whether the holder may do something with all devices of a site.
func mayUseSite(ctx context.Context, a access.Action, site string) bool {
	h := holderOf(ctx)
	return h.Device == "" && h.May(a) && h.Sites.Has(site)
}

func (s *Server) listSurveys(c *fiber.Ctx) error {
	if scopeOf(c.UserContext()) != "" {
		return sendJSON(c, pageOf(nil, "", surveyHead)) // a survey has counts of other devices
	}
	return pages(s.o.Ledger.Surveys.List, surveyHead)(c)
}

// addSurvey stores a selection of counts and answers with their count.
func (s *Server) addSurvey(c *fiber.Ctx) error {
	d, err := s.authenticate(c)
	if err != nil {
		return err
	}
	body, err := s.readBody(c, maxSurveyBody)
	if err != nil {
		return err
	}
	var in wire.NewSurvey
	r := json.NewDecoder(bytes.NewReader(body))
	r.DisallowUnknownFields()
	if err := r.Decode(&in); err != nil {
		return badRequest("The body cannot be read: %v. See /api/v1/openapi.yaml for its form.", err)
	}
	ctx := ledger.By(c.UserContext(), d.Name)
	if _, err := footage.ParseID(in.Site); err != nil {
		return badRequest("site: %v.", err)
	}
	if !mayUseSite(ctx, access.Change, in.Site) {
		return fmt.Errorf("site %.64q: %w", in.Site, ledger.ErrNotFound)
	}
	n := ledger.Survey{Site: in.Site, Name: in.Name, Footage: in.Footage}
	if in.From != nil {
		n.From = *in.From
	}
	if in.To != nil {
		n.To = *in.To
	}
	switch {
	case !n.From.IsZero() && !n.To.IsZero() && !n.From.Before(n.To):
		return badRequest("from: it is not before to.")
	case in.Footage != nil && len(in.Footage) == 0:
		return badRequest("footage: it is empty. Name pieces of footage, or leave it out for all of the time.")
	case len(in.Footage) > ledger.MaxSurveyParts:
		return badRequest("footage: it has more than %d entries.", ledger.MaxSurveyParts)
	case len(in.Name) > 200:
		return badRequest("name: it is longer than 200 bytes.")
	}
	for _, id := range in.Footage {
		v, err := s.footageFor(ctx, id)
		if err != nil {
			return err
		}
		if v.Site != in.Site || v.Count == nil || v.DuplicateOf != "" || v.SiblingOf != "" {
			return badRequest("footage: %s is not counted footage of %s, or a copy of another one.", id, in.Site)
		}
	}
	v, err := s.takeSurvey(ctx, n)
	if err != nil {
		return err
	}
	if n, err = s.o.Ledger.Surveys.Add(ctx, n); err != nil {
		return err
	}
	v.SurveyHead = surveyHead(n)
	s.log.Info("survey added", "survey", n.ID, "site", n.Site, "parts", len(v.Parts))
	return sendJSON(c, v)
}

// changeableSurvey returns the survey in the path, for a holder that may change its site.
func (s *Server) changeableSurvey(c *fiber.Ctx) (ledger.Survey, error) {
	of, err := shareArg(c, s.sharedSurvey)
	if err != nil {
		return ledger.Survey{}, err
	}
	return s.o.Ledger.Surveys.Get(c.UserContext(), of.ID)
}

// removeSurvey removes a survey with its links.
func (s *Server) removeSurvey(c *fiber.Ctx) error {
	d, err := s.authenticate(c)
	if err != nil {
		return err
	}
	n, err := s.changeableSurvey(c)
	if err != nil {
		return err
	}
	if err := s.o.Ledger.Surveys.Remove(ledger.By(c.UserContext(), d.Name), n.ID); err != nil {
		return err
	}
	s.log.Info("survey removed by request", "survey", n.ID, "site", n.Site, "who", d.Name)
	return sendJSON(c, surveyHead(n))
}

// getSurvey answers with a survey as its counts are now, as JSON or as the table of its paddocks.
func (s *Server) getSurvey(c *fiber.Ctx) error {
	id, err := idArg(c, "id")
	if err != nil {
		return err
	}
	ctx := c.UserContext()
	n, err := s.o.Ledger.Surveys.Get(ctx, string(id))
	if err == nil && !mayUseSite(ctx, access.Read, n.Site) {
		err = fmt.Errorf("survey %s: %w", id, ledger.ErrNotFound)
	}
	if err != nil {
		return err
	}
	v, err := s.takeSurvey(ctx, n)
	if err != nil {
		return err
	}
	if c.Query("format") == "csv" {
		table, err := surveyTable(v)
		if err != nil {
			return err
		}
		return sendTagged(c, table, media["csv"], "survey-"+safeName(string(id))+".csv")
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return sendTagged(c, text, fiber.MIMEApplicationJSON, "")
}

// takeSurvey counts the animals of a selection.
func (s *Server) takeSurvey(ctx context.Context, n ledger.Survey) (wire.Survey, error) {
	v, _, err := s.countSurvey(ctx, n)
	return v, err
}

// countSurvey counts the animals of a selection, and returns the counts that it is made of.
func (s *Server) countSurvey(ctx context.Context, n ledger.Survey) (wire.Survey, []ledger.SurveyPart, error) {
	leave, err := s.enterPlacing(ctx)
	if err != nil {
		return wire.Survey{}, nil, err
	}
	defer leave()
	v := wire.Survey{SurveyHead: surveyHead(n), Paddocks: []wire.SurveyPaddock{}, Parts: []wire.SurveyPart{},
		Notes: []wire.SurveyNote{}}
	counts, err := s.o.Ledger.Surveys.Parts(ctx, n)
	if err != nil {
		return v, nil, err
	}
	if len(counts) > ledger.MaxSurveyParts {
		return v, nil, badRequest("The survey has more than %d counts; choose a shorter time.", ledger.MaxSurveyParts)
	}
	at := s.timeOf(n, counts)
	parts := surveyParts(counts)
	for _, p := range counts {
		v.Parts = append(v.Parts, wire.SurveyPart{Footage: p.Footage.ID, Captured: timeOrNil(p.Footage.Taken), Flight: p.Footage.Flight,
			Unique: p.Unique, Low: p.Low, High: p.High, Placed: p.Spread.Placed, Way: p.Spread.Way})
	}
	var set *paddock.Set
	b, err := s.o.Ledger.Borders.At(ctx, n.Site, at)
	if err == nil {
		var list []paddock.Paddock
		if list, err = paddock.ReadAny([]byte(b.Document)); err == nil {
			set, v.Version = paddock.NewSet(list), b.Version
		}
	}
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return v, nil, err
	}
	r := survey.Take(parts, set)
	v.Unique, v.Low, v.High, v.Placed, v.Double, v.Outside = r.Unique, r.Low, r.High, r.Placed, r.Double, r.Outside
	for _, p := range r.Paddocks {
		v.Paddocks = append(v.Paddocks, wire.SurveyPaddock{PaddockCount: wire.PaddockCount{Name: p.Name, Animals: p.Animals, Low: p.Low,
			High: p.High, Border: p.Border, Near: p.Near, Area: p.Area, Seen: p.Seen}})
	}
	v.Notes = append(v.Notes, surveyNotes(v, set != nil)...)
	if r.Earlier > 0 {
		v.Notes = append(v.Notes, wire.SurveyNote{Code: wire.NoteSeenAgain, Animals: r.Earlier})
	}
	if err := s.compare(ctx, &v, at); err != nil {
		return v, nil, err
	}
	v.Warnings = warningsOf(v)
	return v, counts, nil
}

// timeOf is when the last footage of a survey was recorded, or arrived where no time is known; without footage it is the end
// of the survey, else now.
func (s *Server) timeOf(n ledger.Survey, counts []ledger.SurveyPart) time.Time {
	var taken, received time.Time
	for _, p := range counts {
		if p.Footage.Taken.After(taken) {
			taken = p.Footage.Taken
		}
		if p.Footage.Received.After(received) {
			received = p.Footage.Received
		}
	}
	for _, at := range []time.Time{taken, received, n.To} {
		if !at.IsZero() {
			return at
		}
	}
	return s.now()
}

// surveyParts is the counts in the form of cloud/place/survey.
func surveyParts(counts []ledger.SurveyPart) []survey.Part {
	flights := map[string]*survey.Flight{}
	var out []survey.Part
	for _, c := range counts {
		p := survey.Part{At: c.Footage.Taken, Unique: c.Unique, Low: c.Low, High: c.High, Footprint: c.Ground.Footprint}
		if id := c.Footage.Flight; id != "" {
			if flights[id] == nil {
				flights[id] = &survey.Flight{Unique: c.Joint.Unique, Low: c.Joint.Low, High: c.Joint.High, Parts: c.Joint.Parts}
			}
			p.Flight = flights[id]
		}
		for _, a := range c.Ground.Places {
			animal := survey.Animal{Lat: a.Lat, Lon: a.Lon, Radius: a.Radius}
			if !c.Footage.Taken.IsZero() {
				animal.At = c.Footage.Taken.Add(time.Duration(a.Seconds * float64(time.Second)))
			}
			p.Animals = append(p.Animals, animal)
		}
		out = append(out, p)
	}
	return out
}

// compare adds the expected numbers of the book.
func (s *Server) compare(ctx context.Context, v *wire.Survey, at time.Time) error {
	book, err := s.o.Ledger.Book.At(ctx, v.Site, at)
	if err != nil {
		return err
	}
	judge := func(e ledger.Expected, counted, low, high *int, seen float64) *wire.Expected {
		difference, verdict := survey.Against(*e.Animals, counted, low, high, seen)
		return &wire.Expected{Animals: *e.Animals, Difference: difference, Verdict: string(verdict)}
	}
	var unknown []string
	named := map[string][]int{} // paddocks by their name
	for i, p := range v.Paddocks {
		named[p.Name] = append(named[p.Name], i)
	}
	for _, e := range book {
		found := named[e.Paddock]
		for _, i := range found {
			p := &v.Paddocks[i]
			p.Expected = judge(e, p.Animals, p.Low, p.High, p.Seen)
		}
		switch {
		case e.Paddock == "" && len(v.Parts) > 0:
			v.Expected = judge(e, &v.Unique, &v.Low, &v.High, seenOf(v.Paddocks))
		case e.Paddock == "":
			v.Expected = judge(e, nil, nil, nil, 0)
		case len(found) == 0:
			unknown = append(unknown, e.Paddock)
		}
	}
	if len(unknown) > 0 {
		v.Notes = append(v.Notes, wire.SurveyNote{Code: wire.NoteUnknown, Names: unknown})
	}
	return nil
}

// seenOf is the share of all paddocks that was seen, 1 for a site without paddocks.
func seenOf(list []wire.SurveyPaddock) float64 {
	all, seen := 0.0, 0.0
	for _, p := range list {
		all, seen = all+p.Area, seen+p.Area*p.Seen
	}
	if all == 0 {
		return 1
	}
	return seen / all
}

// surveyTable is the paddocks of a survey as CSV; the last row is the whole site.
func surveyTable(v wire.Survey) ([]byte, error) {
	number := func(n *int) string {
		if n == nil {
			return ""
		}
		return strconv.Itoa(*n)
	}
	rows := [][]string{{"paddock", "animals", "low", "high", "border", "near", "area_m2", "seen", "expected", "difference", "verdict"}}
	row := func(p wire.PaddockCount, e *wire.Expected) {
		r := []string{cell.Text(p.Name), number(p.Animals), number(p.Low), number(p.High), strconv.Itoa(p.Border), strconv.Itoa(p.Near),
			strconv.FormatFloat(p.Area, 'f', 0, 64), strconv.FormatFloat(p.Seen, 'f', 3, 64), "", "", ""}
		if e != nil {
			r[8], r[9], r[10] = strconv.Itoa(e.Animals), number(e.Difference), e.Verdict
		}
		rows = append(rows, r)
	}
	area := 0.0
	for _, p := range v.Paddocks {
		row(p.PaddockCount, p.Expected)
		area += p.Area
	}
	row(wire.PaddockCount{Animals: &v.Unique, Low: &v.Low, High: &v.High, Area: area, Seen: seenOf(v.Paddocks)}, v.Expected)
	var out bytes.Buffer
	err := csv.NewWriter(&out).WriteAll(rows)
	return out.Bytes(), err
}
