package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

// Finish stores the count of a part, ends its job as done and stores the flights that it changes, in one transaction. It
// fails with ErrJoinedMeanwhile when the neighbors or the flight of the part are not those of j any more; the job is
// then unchanged. The rest is as for Attempts.Finish.
func (l *Flights) Finish(ctx context.Context, jobID string, fence int64, c Count, resultKey string, j Joining) (Job,
	error) {
	return l.updateJob(ctx, "finish", jobID, func(ctx context.Context, tx *sql.Tx, done *Job) error {
		if done.endedBy(job.Done, fence) {
			return errUnchanged
		}
		if err := done.finish(fence, c, resultKey); err != nil {
			return err
		}
		c.Footage, c.Job = done.Footage, done.ID
		if err := l.putCount(ctx, tx, c); err != nil {
			return err
		}
		f, err := getFootage(ctx, tx, `id = $1`, c.Footage)
		if err != nil {
			return err
		}
		j.Part.Footage, j.Part.Name = f.ID, f.Name
		if err := l.putPart(ctx, tx, f.Device, j.Part); err != nil {
			return err
		}
		if f.SiblingOf != "" {
			return nil // another file of the flight is the part
		}
		return l.join(ctx, tx, f, j)
	})
}

func (l *tables) putPart(ctx context.Context, tx *sql.Tx, device string, p Part) error {
	s := footage.ReadSequence(p.Name)
	_, err := tx.ExecContext(ctx, `INSERT INTO part (footage, device, series, number, started, duration, width, height,
		fps, codec, trace_key, place) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0)
		ON CONFLICT (footage) DO UPDATE SET series = excluded.series, number = excluded.number,
			started = excluded.started, duration = excluded.duration, width = excluded.width, height = excluded.height,
			fps = excluded.fps, codec = excluded.codec, trace_key = excluded.trace_key`,
		p.Footage, device, clean(s.Series), s.Number, micros(knownStart(p)), p.Duration.Microseconds(), p.Width, p.Height,
		clamp(p.FPS, 1e6), clean(p.Codec), p.TraceKey)
	return err
}

// join divides the parts around f into the groups of j.
func (l *tables) join(ctx context.Context, tx *sql.Tx, f Footage, j Joining) error {
	now, err := neighbors(ctx, tx, f.Device, j.Part)
	if err != nil {
		return err
	}
	same := func(a, b Part) bool {
		return a.Footage == b.Footage && a.Seq == b.Seq && a.Flight == b.Flight && a.Hand == b.Hand
	}
	if j.Part.Flight != f.Flight || !slices.EqualFunc(now, j.Neighbors, same) {
		return ErrJoinedMeanwhile
	}
	self, err := list(ctx, tx, scanPart, partQuery+`WHERE p.footage = $1`, f.ID)
	if err != nil {
		return err
	}
	if len(self) > 0 && self[0].Hand != j.Part.Hand {
		return ErrJoinedMeanwhile
	}
	parts := map[footage.ID]Part{}
	for _, p := range append(now, self...) {
		parts[p.Footage] = p
	}
	if err := checkGroups(parts, j.Groups); err != nil {
		return err
	}
	return l.divide(ctx, tx, f, parts, j.Groups)
}

// checkGroups demands each part in at most one group, and the parts of one flight in groups or in none.
func checkGroups(parts map[footage.ID]Part, groups []Group) error {
	left := maps.Clone(parts)
	for _, g := range groups {
		if g.Unique < 0 || g.Low > g.Unique || g.High < g.Unique {
			return fmt.Errorf("count %d of a flight outside its interval %d..%d: %w", g.Unique, g.Low, g.High, ErrInvalid)
		}
		for _, id := range g.Parts {
			if _, ok := left[id]; !ok {
				return fmt.Errorf("footage %s is no neighbor, or in two groups: %w", id, ErrInvalid)
			}
			delete(left, id)
		}
	}
	touched := map[string]bool{}
	for id, p := range parts {
		if _, free := left[id]; !free {
			touched[p.Flight] = true
		}
	}
	for id, p := range left {
		if p.Flight != "" && touched[p.Flight] {
			return fmt.Errorf("footage %s is in no group, but other parts of its flight are: %w", id, ErrInvalid)
		}
	}
	return nil
}

// divide writes flights for the groups. A group keeps the oldest flight of its parts that no earlier group keeps.
func (l *tables) divide(ctx context.Context, tx *sql.Tx, f Footage, parts map[footage.ID]Part, groups []Group) error {
	former := map[string]bornFlight{}
	for _, g := range groups {
		for _, id := range g.Parts {
			flight := parts[id].Flight
			if _, ok := former[flight]; ok || flight == "" {
				continue
			}
			old, err := getFlight(ctx, tx, flight)
			if err != nil {
				return err
			}
			former[flight] = old
		}
	}
	kept, went, judged := map[string]bool{}, map[string]string{}, map[string]time.Time{}
	for _, g := range groups {
		id := ""
		if len(g.Parts) > 1 {
			var err error
			if id, err = l.keepFlight(ctx, tx, f, parts, g, former, kept); err != nil {
				return err
			}
			judged[id] = g.Judged
		}
		if err := l.copyLines(ctx, tx, id, g, parts); err != nil {
			return err
		}
		for place, part := range g.Parts {
			p := parts[part]
			if _, ok := went[p.Flight]; !ok && p.Flight != "" {
				went[p.Flight] = id
			}
			if id == "" {
				place = -1
			}
			if err := l.movePart(ctx, tx, p, id, place+1); err != nil {
				return err
			}
		}
	}
	for _, old := range slices.SortedFunc(maps.Values(former), func(a, b bornFlight) int { return cmp.Compare(a.born, b.born) }) {
		if !kept[old.ID] {
			if err := l.endFlight(ctx, tx, old, went[old.ID]); err != nil {
				return err
			}
		}
	}
	return markJudgedByOthers(ctx, tx, f.Device, judged)
}

// keepFlight writes the flight of a group and returns its id.
func (l *tables) keepFlight(ctx context.Context, tx *sql.Tx, f Footage, parts map[footage.ID]Part, g Group,
	former map[string]bornFlight, kept map[string]bool) (string, error) {
	var oldest bornFlight
	for _, part := range g.Parts {
		id := parts[part].Flight
		if old, ok := former[id]; ok && !kept[id] && (oldest.ID == "" || old.born < oldest.born) {
			oldest = old
		}
	}
	next := oldest.Flight
	if next.ID == "" {
		now := l.now().UTC()
		next = Flight{ID: string(footage.NewID(now)), Site: f.Site, Device: f.Device, Created: now}
	}
	kept[next.ID] = true
	next.State, next.Next, next.Parts, next.JointCount = FlightJoined, "", len(g.Parts), g.JointCount
	return next.ID, l.putFlight(ctx, tx, oldest, next)
}

// putFlight writes a flight over an older state of it, and updates the totals.
func (l *tables) putFlight(ctx context.Context, tx *sql.Tx, old bornFlight, f Flight) error {
	if f.ByClass == nil {
		f.ByClass = map[string]int{}
	}
	if f.Warnings == nil {
		f.Warnings = []string{}
	}
	byClass, err := json.Marshal(f.ByClass)
	if err != nil {
		return err
	}
	warnings, err := json.Marshal(f.Warnings)
	if err != nil {
		return err
	}
	found, err := formatTotals(f.Boundaries)
	if err != nil {
		return err
	}
	if f.Seq, err = nextSeq(ctx, tx); err != nil {
		return err
	}
	born := old.born
	if born == 0 {
		born = f.Seq
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO flight (`+flightColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, next = excluded.next, parts = excluded.parts,
			animals = excluded.animals, low = excluded.low, high = excluded.high, by_class = excluded.by_class,
			warnings = excluded.warnings, result_key = excluded.result_key, updated = excluded.updated, seq = excluded.seq,
			boundaries = excluded.boundaries`,
		f.ID, f.Site, f.Device, f.State, f.Next, f.Parts, f.Unique, f.Low, f.High, string(byClass), clean(string(warnings)),
		f.ResultKey, micros(f.Created), micros(l.now()), born, f.Seq, clean(found))
	if err != nil {
		return err
	}
	return addTotal(ctx, tx, totalAnimals, int64(f.Unique-old.Unique))
}

// movePart writes the flight and the place of a part. Its count is in the totals while it is in no flight. Footage and
// count take a new Seq, so that their readers learn of the flight.
func (l *tables) movePart(ctx context.Context, tx *sql.Tx, p Part, flight string, place int) error {
	if p.Flight == flight && p.Place == place {
		return nil
	}
	if _, err := tx.ExecContext(ctx, `UPDATE part SET place = $1 WHERE footage = $2`, place, p.Footage); err != nil {
		return err
	}
	if p.Flight == flight {
		return nil
	}
	seq, err := nextSeq(ctx, tx)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE footage SET flight = $1, seq = $2 WHERE id = $3`, nullable(flight), seq,
		p.Footage); err != nil {
		return err
	}
	if seq, err = nextSeq(ctx, tx); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE animal_count SET seq = $1 WHERE footage = $2`, seq, p.Footage); err != nil {
		return err
	}
	switch {
	case p.Flight == "":
		return addTotal(ctx, tx, totalAnimals, -int64(p.Unique))
	case flight == "":
		return addTotal(ctx, tx, totalAnimals, int64(p.Unique))
	}
	return nil
}

// endFlight ends a flight whose parts are in another flight or in none.
func (l *tables) endFlight(ctx context.Context, tx *sql.Tx, f bornFlight, next string) error {
	ended := f.Flight
	ended.State, ended.Next, ended.Parts = FlightEnded, next, 0
	ended.JointCount = JointCount{}
	if err := l.moveLines(ctx, tx, f.ID, next); err != nil {
		return err
	}
	return l.putFlight(ctx, tx, f, ended)
}

// leaveFlight takes footage out of its flight because another file of it is counted. A flight with one part left ends.
// A flight with several is stale, until a worker has joined it again.
func (l *tables) leaveFlight(ctx context.Context, tx *sql.Tx, id footage.ID) error {
	self, err := list(ctx, tx, scanPart, partQuery+`WHERE p.footage = $1 AND f.flight IS NOT NULL`, id)
	if err != nil || len(self) == 0 {
		return err
	}
	f, err := getFlight(ctx, tx, self[0].Flight)
	if err != nil {
		return err
	}
	if err := l.movePart(ctx, tx, self[0], "", 0); err != nil {
		return err
	}
	rest, err := partsOf(ctx, tx, f.ID)
	if err != nil {
		return err
	}
	if len(rest) > 1 {
		stale := f.Flight
		stale.State, stale.Parts = FlightStale, len(rest)
		return l.putFlight(ctx, tx, f, stale)
	}
	for _, p := range rest {
		alone := Group{Parts: []footage.ID{p.Footage}}
		if err := l.copyLines(ctx, tx, "", alone, map[footage.ID]Part{p.Footage: p}); err != nil {
			return err
		}
		if err := l.movePart(ctx, tx, p, "", 0); err != nil {
			return err
		}
	}
	return l.endFlight(ctx, tx, f, "")
}

// ListStale returns at most limit flights that have to be joined again, the longest stale first.
func (l *Flights) ListStale(ctx context.Context, limit int) ([]FlightView, error) {
	vs, err := l.flightViews(ctx, `SELECT `+flightColumns+` FROM flight WHERE state = $1
		ORDER BY updated, born LIMIT $2`, FlightStale, limit)
	if err != nil {
		return nil, fmt.Errorf("stale flights: %w", err)
	}
	return flightsOf(vs), nil
}

// Rejoin divides the parts of a stale flight into groups. It fails with ErrJoinedMeanwhile when the flight has changed
// since ListStale returned it.
func (l *Flights) Rejoin(ctx context.Context, v FlightView, groups []Group) error {
	return l.write(ctx, "join flight "+v.ID, func(ctx context.Context, tx *sql.Tx) error {
		f, err := getFlight(ctx, tx, v.ID)
		if err != nil {
			return err
		}
		now, err := partsOf(ctx, tx, v.ID)
		if err != nil {
			return err
		}
		if f.Seq != v.Seq || len(now) == 0 {
			return ErrJoinedMeanwhile
		}
		parts := map[footage.ID]Part{}
		for _, p := range now {
			parts[p.Footage] = p
		}
		if err := checkGroups(parts, groups); err != nil {
			return err
		}
		return l.divide(ctx, tx, Footage{Site: f.Site, Device: f.Device}, parts, groups)
	})
}
