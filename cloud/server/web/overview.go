package web

import (
	"bytes"
	"context"
	"encoding/csv"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// overviews answers within what a reader may see.
type overviews interface {
	Read(ctx context.Context, in ledger.Scope) (wire.Overview, error)
	History(ctx context.Context, site string, in ledger.Scope, from time.Time) ([]wire.HistoryPoint, error)
	Queue(ctx context.Context, in ledger.Scope) (wire.Queue, error)
}

const (
	defaultDays = 90
	mostDays    = 3660
)

// overviewRoutes registers what the first page shows.
func (s *Server) overviewRoutes(api guarded) {
	api.Get("/overview", s.getOverview)
	api.Get("/history", s.getHistory)
	api.Get("/queue", s.getQueue)
}

// readScope is what a request may read.
func readScope(ctx context.Context) ledger.Scope {
	return ledger.Scope{Device: scopeOf(ctx), Sites: sitesOf(ctx)}
}

func (s *Server) getOverview(c *fiber.Ctx) error {
	v, err := s.o.Overview.Read(c.UserContext(), readScope(c.UserContext()))
	if err != nil {
		return err
	}
	return sendJSON(c, v)
}

func (s *Server) getQueue(c *fiber.Ctx) error {
	v, err := s.o.Overview.Queue(c.UserContext(), readScope(c.UserContext()))
	if err != nil {
		return err
	}
	return sendJSON(c, v)
}

// getHistory answers with the counts of a site over time, as JSON or CSV.
func (s *Server) getHistory(c *fiber.Ctx) error {
	site, days := text(c.Query("site")), defaultDays
	if _, err := footage.ParseID(site); site != "" && err != nil {
		return badRequest("site: %.64q is not the name of a site.", site)
	}
	if q := c.Query("days"); q != "" {
		var err error
		if days, err = strconv.Atoi(q); err != nil || days < 1 || days > mostDays {
			return badRequest("days: want a number from 1 to %d.", mostDays)
		}
	}
	format := text(c.Query("format"))
	if format != "" && format != "json" && format != "csv" {
		return badRequest("format: %.20q is not json or csv.", format)
	}
	from := s.now().AddDate(0, 0, -days)
	points, err := s.o.Overview.History(c.UserContext(), site, readScope(c.UserContext()), from)
	if err != nil {
		return err
	}
	if format != "csv" {
		return sendJSON(c, pageOf(points, "", asItIs))
	}
	table, err := historyTable(points)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, "text/csv; charset=utf-8")
	c.Set(fiber.HeaderContentDisposition, `attachment; filename="history.csv"`)
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.Send(table)
}

// historyTable is the history as CSV (RFC 4180). No cell can be taken for a formula: names begin with a letter or a
// digit.
func historyTable(points []wire.HistoryPoint) ([]byte, error) {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	rows := [][]string{{"at", "site", "unique", "low", "high", "footage", "flight"}}
	for _, p := range points {
		rows = append(rows, []string{p.At.Format(time.RFC3339), p.Site, strconv.Itoa(p.Unique), strconv.Itoa(p.Low),
			strconv.Itoa(p.High), string(p.Footage), p.Flight})
	}
	if err := w.WriteAll(rows); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
