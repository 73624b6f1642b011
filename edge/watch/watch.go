// Package watch finds footage that is finished: in the watched folders, with a
// video's name, neither its size nor its time changed for the stable window,
// and no process of this machine still writing it. It polls, because a card
// reader, a network mount and a dock's FTP server have only that in common.
package watch

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"cattlecounter/shared/wake"
)

// File is a file's identity at one moment.
type File struct {
	Path    string
	Size    int64
	ModTime time.Time
}

func (f File) same(o File) bool { return f.Size == o.Size && f.ModTime.Equal(o.ModTime) }

// Finding is a finished file. Fault is set when it can never be footage.
type Finding struct {
	Video     File
	Telemetry *File // the .SRT beside it, nil without one
	Fault     string
}

// Sink takes findings.
type Sink interface {
	// Known reports whether this very file was taken before.
	Known(File) (bool, error)
	// Take keeps a finding. After an error the same file is offered again.
	Take(Finding) error
}

// Options configure a Watcher. Folders, Stable and Poll are required.
type Options struct {
	Folders []string
	Stable  time.Duration // size and time must stay the same so long
	Sidecar time.Duration // how much longer to wait for telemetry that is not there yet
	Poll    time.Duration
	Log     *slog.Logger
}

// Folder says how a watched folder is.
type Folder struct {
	Path  string `json:"path"`
	Fault string `json:"fault,omitempty"` // why it cannot be read, empty when it can
	Files int    `json:"files"`           // videos in it
}

const (
	// emptyFactor times Stable is how long an empty file may still become footage.
	emptyFactor = 6
	maxDepth    = 16
	maxFiles    = 50_000 // bounds memory against a folder that is no card
)

// Watcher polls folders. Create it with New.
type Watcher struct {
	o     Options
	sink  Sink
	files map[string]*track // by path; only of the last look
	now   wake.Signal       // asks for a look before its time

	mu      sync.Mutex
	folders []Folder
}

// track is one file while it is watched.
type track struct {
	file  File
	since time.Time // when it was first seen like this
	round int
}

// New returns a Watcher that gives its findings to sink.
func New(o Options, sink Sink) *Watcher {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	w := &Watcher{o: o, sink: sink, files: map[string]*track{}, now: wake.New()}
	for _, f := range o.Folders {
		w.folders = append(w.folders, Folder{Path: f})
	}
	return w
}

// Folders says how the folders were at the last look.
func (w *Watcher) Folders() []Folder {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.folders)
}

// Run looks at once and then every Poll, until ctx ends.
func (w *Watcher) Run(ctx context.Context) error {
	tick := time.NewTicker(w.o.Poll)
	defer tick.Stop()
	for round := 1; ; round++ {
		w.look(ctx, round)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-w.now.C():
		}
	}
}

// Look makes Run look at once.
func (w *Watcher) Look() { w.now.Set() }

// look walks every folder once.
func (w *Watcher) look(ctx context.Context, round int) {
	for i, f := range w.o.Folders {
		n, err := w.lookInto(ctx, f, round)
		w.note(i, n, err)
	}
	for path, t := range w.files {
		if t.round != round {
			delete(w.files, path)
		}
	}
}

// note keeps a folder's condition and logs when it changes.
func (w *Watcher) note(i, files int, err error) {
	fault := ""
	if err != nil {
		fault = err.Error()
	}
	w.mu.Lock()
	was := w.folders[i]
	w.folders[i].Fault, w.folders[i].Files = fault, files
	w.mu.Unlock()
	switch {
	case fault != "" && fault != was.Fault:
		w.o.Log.Warn("watched folder cannot be read", "folder", was.Path, "err", err)
	case fault == "" && was.Fault != "":
		w.o.Log.Info("watched folder is back", "folder", was.Path, "files", files)
	}
}

// found is what one look into a folder saw.
type found struct {
	videos   []File
	sidecars map[string]File // by stem
}

func (w *Watcher) lookInto(ctx context.Context, folder string, round int) (int, error) {
	// The folder itself may be a link to where the card is mounted.
	root, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return 0, err
	}
	got := found{sidecars: map[string]File{}}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return fs.SkipAll
		}
		if err != nil {
			if path == root {
				return err
			}
			return nil // a subfolder that vanished or is not ours to read
		}
		return got.add(root, path, d)
	})
	if err != nil {
		return 0, err
	}
	if len(got.videos) > maxFiles {
		return 0, fmt.Errorf("more than %d videos; is this a drone's card?", maxFiles)
	}
	for _, f := range got.sidecars {
		w.follow(f, round)
	}
	for _, f := range got.videos {
		w.follow(f, round)
	}
	for _, f := range got.videos {
		if ctx.Err() == nil {
			w.judge(f, got.sidecars)
		}
	}
	return len(got.videos), nil
}

func (g *found) add(root, path string, d fs.DirEntry) error {
	if d.IsDir() {
		deep := strings.Count(strings.TrimPrefix(path, root), string(filepath.Separator))
		if path != root && (skipsFolder(d.Name()) || deep > maxDepth) {
			return fs.SkipDir
		}
		return nil
	}
	video, sidecar := isFootage(d.Name()), isTelemetry(d.Name())
	if !d.Type().IsRegular() || !video && !sidecar {
		return nil
	}
	info, err := d.Info()
	if err != nil {
		return nil // vanished between listing and looking
	}
	f := File{Path: path, Size: info.Size(), ModTime: info.ModTime()}
	if sidecar {
		g.sidecars[stem(path)] = f
		return nil
	}
	if g.videos = append(g.videos, f); len(g.videos) > maxFiles {
		return fs.SkipAll
	}
	return nil
}

// follow notes since when a file is as it is.
func (w *Watcher) follow(f File, round int) {
	t := w.files[f.Path]
	if t == nil || !t.file.same(f) {
		t = &track{file: f, since: time.Now()}
		w.files[f.Path] = t
	}
	t.round = round
}

// judge gives a finished file to the sink.
func (w *Watcher) judge(f File, sidecars map[string]File) {
	calm := time.Since(w.files[f.Path].since)
	if calm < w.o.Stable || f.Size == 0 && calm < emptyFactor*w.o.Stable {
		return
	}
	finding := Finding{Video: f}
	side, paired := sidecars[stem(f.Path)]
	switch {
	case paired && time.Since(w.files[side.Path].since) < w.o.Stable:
		return // the drone is still writing it
	case paired && side.Size > 0:
		finding.Telemetry = &side
	case !paired && calm < w.o.Stable+w.o.Sidecar:
		return
	}
	known, err := w.sink.Known(f)
	if err != nil {
		w.o.Log.Error("footage cannot be looked up", "path", f.Path, "err", err)
	}
	if err != nil || known {
		return
	}
	if f.Size == 0 {
		finding.Fault = "the file is empty: nothing was recorded, or the copy failed; copy it again or delete it"
	} else if beingWritten(f.Path) {
		w.files[f.Path].since = time.Now() // a copy that stalls for longer than the window
		return
	}
	if err := w.sink.Take(finding); err != nil {
		w.o.Log.Error("footage cannot be taken, it is tried again", "path", f.Path, "err", err)
	}
}

// beingWritten reports whether a process of this machine has the file open for
// writing, where the file system can tell.
func beingWritten(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false // the reader reports it better
	}
	defer f.Close()
	return hasWriter(f)
}
