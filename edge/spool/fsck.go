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

// Report is the result of a check of a spool.
type Report struct {
	Dir     string  `json:"dir"`
	Store   string  `json:"store"`             // "ok", or why it cannot be opened as it is
	Footage int     `json:"footage"`           // pieces with content
	Chunks  int     `json:"chunks"`            // compared with their manifests
	Faults  []Fault `json:"faults,omitempty"`  // footage with damaged content
	Damaged int     `json:"damaged"`           // parts of the log files with nothing readable
	Lost    int64   `json:"lost"`              // bytes in those parts
	Repair  *Repair `json:"repair,omitempty"`  // what RepairStore did, nil without it
	Pending bool    `json:"pending,omitempty"` // a salvage was interrupted and continues at the next start
}

// Repair describes what RepairStore did.
type Repair struct {
	Salvaged *Salvaged `json:"salvaged,omitempty"` // nil when the store opened
	Reread   int       `json:"reread"`             // pieces of footage to be read from the card again
}

// OK reports whether the spool is whole.
func (r *Report) OK() bool { return r.Store == "ok" && len(r.Faults) == 0 && !r.Pending }

// Fsck checks a spool that no agent has open. It reads the log files only and changes
// nothing. It checks whether the store opens, and compares every chunk of every piece of
// footage with its manifest. The error wraps ErrInUse when an agent has the spool open, and
// fs.ErrNotExist when there is no spool.
func Fsck(ctx context.Context, o Options) (Report, error) {
	o = o.withDefaults()
	r := Report{Dir: o.Dir, Store: "ok"}
	store := filepath.Join(o.Dir, storeDir)
	if copying, renaming := unfinishedSalvage(o.Dir); copying || renaming {
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
	if err := checkStore(store); err != nil {
		r.Store = err.Error()
	}
	x, err := indexLogs(store)
	if err != nil {
		return r, fmt.Errorf("spool %s: %w", o.Dir, err)
	}
	r.Damaged, r.Lost = x.damagedParts()
	return r, r.checkFootage(ctx, x)
}

// checkFootage compares the chunks of every record with its manifest.
func (r *Report) checkFootage(ctx context.Context, x *logIndex) error {
	for _, key := range slices.Sorted(maps.Keys(x.keys)) {
		if !strings.HasPrefix(key, recordPrefix) || x.keys[key].deleted {
			continue
		}
		b, err := x.readValue([]byte(key))
		if err != nil {
			return err
		}
		var rec Record
		if err := json.Unmarshal(b, &rec); err != nil {
			r.Faults = append(r.Faults, Fault{Footage: footage.ID(key[len(recordPrefix):]), Detail: "record: " + err.Error()})
			continue
		}
		if !rec.State.HasContent() || rec.State == Confirmed { // an interrupted reclaim leaves a part
			continue
		}
		r.Footage++
		f, n, err := x.checkRecord(ctx, &rec)
		if err != nil {
			return err
		}
		if r.Chunks += n; f != nil {
			r.Faults = append(r.Faults, *f)
		}
	}
	return nil
}

// checkRecord returns the damage to one piece of footage, nil without any, and how many
// chunks it compared.
func (x *logIndex) checkRecord(ctx context.Context, rec *Record) (*Fault, int, error) {
	bad := func(err error) (*Fault, int, error) {
		return &Fault{Footage: rec.ID, Name: footage.SafeName(rec.Name), State: rec.State, Detail: err.Error()}, 0, nil
	}
	b, err := x.readValue(manifestKey(rec.ID))
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
		b, err := x.readValue(chunkKey(rec.ID, p, c.Index))
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

// RepairStore repairs a spool that no agent has open. A broken store is salvaged, and
// footage with damaged content is read from the card again. r is the result of Fsck;
// RepairStore sets r.Repair.
func RepairStore(ctx context.Context, o Options, r *Report) error {
	s, err := Open(o)
	if err != nil {
		return err
	}
	r.Repair = &Repair{Salvaged: s.Salvaged()}
	n, err := s.Recovery.CheckAll(ctx)
	r.Repair.Reread = n
	if s.Salvaged() != nil {
		r.Repair.Reread += s.Salvaged().Reread
	}
	return errors.Join(err, s.Close())
}
