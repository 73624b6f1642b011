// Package footage has what edge and cloud share about one piece of footage: ID, digest, chunks and manifest, names and
// times, and how to recognize a video container. It does no I/O.
package footage

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
)

// ErrInvalid marks an ID, digest or manifest that does not follow the rules of
// this package. Compare with errors.Is.
var ErrInvalid = errors.New("invalid")

// maxIDLength bounds an ID so that topic names and blob keys stay short.
const maxIDLength = 64

// ID names one piece of footage everywhere: in the spool, uploads, blob keys and topics.
// The program that first sees the footage creates the ID. It does not depend on the
// content: the digest recognises the same file under two IDs.
// An ID has 1 to 64 characters out of A-Z a-z 0-9 _ and -. The first one is a letter or a digit. So an ID is safe in
// file names, URLs and topics.
type ID string

// NewID returns a new ID: a ULID in lower case. now only makes IDs easier to sort for
// people; with a wrong clock the ID is still unique (80 random bits).
func NewID(now time.Time) ID {
	ms := max(now.UnixMilli(), 0)
	return ID(strings.ToLower(ulid.MustNew(uint64(ms), rand.Reader).String()))
}

// ParseID checks the form of s. The error wraps ErrInvalid.
func ParseID(s string) (ID, error) {
	if s == "" || len(s) > maxIDLength {
		return "", fmt.Errorf("footage id of %d characters, want 1 to %d: %w", len(s), maxIDLength, ErrInvalid)
	}
	for i := range len(s) {
		c := s[i]
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || c != '_' && c != '-') {
			return "", fmt.Errorf("footage id %q: character %q at %d: %w", s, c, i, ErrInvalid)
		}
	}
	return ID(s), nil
}
