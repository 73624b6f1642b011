package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/server/access"
	"cattlecounter/cloud/server/report"
	"cattlecounter/cloud/server/report/gather"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// reportRoutes registers the reports of surveys, flights and footage.
func (s *Server) reportRoutes(api guarded) {
	for path, find := range map[string]subjectFinder{
		"/surveys/:id": s.surveySubject, "/flights/:id": s.flightSubject, "/footage/:id": s.footageSubject,
	} {
		api.Get(path+"/report.pdf", s.sendReport(find, s.reportPDF))
		api.Get(path+"/report.json", s.sendReport(find, s.reportJSON))
	}
}

// subjectFinder finds what a report is about, for a holder that may read its whole site.
type subjectFinder func(ctx context.Context, id footage.ID) (gather.Subject, error)

// reportForm writes a report.
type reportForm func(c *fiber.Ctx, sub gather.Subject) error

func (s *Server) sendReport(find subjectFinder, form reportForm) fiber.Handler {
	return func(c *fiber.Ctx) error {
		id, err := idArg(c, "id")
		if err != nil {
			return err
		}
		ctx := c.UserContext()
		sub, err := find(ctx, id)
		if err == nil && !mayUseSite(ctx, access.Read, sub.Survey.Site) { // a report has the paddocks and the book of the site
			err = fmt.Errorf("report of %s: %w", id, ledger.ErrNotFound)
		}
		if err != nil {
			return err
		}
		return form(c, sub)
	}
}

// reportJSON answers with a report for programs. Its digest is on the pages of the PDF.
func (s *Server) reportJSON(c *fiber.Ctx, sub gather.Subject) error {
	_, text, err := s.readReport(c.UserContext(), sub)
	if err != nil {
		return err
	}
	return sendTagged(c, text, fiber.MIMEApplicationJSON, reportName(sub)+".json")
}

// reportPDF answers with a report for people.
func (s *Server) reportPDF(c *fiber.Ctx, sub gather.Subject) error {
	lang, err := report.ParseLang(text(c.Query("lang")))
	if err != nil {
		return badRequest("lang: %v.", err)
	}
	paper, err := report.ParsePaper(text(c.Query("paper")))
	if err != nil {
		return badRequest("paper: %v.", err)
	}
	ctx := c.UserContext()
	leave, err := s.enterPlacing(ctx) // it holds pictures
	if err != nil {
		return err
	}
	defer leave()
	r, text, err := s.readReport(ctx, sub)
	if err != nil {
		return err
	}
	in, err := s.reports.Input(ctx, sub, r)
	if err != nil {
		return err
	}
	in.Digest, in.Lang, in.Paper = footage.Sum(text).String(), lang, paper
	var out bytes.Buffer
	if err := report.Write(&out, in); err != nil {
		return err
	}
	return sendTagged(c, out.Bytes(), "application/pdf", reportName(sub)+".pdf")
}

func (s *Server) readReport(ctx context.Context, sub gather.Subject) (wire.Report, []byte, error) {
	r, err := s.reports.Report(ctx, sub)
	if err != nil {
		return r, nil, fmt.Errorf("report of %s %s: %w", sub.Of, sub.ID, err)
	}
	text, err := json.Marshal(r)
	return r, text, err
}

func reportName(sub gather.Subject) string { return sub.Of + "-" + safeName(sub.ID) + "-report" }

func (s *Server) surveySubject(ctx context.Context, id footage.ID) (gather.Subject, error) {
	n, err := s.o.Ledger.Surveys.Get(ctx, string(id))
	if err != nil {
		return gather.Subject{}, err
	}
	v, counts, err := s.countSurvey(ctx, n)
	return gather.Subject{Of: "survey", ID: n.ID, Survey: v, Counts: counts}, err
}

// footageSubject is one piece of footage. A duplicate and a sibling have the report of the footage that was counted.
func (s *Server) footageSubject(ctx context.Context, id footage.ID) (gather.Subject, error) {
	v, err := s.resultOf(ctx, id)
	if err != nil {
		return gather.Subject{}, err
	}
	return s.countedSubject(ctx, v)
}

func (s *Server) countedSubject(ctx context.Context, v ledger.FootageView) (gather.Subject, error) {
	if v.Count == nil {
		return gather.Subject{}, fmt.Errorf("report of footage %s: it has no count: %w", v.ID, ledger.ErrNotFound)
	}
	counted, err := s.o.Ledger.Footage.Get(ctx, v.Count.Footage)
	if err != nil {
		return gather.Subject{}, err
	}
	return s.partsSubject(ctx, "footage", string(counted.ID), counted.Site, []footage.ID{counted.ID})
}

func (s *Server) flightSubject(ctx context.Context, id footage.ID) (gather.Subject, error) {
	f, err := s.flightFor(ctx, id)
	if err != nil {
		return gather.Subject{}, err
	}
	return s.joinedSubject(ctx, f)
}

func (s *Server) joinedSubject(ctx context.Context, f ledger.FlightView) (gather.Subject, error) {
	ids := make([]footage.ID, len(f.Parts))
	for i, p := range f.Parts {
		ids[i] = p.Footage
	}
	if len(ids) == 0 {
		return gather.Subject{}, fmt.Errorf("report of flight %s: it has no parts: %w", f.ID, ledger.ErrNotFound)
	}
	return s.partsSubject(ctx, "flight", f.ID, f.Site, ids)
}

// partsSubject counts footage that is no survey. It has only the paddocks that it saw; the book of the whole site says
// nothing of it.
func (s *Server) partsSubject(ctx context.Context, of, id, site string, ids []footage.ID) (gather.Subject, error) {
	v, counts, err := s.countSurvey(ctx, ledger.Survey{Site: site, Footage: ids})
	if err != nil {
		return gather.Subject{}, err
	}
	v.ID, v.Expected = id, nil
	for _, c := range counts { // it is stored nowhere, so it is as old as its newest count
		if c.Count.At.After(v.Created) {
			v.Created = c.Count.At.UTC()
		}
	}
	v.Paddocks = slices.DeleteFunc(v.Paddocks, func(p wire.SurveyPaddock) bool {
		return p.Seen == 0 && (p.Animals == nil || *p.Animals == 0)
	})
	v.Notes = slices.DeleteFunc(v.Notes, func(n wire.SurveyNote) bool {
		return n.Code == wire.NotePartSeen || n.Code == wire.NoteUnknown
	})
	for _, n := range surveyNotes(v, true) {
		if n.Code == wire.NotePartSeen {
			v.Notes = append(v.Notes, n)
		}
	}
	v.Warnings = warningsOf(v)
	return gather.Subject{Of: of, ID: id, Survey: v, Counts: counts}, nil
}
