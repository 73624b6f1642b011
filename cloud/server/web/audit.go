package web

import (
	"encoding/csv"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/cell"
	"cattlecounter/shared/wire"
)

const maxAuditPage = 1000

// listAudit answers with what was done, newest first, as JSON or CSV.
func (s *Server) listAudit(c *fiber.Ctx) error {
	q := ledger.AuditQuery{Who: text(c.Query("who")), Action: text(c.Query("action")), Subject: text(c.Query("subject")), Limit: maxPageSize}
	var err error
	if q.From, err = moment(c, "from"); err != nil {
		return err
	}
	if q.To, err = moment(c, "to"); err != nil {
		return err
	}
	if v := c.Query("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > maxAuditPage {
			return badRequest("limit: want a number from 1 to %d.", maxAuditPage)
		}
		q.Limit = n
	}
	if v := c.Query("after"); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 1 {
			return badRequest("after: %.40q is not the next of a page.", v)
		}
		q.Below = n
	}
	entries, err := s.o.Ledger.Audit.Find(c.UserContext(), q)
	if err != nil {
		return err
	}
	next := ""
	if len(entries) == q.Limit {
		next = strconv.FormatInt(entries[len(entries)-1].N, 10)
	}
	switch format := c.Query("format"); format {
	case "", "json":
		return sendJSON(c, pageOf(entries, next, auditView))
	case "csv":
		return sendAuditCSV(c, entries)
	default:
		return badRequest("format: %.40q is neither json nor csv.", format)
	}
}

func auditView(e ledger.AuditEntry) wire.AuditEntry {
	return wire.AuditEntry{N: e.N, At: e.At, Who: e.Who, Action: e.Action, Subject: e.Subject}
}

func sendAuditCSV(c *fiber.Ctx, entries []ledger.AuditEntry) error {
	var out strings.Builder
	w := csv.NewWriter(&out)
	rows := [][]string{{"n", "at", "who", "action", "subject"}}
	for _, e := range entries {
		rows = append(rows, []string{strconv.FormatInt(e.N, 10), e.At.UTC().Format(time.RFC3339Nano), auditCell(e.Who), auditCell(e.Action),
			auditCell(e.Subject)})
	}
	if err := w.WriteAll(rows); err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, media["csv"])
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderContentDisposition, `attachment; filename="audit.csv"`)
	return c.SendString(out.String())
}

// auditCell is a text of the audit log as a cell.
func auditCell(s string) string { return cell.Text(printable(s)) }

// printable shortens text from outside and replaces what moves the cursor or turns the direction of writing.
func printable(s string) string {
	const longest = 128
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if runes := []rune(s); len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	return s
}
