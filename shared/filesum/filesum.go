// Package filesum hashes whole files in a fixed amount of memory.
package filesum

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"

	"cattlecounter/shared/footage"
	"cattlecounter/shared/interrupt"
)

// Of returns the digest and the size of a file. When ctx ends, the error wraps its cause.
func Of(ctx context.Context, path string) (footage.Digest, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return footage.Digest{}, 0, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, interrupt.Reader(ctx, f))
	if err != nil {
		return footage.Digest{}, n, fmt.Errorf("read %s: %w", path, err)
	}
	return footage.Digest(h.Sum(nil)), n, nil
}
