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
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/worker/cache"
	"cattlecounter/shared/job"
)

// fetch returns the footage as a file of this machine: the blob itself when the store has plain files, else a file of
// the cache, which stays until release. Some containers can be counted during the download. Then download is not nil,
// and the count is valid only after download.Wait has confirmed the digest.
func (a *attempt) fetch(ctx context.Context) (s count.Source, download *cache.Download, release func(), err error) {
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
	download, err = a.w.cache.Begin(ctx, want, func(ctx context.Context, from int64) (io.ReadCloser, error) {
		return a.w.o.Blobs.Open(ctx, f.BlobKey, from, -1)
	})
	if err != nil {
		return count.Source{}, nil, nil, fmt.Errorf("download footage %s: %w", f.ID, err)
	}
	if tail, ok := container.Tail(download, f.Size); ok {
		download.Prefetch(ctx, tail)
		s.Content = download
		return s, download, download.Close, nil
	}
	if s.Path, err = download.Wait(ctx); err != nil {
		download.Close()
		return count.Source{}, nil, nil, fmt.Errorf("download footage %s: %w", f.ID, err)
	}
	return s, nil, download.Close, nil
}

// confirmStreamed waits for the end of a download whose footage has been counted, and confirms or repeats the count. A
// fault during the download may not be a fault of the footage, and the count may have used wrong bytes. In both cases
// the footage is counted again from the complete file, which has the right digest.
func (a *attempt) confirmStreamed(ctx context.Context, src count.Source, download *cache.Download, out count.Outcome,
	fault error) (count.Outcome, error) {
	path, err := download.Wait(ctx)
	switch {
	case err != nil:
		return out, fmt.Errorf("download footage %s: %w", a.footage.ID, err)
	case ctx.Err() != nil:
		return out, fault
	case download.Misled():
		fault = fmt.Errorf("the prefetched tail differs from the file: %w", cache.ErrContent)
	case fault == nil:
		return out, nil
	}
	a.log.Warn("count during the download not valid; counting the whole file", "err", fault)
	src.Path, src.Content = path, nil
	return a.w.count(ctx, a.counter, src, a.status.set)
}

// currentProgress holds the progress of an attempt. It is safe for concurrent use.
type currentProgress struct {
	mu sync.Mutex
	p  job.Progress
}

func (l *currentProgress) set(p job.Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.p = p
}

func (l *currentProgress) get() job.Progress {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.p
}

func (l *currentProgress) setStage(s job.Stage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.p.Stage = s
}
