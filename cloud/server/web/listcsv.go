package web

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/cell"
	"cattlecounter/shared/wire"
)

// columns are a list as a table: the names of the columns, and the cells of an entry.
type columns[Out any] struct {
	names []string
	cells func(Out) []string
}

// tables answers with one page of a list, which is also a table.
func tables[V, Out any](list func(context.Context, ledger.Page) ([]V, string, error), view func(V) Out, name string,
	t columns[Out]) fiber.Handler {
	return func(c *fiber.Ctx) error {
		p, err := pageArgs(c)
		if err != nil {
			return err
		}
		items, next, err := list(c.UserContext(), p)
		if err != nil {
			return err
		}
		return sendPage(c, pageOf(items, next, view), name, t)
	}
}

// sendPage answers with a page of a list, as JSON or, with the parameter format, as CSV. A table has the address of the
// next page in the header Link (RFC 8288), where a JSON document has next.
func sendPage[Out any](c *fiber.Ctx, page wire.Page[Out], name string, t columns[Out]) error {
	if c.Query("format") != "csv" {
		return sendJSON(c, page)
	}
	rows := [][]string{t.names}
	for _, v := range page.Items {
		rows = append(rows, t.cells(v))
	}
	var out bytes.Buffer
	if err := csv.NewWriter(&out).WriteAll(rows); err != nil {
		return fmt.Errorf("table of %s: %w", name, err)
	}
	if page.Next != "" {
		if err := linkNext(c, page.Next); err != nil {
			return err
		}
	}
	return sendTagged(c, out.Bytes(), media["csv"], name+".csv")
}

var footageColumns = columns[wire.Footage]{
	[]string{"footage", "site", "device", "name", "captured", "received", "bytes", "state", "unique", "low", "high",
		"duplicate_of", "sibling_of", "flight"},
	func(v wire.Footage) []string {
		cells := []string{string(v.ID), v.Site, v.Device, cell.Text(v.Name), moments(v.Captured), moments(&v.Received),
			strconv.FormatInt(v.Size, 10), "", "", "", "", string(v.DuplicateOf), string(v.SiblingOf), v.Flight}
		if v.Job != nil {
			cells[7] = string(v.Job.State)
		}
		if v.Count != nil {
			cells[8], cells[9], cells[10] = strconv.Itoa(v.Count.Unique), strconv.Itoa(v.Count.Low), strconv.Itoa(v.Count.High)
		}
		return cells
	},
}

var countColumns = columns[wire.Count]{
	[]string{"footage", "job", "unique", "low", "high", "counted_at", "model", "duplicate_of", "sibling_of", "flight"},
	func(v wire.Count) []string {
		return []string{string(v.Footage), v.Job, strconv.Itoa(v.Unique), strconv.Itoa(v.Low), strconv.Itoa(v.High),
			moments(&v.At), cell.Text(v.Model), string(v.DuplicateOf), string(v.SiblingOf), v.Flight}
	},
}

var flightColumns = columns[wire.Flight]{
	[]string{"flight", "site", "device", "state", "unique", "low", "high", "parts", "created", "updated"},
	func(v wire.Flight) []string {
		return []string{v.ID, v.Site, v.Device, v.State, strconv.Itoa(v.Unique), strconv.Itoa(v.Low), strconv.Itoa(v.High),
			strconv.Itoa(len(v.Parts)), moments(&v.Created), moments(&v.Updated)}
	},
}

var jobColumns = columns[wire.Job]{
	[]string{"job", "footage", "state", "percent", "attempt", "created", "updated", "reason"},
	func(v wire.Job) []string {
		return []string{v.ID, string(v.Footage), string(v.State), strconv.FormatFloat(v.Percent, 'f', 1, 64),
			strconv.Itoa(v.Attempt), moments(&v.Created), moments(&v.Updated), cell.Text(printable(v.Reason))}
	},
}

var waitingColumns = columns[wire.Waiting]{
	[]string{"footage", "site", "device", "name", "captured", "received"},
	func(v wire.Waiting) []string {
		return []string{string(v.Footage), v.Site, v.Device, cell.Text(v.Name), moments(v.Captured), moments(&v.Received)}
	},
}

// moments is a time as a cell, "" when it is not known.
func moments(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
