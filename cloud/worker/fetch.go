package worker

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"cattlecounter/cloud/blob"
	"cattlecounter/cloud/counting"
	"cattlecounter/cloud/ledger"
	"cattlecounter/cloud/worker/cache"
	"cattlecounter/shared/topic"
)

// fetch makes the footage a file of this machine: the blob itself where the
// store keeps plain files, else one in the cache, which stays until release at least.
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
	want := cache.Want{Digest: f.SHA256, Size: f.Size, Ext: filepath.Ext(f.BlobKey)}
	s.Path, release, err = a.w.cache.Get(ctx, want, func(ctx context.Context) (io.ReadCloser, error) {
		return a.w.o.Blobs.Open(ctx, f.BlobKey, 0, -1)
	})
	if err != nil {
		return counting.Source{}, nil, fmt.Errorf("download footage %s: %w", f.ID, err)
	}
	return s, release, nil
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
