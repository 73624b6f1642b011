package spool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"cattlecounter/shared/footage"
)

// Report is what a check of a spool found.
type Report struct {
	Dir     string  `json:"dir"`
	Store   string  `json:"store"`             // "ok", or why it cannot be opened as it is
	Footage int     `json:"footage"`           // pieces with content
	Chunks  int     `json:"chunks"`            // that were compared with their manifests
	Faults  []Fault `json:"faults,omitempty"`  // footage with damaged content
	Damaged int     `json:"damaged"`           // parts of the log files that hold nothing readable
	Lost    int64   `json:"lost"`              // bytes in those parts
	Repair  *Repair `json:"repair,omitempty"`  // what was done, nil when nothing was to be
	Pending bool    `json:"pending,omitempty"` // a salvage was cut short and goes on at the next start
}

// Repair is what a repair did.
type Repair struct {
	Salvaged *Salvaged `json:"salvaged,omitempty"` // nil when the store opened
	Reread   int       `json:"reread"`             // pieces of footage that go back to be read from the card
}

// OK reports whether the spool is whole.
func (r *Report) OK() bool { return r.Store == "ok" && len(r.Faults) == 0 && !r.Pending }

// Fsck checks a spool that no agent has open, from its log files alone and
// without a change to it: whether it opens, and every chunk of every piece of
// footage against its manifest. The error wraps ErrInUse when an agent runs on it.
func Fsck(ctx context.Context, o Options) (Report, error) {
	o = o.withDefaults()
	r := Report{Dir: o.Dir, Store: "ok"}
	store := filepath.Join(o.Dir, storeDir)
	if copying, renaming := unfinished(o.Dir); copying || renaming {
		r.Pending = true
		if renaming {
			store = filepath.Join(o.Dir, salvageDir)
		}
	}
	if _, err := os.Stat(store); err != nil {
		return r, fmt.Errorf("spool %s: %w", o.Dir, err)
	}
	release, err := lock(store, syscall.LOCK_SH)
	if err != nil {
		return r, openError(o.Dir, err)
	}
	defer release()
	if err := errors.Join(whole(store), unbroken(store), rightTables(store)); err != nil {
		r.Store = err.Error()
	}
	x, err := indexLogs(store)
	if err != nil {
		return r, fmt.Errorf("spool %s: %w", o.Dir, err)
	}
	for _, parts := range x.damage {
		r.Damaged += len(parts)
		for _, p := range parts {
			r.Lost += p.To - p.From
		}
	}
	return r, r.footage(ctx, x)
}

// lock keeps an agent away, in the way that Badger does when it opens a folder
// (flock(2)): with LOCK_SH from what is read, with LOCK_EX from what is changed.
func lock(store string, how int) (release func(), err error) {
	d, err := os.Open(store)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(d.Fd()), how|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return func() { _ = d.Close() }, nil
}

// footage compares the chunks of every record with its manifest.
func (r *Report) footage(ctx context.Context, x *logIndex) error {
	for _, key := range slices.Sorted(maps.Keys(x.keys)) {
		if !strings.HasPrefix(key, "f/") || x.keys[key].deleted {
			continue
		}
		b, err := x.value([]byte(key))
		if err != nil {
			return err
		}
		var rec Record
		if err := json.Unmarshal(b, &rec); err != nil {
			r.Faults = append(r.Faults, Fault{Footage: footage.ID(key[len("f/"):]), Detail: "record: " + err.Error()})
			continue
		}
		if !rec.State.HasContent() || rec.State == Confirmed { // a reclaim may be half done
			continue
		}
		r.Footage++
		f, n, err := x.check(ctx, &rec)
		if err != nil {
			return err
		}
		if r.Chunks += n; f != nil {
			r.Faults = append(r.Faults, *f)
		}
	}
	return nil
}

func (x *logIndex) check(ctx context.Context, rec *Record) (*Fault, int, error) {
	bad := func(err error) (*Fault, int, error) {
		return &Fault{Footage: rec.ID, Name: rec.Name, State: rec.State, Detail: err.Error()}, 0, nil
	}
	b, err := x.value(manifestKey(rec.ID))
	if err != nil {
		return bad(fmt.Errorf("manifest: %w", err))
	}
	m, err := footage.DecodeManifest(b)
	if err != nil {
		return bad(err)
	}
	n := 0
	f, err := checkChunks(ctx, rec, m, func(p Part, c footage.Chunk) error {
		n++
		b, err := x.value(chunkKey(rec.ID, p, c.Index))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrNotFound) {
			return fmt.Errorf("chunk %d is missing", c.Index)
		}
		if err == nil && footage.Sum(b[:min(int64(len(b)), c.Size)]) != c.SHA256 {
			err = fmt.Errorf("chunk %d has another digest", c.Index)
		}
		return err
	})
	return f, n, err
}

// Mend repairs a spool that no agent has open: a broken store is salvaged, and
// footage with damaged content goes back to be read from the card. r is what
// Fsck found, and takes what was done.
func Mend(ctx context.Context, o Options, r *Report) error {
	s, err := Open(o)
	if err != nil {
		return err
	}
	r.Repair = &Repair{Salvaged: s.Salvaged()}
	n, err := s.CheckAll(ctx)
	r.Repair.Reread = n
	if s.Salvaged() != nil {
		r.Repair.Reread += s.Salvaged().Reread
	}
	return errors.Join(err, s.Close())
}

// CheckAll compares the content of everything with its manifests and sends what
// is damaged back to be read from the card. It returns how many pieces that were.
func (s *Spool) CheckAll(ctx context.Context) (int, error) {
	n := 0
	for _, r := range s.Records() {
		if !r.State.HasContent() || r.State == Confirmed {
			continue
		}
		f, err := s.Faults(ctx, r.ID)
		if err != nil {
			return n, err
		}
		if now, ok := s.Record(r.ID); f == nil || !ok || !now.State.HasContent() {
			continue // reclaimed meanwhile
		}
		s.o.Log.Warn("footage is damaged in the spool, it is read from the card again", "footage", r.ID, "name", r.Name,
			"chunks", f.Chunks, "damaged", f.Damaged, "err", f.Detail)
		if err := s.Reread(r.ID); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
