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

// Source describes the origin of a model in a store, its source.json. The digests of the files are in SHA256SUMS.
type Source struct {
	Schema int `json:"schema"`
	// Base is the URL of the hub, the URL of the folder of the files, or the path of a folder on this machine.
	Base       string    `json:"base"`
	Repository string    `json:"repository,omitempty"` // owner/name on a hub
	Revision   string    `json:"revision,omitempty"`   // the requested branch, tag or commit
	Commit     string    `json:"commit,omitempty"`     // of the revision, 40 hex digits
	Network    string    `json:"network"`              // path of the network at the source
	Pulled     time.Time `json:"pulled"`
}

const (
	sourceSchema = 1
	maxSource    = 64 << 10
)

var commitForm = regexp.MustCompile(`^[0-9a-f]{40}$`)

// IsCommit reports whether a revision is a full commit ID, which never changes.
func IsCommit(revision string) bool { return commitForm.MatchString(revision) }

// String returns the source in one line.
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
	check(!d.More(), "the file has more than one document")
	check(s.Schema == sourceSchema, "schema is %d, want %d", s.Schema, sourceSchema)
	check(s.Base != "", "base is empty")
	check(plainPath(s.Network), "network %q is not a path", s.Network)
	check(s.Commit == "" || IsCommit(s.Commit), "commit %q is not 40 hex digits", s.Commit)
	check((s.Repository == "") == (s.Commit == ""), "repository %q and commit %q, want both or none", s.Repository,
		s.Commit)
	if u, err := url.Parse(s.Base); err == nil {
		check(u.User == nil, "base contains a password")
	}
	if err := errors.Join(faults...); err != nil {
		return Source{}, fmt.Errorf("%w: %w", err, ErrStore)
	}
	return s, nil
}

// ReadSource reads the source.json of a model folder. For a folder that was copied by hand, without source.json, ok is
// false. The error wraps ErrStore.
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
