// Package progress publishes the changes of the ledger: over MQTT to devices and
// subscribers, and within the process to the listeners of server-sent events. The rows
// of the ledger are the outbox: only committed changes are published, and every
// committed change is published, however long the broker or this process was down.
package progress

import (
	"context"
	"slices"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// Rows reads the changed rows of the ledger; *ledger.Changes implements it.
type Rows interface {
	Jobs(ctx context.Context, afterSeq int64, limit int) ([]ledger.JobView, error)
	Counts(ctx context.Context, afterSeq int64, limit int) ([]ledger.CountView, error)
	Footage(ctx context.Context, afterSeq int64, limit int) ([]ledger.Footage, error)
	Flights(ctx context.Context, afterSeq int64, limit int) ([]ledger.FlightView, error)
}

// Feed is the change feed: rows, and the positions of its readers.
type Feed interface {
	Rows
	Cursor(ctx context.Context, name string) (int64, error)
	SetCursor(ctx context.Context, name string, seq int64) error
}

// Footage is what a publisher reads of the ledger's footage.
type Footage interface {
	Get(ctx context.Context, id footage.ID) (ledger.FootageView, error)
	List(ctx context.Context, p ledger.Page) ([]ledger.FootageView, string, error)
	ListDuplicates(ctx context.Context, id footage.ID, limit int) ([]ledger.Footage, error)
}

// Flights finds a flight.
type Flights interface {
	Get(ctx context.Context, id string) (ledger.FlightView, error)
}

// Uploads lists the upload sessions.
type Uploads interface {
	List(ctx context.Context, before time.Time, limit int) ([]ledger.Upload, error)
}

// Sources are what a Publisher reads. Without borders, Borders returns nothing.
type Sources struct {
	Feed    Feed
	Footage Footage
	Flights Flights
	Sites   Sites
	Borders Borders
	Aged    Aged
}

// Change is one row as it is now. Exactly one of the pointers is set.
type Change struct {
	// Seq orders changes and names a position to continue from. It is 0 for an upload
	// and a station, which are no rows of the change feed.
	Seq     int64
	Job     *ledger.JobView
	Count   *ledger.CountView
	Footage *ledger.Footage
	Flight  *ledger.FlightView
	Upload  *UploadChange
	Station *wire.Station // not in the ledger either; see Hub.Send
}

// UploadChange is the state of an upload that progressed, began or ended.
type UploadChange struct {
	ledger.Upload
	Gone bool // finished, deleted or expired
}

// Changes reads up to limit rows that changed after a Seq, in the order of their Seq.
// complete says that there were no more.
//
// The kinds are read one after the other, and rows may be written in between. A first
// read finds the Seq up to which all kinds are certainly committed (Seq follows the order
// of commits), and the second read returns rows up to it.
func Changes(ctx context.Context, rows Rows, after int64, limit int) (changes []Change, complete bool, err error) {
	first, _, err := readAll(ctx, rows, after, limit)
	if err != nil || len(first) == 0 {
		return nil, err == nil, err
	}
	upTo := first[len(first)-1].Seq
	second, full, err := readAll(ctx, rows, after, limit)
	if err != nil {
		return nil, false, err
	}
	if full > 0 {
		upTo = min(upTo, full)
	}
	end, _ := slices.BinarySearchFunc(second, upTo+1, func(c Change, seq int64) int { return int(c.Seq - seq) })
	complete = full == 0 && end == len(second)
	if end > limit {
		end, complete = limit, false
	}
	return second[:end], complete, nil
}

// readAll reads every kind once and sorts. full is the lowest Seq at which a kind reached
// the limit, 0 when none did.
func readAll(ctx context.Context, rows Rows, after int64, limit int) (all []Change, full int64, err error) {
	jobs, err := rows.Jobs(ctx, after, limit)
	if err != nil {
		return nil, 0, err
	}
	counts, err := rows.Counts(ctx, after, limit)
	if err != nil {
		return nil, 0, err
	}
	films, err := rows.Footage(ctx, after, limit)
	if err != nil {
		return nil, 0, err
	}
	reached := func(n int, seq int64) {
		if n == limit && (full == 0 || seq < full) {
			full = seq
		}
	}
	for i := range jobs {
		all = append(all, Change{Seq: jobs[i].Seq, Job: &jobs[i]})
		reached(i+1, jobs[i].Seq)
	}
	for i := range counts {
		all = append(all, Change{Seq: counts[i].Seq, Count: &counts[i]})
		reached(i+1, counts[i].Seq)
	}
	for i := range films {
		all = append(all, Change{Seq: films[i].Seq, Footage: &films[i]})
		reached(i+1, films[i].Seq)
	}
	flights, err := rows.Flights(ctx, after, limit)
	if err != nil {
		return nil, 0, err
	}
	for i := range flights {
		all = append(all, Change{Seq: flights[i].Seq, Flight: &flights[i]})
		reached(i+1, flights[i].Seq)
	}
	slices.SortFunc(all, func(a, b Change) int { return int(a.Seq - b.Seq) })
	return all, full, nil
}
