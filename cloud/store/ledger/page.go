package ledger

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

const (
	defaultPage = 50
	maxPage     = 1000
)

// bounds returns the limit and the number below which the page's entries are.
func (p Page) bounds() (limit int, after int64, err error) {
	limit, after = p.Limit, math.MaxInt64
	if limit <= 0 {
		limit = defaultPage
	}
	if p.After != "" {
		if after, err = strconv.ParseInt(p.After, 10, 64); err != nil || after < 0 {
			return 0, 0, fmt.Errorf("page after %.40q: %w", p.After, ErrCursor)
		}
	}
	return min(limit, maxPage), after, nil
}

// filter collects the conditions of a list and their parameters.
type filter struct {
	where []string
	args  []any
}

// add adds a condition. Each ? in it is the next of the values.
func (f *filter) add(condition string, values ...any) {
	for _, v := range values {
		f.args = append(f.args, v)
		condition = strings.Replace(condition, "?", "$"+strconv.Itoa(len(f.args)), 1)
	}
	f.where = append(f.where, condition)
}

// in adds the condition that a column has one of the values, of which there must be one.
func (f *filter) in(column string, values []string) {
	marks := make([]string, len(values))
	for i, v := range values {
		f.args = append(f.args, v)
		marks[i] = "$" + strconv.Itoa(len(f.args))
	}
	f.where = append(f.where, column+` IN (`+strings.Join(marks, `, `)+`)`)
}

// ofChosen says that another condition chooses few rows f. It keeps SQLite, which has no statistics, from indexes of sites,
// devices and times, by which it would read many more. Conditions that name the rows by a query stay as they are.
func (f *filter) ofChosen() {
	for i, w := range f.where {
		for column, expression := range map[string]string{"f.site": "f.site || ''", "f.device": "f.device || ''",
			"f.born": "+f.born", "f.taken": "+f.taken"} {
			if rest, ok := strings.CutPrefix(w, column+" "); ok && !strings.HasPrefix(rest, "IN (SELECT ") {
				f.where[i] = expression + " " + rest
			}
		}
	}
}

// String is the WHERE clause.
func (f *filter) String() string { return `WHERE ` + strings.Join(f.where, ` AND `) }

// filter returns the conditions of a page on the rows f of a list. column numbers the entries; $1 is the number that they
// are below, and $2 is limit.
func (p Page) filter(column string, below int64, limit int) *filter {
	f := &filter{where: []string{column + ` < $1`}, args: []any{below, limit}}
	for _, device := range []string{p.Device, p.Only} {
		if device != "" {
			f.add(`f.device = ?`, device)
		}
	}
	if p.Site != "" {
		f.add(`f.site = ?`, p.Site)
	}
	at, args := p.Sites.where("f.site", f.args)
	if at != "" {
		f.where, f.args = append(f.where, strings.TrimPrefix(at, " AND ")), args
	}
	return f
}

// taken adds the times of the page to the conditions on footage f.
func (f *filter) taken(p Page) {
	if !p.From.IsZero() {
		f.add(`f.taken >= ?`, micros(p.From))
	}
	if !p.To.IsZero() {
		f.add(`f.taken < ?`, micros(p.To))
	}
}

// cutPage shortens a list that was read with one entry more than limit. It returns the
// start of the next page, "" when there is none.
func cutPage[T any](all []T, limit int, at func(T) int64) ([]T, string) {
	if len(all) <= limit {
		return all, ""
	}
	return all[:limit], strconv.FormatInt(at(all[limit-1]), 10)
}

// where returns the condition that a column is one of the sites, with its parameters after those in args. It is "" for nil
// and for all sites.
func (s SiteSet) where(column string, args []any) (string, []any) {
	if s == nil || s.All() {
		return "", args
	}
	if len(s) == 0 {
		return " AND 1 = 0", args
	}
	f := &filter{args: args}
	f.in(column, s)
	return " AND " + f.where[0], f.args
}
