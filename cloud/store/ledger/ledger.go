// Package ledger stores the history: footage, jobs, counts, devices and upload
// sessions. All of it is in one database (cloud/store/database), which several
// processes may open at once. A Ledger opens the database; its parts, such as
// Uploads and Jobs, each serve one purpose over that database.
//
// Every write is one transaction. It holds the write lock from its beginning and
// is durable when the method returns. Some writes change rows of several parts;
// they are atomic too. Every state of a job follows from job.Next.
//
// Every written row of footage, job, count and flight takes a new Seq from one counter in
// the same transaction. Reading the rows above a Seq therefore gives every
// committed change, in order and without gaps. The MQTT publisher and the
// dashboard follow the changes in this way.
//
// A Ledger and its parts are safe for concurrent use.
package ledger

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"cattlecounter/cloud/store/database"
	"cattlecounter/cloud/store/vault"
	"cattlecounter/shared/secret"
)

//go:embed migrations/*.sql
var migrations embed.FS

const versionTable = "ledger_version"

// Options of Open; the zero value is ready for use.
type Options struct {
	// Now is the clock of all stored times; nil means time.Now.
	Now func() time.Time
	// Busy is how long a write waits for another process before it fails with ErrBusy;
	// 0 means 10 s.
	Busy time.Duration
	// Password of PostgreSQL; nil means the password in the address.
	Password database.Password
	// Keys encrypt the secrets that the ledger must read again; nil means that they are stored in the clear.
	Keys *vault.Keys
}

// Ledger is an open ledger: one database, and its parts by purpose.
type Ledger struct {
	Uploads    *Uploads    // resumable upload sessions
	Owners     *Owners     // the devices that footage ids belong to
	Footage    *Catalog    // what was received, and where its video is
	Thumbnails *Thumbnails // small pictures, often earlier than their video
	Jobs       *Jobs       // the queue's and the operator's side of counting
	Attempts   *Attempts   // the worker's side of counting
	Counts     *Counts     // results
	Aged       *Aged       // what is not among the newest
	Flights    *Flights    // footage that was recorded one after the other, counted together
	Changes    *Changes    // the change feed and its readers' positions
	Devices    *Devices    // holders of tokens
	Stations   *Stations   // what is remembered of each station
	People     *People     // those who log in with a password
	PushKeys   *PushKeys   // signs messages to browsers
	OrderKey   *OrderKey   // signs orders to stations
	Audit      *AuditLog   // who changed what
	Totals     *Totals     // sums over the whole ledger
	Lines      *Lines      // lines and zones to judge
	Grounds    *Grounds    // where and when footage was recorded
	Positions  *Positions  // the animals of all counts on the earth
	Sites      *Sites      // the counts of each site over time
	Work       *Work       // what workers do and what waits for them
	Workers    *Workers    // what workers say of themselves
	Models     *Models     // which detector counts what
	Reviews    *Reviews    // what people decided about counts
	Borders    *BorderBook // paddocks of sites
	Surveys    *Surveys    // selections of counts
	Book       *HerdBook   // expected numbers of animals
	Secrets    *Secrets    // encryption of what must be read again

	Shares        *Shares        // links to surveys for people without a login
	Notifications *Notifications // who hears of what, and the messages

	tables *tables
}

// tables is the database with the clock of its times. All parts share it.
type tables struct {
	db  *database.DB
	now func() time.Time
	// common is the clock that all processes of the ledger have in common.
	common func(context.Context) (time.Time, error)
	keys   *vault.Keys
}

// Open opens or creates a SQLite file and migrates its tables. The folder must exist. The
// error wraps ErrCorrupt, ErrUnwritable, ErrNoSpace or ErrBusy.
func Open(ctx context.Context, path string, o Options) (*Ledger, error) {
	db, err := database.OpenFile(ctx, path, o.Busy)
	if err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", path, err)
	}
	return prepare(ctx, db, o)
}

// OpenPostgres connects to a PostgreSQL database (see database.OpenPostgres) and migrates
// its tables. The error wraps ErrUnreachable, ErrUnwritable, ErrInvalid or ErrBusy.
func OpenPostgres(ctx context.Context, address secret.String, o Options) (*Ledger, error) {
	db, err := database.OpenPostgres(ctx, address, o.Password, o.Busy)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	return prepare(ctx, db, o)
}

func prepare(ctx context.Context, db *database.DB, o Options) (*Ledger, error) {
	common := func(context.Context) (time.Time, error) { return o.Now(), nil }
	if o.Now == nil {
		o.Now, common = time.Now, db.Now
	}
	sub, err := fs.Sub(migrations, "migrations")
	if err == nil {
		err = db.Migrate(ctx, sub, versionTable)
	}
	if err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", db.Name(), errors.Join(err, db.Close()))
	}
	t := &tables{db: db, now: o.Now, common: common, keys: o.Keys}
	return &Ledger{
		Uploads: &Uploads{t}, Owners: &Owners{t}, Footage: &Catalog{t}, Thumbnails: &Thumbnails{t},
		Jobs: &Jobs{t}, Attempts: &Attempts{t}, Counts: &Counts{t}, Flights: &Flights{t}, Aged: &Aged{t}, Changes: &Changes{t}, Devices: &Devices{t},
		Stations: &Stations{t},
		OrderKey: &OrderKey{t}, PushKeys: &PushKeys{t},
		People: &People{t}, Audit: &AuditLog{t}, Totals: &Totals{t}, Lines: &Lines{t}, Reviews: &Reviews{t},
		Grounds: &Grounds{t}, Positions: &Positions{t}, Borders: &BorderBook{t}, Surveys: &Surveys{t},
		Book: &HerdBook{t}, Sites: &Sites{t}, Work: &Work{t}, Workers: &Workers{t}, Models: &Models{t},
		Notifications: &Notifications{t}, Shares: &Shares{t}, Secrets: &Secrets{t},
		tables: t,
	}, nil
}

// Close closes the ledger. Methods called afterwards fail.
func (l *Ledger) Close() error { return l.tables.db.Close() }

// DB returns the ledger's database. The queue has tables in it, too.
func (l *Ledger) DB() *database.DB { return l.tables.db }

// Ping reports whether the ledger can be read.
func (l *Ledger) Ping(ctx context.Context) error {
	var seq int64
	if err := l.tables.db.Read().QueryRowContext(ctx,
		`SELECT seq FROM change_counter WHERE id = 1`).Scan(&seq); err != nil {
		return fmt.Errorf("ledger %s: %w", l.tables.db.Name(), database.Classify(err))
	}
	return nil
}

// write runs f in one transaction. Its error begins with the action.
func (l *tables) write(ctx context.Context, action string, f func(context.Context, *sql.Tx) error) error {
	if err := l.db.Write(ctx, f); err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	return nil
}

// nextSeq returns the next number of the change counter. There is one writer at a time,
// so the numbers become visible in their order.
func nextSeq(ctx context.Context, tx *sql.Tx) (int64, error) {
	var seq int64
	err := tx.QueryRowContext(ctx, `UPDATE change_counter SET seq = seq + 1 WHERE id = 1 RETURNING seq`).Scan(&seq)
	return seq, err
}

// micros returns the stored form of a time: microseconds, NULL for the zero time.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func fromMicros(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.UnixMicro(n.Int64).UTC()
}

func timePointer(n sql.NullInt64) *time.Time {
	if !n.Valid {
		return nil
	}
	t := fromMicros(n)
	return &t
}
