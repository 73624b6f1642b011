package spool

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"cattlecounter/shared/footage"
)

// logSlack is how far the times of a flight log and of a video that is not on the card any more may be apart. File
// names start again after a card is formatted, so the name alone says too little.
const logSlack = 10 * time.Minute

// KnowsLog reports whether a flight log beside a captured video needs no capture: it is spooled, is being spooled, or
// will be read with its video.
func (c *Captures) KnowsLog(video, log Source) (bool, error) {
	known, err := c.link(sourceKey(video.Path))
	if err != nil || known.ID == "" {
		return false, err
	}
	r, ok := c.records.Get(known.ID)
	if ok && r.waitsToBeRead() {
		return r.State != Captured || r.Telemetry != nil && r.Telemetry.Same(log), nil
	}
	have, err := c.link(logKey(video.Path, log.Path))
	if err != nil {
		return false, err
	}
	if have.ID != "" && have.Of == known.ID && have.Source.mayBeSame(log) {
		kept, exists := c.records.Get(have.ID)
		return !exists || kept.LogOf == "" || !kept.Stale, nil
	}
	// Releases without fingerprints stored no link for telemetry.
	return ok && r.Telemetry != nil && r.Telemetry.Print.IsZero() && r.Telemetry.mayBeSame(log), nil
}

// waitsToBeRead reports whether the file of the record is still to be read, with its telemetry.
func (r *Record) waitsToBeRead() bool {
	return r.State == Captured || r.State == Spooling || r.State == Quarantined && r.SHA256.IsZero()
}

// AddLog records a flight log that arrived, grew or was replaced after its video was captured. A video that is not
// read yet takes the log with it, and the result is the record of the video. Otherwise the log gets a record that is
// uploaded as telemetry of the same footage. The error wraps ErrNotFound when the video was never captured.
func (c *Captures) AddLog(video, log Source) (Record, error) {
	r, err := c.addLog(video, log)
	if err != nil {
		return Record{}, fmt.Errorf("capture %s: %w", footage.SafePath(log.Path), err)
	}
	c.records.notify(r)
	return r, nil
}

func (c *Captures) addLog(video, log Source) (Record, error) {
	known, err := c.link(sourceKey(video.Path))
	if err != nil {
		return Record{}, err
	}
	if known.ID == "" {
		return Record{}, fmt.Errorf("its video %s: %w", footage.SafePath(video.Path), ErrNotFound)
	}
	key := logKey(video.Path, log.Path)
	have, err := c.link(key)
	if err != nil {
		return Record{}, err
	}
	c.records.mu.Lock()
	defer c.records.mu.Unlock()
	r := Record{LogOf: known.ID}
	if v := c.records.byID[known.ID]; v != nil {
		if v.State == Captured {
			r = *v
			r.Telemetry = &log
			return r, c.records.save(&r, nil)
		}
		if v.State == Duplicate && v.DuplicateOf != "" {
			r.LogOf = v.DuplicateOf
		}
	}
	// A log that was never spooled takes the new identity.
	if old := c.records.byID[have.ID]; old != nil && old.LogOf == r.LogOf && old.SHA256.IsZero() &&
		(old.State == Captured || old.State == Quarantined) {
		r = *old
	}
	c.begin(&r, log)
	return r, c.records.save(&r, func(txn *badger.Txn) error {
		return setJSON(txn, key, knownSource{Source: log, ID: r.ID, Of: known.ID})
	})
}

// VideoOf returns the file of the newest footage to which a lone flight log belongs: it lay beside the log under the
// same name, and both have nearly the same time. ok is false when there is none, and for a log of a camera without a
// clock: all its files have nearly the same time.
func (r *Records) VideoOf(log Source) (video Source, ok bool) {
	if !footage.IsPlausible(log.ModTime, time.Time{}, false) {
		return Source{}, false
	}
	stem := logStem(log.Path)
	r.mu.Lock()
	defer r.mu.Unlock()
	newest := int64(0)
	for _, rec := range r.byID {
		if rec.LogOf != "" || rec.Seq <= newest || logStem(rec.Source.Path) != stem {
			continue
		}
		if apart := rec.Source.ModTime.Sub(log.ModTime).Abs(); apart <= logSlack {
			video, ok, newest = rec.Source, true, rec.Seq
		}
	}
	return video, ok
}

// logStem is what the paths of a video and its flight log have in common, in lower case.
func logStem(path string) string {
	return strings.ToLower(strings.TrimSuffix(path, filepath.Ext(path)))
}

// linkTelemetry stores in a transaction that the telemetry of a manifest is captured.
func (c *Captures) linkTelemetry(txn *badger.Txn, r Record, m footage.Manifest) error {
	if m.Telemetry == nil || r.Telemetry == nil {
		return nil
	}
	return setJSON(txn, logKey(r.Source.Path, r.Telemetry.Path), knownSource{Source: *r.Telemetry, ID: r.ID, Of: r.ID})
}

// sameLog returns the record under which the cloud has, or will get, this content as the flight log of the same
// footage. It returns "" when there is none. Only the newest log counts: one that returns to an older content is sent
// again.
func (r *Records) sameLog(log Record, d footage.Digest) footage.ID {
	r.mu.Lock()
	defer r.mu.Unlock()
	var newest *Record
	for _, rec := range r.byID {
		if rec.LogOf == log.LogOf && rec.ID != log.ID && !rec.SHA256.IsZero() && rec.State != Duplicate &&
			(newest == nil || rec.Seq > newest.Seq) {
			newest = rec
		}
	}
	if newest != nil {
		if newest.SHA256 == d && (newest.State.HasContent() || newest.State == Reclaimed) {
			return newest.ID
		}
		return ""
	}
	if v := r.byID[log.LogOf]; v != nil && v.TelemetrySHA256 == d {
		if waits := v.State.HasContent() && v.State != Confirmed; waits && !v.Sidecar.Done || v.TelemetryConfirmed() {
			return v.ID
		}
	}
	return ""
}
