// Package interrupt lets a context end what does not know contexts: reads and pauses.
package interrupt

import (
	"context"
	"io"
	"time"
)

// Reader returns a reader of r whose reads fail with ctx's cause once ctx has ended.
// It does not interrupt a read that is in progress. It is as safe for concurrent use
// as r is.
func Reader(ctx context.Context, r io.Reader) io.Reader {
	return readFunc(func(b []byte) (int, error) {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return r.Read(b)
	})
}

type readFunc func([]byte) (int, error)

// Read implements io.Reader.
func (f readFunc) Read(b []byte) (int, error) { return f(b) }

// Pause waits for d and returns nil. When ctx ends first it returns ctx's cause at
// once.
func Pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
