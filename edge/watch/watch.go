// Package watch finds finished footage in the watched folders. Footage is a file with a video's name. It is finished
// when its size and time stay the same for the stable window and no process of this machine has it open for writing.
// The package polls, because polling works alike for a card reader, a network mount and a dock's FTP server.
//
// A file is identified by path, size, modification time and fingerprint (edge/cardfile). The fingerprint is read once
// for each file that is new or changed, and again after the card was inserted again.
package watch

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"cattlecounter/edge/cardfile"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wake"
	"cattlecounter/shared/wire"
)

// File is a file's identity at one time.
type File struct {
	Path    string // as in the file system, not always valid UTF-8
	Size    int64
	ModTime time.Time
	// Print is the fingerprint (cardfile.Print), zero when it cannot be read now.
	Print footage.Digest
}

// Finding is a finished file, or a flight log that arrived after its video.
type Finding struct {
	// Video has an empty path for a flight log whose video is not in the folder any more.
	Video     File
	Telemetry *File // the .SRT beside it, nil without one
	// Fault is the reason why the video can never be footage, "" without one.
	Fault string
}

// ErrNoVideo means that a lone flight log belongs to no footage that was captured.
var ErrNoVideo = errors.New("no captured video belongs to this flight log")

// Sink receives findings. Its methods are called by one goroutine.
type Sink interface {
	// Known reports whether nothing of the finding is new: the video and its telemetry were captured before.
	Known(Finding) (bool, error)
	// Capture records durably what is new in a finding. After an error the same finding is offered again. ErrNoVideo is
	// the error for a flight log without a video.
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
	// Skipped is what lies in the folder and is not taken, one entry for each reason.
	Skipped []Skipped `json:"not_taken,omitempty"`
}

const (
	// emptyFactor times Stable is how long an empty file is given to become footage.
	emptyFactor = 6
	maxDepth    = 16
	maxFiles    = 50_000 // bounds memory when a folder is not a card
	// printRetry is how long to wait after a fingerprint that could not be read.
	printRetry = 30 * time.Second
	// loneRetry is how often a flight log without a video is offered.
	loneRetry = time.Minute
)

// Watcher polls folders. Create it with New.
type Watcher struct {
	o     Options
	sink  Sink
	files map[string]*tracked // by path, as of the last scan
	now   wake.Signal         // asks for a scan at once

	mu      sync.Mutex
	folders []Folder
	mounts  []uint64 // by folder, only used by scan
}

// tracked is one file that was seen in a scan.
type tracked struct {
	seen
	since time.Time // when a scan first saw it in this form
	scan  int       // the last scan that saw it
	// next is when to read the fingerprint, or to offer a lone flight log, again.
	next     time.Time
	notVideo bool // its content is no video
	matched  bool // a lone flight log whose video the sink knows
}

// New returns a Watcher that gives its findings to sink.
func New(o Options, sink Sink) *Watcher {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	w := &Watcher{o: o, sink: sink, files: map[string]*tracked{}, now: wake.New(), mounts: make([]uint64, len(o.Folders))}
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
		got, err := w.scanFolder(ctx, i, f, scan)
		if ctx.Err() != nil {
			return // an interrupted scan has not seen every file
		}
		w.setFolder(i, got, err)
	}
	for path, t := range w.files {
		if t.scan != scan {
			delete(w.files, path)
		}
	}
}

// setFolder stores a folder's condition and logs a change.
func (w *Watcher) setFolder(i int, got *listing, err error) {
	now := Folder{Path: w.o.Folders[i]}
	if err != nil {
		now.Fault = err.Error()
	} else {
		now.Files, now.Skipped = len(got.videos), got.skips.list()
	}
	w.mu.Lock()
	was := w.folders[i]
	w.folders[i] = now
	w.mu.Unlock()
	switch {
	case now.Fault != "" && now.Fault != was.Fault:
		w.o.Log.Warn("cannot read the watched folder; retrying at the next scan", "folder", was.Path, "err", err)
	case now.Fault == "" && was.Fault != "":
		w.o.Log.Info("watched folder can be read again", "folder", was.Path, "files", now.Files)
	}
	w.logSkipped(was, now)
}

// logSkipped logs files that a person should look at, when their number grows.
func (w *Watcher) logSkipped(was, now Folder) {
	before := map[Reason]int{}
	for _, s := range was.Skipped {
		before[s.Reason] = s.Files
	}
	for _, s := range now.Skipped {
		if s.Reason.Suspicious() && s.Files > before[s.Reason] {
			w.o.Log.Warn("files not taken", "folder", now.Path, "reason", string(s.Reason), "files", s.Files,
				"examples", strings.Join(s.Examples, ", "))
		}
	}
}

// scanFolder walks one folder and offers what is finished in it.
func (w *Watcher) scanFolder(ctx context.Context, i int, folder string, scan int) (*listing, error) {
	// The folder itself may be a link to where the card is mounted.
	root, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return nil, err
	}
	volume, err := cardfile.VolumeOf(root)
	if err != nil {
		return nil, err
	}
	w.forgetOldMount(i, root, volume)
	got := newListing(root)
	if err := got.walk(ctx); err != nil {
		return nil, err
	}
	for _, f := range got.logs {
		w.track(f, scan, volume)
	}
	for _, f := range got.videos {
		w.track(f, scan, volume)
	}
	withVideo := map[string]bool{}
	for _, f := range got.videos {
		if ctx.Err() != nil {
			return got, nil
		}
		withVideo[stem(f.Path)] = true
		w.offer(f.File, got.logs)
		w.countSkippedVideo(f.File, got.skips)
	}
	for s, f := range got.logs {
		why := whyNoLog(f.Size, withVideo[s])
		if why == LoneLog && w.offerLone(f.File) {
			why = ""
		}
		if why != "" {
			got.skips.add(f.Path, why)
		}
	}
	return got, nil
}

// forgetOldMount forgets the files below a folder on which another card is mounted now.
func (w *Watcher) forgetOldMount(i int, root string, v cardfile.Volume) {
	if was := w.mounts[i]; was != 0 && was != v.Mount {
		for path := range w.files {
			if strings.HasPrefix(path, root+string(filepath.Separator)) {
				delete(w.files, path)
			}
		}
	}
	w.mounts[i] = v.Mount
}

// track notes since when a file has had its size and time. A file that another one replaced has a new inode or change
// time.
func (w *Watcher) track(f seen, scan int, v cardfile.Volume) {
	if !v.Inodes {
		f.stat.Inode, f.stat.Changed = 0, time.Time{}
	}
	t := w.files[f.Path]
	if t == nil || !t.stat.Equal(f.stat) {
		t = &tracked{seen: f, since: time.Now()}
		w.files[f.Path] = t
	}
	t.scan = scan
}

// countSkippedVideo lists a file with a video's name that is none.
func (w *Watcher) countSkippedVideo(f File, s *skips) {
	switch t := w.files[f.Path]; {
	case f.Size == 0:
		s.add(f.Path, Empty)
	case t.notVideo:
		s.add(f.Path, NotVideo)
	}
}

// offer passes a finding to the sink when it is finished and not known yet.
func (w *Watcher) offer(f File, logs map[string]seen) {
	unchanged := time.Since(w.files[f.Path].since)
	if unchanged < w.o.Stable || f.Size == 0 && unchanged < emptyFactor*w.o.Stable {
		return
	}
	finding := Finding{Video: f}
	side, paired := logs[stem(f.Path)]
	switch {
	case paired && time.Since(w.files[side.Path].since) < w.o.Stable:
		return // the drone may still write the telemetry
	case paired && side.Size > 0 && side.Size <= wire.MaxTelemetry:
		finding.Telemetry = &side.File
		w.identify(finding.Telemetry)
	case !paired && unchanged < w.o.Stable+w.o.Sidecar:
		return
	}
	w.identify(&finding.Video)
	w.offerFinding(finding)
}

// offerLone passes a flight log without a video to the sink and reports whether the sink knows its video.
func (w *Watcher) offerLone(f File) bool {
	t := w.files[f.Path]
	if f.Size == 0 || time.Since(t.since) < w.o.Stable+w.o.Sidecar || time.Now().Before(t.next) {
		return t.matched
	}
	w.identify(&f)
	t.next = time.Now().Add(loneRetry)
	t.matched = w.offerFinding(Finding{Telemetry: &f})
	return t.matched
}

// offerFinding passes a finding to the sink, unless it is known, and reports whether the sink has it now.
func (w *Watcher) offerFinding(f Finding) bool {
	path := f.Video.Path
	if path == "" {
		path = f.Telemetry.Path
	}
	known, err := w.sink.Known(f)
	if err != nil {
		w.o.Log.Error("cannot look up footage; retrying at the next scan", "path", footage.SafePath(path), "err", err)
		return false
	}
	if known {
		return true
	}
	if f.Video.Path != "" && f.Video.Size == 0 {
		f.Fault = "the file is empty: nothing was recorded, or the copy failed; copy it again or delete it"
	} else if cardfile.BeingWritten(path) {
		w.files[path].since = time.Now() // a copy that pauses for longer than the stable window
		return false
	}
	err = w.sink.Capture(f)
	if err != nil && !errors.Is(err, ErrNoVideo) {
		w.o.Log.Error("cannot capture footage; retrying at the next scan", "path", footage.SafePath(path), "err", err)
	}
	return err == nil
}

// identify sets the fingerprint of a finished file. It reads the file once for as long as the file stays as it is.
func (w *Watcher) identify(f *File) {
	t := w.files[f.Path]
	if t.Print.IsZero() && f.Size > 0 && !time.Now().Before(t.next) {
		sum, head, err := cardfile.PrintOf(f.Path)
		if err != nil {
			w.o.Log.Warn("cannot read the identity of a file; retrying", "path", footage.SafePath(f.Path),
				"retry_in", printRetry, "err", err)
			t.next = time.Now().Add(printRetry)
			return
		}
		_, err = footage.Sniff(head)
		t.Print, t.notVideo = sum, err != nil
	}
	f.Print = t.Print
}
