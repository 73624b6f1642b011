package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"cattlecounter/cloud/blob"
	"cattlecounter/cloud/counting"
	"cattlecounter/cloud/ledger"
	"cattlecounter/shared/topic"
)

// fetch makes the footage a file of this machine: the blob itself where the
// store keeps plain files, else a copy in the cache that release removes.
func (a *attempt) fetch(ctx context.Context) (s counting.Source, release func(), err error) {
	f := a.footage
	s = counting.Source{Footage: f.ID, Name: f.Name, Size: f.Size, SHA256: f.SHA256, Telemetry: f.TelemetryKey != ""}
	if local, ok := a.w.o.Blobs.(blob.Local); ok {
		if s.Path, err = local.LocalPath(f.BlobKey); err != nil {
			return counting.Source{}, nil, fmt.Errorf("find footage %s: %w", f.ID, err)
		}
		if _, err := os.Stat(s.Path); err != nil {
			return counting.Source{}, nil, fmt.Errorf("find footage %s: %w", f.ID, err)
		}
		return s, func() {}, nil
	}
	s.Path = filepath.Join(a.w.o.CacheDir, fmt.Sprintf("%s-%d%s", f.ID, a.job.Fence, filepath.Ext(f.BlobKey)))
	release = func() { _ = os.Remove(s.Path) }
	if err := a.download(ctx, f, s.Path); err != nil {
		release()
		return counting.Source{}, nil, fmt.Errorf("download footage %s: %w", f.ID, err)
	}
	return s, release, nil
}

func (a *attempt) download(ctx context.Context, f ledger.Footage, path string) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	r, err := a.w.o.Blobs.Open(ctx, f.BlobKey, 0, -1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	w, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	n, err := io.Copy(w, r)
	if err == nil && n != f.Size {
		err = fmt.Errorf("blob %s has %d bytes, want %d", f.BlobKey, n, f.Size)
	}
	return err
}

// latest holds the newest progress. Safe for concurrent use.
type latest struct {
	mu sync.Mutex
	p  ledger.Progress
}

func (l *latest) set(p ledger.Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.p = p
}

// detecting takes what the counter tells.
func (l *latest) detecting(p counting.Progress) {
	l.set(ledger.Progress{
		Stage: topic.StageDetect, FramesDone: p.FramesDone, FramesTotal: p.FramesTotal, Percent: p.Percent,
		FPS: p.FPS, ETASeconds: p.ETASeconds, Count: p.Count,
	})
}

func (l *latest) get() ledger.Progress {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.p
}

func (l *latest) stage(s topic.Stage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.p.Stage = s
}
