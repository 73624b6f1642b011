// Package watch finds finished footage in the watched folders. Footage is a file with a
// video's name. It is finished when its size and time stay the same for the stable window
// and no process of this machine has it open for writing. The package polls, because polling
// works alike for a card reader, a network mount and a dock's FTP server.
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

// File is a file's identity at one time.
type File struct {
	Path    string
	Size    int64
	ModTime time.Time
}

func (f File) same(o File) bool { return f.Size == o.Size && f.ModTime.Equal(o.ModTime) }

// Finding is a finished file. Fault is the reason why it can never be footage, "" without one.
type Finding struct {
	Video     File
	Telemetry *File // the .SRT beside it, nil without one
	Fault     string
}

// Sink receives findings. Its methods are called by one goroutine.
type Sink interface {
	// Known reports whether this very file was captured before.
	Known(File) (bool, error)
	// Capture records a finding durably. After an error the same file is offered again.
	Capture(Finding) error
}

// Options configure a Watcher. Folders, Stable and Poll are required.
type Options struct {
	Folders []string
	Stable  time.Duration // how long size and time must stay the same
	Sidecar time.Duration // how much longer to wait for missing telemetry
	Poll    time.Duration // between two scans
	Log     *slog.Logger  // nil: no log
}

// Folder is the condition of a watched folder.
type Folder struct {
	Path  string `json:"path"`
	Fault string `json:"fault,omitempty"` // why it cannot be read, "" when it can
	Files int    `json:"files"`           // videos in it
}

const (
	// emptyFactor times Stable is how long an empty file is given to become footage.
	emptyFactor = 6
	maxDepth    = 16
	maxFiles    = 50_000 // bounds memory when a folder is not a card
)

// Watcher polls folders. Create it with New.
type Watcher struct {
	o     Options
	sink  Sink
	files map[string]*tracked // by path, as of the last scan
	now   wake.Signal         // asks for a scan at once

	mu      sync.Mutex
	folders []Folder
}

// tracked is one file that was seen in a scan.
type tracked struct {
	file  File
	since time.Time // when a scan first saw it in this form
	scan  int       // the last scan that saw it
}

// New returns a Watcher that gives its findings to sink.
func New(o Options, sink Sink) *Watcher {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	w := &Watcher{o: o, sink: sink, files: map[string]*tracked{}, now: wake.New()}
	for _, f := range o.Folders {
		w.folders = append(w.folders, Folder{Path: f})
	}
	return w
}

// Folders returns the condition of the folders at the last scan.
func (w *Watcher) Folders() []Folder {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.folders)
}

// Run scans at once and then every Poll, until ctx ends; then it returns nil.
func (w *Watcher) Run(ctx context.Context) error {
	tick := time.NewTicker(w.o.Poll)
	defer tick.Stop()
	for scan := 1; ; scan++ {
		w.scan(ctx, scan)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-w.now.C():
		}
	}
}

// Rescan makes Run scan at once.
func (w *Watcher) Rescan() { w.now.Set() }

// scan walks every folder once.
func (w *Watcher) scan(ctx context.Context, scan int) {
	for i, f := range w.o.Folders {
		n, err := w.scanFolder(ctx, f, scan)
		w.setFolder(i, n, err)
	}
	for path, t := range w.files {
		if t.scan != scan {
			delete(w.files, path)
		}
	}
}

// setFolder stores a folder's condition and logs a change.
func (w *Watcher) setFolder(i, files int, err error) {
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
		w.o.Log.Warn("cannot read the watched folder; trying again at the next scan", "folder", was.Path, "err", err)
	case fault == "" && was.Fault != "":
		w.o.Log.Info("watched folder can be read again", "folder", was.Path, "files", files)
	}
}

// found is what one scan of a folder saw.
type found struct {
	videos   []File
	sidecars map[string]File // by stem
}

func (w *Watcher) scanFolder(ctx context.Context, folder string, scan int) (int, error) {
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
			return nil // a subfolder that vanished or that the agent may not read
		}
		return got.add(root, path, d)
	})
	if err != nil {
		return 0, err
	}
	if len(got.videos) > maxFiles {
		return 0, fmt.Errorf("more than %d videos; this folder does not look like a drone's card", maxFiles)
	}
	for _, f := range got.sidecars {
		w.track(f, scan)
	}
	for _, f := range got.videos {
		w.track(f, scan)
	}
	for _, f := range got.videos {
		if ctx.Err() == nil {
			w.offer(f, got.sidecars)
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
		return nil // vanished since the folder was listed
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

// track notes since when a file has had its size and time.
func (w *Watcher) track(f File, scan int) {
	t := w.files[f.Path]
	if t == nil || !t.file.same(f) {
		t = &tracked{file: f, since: time.Now()}
		w.files[f.Path] = t
	}
	t.scan = scan
}

// offer passes a file to the sink when it is finished and not known yet.
func (w *Watcher) offer(f File, sidecars map[string]File) {
	unchanged := time.Since(w.files[f.Path].since)
	if unchanged < w.o.Stable || f.Size == 0 && unchanged < emptyFactor*w.o.Stable {
		return
	}
	finding := Finding{Video: f}
	side, paired := sidecars[stem(f.Path)]
	switch {
	case paired && time.Since(w.files[side.Path].since) < w.o.Stable:
		return // the drone may still write the telemetry
	case paired && side.Size > 0:
		finding.Telemetry = &side
	case !paired && unchanged < w.o.Stable+w.o.Sidecar:
		return
	}
	known, err := w.sink.Known(f)
	if err != nil {
		w.o.Log.Error("cannot look up footage; trying again at the next scan", "path", f.Path, "err", err)
	}
	if err != nil || known {
		return
	}
	if f.Size == 0 {
		finding.Fault = "the file is empty: nothing was recorded, or the copy failed; copy it again or delete it"
	} else if beingWritten(f.Path) {
		w.files[f.Path].since = time.Now() // a copy that pauses for longer than the stable window
		return
	}
	if err := w.sink.Capture(finding); err != nil {
		w.o.Log.Error("cannot capture footage; trying again at the next scan", "path", f.Path, "err", err)
	}
}

// beingWritten reports whether a process of this machine has the file open for
// writing, where the file system can tell.
func beingWritten(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false // reading the file reports the error
	}
	defer f.Close()
	return hasWriter(f)
}
