package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"regexp"
	"time"
)

// Source is where a model in a store came from, its source.json. The digests of
// the files are in SHA256SUMS beside it.
type Source struct {
	Schema int `json:"schema"`
	// Base is the hub's address, or that of the folder the files were in; for a
	// folder of this machine its path.
	Base       string    `json:"base"`
	Repository string    `json:"repository,omitempty"` // owner/name on a hub
	Revision   string    `json:"revision,omitempty"`   // as asked for: a branch, tag or commit
	Commit     string    `json:"commit,omitempty"`     // what that was, 40 hex digits
	Network    string    `json:"network"`              // the network's path there
	Pulled     time.Time `json:"pulled"`
}

const (
	sourceSchema = 1
	maxSource    = 64 << 10
)

var commitForm = regexp.MustCompile(`^[0-9a-f]{40}$`)

// IsCommit reports whether a revision is a full commit, which never changes.
func IsCommit(revision string) bool { return commitForm.MatchString(revision) }

// String says in one line where the model came from.
func (s Source) String() string {
	switch {
	case s.Repository == "":
		return s.Base + "/" + s.Network
	case s.Revision == s.Commit:
		return fmt.Sprintf("%s@%s (%s) from %s", s.Repository, s.Commit, s.Network, s.Base)
	}
	return fmt.Sprintf("%s@%s (%s, then %s) from %s", s.Repository, s.Commit, s.Network, s.Revision, s.Base)
}

// Same reports whether two sources are the same network of the same commit.
func (s Source) Same(o Source) bool {
	return s.Base == o.Base && s.Repository == o.Repository && s.Commit == o.Commit && s.Network == o.Network
}

// ParseSource reads a source.json. The error wraps ErrStore.
func ParseSource(b []byte) (Source, error) {
	var s Source
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return Source{}, fmt.Errorf("%w: %w", err, ErrStore)
	}
	var faults []error
	check := func(ok bool, format string, v ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, v...))
		}
	}
	check(!d.More(), "more than one document")
	check(s.Schema == sourceSchema, "schema is %d, known is %d", s.Schema, sourceSchema)
	check(s.Base != "", "base is empty")
	check(plainPath(s.Network), "network %q is not a path", s.Network)
	check(s.Commit == "" || IsCommit(s.Commit), "commit %q is not 40 hex digits", s.Commit)
	check((s.Repository == "") == (s.Commit == ""), "repository %q and commit %q, want both or none", s.Repository, s.Commit)
	if u, err := url.Parse(s.Base); err == nil {
		check(u.User == nil, "base holds a password")
	}
	if err := errors.Join(faults...); err != nil {
		return Source{}, fmt.Errorf("%w: %w", err, ErrStore)
	}
	return s, nil
}

// ReadSource reads the source.json of a model folder. A folder without one was
// put there by hand: ok is false. The error wraps ErrStore.
func ReadSource(dir string) (s Source, ok bool, err error) {
	path := filepath.Join(dir, SourceFile)
	b, err := readBounded(path, maxSource)
	if errors.Is(err, fs.ErrNotExist) {
		return Source{}, false, nil
	}
	if err == nil {
		s, err = ParseSource(b)
	} else {
		err = fmt.Errorf("%w: %w", err, ErrStore)
	}
	if err != nil {
		return Source{}, false, fmt.Errorf("%s: %w", path, err)
	}
	return s, true, nil
}

// encode is the inverse of ParseSource.
func (s Source) encode() ([]byte, error) {
	s.Schema = sourceSchema
	b, err := json.MarshalIndent(s, "", "  ")
	return append(b, '\n'), err
}
