package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"cattlecounter/shared/footage"
)

// Position is an animal of a count on the earth. The same animal in two counts has two positions.
type Position struct {
	Place
	Footage footage.ID
	Flight  string // "" for footage in no flight
	Site    string
	Device  string
	Taken   time.Time // of the footage; zero when unknown
}

// Limits of one page of positions.
const (
	DefaultPositions = 1000
	MostPositions    = 5000
	// mostTiles and mostPlaces bound what is read for a page. A page that reaches one is short, and has a next page.
	mostTiles  = 1500
	mostPlaces = 100_000
	tilesRead  = 250 // by one query
	// fewFootage is up to how much footage of a window is looked up by itself, and someFootage of how much of it that may
	// be chosen. More of it is common enough to be met in the tiles.
	fewFootage  = 500
	someFootage = 3000
)

// Positions are the animals of all counts, by where they are.
type Positions struct{ *tables }

// List returns a page of the positions in the window of p, by site and from place to place, and the start of the next
// page. Positions that are added meanwhile move no other one to another page. A page may be short, or empty, although
// there is a next one. Siblings, whose animals are those of other footage, have none. It fails with ErrCursor when
// p.After is invalid.
func (l *Positions) List(ctx context.Context, p Page) ([]Position, string, error) {
	ps, next, err := l.list(ctx, p)
	if err != nil {
		return nil, "", fmt.Errorf("list positions: %w", err)
	}
	return ps, next, nil
}

func (l *Positions) list(ctx context.Context, p Page) ([]Position, string, error) {
	w := Window{West: -180, South: -90, East: 180, North: 90}
	if p.Window != nil {
		w = *p.Window
	}
	from, err := readPositionCursor(p.After)
	if err != nil {
		return nil, "", err
	}
	r := positionReader{tables: l.tables, page: p, window: w, at: from, limit: min(p.Limit, MostPositions)}
	if r.limit <= 0 {
		r.limit = DefaultPositions
	}
	ranges := w.ranges(placeLevel)
	if r.only, err = l.footageOf(ctx, p, w); err != nil || r.only != nil && len(r.only) == 0 {
		return nil, "", err
	}
	if r.only != nil {
		ranges = []cells{{ranges[0].first, ranges[len(ranges)-1].last}} // all tiles of the footage are read
	}
	sites, err := l.placedSites(ctx, p, ranges, from.site)
	if err != nil {
		return nil, "", err
	}
	for _, site := range sites {
		for _, c := range ranges {
			full, err := r.read(ctx, site, c)
			if err != nil {
				return nil, "", err
			}
			if full {
				return r.found, r.at.String(), nil
			}
		}
	}
	return r.found, "", nil
}

// positionCursor is the last position of a page: its site, tile, footage and number.
type positionCursor struct {
	site    string
	cell    int64
	footage string
	id      int
}

// wholeTile is the number of a cursor after which no animal of a tile follows.
const wholeTile = math.MaxInt32

func (c positionCursor) String() string {
	return fmt.Sprintf("%s.%d.%s.%d", c.site, c.cell, c.footage, c.id)
}

func readPositionCursor(text string) (c positionCursor, err error) {
	if text == "" {
		return positionCursor{cell: -1}, nil
	}
	parts := strings.Split(text, ".")
	if len(parts) != 4 {
		return c, fmt.Errorf("page after %.40q: %w", text, ErrCursor)
	}
	c.site, c.footage = clean(parts[0]), clean(parts[2])
	var errCell, errID error
	c.cell, errCell = strconv.ParseInt(parts[1], 10, 64)
	c.id, errID = strconv.Atoi(parts[3])
	if errCell != nil || errID != nil || c.cell < 0 || c.id < 0 {
		return c, fmt.Errorf("page after %.40q: %w", text, ErrCursor)
	}
	return c, nil
}

// footageOf returns the footage in a window that the page asks for by time, paddock or device, where that is little;
// nil for more.
func (l *Positions) footageOf(ctx context.Context, p Page, w Window) ([]string, error) {
	if p.From.IsZero() && p.To.IsZero() && p.Paddock == "" && p.Device == "" && p.Only == "" {
		return nil, nil
	}
	f := p.filter("1", 2, someFootage+1)
	f.taken(p)
	if p.Paddock != "" {
		f.add(`f.id IN (SELECT footage FROM spread WHERE paddock = ?)`, p.Paddock)
	}
	scan := func(rows *sql.Rows) (id string, err error) { return id, rows.Scan(&id) }
	ids, err := list(ctx, l.db.Read(), scan, `SELECT f.id FROM footage f `+f.String()+` LIMIT $2`, f.args...)
	if err != nil || len(ids) > someFootage {
		return nil, err
	}
	there := []string{}
	for some := range slices.Chunk(ids, keysAsked) {
		f := &filter{}
		touch, args := overlaps(w)
		f.add(touch, args...)
		f.in(`g.footage`, some)
		found, err := list(ctx, l.db.Read(), scan, `SELECT DISTINCT g.footage FROM ground_cell g `+f.String(), f.args...)
		if err != nil {
			return nil, err
		}
		if there = append(there, found...); len(there) > fewFootage {
			return nil, nil
		}
	}
	return there, nil
}

// placedSites returns the sites of the page that have animals in or near the ranges, from one on, in their order.
func (l *Positions) placedSites(ctx context.Context, p Page, ranges []cells, from string) ([]string, error) {
	f := &filter{where: []string{`s.site IS NOT NULL`}}
	f.add(`s.site >= ?`, from)
	if p.Site != "" {
		f.add(`s.site = ?`, p.Site)
	}
	at, args := p.Sites.where("s.site", f.args)
	f.args = args
	first, last := len(f.args)+1, len(f.args)+2
	f.args = append(f.args, ranges[0].first, ranges[len(ranges)-1].last, maxSites)
	return list(ctx, l.db.Read(), func(rows *sql.Rows) (site string, err error) {
		return site, rows.Scan(&site)
	}, fmt.Sprintf(`WITH RECURSIVE s(site) AS (SELECT MIN(site) FROM place_tile
			UNION ALL SELECT (SELECT MIN(site) FROM place_tile WHERE site > s.site) FROM s WHERE s.site IS NOT NULL)
		SELECT s.site FROM s %s%s AND EXISTS (SELECT 1 FROM place_tile t WHERE t.site = s.site AND t.cell BETWEEN $%d AND $%d)
		ORDER BY s.site LIMIT $%d`, f, at, first, last, last+1), f.args...)
}

// positionReader reads the tiles of one page.
type positionReader struct {
	*tables
	page          Page
	window        Window
	only          []string // footage; nil for all
	limit         int
	at            positionCursor // what was read last
	found         []Position
	tiles, places int // that were read
}

// placeTile is a row of place_tile with what positions show of its footage.
type placeTile struct {
	cell         int64
	places       string
	id           footage.ID
	site, device string
	flight       string
	sibling      bool
	taken        time.Time
}

const tileColumns = `t.cell, t.places, f.id, f.site, f.device, f.flight, f.sibling_of, f.taken`

func scanPlaceTile(rows *sql.Rows) (t placeTile, err error) {
	var flight, sibling sql.NullString
	var taken sql.NullInt64
	err = rows.Scan(&t.cell, &t.places, &t.id, &t.site, &t.device, &flight, &sibling, &taken)
	t.flight, t.sibling, t.taken = flight.String, sibling.String != "", fromMicros(taken)
	return t, err
}

// read adds the positions of a site in a range of tiles. full says that the page ends at r.at.
func (r *positionReader) read(ctx context.Context, site string, c cells) (full bool, err error) {
	for {
		after := r.at
		if site != after.site || after.cell < c.first {
			after = positionCursor{site: site, cell: c.first}
		}
		if after.cell > c.last {
			return false, nil
		}
		f := &filter{}
		if r.only == nil {
			f.add(`t.site = ? AND t.cell BETWEEN ? AND ?`, site, after.cell, c.last)
		} else { // the expressions keep SQLite from the index of the tiles
			f.add(`t.site || '' = ? AND +t.cell BETWEEN ? AND ?`, site, after.cell, c.last)
			f.in(`t.footage`, r.only)
		}
		f.add(`(t.cell > ? OR t.footage >= ?)`, after.cell, after.footage)
		// The tiles are chosen first. Otherwise PostgreSQL may read all footage for a join by hashes.
		ts, err := list(ctx, r.db.Read(), scanPlaceTile, `SELECT `+tileColumns+` FROM (SELECT t.cell, t.footage, t.places
			FROM place_tile t `+f.String()+fmt.Sprintf(` ORDER BY t.cell, t.footage LIMIT %d`, tilesRead)+
			`) t JOIN footage f ON f.id = t.footage ORDER BY t.cell, t.footage`, f.args...)
		if err != nil {
			return false, err
		}
		for _, t := range ts {
			if full, err := r.add(t); full || err != nil {
				return full, err
			}
		}
		if len(ts) < tilesRead {
			return false, nil
		}
	}
}

// add adds the positions of a tile. full says that the page ends at r.at.
func (r *positionReader) add(t placeTile) (full bool, err error) {
	at := positionCursor{t.site, t.cell, string(t.id), -1}
	if at.site == r.at.site && at.cell == r.at.cell && at.footage == r.at.footage {
		at.id = r.at.id // the tile was begun before
	}
	if at.id < wholeTile && r.selects(t) {
		for text := range eachPlace(t.places) {
			r.places++
			if lat, lon, ok := coordinates(text); ok && !r.window.Contains(lat, lon) {
				continue
			}
			var p Place
			if err := json.Unmarshal([]byte(text), &p); err != nil {
				return false, fmt.Errorf("places of footage %s: %w", t.id, err)
			}
			if p.ID <= at.id || !r.window.Contains(p.Lat, p.Lon) ||
				r.page.Paddock != "" && !slices.Contains(p.Paddocks, r.page.Paddock) {
				continue
			}
			if len(r.found) == r.limit {
				if at.id >= 0 { // else the tile before is the last one
					r.at = at
				}
				return true, nil
			}
			at.id = p.ID
			r.found = append(r.found, Position{Place: p, Footage: t.id, Flight: t.flight, Site: t.site, Device: t.device,
				Taken: t.taken})
		}
	}
	at.id = wholeTile
	r.at = at
	r.tiles++
	return r.tiles >= mostTiles || r.places >= mostPlaces, nil
}

// selects reports whether the page has the animals of the footage of a tile.
func (r *positionReader) selects(t placeTile) bool {
	p := r.page
	switch {
	case t.sibling, p.Device != "" && t.device != p.Device, p.Only != "" && t.device != p.Only:
		return false
	case (!p.From.IsZero() || !p.To.IsZero()) && t.taken.IsZero():
		return false
	}
	return (p.From.IsZero() || !t.taken.Before(p.From)) && (p.To.IsZero() || t.taken.Before(p.To))
}

// eachPlace returns the JSON object of each place in the text of a tile, as putTiles writes it. Most places of a tile may
// lie outside of a window, and decoding them takes most of the time of an answer.
func eachPlace(text string) iter.Seq[string] {
	// A quotation mark within a string has a backslash before it, so this is in no string.
	const between = `},{"id":`
	return func(yield func(string) bool) {
		rest := strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
		for rest != "" {
			one := rest
			if i := strings.Index(rest, between); i >= 0 {
				one, rest = rest[:i+1], rest[i+2:]
			} else {
				rest = ""
			}
			if !yield(one) {
				return
			}
		}
	}
}

// coordinates reads the latitude and the longitude in the JSON of a place; ok is false where they are written otherwise.
func coordinates(text string) (lat, lon float64, ok bool) {
	number := func(key string) (float64, error) {
		i := strings.Index(text, key)
		if i < 0 {
			return 0, strconv.ErrSyntax
		}
		v := text[i+len(key):]
		if end := strings.IndexAny(v, ",}"); end >= 0 {
			v = v[:end]
		}
		return strconv.ParseFloat(v, 64)
	}
	lat, errLat := number(`"lat":`)
	lon, errLon := number(`"lon":`)
	return lat, lon, errLat == nil && errLon == nil
}

// putTiles stores where the animals and the box of a ground are, instead of what was stored for the footage.
func putTiles(ctx context.Context, tx *sql.Tx, f Footage, g Ground) error {
	for _, q := range []string{`DELETE FROM place_tile WHERE footage = $1`, `DELETE FROM ground_cell WHERE footage = $1`} {
		if _, err := tx.ExecContext(ctx, q, f.ID); err != nil {
			return err
		}
	}
	e := extentOf(g)
	for _, c := range e.cells() {
		if _, err := tx.ExecContext(ctx, `INSERT INTO ground_cell (cell, footage, west, south, east, north)
			VALUES ($1, $2, $3, $4, $5, $6)`, c, f.ID, e.west, e.south, e.east, e.north); err != nil {
			return err
		}
	}
	tiles := map[int64][]Place{}
	for _, p := range g.Places {
		c := cellOf(tileOf(p.Lat, p.Lon, placeLevel))
		tiles[c] = append(tiles[c], p)
	}
	for some := range slices.Chunk(slices.Sorted(maps.Keys(tiles)), tilesWritten) {
		rows := make([]string, len(some))
		args := []any{f.Site, f.ID}
		for i, c := range some {
			slices.SortFunc(tiles[c], func(a, b Place) int { return cmp.Compare(a.ID, b.ID) })
			text, err := json.Marshal(tiles[c])
			if err != nil {
				return err
			}
			args = append(args, c, clean(string(text)))
			rows[i] = fmt.Sprintf(`($1, $%d, $2, $%d)`, len(args)-1, len(args))
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO place_tile (site, cell, footage, places) VALUES `+ //nolint:gosec // numbers of parameters only
			strings.Join(rows, `, `), args...); err != nil {
			return err
		}
	}
	return nil
}

// tilesWritten is how many tiles one statement writes.
const tilesWritten = 100
