// Package faulttext turns faults into texts for people who see a view. They name files without the folders of the machine.
package faulttext

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// Of is an error for people who see a view: the text without the folders of the machine on which it happened. The
// logs of the programs keep them. folders are those that WithoutFolders cannot find by their form.
func Of(err error, folders ...string) string {
	text := err.Error()
	for _, p := range filesOf(err) {
		if filepath.Dir(p) != "." {
			text = strings.ReplaceAll(text, p, filepath.Base(p))
		}
	}
	return WithoutFolders(text, folders...)
}

// filesOf returns the files that the errors of a tree name.
func filesOf(err error) []string {
	var all []string
	for err != nil {
		switch e := err.(type) { //nolint:errorlint // it looks at each error of the tree by itself
		case *fs.PathError:
			all = append(all, e.Path)
		case *os.LinkError:
			all = append(all, e.Old, e.New)
		case interface{ Unwrap() []error }:
			for _, one := range e.Unwrap() {
				all = append(all, filesOf(one)...)
			}
		}
		err = errors.Unwrap(err)
	}
	return all
}

// absolute is a path from the root of a disk, behind what may stand before one. A path with spaces is one up to its first
// space.
var absolute = regexp.MustCompile("(^|[\\s\"'`(\\[{<=:,;|])(?:file://)?(/[^\\s\"'`:;,<>|()\\[\\]{}]+)")

// WithoutFolders returns a text in which every absolute path is the name of its file or last folder. Addresses such as
// https://host/path stay. folders are absolute paths that may have spaces, which are left out first.
func WithoutFolders(text string, folders ...string) string {
	if !strings.Contains(text, "/") {
		return text
	}
	for _, f := range folders {
		if f = strings.TrimSuffix(f, "/"); filepath.IsAbs(f) {
			text = strings.ReplaceAll(text, f+"/", "")
			text = strings.ReplaceAll(text, f, path.Base(f))
		}
	}
	return absolute.ReplaceAllStringFunc(text, func(found string) string {
		m := absolute.FindStringSubmatch(found)
		if strings.HasPrefix(m[2], "//") {
			return found
		}
		return m[1] + path.Base(m[2])
	})
}
