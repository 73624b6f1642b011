package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"cattlecounter/cloud/store/database"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

// Models is which detector counts what, and what each has counted.
type Models struct{ *tables }

// ModelChoice says with which model footage is counted from a time on.
type ModelChoice struct {
	N     int64         // grows by one
	Site  string        // "" for all sites without a choice of their own
	Model wire.ModelRef // zero: that of all sites, or for all sites that of each worker
	At    time.Time
	Who   string
}

// longestModelName is the longest name of a model in a store of a worker.
const longestModelName = 100

// CheckModelRef refuses what cannot name a model. The error wraps ErrInvalid.
func CheckModelRef(m wire.ModelRef) error {
	if m.Name == "" || len(m.Name) > longestModelName || clean(m.Name) != m.Name || m.SHA256.IsZero() {
		return fmt.Errorf("a model has a name of up to %d letters and the SHA-256 of its network: %w", longestModelName, ErrInvalid)
	}
	return nil
}

// Choose sets the model of a site, or with "" that of all sites without a choice of their own, for the jobs that begin from
// now on. The zero model takes the choice back. The context names who chooses.
func (l *Models) Choose(ctx context.Context, site string, m wire.ModelRef) (c ModelChoice, err error) {
	if !m.IsZero() {
		if err := CheckModelRef(m); err != nil {
			return c, err
		}
	}
	if site != "" {
		if _, err := topic.ParseDevice(site, "x"); err != nil {
			return c, fmt.Errorf("site %.80q: %w: %w", site, err, ErrInvalid)
		}
	}
	c = ModelChoice{Site: site, Model: m, At: l.now().UTC().Truncate(time.Microsecond), Who: Actor(ctx)}
	subject := "all sites: " + m.String()
	switch {
	case site != "" && m.IsZero():
		subject = "site " + site + ": the model of all sites"
	case site != "":
		subject = "site " + site + ": " + m.String()
	}
	err = l.write(ctx, "choose model", func(ctx context.Context, tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `INSERT INTO model_choice (n, site, model, digest, at, who)
			VALUES ((SELECT COALESCE(MAX(n), 0) + 1 FROM model_choice), $1, $2, $3, $4, $5) RETURNING n`,
			site, m.Name, digestText(m), micros(c.At), c.Who).Scan(&c.N)
		if err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionChooseModel, subject)
	})
	return c, err
}

// digestText is the stored digest of a model, "" for none.
func digestText(m wire.ModelRef) string {
	if m.IsZero() {
		return ""
	}
	return m.SHA256.String()
}

// modelRef is the inverse of digestText.
func modelRef(name, digest string) (m wire.ModelRef, err error) {
	if name == "" {
		return m, nil
	}
	m.Name = name
	if err := m.SHA256.UnmarshalText([]byte(digest)); err != nil {
		return wire.ModelRef{}, fmt.Errorf("model %s: %w", name, err)
	}
	return m, nil
}

const choiceColumns = `n, site, model, digest, at, who`

func scanChoice(rows *sql.Rows) (c ModelChoice, err error) {
	var name, digest string
	var at sql.NullInt64
	if err = rows.Scan(&c.N, &c.Site, &name, &digest, &at, &c.Who); err != nil {
		return c, err
	}
	c.At = fromMicros(at)
	c.Model, err = modelRef(name, digest)
	return c, err
}

// Chosen returns the newest choice of each site, and that for all sites, by their sites.
func (l *Models) Chosen(ctx context.Context) ([]ModelChoice, error) {
	all, err := list(ctx, l.db.Read(), scanChoice, `SELECT `+choiceColumns+` FROM model_choice
		WHERE n IN (SELECT MAX(n) FROM model_choice GROUP BY site) ORDER BY site`)
	if err != nil {
		return nil, fmt.Errorf("chosen models: %w", err)
	}
	return all, nil
}

// Before returns, for each site and for all sites, the newest earlier choice of another model than the one that counts now:
// the way back. A site whose choices were all of one model has none. They are ordered by their sites.
func (l *Models) Before(ctx context.Context) ([]ModelChoice, error) {
	all, err := list(ctx, l.db.Read(), scanChoice, `SELECT `+choiceColumns+` FROM model_choice WHERE n IN (
		SELECT MAX(b.n) FROM model_choice b JOIN model_choice c ON c.site = b.site
		WHERE c.n IN (SELECT MAX(n) FROM model_choice GROUP BY site) AND (b.model <> c.model OR b.digest <> c.digest)
		GROUP BY b.site) ORDER BY site`)
	if err != nil {
		return nil, fmt.Errorf("earlier choices of models: %w", err)
	}
	return all, nil
}

// History returns the newest choices for all sites and for some of them, newest first, at most limit. nil is every site.
func (l *Models) History(ctx context.Context, sites SiteSet, limit int) ([]ModelChoice, error) {
	at, args := sites.where("site", []any{limit})
	all, err := list(ctx, l.db.Read(), scanChoice, `SELECT `+choiceColumns+` FROM model_choice
		WHERE site = '' OR (1 = 1`+at+`) ORDER BY n DESC LIMIT $1`, args...)
	if err != nil {
		return nil, fmt.Errorf("choices of models: %w", err)
	}
	return all, nil
}

// WantedModel returns the model that a job of a site is to be counted with: what the recount asked for, else the choice of
// the site, else that for all sites. The zero value is the model of each worker.
func WantedModel(j Job, site string, chosen []ModelChoice) wire.ModelRef {
	if !j.Model.IsZero() {
		return j.Model
	}
	for _, of := range []string{site, ""} {
		i := slices.IndexFunc(chosen, func(c ModelChoice) bool { return c.Site == of })
		if i >= 0 && !chosen[i].Model.IsZero() {
			return chosen[i].Model
		}
	}
	return wire.ModelRef{}
}

// For returns the model that a job is to be counted with; the zero value is the model of each worker. A job that has ended
// wants none. An unknown job fails with ErrNotFound.
func (l *Models) For(ctx context.Context, jobID string) (wire.ModelRef, error) {
	fail := func(err error) (wire.ModelRef, error) {
		return wire.ModelRef{}, fmt.Errorf("model for job %s: %w", jobID, database.Classify(err))
	}
	j, err := getJob(ctx, l.db.Read(), `id = $1`, jobID)
	if err != nil {
		return fail(err)
	}
	if j.State.Ended() {
		return wire.ModelRef{}, nil
	}
	var site string
	if err := l.db.Read().QueryRowContext(ctx, `SELECT site FROM footage WHERE id = $1`, j.Footage).Scan(&site); err != nil {
		return fail(notFound(err))
	}
	chosen, err := l.Chosen(ctx)
	if err != nil {
		return fail(err)
	}
	return WantedModel(j, site, chosen), nil
}

// Compared is what two models counted in the same footage.
type Compared struct {
	Footage  Footage
	Old, New wire.Interval
}

// Compare returns the footage of a scope that both models have counted, the newest first, at most limit.
func (l *Models) Compare(ctx context.Context, older, newer wire.ModelRef, in Scope, limit int) ([]Compared, error) {
	at, args := in.Sites.where("f.site", []any{digestText(older), older.Name, digestText(newer), newer.Name, in.Device, limit})
	all, err := list(ctx, l.db.Read(), func(rows *sql.Rows) (c Compared, err error) {
		var f footageRow
		if err = rows.Scan(append(f.dest(), &c.Old.Unique, &c.Old.Low, &c.Old.High, &c.New.Unique, &c.New.Low, &c.New.High)...); err != nil {
			return c, err
		}
		c.Footage, err = f.value()
		return c, err
	}, `SELECT `+prefixed("f", footageColumns)+`, a.animals, a.low, a.high, b.animals, b.low, b.high
		FROM count_by_model a JOIN count_by_model b ON b.footage = a.footage JOIN footage f ON f.id = a.footage
		WHERE a.digest = $1 AND a.model = $2 AND b.digest = $3 AND b.model = $4 AND ($5 = '' OR f.device = $5)`+at+
		` ORDER BY f.born DESC LIMIT $6`, args...)
	if err != nil {
		return nil, fmt.Errorf("compare models: %w", err)
	}
	return all, nil
}

// putCountOfModel keeps the count beside those of other models.
func putCountOfModel(ctx context.Context, tx *sql.Tx, c Count) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO count_by_model (footage, digest, model, animals, low, high, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (digest, model, footage) DO UPDATE SET animals = excluded.animals,
			low = excluded.low, high = excluded.high, at = excluded.at`,
		c.Footage, c.ModelDigest.String(), c.Model, c.Unique, c.Low, c.High, micros(c.At))
	return err
}
