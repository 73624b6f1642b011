package model

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cattlecounter/shared/filesum"
	"cattlecounter/shared/footage"
)

// Sum is one line of SHA256SUMS.
type Sum struct {
	File   string // within the model folder, with slashes
	SHA256 footage.Digest
}

// Bounds of a SHA256SUMS.
const (
	maxSums     = 1 << 20 // bytes
	maxSumLines = 1000
)

// ParseSums reads the output of sha256sum. Files outside the folder and repeated files are errors. The error wraps
// ErrDigest.
func ParseSums(b []byte) ([]Sum, error) {
	if len(b) > maxSums {
		return nil, fmt.Errorf("more than %d bytes: %w", maxSums, ErrDigest)
	}
	var sums []Sum
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if line == "" || line[0] == '#' {
			continue
		}
		hex, name, ok := strings.Cut(line, " ")
		if !ok || name == "" || name[0] != ' ' && name[0] != '*' {
			return nil, fmt.Errorf("line %d is not a digest, two spaces and a file name: %w", n, ErrDigest)
		}
		name = strings.TrimPrefix(name[1:], "./")
		d, err := footage.ParseDigest(hex)
		switch {
		case err != nil:
			return nil, fmt.Errorf("line %d: %w: %w", n, err, ErrDigest)
		case d.IsZero():
			return nil, fmt.Errorf("line %d: the digest is all zeros: %w", n, ErrDigest)
		case !plainPath(name):
			return nil, fmt.Errorf("line %d names %q, want a file within the folder: %w", n, name, ErrDigest)
		case slices.ContainsFunc(sums, func(s Sum) bool { return s.File == name }):
			return nil, fmt.Errorf("line %d names %s again: %w", n, name, ErrDigest)
		case len(sums) == maxSumLines:
			return nil, fmt.Errorf("more than %d files: %w", maxSumLines, ErrDigest)
		}
		sums = append(sums, Sum{name, d})
	}
	return sums, nil
}

// plainPath reports whether a foreign path stays below its folder on every system and is printable.
func plainPath(p string) bool {
	return fs.ValidPath(p) && p != "." && len(p) <= 500 && !strings.ContainsAny(p, `\:`) &&
		!strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' })
}

// FormatSums is the inverse of ParseSums.
func FormatSums(sums []Sum) []byte {
	var b bytes.Buffer
	for _, s := range sums {
		fmt.Fprintf(&b, "%s  %s\n", s.SHA256, s.File)
	}
	return b.Bytes()
}

// ReadSums reads the SHA256SUMS of a model folder, nil for a folder without it. The error wraps ErrDigest.
func ReadSums(dir string) ([]Sum, error) {
	path := filepath.Join(dir, SumsFile)
	b, err := readBounded(path, maxSums)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrDigest)
	}
	sums, err := ParseSums(b)
	if err == nil && len(sums) == 0 {
		err = fmt.Errorf("the file has no digest: %w", ErrDigest)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return sums, nil
}

// CheckSums compares every recorded file with its digest and returns their number, 0 for a folder without SHA256SUMS.
// An unrecorded file that affects a count is a fault too. The error has every fault and wraps ErrDigest.
func CheckSums(ctx context.Context, dir string) (int, error) {
	sums, err := ReadSums(dir)
	if err != nil || sums == nil {
		return 0, err
	}
	var faults []error
	for _, s := range sums {
		d, _, err := filesum.Of(ctx, filepath.Join(dir, filepath.FromSlash(s.File)))
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%w: %w", err, ErrDigest))
		} else if d != s.SHA256 {
			faults = append(faults, fmt.Errorf("%s has SHA-256 %s, recorded is %s: %w", s.File, d, s.SHA256, ErrDigest))
		}
	}
	found, err := os.ReadDir(dir)
	if err != nil {
		faults = append(faults, fmt.Errorf("%w: %w", err, ErrDigest))
	}
	for _, f := range found {
		if affectsCount(f.Name()) && !slices.ContainsFunc(sums, func(s Sum) bool { return s.File == f.Name() }) {
			faults = append(faults, fmt.Errorf("%s is in the folder but not in %s: %w", f.Name(), SumsFile, ErrDigest))
		}
	}
	return len(sums), errors.Join(faults...)
}

// Descriptions are the files that describe the inputs and outputs of a network.
var Descriptions = []string{"config.json", "preprocessor_config.json", "cattlecounter.yaml"}

// affectsCount reports whether a file of a model folder affects a count.
func affectsCount(file string) bool {
	return file == Network || IsData(file) || slices.Contains(Descriptions, file)
}
