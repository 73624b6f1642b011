package web

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/place/survey"
	"cattlecounter/cloud/server/access"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/cell"
	"cattlecounter/shared/wire"
)

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
	now, history, err := s.bookNow(c.UserContext(), site)
	if err != nil {
		return err
	}
	if c.Query("format") == "csv" {
		table, err := bookTable(now)
		if err != nil {
			return err
		}
		return sendTagged(c, table, media["csv"], safeName(site)+"-book.csv")
	}
	v := bookView(site, now, history)
	if !reads(c) { // the answer to a change has the tag for the next one
		doc, err := json.Marshal(v)
		if err != nil {
			return err
		}
		c.Set(fiber.HeaderETag, tagOf(doc))
	}
	return sendJSON(c, v)
}

// bookNow returns the expected numbers of a site that hold now, and their history.
func (s *Server) bookNow(ctx context.Context, site string) (now, history []ledger.Expected, err error) {
	if now, err = s.o.Ledger.Book.At(ctx, site, s.now()); err == nil {
		history, err = s.o.Ledger.Book.History(ctx, site, ledger.MostHistory)
	}
	return now, history, err
}

func bookView(site string, now, history []ledger.Expected) wire.Book {
	return wire.Book{Site: site, Expected: pageOf(now, "", bookEntry).Items, History: pageOf(history, "", bookEntry).Items}
}

func bookTable(now []ledger.Expected) ([]byte, error) {
	rows := [][]string{{"paddock", "animals"}}
	for _, e := range now {
		rows = append(rows, []string{cell.Text(e.Paddock), strconv.Itoa(*e.Animals)})
	}
	var out bytes.Buffer
	err := csv.NewWriter(&out).WriteAll(rows)
	return out.Bytes(), err
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
	if err := s.putBookOver(c, r, entries); err != nil {
		return err
	}
	s.log.Info("book set by request", "site", r.site, "entries", len(entries))
	return s.answerBook(c, r.site)
}
