package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"cattlecounter/cloud/store/database"
)

// few is up to how many entries of a list are found by an index before the list is read. Where there are more, reading
// the list in its order soon meets enough of them.
const few = 3000

// selection is a choice of entries by an index: a query of their keys, and how many there are, at most few+1.
type selection struct {
	query string // of one column; each ? is the next of the values
	args  []any
	n     int
}

func (s selection) rare() bool { return s.n <= few }

// count sets n.
func (s *selection) count(ctx context.Context, q querier) error {
	f := &filter{}
	f.add(s.query, s.args...)
	err := q.QueryRowContext(ctx, `SELECT COUNT(*) FROM (`+f.where[0]+fmt.Sprintf(` LIMIT %d) AS selected`, few+1),
		f.args...).Scan(&s.n)
	return database.Classify(err)
}

// inPaddock selects footage with animals in a paddock.
func inPaddock(name string) selection {
	return selection{query: `SELECT footage FROM spread WHERE paddock = ?`, args: []any{clean(name)}}
}

// overlaps is the condition that the box of ground_cell g touches a window.
func overlaps(w Window) (string, []any) {
	east := w.East
	if w.West > w.East {
		east += 360
	}
	return `(g.north >= ? AND g.south <= ? AND (g.west <= ? AND g.east >= ? OR g.west <= ? AND g.east >= ? OR g.west <= ?
		AND g.east >= ?))`, []any{w.South, w.North, east, w.West, east - 360, w.West - 360, east + 360, w.West + 360}
}

// inWindow selects footage whose box touches a window.
func inWindow(w Window) selection {
	s := selection{}
	parts := []string{`g.cell = ?`}
	s.args = append(s.args, anywhere)
	for _, c := range w.ranges(groundLevel) {
		parts = append(parts, `g.cell BETWEEN ? AND ?`)
		s.args = append(s.args, c.first, c.last)
	}
	touch, args := overlaps(w)
	s.query = `SELECT DISTINCT g.footage FROM ground_cell g WHERE (` + strings.Join(parts, ` OR `) + `) AND ` + touch
	s.args = append(s.args, args...)
	return s
}

// narrow adds the conditions of the page on footage f that an index finds where few footage fulfils them. found says
// that one does: the list is then read from the index.
func (l *tables) narrow(ctx context.Context, f *filter, p Page) (found bool, err error) {
	if p.Paddock != "" {
		s := inPaddock(p.Paddock)
		if err := s.count(ctx, l.db.Read()); err != nil {
			return false, err
		}
		if found = s.rare(); found {
			f.add(copies(s.query), s.args...)
		} else {
			f.add(`COALESCE(f.duplicate_of, f.id) IN (`+s.query+`)`, s.args...)
		}
	}
	if p.Window != nil {
		s := inWindow(*p.Window)
		if err := s.count(ctx, l.db.Read()); err != nil {
			return false, err
		}
		if s.rare() {
			found = true
			f.add(copies(s.query), s.args...)
		} else {
			touch, args := overlaps(*p.Window)
			f.add(`EXISTS (SELECT 1 FROM ground_cell g WHERE g.footage = COALESCE(f.duplicate_of, f.id) AND `+touch+`)`, args...)
		}
	}
	if p.Name != "" {
		rare, err := l.named(ctx, f, p.Name)
		if err != nil {
			return false, err
		}
		found = found || rare
	}
	return found, nil
}

// flightsIn adds the condition that a part of flight f touches a window. few says that an index finds the flights.
func (l *tables) flightsIn(ctx context.Context, f *filter, w Window) (few bool, err error) {
	s := inWindow(w)
	if err := s.count(ctx, l.db.Read()); err != nil {
		return false, err
	}
	if s.rare() {
		f.add(`f.id IN (SELECT o.flight FROM footage o WHERE o.id IN (`+s.query+`))`, s.args...)
		return true, nil
	}
	touch, args := overlaps(w)
	f.add(`EXISTS (SELECT 1 FROM footage o JOIN ground_cell g ON g.footage = o.id WHERE o.flight = f.id AND `+touch+`)`, args...)
	return false, nil
}

// copies is the condition that f is one of the selected footage or a duplicate of it.
func copies(query string) string {
	return `f.id IN (WITH chosen(id) AS (` + query + `) SELECT id FROM chosen
		UNION ALL SELECT d.id FROM chosen JOIN footage d ON d.duplicate_of = chosen.id)`
}

// gramLength is how many characters of a name are indexed together.
const gramLength = 3

// gramsOf returns every three characters of a name that follow each other, in lower case, each once; at its end fewer.
func gramsOf(name string) (out []string) {
	runes := []rune(strings.ToLower(clean(name)))
	for i := range runes {
		out = append(out, string(runes[i:min(i+gramLength, len(runes))]))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// putName indexes the name of new footage.
func putName(ctx context.Context, tx *sql.Tx, name string, born int64) error {
	for some := range slices.Chunk(gramsOf(name), keysAsked) {
		of, counts, args := make([]string, len(some)), make([]string, len(some)), []any{born}
		for i, g := range some {
			args = append(args, g)
			of[i], counts[i] = fmt.Sprintf(`($%d, $1)`, i+2), fmt.Sprintf(`($%d, 1)`, i+1)
		}
		names := `INSERT INTO name_gram (gram, born) VALUES ` + strings.Join(of, `, `) //nolint:gosec // numbers of parameters only
		numbers := `INSERT INTO gram (gram, n) VALUES ` + strings.Join(counts, `, `) + //nolint:gosec // numbers of parameters only
			` ON CONFLICT (gram) DO UPDATE SET n = gram.n + 1`
		if _, err := tx.ExecContext(ctx, names, args...); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, numbers, args[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// named adds the condition that the name of footage f has a text, and the index of names where few footage has its
// rarest part.
func (l *tables) named(ctx context.Context, f *filter, text string) (rare bool, err error) {
	plain := strings.ToLower(clean(text))
	pattern := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(plain)
	f.add(`LOWER(f.name) LIKE ? ESCAPE '\'`, "%"+pattern+"%")
	type counted struct {
		gram string
		n    int
	}
	scan := func(rows *sql.Rows) (c counted, err error) { return c, rows.Scan(&c.gram, &c.n) }
	runes := []rune(plain)
	if len(runes) < gramLength { // every part of a name that begins with it
		cs, err := list(ctx, l.db.Read(), scan, `SELECT gram, n FROM gram WHERE gram LIKE $1 ESCAPE '\' LIMIT $2`, pattern+"%",
			keysAsked+1)
		if err != nil {
			return false, err
		}
		all := 0
		var grams []string
		for _, c := range cs {
			all += c.n
			grams = append(grams, c.gram)
		}
		return f.grams(grams, all, len(cs) <= keysAsked), nil
	}
	parts := gramsOf(string(runes[:min(len(runes), 2*keysAsked)]))
	parts = slices.DeleteFunc(parts, func(g string) bool { return len([]rune(g)) < gramLength })
	parts = parts[:min(len(parts), keysAsked)]
	in := &filter{}
	in.in(`gram`, parts)
	cs, err := list(ctx, l.db.Read(), scan, `SELECT gram, n FROM gram `+in.String()+` ORDER BY n LIMIT 1`, in.args...)
	if err != nil {
		return false, err
	}
	known, err := list(ctx, l.db.Read(), scan, `SELECT '', COUNT(*) FROM gram `+in.String(), in.args...)
	if err != nil {
		return false, err
	}
	if known[0].n < len(parts) {
		return f.grams(nil, 0, true), nil
	}
	return f.grams([]string{cs[0].gram}, cs[0].n, true), nil
}

// grams adds the condition that the name of footage f has one of the parts, which n names have, where these are few.
func (f *filter) grams(parts []string, n int, all bool) (rare bool) {
	switch {
	case !all || n > few:
		return false
	case len(parts) == 0:
		f.add(`1 = 0`)
		return true
	}
	g := &filter{args: f.args}
	g.in(`gram`, parts)
	f.args = g.args
	f.where = append(f.where, `f.born IN (SELECT born FROM name_gram `+g.String()+`)`)
	return true
}
