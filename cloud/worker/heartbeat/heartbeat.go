// Package heartbeat shows other processes that a worker is alive: a small file that says until when the worker will
// have written it again. The worker knows its pauses, so a long pause after a storage outage is no alarm, and a worker
// that hangs is one soon.
//
// The file has one line, a time in RFC 3339, such as 2026-05-01T12:00:00Z.
package heartbeat

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"
)

// Errors of Check, for errors.Is.
var (
	ErrNone = errors.New("no heartbeat")
	ErrLate = errors.New("the worker hangs")
)

// grace is how late a heartbeat may be: a loaded machine is slow, and a clock may be stepped.
const grace = 30 * time.Second

// maxFile bounds what Check reads.
const maxFile = 128

// File is the heartbeat of one process. The zero value writes nothing. Its methods are for one goroutine at a time.
type File struct {
	path   string
	log    *slog.Logger
	failed bool // the last write, so that a full disk is logged once
}

// New returns the heartbeat in the file path; with "" there is none. Its folder must exist.
func New(path string, log *slog.Logger) *File { return &File{path: path, log: log} }

// Beat says that the next beat comes within next. A file that cannot be written is logged, and counting continues.
func (f *File) Beat(next time.Duration) {
	if f == nil || f.path == "" {
		return
	}
	tmp := f.path + ".tmp"
	err := os.WriteFile(tmp, []byte(time.Now().Add(next+grace).UTC().Format(time.RFC3339)+"\n"), 0o600)
	if err == nil {
		err = os.Rename(tmp, f.path)
	}
	if err != nil && !f.failed {
		f.log.Error("cannot write the heartbeat; probes will report that the worker hangs", "file", f.path, "err", err)
	}
	f.failed = err != nil
}

// Remove deletes the file when the worker ends as it should.
func (f *File) Remove() {
	if f != nil && f.path != "" {
		_ = os.Remove(f.path) // a file that stays is late soon
	}
}

// Check reads the heartbeat in the file path. The error wraps ErrNone without one, and ErrLate when its time is over.
func Check(path string, now time.Time) error {
	r, err := os.Open(path) // the path is the operator's configuration
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w in %s: the worker has not begun to work; its log says why", ErrNone, path)
	}
	if err != nil {
		return fmt.Errorf("read the heartbeat: %w", err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxFile))
	if err != nil {
		return fmt.Errorf("read the heartbeat %s: %w", path, err)
	}
	until, err := time.Parse(time.RFC3339, strings.TrimSpace(string(b)))
	if err != nil {
		return fmt.Errorf("heartbeat %s holds %q, which is not a time; is worker.heartbeat the path of another file?", path, b)
	}
	if now.After(until) {
		return fmt.Errorf("%w: it promised a heartbeat before %s; see its log and restart it", ErrLate, until.Format(time.RFC3339))
	}
	return nil
}
