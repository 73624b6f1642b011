package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"cattlecounter/shared/footage"
)

// clip is a file to count.
type clip struct {
	path   string // as the operating system opens it, in any encoding
	rel    string // relative to the counted folder, with slashes, in any encoding; the base name of a single file
	size   int64  // bytes
	info   fs.FileInfo
	digest footage.Digest // zero until it is read
}

// name is the relative path as people and documents see it.
func (c clip) name() string { return footage.SafePath(c.rel) }

// source is the file as documents name it.
func (c clip) sourceName() string { return footage.SafePath(path.Base(c.rel)) }

// listing is what a folder holds.
type listing struct {
	clips  []clip
	faults []fault  // in the order in which they were met
	notes  []string // what is not counted on purpose
	folder bool     // false for a single file
}

// fault is a file or a folder that cannot be counted.
type fault struct {
	rel    string
	folder bool
	err    error
}

// isClip reports whether the end of a name marks a video or a low-resolution copy of one.
func isClip(name string) bool { return footage.HasVideoExtension(name) || footage.IsProxyFile(name) }

// findClips lists what there is to count at a path: the file, or the videos of a folder and its subfolders, sorted by
// relative path. out is the folder of results; it is not looked through when it is within the counted folder.
// A file or subfolder that cannot be read is a fault of the listing. The error wraps errFootage when nothing can be
// counted, and is the cause of ctx when that ends.
func findClips(ctx context.Context, root, out string) (listing, error) {
	info, err := os.Stat(root)
	if err != nil {
		return listing{}, fmt.Errorf("%w: %w", errFootage, err)
	}
	if !info.IsDir() {
		if !info.Mode().IsRegular() {
			return listing{}, fmt.Errorf("%w: %s is %s", errFootage, footage.SafePath(root), kindOf(info.Mode()))
		}
		return listing{clips: []clip{{path: root, rel: filepath.Base(root), size: info.Size(), info: info}}}, nil
	}
	f := finder{root: root, readDir: os.ReadDir, listing: listing{folder: true}}
	if out != "" {
		if o, err := os.Stat(out); err == nil && !os.SameFile(o, info) {
			f.out = o
		}
	}
	if err := f.walk(ctx, ""); err != nil {
		return listing{}, err
	}
	slices.SortFunc(f.clips, func(a, b clip) int { return strings.Compare(a.rel, b.rel) })
	if len(f.clips) == 0 && len(f.faults) == 0 {
		return listing{}, fmt.Errorf("%w: folder %s has no file ending in %s", errFootage, footage.SafePath(root),
			strings.Join(footage.VideoExtensions(), " "))
	}
	return f.listing, nil
}

// finder looks through a folder.
type finder struct {
	root    string
	out     fs.FileInfo // the folder of results, nil when it is not in the way
	readDir func(string) ([]fs.DirEntry, error)
	listing
}

// walk lists one folder and those in it. rel is "" for the root. It fails when the root cannot be read or ctx ends.
func (f *finder) walk(ctx context.Context, rel string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	entries, err := f.readDir(filepath.Join(f.root, filepath.FromSlash(rel)))
	if err != nil {
		if rel == "" {
			return fmt.Errorf("%w: %w", errFootage, err)
		}
		f.faults = append(f.faults, fault{rel: rel + "/", folder: true, err: fmt.Errorf("folder cannot be read: %w", err)})
		return nil
	}
	for _, e := range entries {
		if err := f.add(ctx, path.Join(rel, e.Name()), e); err != nil {
			return err
		}
	}
	return nil
}

// add lists one entry of a folder.
func (f *finder) add(ctx context.Context, rel string, e fs.DirEntry) error {
	at := filepath.Join(f.root, filepath.FromSlash(rel))
	link := e.Type()&fs.ModeSymlink != 0
	switch {
	case isHidden(e.Name()):
		return nil
	case e.IsDir():
		return f.enter(ctx, rel, e)
	case !link && !isClip(e.Name()):
		return nil
	}
	info, err := os.Stat(at) // follows a link
	switch {
	case err != nil && isClip(e.Name()):
		f.faults = append(f.faults, fault{rel: rel, err: err})
	case err != nil: // a broken link that is named like no video
	case info.IsDir() && link:
		f.notes = append(f.notes,
			footage.SafePath(rel)+": a link to a folder; it is not followed, count that folder by its own path")
	case info.IsDir(), !isClip(e.Name()):
	case !info.Mode().IsRegular():
		f.faults = append(f.faults, fault{rel: rel, err: fmt.Errorf("not a file but %s", kindOf(info.Mode()))})
	default:
		f.clips = append(f.clips, clip{path: at, rel: rel, size: info.Size(), info: info})
	}
	return nil
}

// enter walks a subfolder, unless it holds the results.
func (f *finder) enter(ctx context.Context, rel string, e fs.DirEntry) error {
	if f.out != nil {
		if info, err := e.Info(); err == nil && os.SameFile(info, f.out) {
			f.notes = append(f.notes, footage.SafePath(rel)+": the folder of results; videos in it are not counted")
			return nil
		}
	}
	return f.walk(ctx, rel)
}

// isHidden reports whether a file or folder belongs to the system, such as "._DJI_0001.MP4" of macOS.
func isHidden(name string) bool {
	return strings.HasPrefix(name, ".") || slices.Contains(footage.SystemFolders(), strings.ToLower(name))
}

// kindOf names what is no file.
func kindOf(m fs.FileMode) string {
	switch {
	case m&fs.ModeNamedPipe != 0:
		return "a pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return "a special file"
}
