package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// makeTree writes files, each with its own name as content, and returns their folder.
func makeTree(t *testing.T, names ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range names {
		write(t, filepath.Join(root, name), name)
	}
	return root
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func rels(clips []clip) []string {
	var all []string
	for _, c := range clips {
		all = append(all, c.rel)
	}
	return all
}

func TestFindClips(t *testing.T) {
	root := makeTree(t, "a.MP4", "b/c.mov", "b/c.lrf", "b/d/e.webm", "x.jpg", ".hidden.mp4", ".Trash-0/f.mp4",
		"$RECYCLE.BIN/g.mp4", "lost+found/h.mp4", "results/old.mp4", "no\xffname.mp4", "folder.mp4/inside.avi")
	if err := os.Symlink(filepath.Join(root, "a.MP4"), filepath.Join(root, "link.mkv")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(root, filepath.Join(root, "loop")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(root, "broken.mp4")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(root, "pipe.mp4"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "card")
	if err := os.Symlink(root, link); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{root, link} {
		l, err := findClips(t.Context(), at, filepath.Join(root, "results"))
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"a.MP4", "b/c.lrf", "b/c.mov", "b/d/e.webm", "folder.mp4/inside.avi", "link.mkv", "no\xffname.mp4"}
		if got := rels(l.clips); !slices.Equal(got, want) {
			t.Errorf("clips %q, want %q", got, want)
		}
		var faults []string
		for _, f := range l.faults {
			faults = append(faults, fmt.Sprintf("%s: %v", f.rel, f.err))
		}
		if len(faults) != 2 || !strings.Contains(faults[0], "no such file") ||
			faults[1] != "pipe.mp4: not a file but a pipe" {
			t.Errorf("faults %q", faults)
		}
		if len(l.notes) != 2 || !strings.HasPrefix(l.notes[0], "loop: a link to a folder") ||
			!strings.HasPrefix(l.notes[1], "results: the folder of results") {
			t.Errorf("notes %q", l.notes)
		}
		for _, c := range l.clips {
			if info, err := os.Stat(c.path); err != nil || info.Size() != c.size {
				t.Errorf("%q cannot be opened by its path: %v", c.rel, err)
			}
		}
	}
}

// TestResultsIntoTheCountedFolder looks through the folder of results when it is the counted folder itself.
func TestResultsIntoTheCountedFolder(t *testing.T) {
	root := makeTree(t, "a.mp4")
	if l, err := findClips(t.Context(), root, root); err != nil || len(l.clips) != 1 {
		t.Errorf("%v %v", rels(l.clips), err)
	}
}

func TestFindOneClip(t *testing.T) {
	root := makeTree(t, "any.name")
	l, err := findClips(t.Context(), filepath.Join(root, "any.name"), "")
	if err != nil || l.folder || len(l.clips) != 1 || l.clips[0].rel != "any.name" {
		t.Errorf("%+v %v", l, err)
	}
	pipe := filepath.Join(root, "pipe.mp4")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = findClips(t.Context(), pipe, "")
	if !errors.Is(err, errFootage) || !strings.Contains(err.Error(), "is a pipe") {
		t.Errorf("pipe: %v", err)
	}
	if _, err := findClips(t.Context(), filepath.Join(root, "absent"), ""); !errors.Is(err, errFootage) {
		t.Errorf("absent: %v", err)
	}
}

// TestUnreadableFolders goes on after a subfolder that cannot be read or has vanished, but not after the folder itself.
func TestUnreadableFolders(t *testing.T) {
	root := makeTree(t, "a.mp4", "locked/b.mp4", "vanished/c.mp4", "z/d.mp4")
	refuse := func(folder string) func(string) ([]fs.DirEntry, error) {
		return func(dir string) ([]fs.DirEntry, error) {
			switch {
			case dir == filepath.Join(root, folder), dir == filepath.Join(root, "locked"):
				return nil, &fs.PathError{Op: "open", Path: dir, Err: fs.ErrPermission}
			case filepath.Base(dir) == "vanished":
				if err := os.RemoveAll(dir); err != nil {
					t.Error(err)
				}
			}
			return os.ReadDir(dir)
		}
	}
	f := finder{root: root, readDir: refuse("locked")}
	if err := f.walk(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if got := rels(f.clips); !slices.Equal(got, []string{"a.mp4", "z/d.mp4"}) {
		t.Errorf("clips %q", got)
	}
	if len(f.faults) != 2 || f.faults[0].rel != "locked/" || !errors.Is(f.faults[0].err, fs.ErrPermission) ||
		f.faults[1].rel != "vanished/" || !errors.Is(f.faults[1].err, fs.ErrNotExist) {
		t.Errorf("faults %v", f.faults)
	}
	f = finder{root: root, readDir: refuse("")}
	if err := f.walk(t.Context(), ""); !errors.Is(err, errFootage) {
		t.Errorf("unreadable root: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := findClips(ctx, root, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}
