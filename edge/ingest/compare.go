package ingest

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"

	"cattlecounter/edge/cardfile"
	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
)

// compareRetry is how long to wait after a file that could not be compared.
const compareRetry = time.Minute

// checks are the files that an earlier release captured without a fingerprint. Each is read whole, at half the speed
// of the card and only while nothing else is to be read. The watcher offers the files again after a restart, so the
// list needs no record.
type checks struct {
	mu      sync.Mutex
	waiting []spool.Source
	later   map[string]time.Time // by path: not before

	reading *cardfile.Reading // of the first file, nil between two files
}

func newChecks() *checks { return &checks{later: map[string]time.Time{}} }

// maxChecks bounds the list; the watcher offers the rest later.
const maxChecks = 1000

// add puts a file on the list and reports whether the list was empty.
func (c *checks) add(src spool.Source, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) >= maxChecks || now.Before(c.later[src.Path]) {
		return false
	}
	for _, w := range c.waiting {
		if w.Path == src.Path {
			return false
		}
	}
	delete(c.later, src.Path)
	c.waiting = append(c.waiting, src)
	return len(c.waiting) == 1
}

// first returns the file to compare now.
func (c *checks) first() (spool.Source, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 {
		return spool.Source{}, false
	}
	return c.waiting[0], true
}

// finish takes the first file off the list. A file that failed is not offered again for compareRetry.
func (c *checks) finish(failed bool) {
	c.stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	if failed {
		if len(c.later) >= maxChecks {
			clear(c.later)
		}
		c.later[c.waiting[0].Path] = time.Now().Add(compareRetry)
	}
	c.waiting = c.waiting[1:]
}

// stop closes the file that is being read.
func (c *checks) stop() {
	if c.reading != nil {
		_ = c.reading.Close()
		c.reading = nil
	}
}

// compare reads the next part of a file on the list. more is false when the list is empty; otherwise pause is how long
// to leave the card to others.
func (in *Ingest) compare(ctx context.Context) (pause time.Duration, more bool) {
	c := in.checks
	src, ok := c.first()
	if !ok {
		return 0, false
	}
	began := time.Now()
	done, err := c.step(ctx, src)
	switch {
	case err == nil && !done:
	case ctx.Err() != nil:
		return 0, true
	default:
		if err == nil {
			err = in.resolve(src)
		}
		if errors.Is(err, cardfile.ErrChanged) || errors.Is(err, fs.ErrNotExist) {
			c.finish(false) // the watcher offers what is there now
			break
		}
		if err != nil {
			in.log.Warn("cannot compare a file with captured footage; retrying", "path", footage.SafePath(src.Path), "err", err,
				"retry_in", compareRetry)
		}
		c.finish(err != nil)
	}
	return time.Since(began), true
}

// step opens the file if necessary and reads a part of it.
func (c *checks) step(ctx context.Context, src spool.Source) (done bool, err error) {
	if c.reading == nil {
		if c.reading, err = cardfile.Open(src.Path); err != nil {
			c.reading = nil
			return false, err
		}
		if s := c.reading.Stat(); s.Size != src.Size || !s.ModTime.Equal(src.ModTime) {
			return false, cardfile.ErrChanged
		}
	}
	return c.reading.Step(ctx)
}

// resolve decides about a file that was read whole.
func (in *Ingest) resolve(src spool.Source) error {
	r := in.checks.reading
	if err := r.Unchanged(); err != nil {
		return err
	}
	sum, err := r.Print()
	if err != nil {
		return err
	}
	src.Print = sum
	same, err := in.spool.Files.Resolve(src, r.Digest())
	if err != nil {
		return err
	}
	if same {
		in.log.Debug("file compared with captured footage: it is the same", "path", footage.SafePath(src.Path))
		return nil
	}
	in.log.Info("another recording has the name, size and time of captured footage; capturing it",
		"path", footage.SafePath(src.Path), "bytes", src.Size)
	return nil
}
