package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strconv"
	"strings"

	"cattlecounter/shared/footage"
)

// Sort is the order of the list of footage.
type Sort string

// Orders of the list of footage.
const (
	SortNewest Sort = ""       // what was recorded here last is first
	SortOldest Sort = "oldest" // what was recorded here first is first
	SortMost   Sort = "most"   // the largest count is first; footage without a count of its own is left out
)

// List returns a page in the order of p.Sort, and the start of the next page, "" after the last. Entries that arrive
// while pages are read move no other entry from one page to another. It fails with ErrCursor when p.After is invalid or
// that of another order.
func (l *Catalog) List(ctx context.Context, p Page) ([]FootageView, string, error) {
	var vs []bornView
	var next string
	var err error
	if p.Sort == SortMost {
		vs, next, err = l.listMost(ctx, p)
	} else {
		vs, next, err = l.listByAge(ctx, p)
	}
	if err != nil {
		return nil, "", fmt.Errorf("list footage: %w", err)
	}
	out := make([]FootageView, len(vs))
	for i := range vs {
		out[i] = vs[i].FootageView
	}
	return out, next, nil
}

func (l *Catalog) listByAge(ctx context.Context, p Page) ([]bornView, string, error) {
	limit, after, err := p.bounds()
	if err != nil {
		return nil, "", err
	}
	f := p.filter("f.born", after, limit+1)
	order := ` ORDER BY f.born DESC LIMIT $2`
	if p.Sort == SortOldest {
		if p.After == "" {
			f.args[0] = int64(math.MinInt64)
		}
		f.where[0], order = `f.born > $1`, ` ORDER BY f.born LIMIT $2`
	}
	where, err := l.chosenByAge(ctx, f, p, order)
	if err != nil {
		return nil, "", err
	}
	vs, err := list(ctx, l.db.Read(), scanView, viewQuery+where+order, f.args...)
	if err != nil {
		return nil, "", err
	}
	vs, next := cutPage(vs, limit, func(v bornView) int64 { return v.born })
	return vs, next, nil
}

// chosenByAge adds the conditions of the page to f, and returns the WHERE clause of its rows.
func (l *Catalog) chosenByAge(ctx context.Context, f *filter, p Page, order string) (string, error) {
	if p.Paddock != "" && p.State == "" && p.Window == nil && p.Name == "" {
		s := inPaddock(p.Paddock)
		if err := s.count(ctx, l.db.Read()); err != nil {
			return "", err
		}
		if !s.rare() {
			f.taken(p)
			return f.inPaddock(p.Paddock, order), nil
		}
	}
	few, err := l.footage(ctx, f, p)
	if err != nil {
		return "", err
	}
	if few && p.State == "" {
		f.ofChosen()
		return `WHERE f.born IN (SELECT f.born FROM footage f ` + f.String() + strings.Replace(order, `BY `, `BY +`, 1) + `)`, nil
	}
	return f.String(), nil
}

// inPaddock returns the WHERE clause of the footage of a paddock and its duplicates. One index has the footage of the
// paddock in the order of the page, and another one has all duplicates, so what other paddocks have is not read.
func (f *filter) inPaddock(name, order string) string {
	position := f.where[0] // by f.born, which the second index has
	f.ofChosen()
	f.where[0] = strings.Replace(position, `f.`, `s.`, 1)
	f.add(`s.paddock = ? AND f.id = s.footage AND f.duplicate_of IS NULL`, clean(name))
	own := `SELECT s.born FROM spread s CROSS JOIN footage f ` + f.String() + strings.Replace(order, `f.`, `s.`, 1)
	f.where[0] = position
	f.where[len(f.where)-1] = fmt.Sprintf(`f.duplicate_of IS NOT NULL AND EXISTS (SELECT 1 FROM spread s
		WHERE s.footage = f.duplicate_of AND s.paddock = $%d)`, len(f.args))
	copied := `SELECT f.born FROM footage f ` + f.String() + order
	return `WHERE f.born IN (SELECT born FROM (` + own + `) own UNION ALL SELECT born FROM (` + copied + `) copied)`
}

// ranked is footage at its place by the number of its animals.
type ranked struct {
	animals int
	id      footage.ID
}

// listMost finds the entries of a page in the index of the counts first, because a sort of all rows of viewQuery takes
// seconds with 100,000 of them.
func (l *Catalog) listMost(ctx context.Context, p Page) ([]bornView, string, error) {
	below := ranked{animals: math.MaxInt32}
	if p.After != "" {
		animals, id, ok := strings.Cut(p.After, ".")
		n, err := strconv.ParseInt(animals, 10, 32)
		if !ok || err != nil || n < 0 {
			return nil, "", fmt.Errorf("page after %.40q: %w", p.After, ErrCursor)
		}
		below = ranked{int(n), footage.ID(clean(id))}
	}
	all := p
	all.After = ""
	limit, _, err := all.bounds()
	if err != nil {
		return nil, "", err
	}
	f := p.filter("", 0, limit+1)
	f.args[0] = below.animals
	f.where[0] = `c.animals <= $1`
	f.add(`(c.animals < ? OR c.footage < ?)`, below.animals, below.id)
	order := ` ORDER BY c.animals DESC, c.footage DESC LIMIT $2`
	few, err := l.footage(ctx, f, p)
	if err != nil {
		return nil, "", err
	}
	if few { // as in listByAge
		f.ofChosen()
		f.where[0], order = `+`+f.where[0], strings.Replace(order, `BY `, `BY +`, 1)
	}
	jobs := ``
	if p.State != "" {
		jobs = ` JOIN job j ON j.footage = f.id`
	}
	top, err := list(ctx, l.db.Read(), func(rows *sql.Rows) (r ranked, err error) {
		return r, rows.Scan(&r.animals, &r.id)
	}, `SELECT c.animals, c.footage FROM animal_count c JOIN footage f ON f.id = c.footage`+jobs+` `+
		f.String()+order, f.args...)
	if err != nil || len(top) == 0 {
		return nil, "", err
	}
	next := ""
	if len(top) > limit {
		top = top[:limit]
		next = fmt.Sprintf("%d.%s", top[limit-1].animals, top[limit-1].id)
	}
	vs, err := l.viewsOf(ctx, top)
	return vs, next, err
}

// viewsOf returns the views of footage in its order.
func (l *Catalog) viewsOf(ctx context.Context, order []ranked) ([]bornView, error) {
	f := &filter{}
	marks := make([]string, len(order))
	place := make(map[footage.ID]int, len(order))
	for i, r := range order {
		f.args = append(f.args, r.id)
		marks[i], place[r.id] = fmt.Sprintf(`$%d`, i+1), i
	}
	found, err := list(ctx, l.db.Read(), scanView, viewQuery+`WHERE f.id IN (`+strings.Join(marks, `, `)+`)`, f.args...)
	if err != nil {
		return nil, err
	}
	vs := make([]bornView, len(order))
	for _, v := range found {
		vs[place[v.ID]] = v
	}
	return vs, nil
}

// footage adds the conditions on footage f and its job j. few says that an index finds the footage.
func (l *tables) footage(ctx context.Context, f *filter, p Page) (few bool, err error) {
	f.taken(p)
	if p.State != "" {
		f.add(`j.state = ?`, p.State)
	}
	return l.narrow(ctx, f, p)
}
