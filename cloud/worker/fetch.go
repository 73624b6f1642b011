package worker

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/video/container"
	"cattlecounter/cloud/count/video/stream"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/worker/cache"
	"cattlecounter/shared/job"
)

// fetch makes the footage a file of this machine: the blob itself where the
// store keeps plain files, else one in the cache, which stays until release at least. Of a
// container that allows it the counting can begin while it comes: then coming is set, and
// nothing counts until its Wait has said that it is what was stored.
func (a *attempt) fetch(ctx context.Context) (s count.Source, coming *cache.Download, release func(), err error) {
	f := a.footage
	s = count.Source{Footage: f.ID, Name: f.Name, Size: f.Size, SHA256: f.SHA256, Telemetry: f.TelemetryKey != ""}
	if local, ok := a.w.o.Blobs.(blob.Local); ok {
		if s.Path, err = local.LocalPath(f.BlobKey); err != nil {
			return count.Source{}, nil, nil, fmt.Errorf("find footage %s: %w", f.ID, err)
		}
		if _, err := os.Stat(s.Path); err != nil {
			return count.Source{}, nil, nil, fmt.Errorf("find footage %s: %w", f.ID, err)
		}
		return s, nil, func() {}, nil
	}
	want := cache.Want{Digest: f.SHA256, Size: f.Size, Ext: filepath.Ext(f.BlobKey)}
	coming, err = a.w.cache.Begin(ctx, want, func(ctx context.Context, from int64) (io.ReadCloser, error) {
		return a.w.o.Blobs.Open(ctx, f.BlobKey, from, -1)
	})
	if err != nil {
		return count.Source{}, nil, nil, fmt.Errorf("download footage %s: %w", f.ID, err)
	}
	if tail, ok := container.Tail(coming, f.Size); ok {
		coming.Prefetch(ctx, tail)
		url, stop, err := stream.Serve(ctx, coming, f.Size, want.Ext)
		if err == nil {
			s.Stream = &count.Stream{URL: url, Content: coming}
			return s, coming, func() { coming.Close(); stop() }, nil
		}
		a.log.Warn("counting only once all of the footage is here", "err", err)
	}
	if s.Path, err = coming.Wait(ctx); err != nil {
		coming.Close()
		return count.Source{}, nil, nil, fmt.Errorf("download footage %s: %w", f.ID, err)
	}
	return s, nil, coming.Close, nil
}

// settle waits for what came while it was counted, and decides what the count is worth.
// A fault that was met on the way need not be the footage's: it is counted again, from
// the file, which has the digest of what was stored. So is what was counted by other bytes.
func (a *attempt) settle(ctx context.Context, src count.Source, coming *cache.Download, out count.Outcome, fault error) (count.Outcome, error) {
	path, err := coming.Wait(ctx)
	switch {
	case err != nil:
		return out, fmt.Errorf("download footage %s: %w", a.footage.ID, err)
	case ctx.Err() != nil:
		return out, fault
	case coming.Misled():
		fault = fmt.Errorf("the end of it came otherwise before its turn: %w", cache.ErrContent)
	case fault == nil:
		return out, nil
	}
	a.log.Warn("not counted while it came, counting the whole file", "err", fault)
	src.Path, src.Stream = path, nil
	return a.w.counted(ctx, src, a.status.set)
}

// latest holds the newest progress. Safe for concurrent use.
type latest struct {
	mu sync.Mutex
	p  job.Progress
}

func (l *latest) set(p job.Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.p = p
}

func (l *latest) get() job.Progress {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.p
}

func (l *latest) stage(s job.Stage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.p.Stage = s
}
