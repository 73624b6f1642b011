package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"cattlecounter/edge/cardfile"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// Skipped counts the files on a card that are not taken for one reason.
type Skipped struct {
	Reason Reason `json:"reason"`
	Files  int    `json:"files"` // for folders that are skipped as a whole: folders
	// Examples are the paths of the first files below the watched folder, as footage.SafePath shows them.
	Examples []string `json:"examples"`
}

const (
	maxExamples = 3  // bounds Skipped.Examples
	maxExample  = 80 // bytes of a path in it, before escapes
)

// example shortens a path at its beginning.
func example(path string) string {
	if len(path) <= maxExample {
		return path
	}
	cut := len(path) - maxExample
	for cut < len(path) && !utf8.RuneStart(path[cut]) {
		cut++
	}
	return "…" + path[cut:]
}

// String is the line for people: "3 proxies of low resolution (DJI_0001.LRF, …)".
func (s Skipped) String() string {
	more := ""
	if s.Files > len(s.Examples) {
		more = ", …"
	}
	return fmt.Sprintf("%d %s (%s%s)", s.Files, s.Reason.Text(), strings.Join(s.Examples, ", "), more)
}

// skips collects what a scan does not take. Its size is bounded by the number of reasons.
type skips struct {
	root string
	by   map[Reason]*Skipped
}

func newSkips(root string) *skips { return &skips{root: root, by: map[Reason]*Skipped{}} }

// add counts one file or folder.
func (s *skips) add(path string, why Reason) {
	k := s.by[why]
	if k == nil {
		k = &Skipped{Reason: why}
		s.by[why] = k
	}
	k.Files++
	if len(k.Examples) < maxExamples {
		k.Examples = append(k.Examples, footage.SafePath(example(strings.TrimPrefix(strings.TrimPrefix(path, s.root), "/"))))
	}
}

// list returns the counts in the order of Reasons.
func (s *skips) list() []Skipped {
	var list []Skipped
	for _, r := range Reasons() {
		if k := s.by[r]; k != nil {
			list = append(list, *k)
		}
	}
	return list
}

// maxSniffed bounds the files whose content Survey looks at.
const maxSniffed = 1000

// Survey lists what a folder holds without taking anything: the number of videos, and what is not taken. It reads the
// first bytes of at most 1,000 videos. It is for a check beside the running agent.
func Survey(ctx context.Context, folder string) (videos int, skipped []Skipped, err error) {
	root, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return 0, nil, err
	}
	got := newListing(root)
	if err := got.walk(ctx); err != nil {
		return 0, nil, err
	}
	if ctx.Err() != nil {
		return 0, nil, context.Cause(ctx)
	}
	videosByStem := map[string]bool{}
	for i, f := range got.videos {
		if ctx.Err() != nil {
			return 0, nil, context.Cause(ctx)
		}
		videosByStem[stem(f.Path)] = true
		switch {
		case f.Size == 0:
			got.skips.add(f.Path, Empty)
		case i < maxSniffed && !isVideoContent(f.Path):
			got.skips.add(f.Path, NotVideo)
		}
	}
	for s, f := range got.logs {
		if why := whyNoLog(f.Size, videosByStem[s]); why != "" {
			got.skips.add(f.Path, why)
		}
	}
	return len(got.videos), got.skips.list(), nil
}

// isVideoContent reports whether the first bytes are those of a video. A file that cannot be read counts as one:
// another check reports it.
func isVideoContent(path string) bool {
	head, err := cardfile.Head(path, footage.SniffLen)
	if err != nil {
		return true
	}
	_, err = footage.Sniff(head)
	return err == nil
}

// whyNoLog returns why a flight log is not taken, "" when it is.
func whyNoLog(size int64, hasVideo bool) Reason {
	switch {
	case size == 0:
		return Empty
	case size > wire.MaxTelemetry:
		return LargeLog
	case !hasVideo:
		return LoneLog
	}
	return ""
}

// listing is what one walk through a folder saw.
type listing struct {
	root   string
	videos []seen
	logs   map[string]seen // flight logs by stem
	skips  *skips
}

// seen is a file as the walk saw it.
type seen struct {
	File
	stat cardfile.Stat
}

func newListing(root string) *listing {
	return &listing{root: root, logs: map[string]seen{}, skips: newSkips(root)}
}

// walk lists the folder. It ends early, without an error, when ctx ends.
func (l *listing) walk(ctx context.Context) error {
	err := filepath.WalkDir(l.root, func(path string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return fs.SkipAll
		}
		if err != nil {
			if path == l.root {
				return err
			}
			if !errors.Is(err, fs.ErrNotExist) { // else it vanished since its parent was listed
				l.skips.add(path, Unreadable)
			}
			return nil
		}
		if d.IsDir() {
			return l.enter(path, d.Name())
		}
		return l.add(path, d)
	})
	if err == nil && max(len(l.videos), len(l.logs)) > maxFiles {
		err = fmt.Errorf("more than %d videos or flight logs; this folder does not look like a drone's card", maxFiles)
	}
	return err
}

// enter decides whether to walk into a folder.
func (l *listing) enter(path, name string) error {
	if path == l.root {
		return nil
	}
	if skipsFolder(name) {
		l.skips.add(path, OtherFolder)
		return fs.SkipDir
	}
	if strings.Count(strings.TrimPrefix(path, l.root), string(filepath.Separator)) > maxDepth {
		l.skips.add(path, TooDeep)
		return fs.SkipDir
	}
	return nil
}

func (l *listing) add(path string, d fs.DirEntry) error {
	k, why := classify(d.Name())
	if k != skippedFile && !d.Type().IsRegular() {
		k, why = skippedFile, NotRegular
	}
	if k == skippedFile {
		l.skips.add(path, why)
		return nil
	}
	info, err := d.Info()
	if err != nil {
		return nil // vanished since the folder was listed
	}
	f := seen{File: File{Path: path, Size: info.Size(), ModTime: info.ModTime()}, stat: cardfile.StatOf(info)}
	if k == telemetryFile {
		l.logs[stem(path)] = f
	} else {
		l.videos = append(l.videos, f)
	}
	if max(len(l.videos), len(l.logs)) > maxFiles {
		return fs.SkipAll
	}
	return nil
}
