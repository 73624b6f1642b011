package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"cattlecounter/cloud/store/database"
	"cattlecounter/shared/footage"
)

// Survey is a selection of the counts of one site.
type Survey struct {
	ID       string
	Site     string
	Name     string       // for people; may be empty
	From, To time.Time    // of the recordings, zero for no limit
	Footage  []footage.ID // only these; nil for all
	Who      string
	Created  time.Time
}

// SurveyPart is a count with where its animals are.
type SurveyPart struct {
	CountView
	Ground Ground
	Joint  FlightCount // of its flight; the zero value for footage that is in none
}

// FlightCount is the count of a flight.
type FlightCount struct {
	Parts             int // how many it has
	Unique, Low, High int
}

// MaxSurveyParts is how many counts a survey may have.
const MaxSurveyParts = 500

// Surveys are the selections of counts that people made.
type Surveys struct{ *tables }

const surveyColumns = `id, site, name, from_time, to_time, footage, who, created, born`

type bornSurvey struct {
	Survey
	born int64
}

func scanSurvey(rows *sql.Rows) (s bornSurvey, err error) {
	var from, to, created sql.NullInt64
	var ids string
	if err = rows.Scan(&s.ID, &s.Site, &s.Name, &from, &to, &ids, &s.Who, &created, &s.born); err != nil {
		return s, err
	}
	s.From, s.To, s.Created = fromMicros(from), fromMicros(to), fromMicros(created)
	if ids != "" {
		err = json.Unmarshal([]byte(ids), &s.Footage)
	}
	return s, err
}

// Add stores a selection and sets its ID. Its error wraps ErrInvalid for a site that is no valid name, and for a choice of no
// footage.
func (l *Surveys) Add(ctx context.Context, s Survey) (Survey, error) {
	if _, err := footage.ParseID(s.Site); err != nil {
		return s, fmt.Errorf("survey of site %.64q: %w: %w", s.Site, err, ErrInvalid)
	}
	ids := ""
	if s.Footage != nil {
		if len(s.Footage) == 0 {
			return s, fmt.Errorf("survey of site %s: no footage is chosen: %w", s.Site, ErrInvalid)
		}
		b, err := json.Marshal(s.Footage)
		if err != nil {
			return s, err
		}
		ids = string(b)
	}
	s.Created, s.Who, s.Name = l.now().UTC(), Actor(ctx), clean(s.Name)
	s.ID = string(footage.NewID(s.Created))
	err := l.write(ctx, "add survey of "+s.Site, func(ctx context.Context, tx *sql.Tx) error {
		born, err := nextSeq(ctx, tx)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO survey (`+surveyColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			s.ID, s.Site, s.Name, micros(s.From), micros(s.To), ids, s.Who, micros(s.Created), born)
		if err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionAddSurvey, s.Site+" "+s.ID)
	})
	return s, err
}

// Remove removes a selection with its links. Its error wraps ErrNotFound for an unknown one.
func (l *Surveys) Remove(ctx context.Context, id string) error {
	return l.write(ctx, "remove survey "+id, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM share WHERE kind = $1 AND subject = $2`, ShareSurvey, id); err != nil {
			return err
		}
		var site string
		err := tx.QueryRowContext(ctx, `DELETE FROM survey WHERE id = $1 RETURNING site`, id).Scan(&site)
		if err != nil {
			return notFound(err)
		}
		return l.audit(ctx, tx, ActionRemoveSurvey, site+" "+id)
	})
}

// Get returns a selection, or ErrNotFound.
func (l *Surveys) Get(ctx context.Context, id string) (Survey, error) {
	ss, err := list(ctx, l.db.Read(), scanSurvey, `SELECT `+surveyColumns+` FROM survey WHERE id = $1`, id)
	if err == nil && len(ss) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Survey{}, fmt.Errorf("survey %.64s: %w", id, database.Classify(err))
	}
	return ss[0].Survey, nil
}

// List returns a page of the selections, newest first, and the start of the next page. The page may restrict sites and the
// time of creation.
func (l *Surveys) List(ctx context.Context, p Page) ([]Survey, string, error) {
	limit, after, err := p.bounds()
	if err != nil {
		return nil, "", err
	}
	f := Page{Site: p.Site, Sites: p.Sites}.filter("f.born", after, limit+1)
	ss, err := list(ctx, l.db.Read(), scanSurvey, `SELECT `+prefixed("f", surveyColumns)+` FROM survey f `+f.String()+
		` ORDER BY f.born DESC LIMIT $2`, f.args...)
	if err != nil {
		return nil, "", fmt.Errorf("list surveys: %w", err)
	}
	ss, next := cutPage(ss, limit, func(s bornSurvey) int64 { return s.born })
	out := make([]Survey, len(ss))
	for i := range ss {
		out[i] = ss[i].Survey
	}
	return out, next, nil
}

// Parts returns the counts of a selection with their ground, in the order of their recording, at most one more than
// MaxSurveyParts. Footage whose time is not known has that of its arrival. Duplicates and siblings are in none: their animals
// are in the counts of others.
func (l *Surveys) Parts(ctx context.Context, s Survey) ([]SurveyPart, error) {
	f := &filter{where: []string{`f.site = $1`, `f.duplicate_of IS NULL`, `f.sibling_of IS NULL`}, args: []any{s.Site}}
	f.taken(Page{From: s.From, To: s.To})
	if s.Footage != nil {
		if len(s.Footage) == 0 {
			return nil, nil
		}
		ids := make([]string, len(s.Footage))
		for i, id := range s.Footage {
			ids[i] = string(id)
		}
		f.in(`f.id`, ids)
	}
	parts, err := list(ctx, l.db.Read(), func(rows *sql.Rows) (p SurveyPart, err error) {
		var c countRow
		var r footageRow
		var places, footprint string
		if err = rows.Scan(append(append(c.dest(), r.dest()...), &places, &footprint, &p.Joint.Parts, &p.Joint.Unique, &p.Joint.Low,
			&p.Joint.High)...); err != nil {
			return p, err
		}
		if p.Count, err = c.value(); err == nil {
			p.Footage, err = r.value()
		}
		if err != nil || places == "" {
			return p, err
		}
		p.Ground.Spread = p.Count.Spread
		if err = json.Unmarshal([]byte(places), &p.Ground.Places); err == nil {
			err = json.Unmarshal([]byte(footprint), &p.Ground.Footprint)
		}
		return p, err
	}, `SELECT `+prefixed("c", countColumns)+`, `+prefixed("q", spreadColumns)+`, `+prefixed("f", footageColumns)+
		`, COALESCE(q.places, ''), COALESCE(q.footprint, ''), COALESCE(g.parts, 0), COALESCE(g.animals, 0), COALESCE(g.low, 0),
		COALESCE(g.high, 0) FROM animal_count c JOIN footage f ON f.id = c.footage
		LEFT JOIN ground q ON q.footage = c.footage LEFT JOIN flight g ON g.id = f.flight `+f.String()+
		fmt.Sprintf(` ORDER BY COALESCE(f.taken, f.received), f.born LIMIT %d`, MaxSurveyParts+1),
		f.args...)
	if err != nil {
		return nil, fmt.Errorf("parts of a survey of %.64s: %w", s.Site, err)
	}
	return parts, nil
}
