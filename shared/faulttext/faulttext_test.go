package faulttext

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTextsWithoutFolders(t *testing.T) {
	for text, want := range map[string]string{
		"":                                       "",
		"the file is cut off":                    "the file is cut off",
		"open /srv/cattle/blobs/ab/clip.mp4: no": "open clip.mp4: no",
		"/srv/a.mp4":                             "a.mp4",
		"cannot read \"/srv/a.mp4\" and '/srv/b.mp4'": "cannot read \"a.mp4\" and 'b.mp4'",
		"(/srv/a.mp4), [/srv/b.mp4]":                  "(a.mp4), [b.mp4]",
		"path=/srv/a.mp4;/srv/b.mp4:/srv/c":           "path=a.mp4;b.mp4:c",
		"/srv/a /srv/b\n/srv/c":                       "a b\nc",
		"the folder /srv/data/ is full":               "the folder data is full",
		"/data":                                       "data",
		"file:///srv/a.mp4 is gone":                   "a.mp4 is gone",
		"Post \"https://farm.example/hook/x\": EOF":   "Post \"https://farm.example/hook/x\": EOF",
		"30 frames/s, 5/7 read, and/or 24 / 7":        "30 frames/s, 5/7 read, and/or 24 / 7",
		"blobs/ab/clip.mp4":                           "blobs/ab/clip.mp4",
	} {
		if got := WithoutFolders(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
	if got := WithoutFolders("run /srv/My Herds/models/a/network.onnx in /srv/My Herds", "/srv/My Herds/", ""); got != "run models/a/network.onnx in My Herds" {
		t.Errorf("with a known folder: %q", got)
	}
}

// Errors of files name them by any name, also one with spaces, and in any place of a tree of errors.
func TestOf(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "My Herds")
	_, opened := os.Open(filepath.Join(dir, "north", "clip.mp4"))
	linked := os.Link(filepath.Join(dir, "one file"), filepath.Join(dir, "two"))
	stat := &fs.PathError{Op: "stat", Path: "relative/clip.mp4", Err: fs.ErrNotExist}
	for _, err := range []error{opened, linked, fmt.Errorf("count f1: %w", opened), errors.Join(errors.New("cut"), fmt.Errorf("%w and %w", linked, opened)), stat} {
		got := Of(err)
		if strings.Contains(got, "My Herds") || strings.Contains(got, "/") || !strings.Contains(got, "no such file") && !strings.Contains(got, "not exist") {
			t.Errorf("%v is shown as %q", err, got)
		}
	}
	if got := Of(fmt.Errorf("count f1: %w", opened)); got != "count f1: open clip.mp4: no such file or directory" {
		t.Errorf("%q", got)
	}
}
