package web

import (
	"bytes"
	"encoding/csv"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/place/survey"
	"cattlecounter/cloud/server/access"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/cell"
	"cattlecounter/shared/wire"
)

const bookShown = 1000

func bookEntry(e ledger.Expected) wire.BookEntry {
	return wire.BookEntry{Paddock: e.Paddock, Animals: e.Animals, Since: e.Since, Who: e.Who}
}

// getBook answers with the expected numbers of a site, as JSON with their history or as the table of those of now.
func (s *Server) getBook(c *fiber.Ctx) error {
	site, err := siteArg(c, access.Read)
	if err != nil {
		return err
	}
	return s.answerBook(c, site)
}

func (s *Server) answerBook(c *fiber.Ctx, site string) error {
	now, err := s.o.Ledger.Book.At(c.UserContext(), site, s.now())
	if err != nil {
		return err
	}
	if c.Query("format") == "csv" {
		rows := [][]string{{"paddock", "animals"}}
		for _, e := range now {
			rows = append(rows, []string{cell.Text(e.Paddock), strconv.Itoa(*e.Animals)})
		}
		var out bytes.Buffer
		if err := csv.NewWriter(&out).WriteAll(rows); err != nil {
			return err
		}
		return sendTagged(c, out.Bytes(), media["csv"], safeName(site)+"-book.csv")
	}
	history, err := s.o.Ledger.Book.History(c.UserContext(), site, bookShown)
	if err != nil {
		return err
	}
	v := wire.Book{Site: site, Expected: pageOf(now, "", bookEntry).Items, History: pageOf(history, "", bookEntry).Items}
	return sendJSON(c, v)
}

// putBook sets the expected numbers of a site from a time on.
func (s *Server) putBook(c *fiber.Ctx) error {
	r, err := s.siteChange(c, survey.MaxBook)
	if err != nil {
		return err
	}
	list, err := survey.ReadBook(r.body)
	if err != nil {
		return badRequest("The body cannot be used: %v.", err)
	}
	var entries []ledger.Expected
	for _, e := range list {
		entries = append(entries, ledger.Expected{Paddock: e.Paddock, Animals: &e.Animals})
	}
	if err := s.o.Ledger.Book.Put(ledger.By(c.UserContext(), r.who), r.site, r.from, entries); err != nil {
		return err
	}
	s.log.Info("book set by request", "site", r.site, "entries", len(entries))
	return s.answerBook(c, r.site)
}
