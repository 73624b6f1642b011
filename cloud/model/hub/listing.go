package hub

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"cattlecounter/cloud/model"
	"cattlecounter/shared/footage"
)

// listing is the hub's list of the files of one revision of a repository.
type listing struct {
	commit string // 40 hex digits
	files  []remote
}

// remote is one file of a repository.
type remote struct {
	path   string
	size   int64          // -1 when unknown
	sha256 footage.Digest // of files in Git LFS, zero for others
	blob   string         // Git's digest of a file that is not in LFS, empty when unknown
}

// Bounds of a listing.
const (
	maxListing = 16 << 20 // bytes
	maxFiles   = 20_000
)

var gitBlob = regexp.MustCompile(`^[0-9a-f]{40}$`)

// parseListing reads the hub's answer to /api/models/REPO/revision/REV with blobs=true. A path out of the folder makes
// the whole answer invalid. The error wraps ErrAnswer.
func parseListing(b []byte) (listing, error) {
	var doc struct {
		SHA      string `json:"sha"`
		Siblings []struct {
			Path string `json:"rfilename"`
			Size *int64 `json:"size"`
			Blob string `json:"blobId"`
			LFS  *struct {
				SHA256 footage.Digest `json:"sha256"`
				Size   *int64         `json:"size"`
			} `json:"lfs"`
		} `json:"siblings"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		return listing{}, fmt.Errorf("list of files: %w: %w", err, ErrAnswer)
	}
	if !model.IsCommit(doc.SHA) {
		return listing{}, fmt.Errorf("list of files: commit %.60q is not 40 hex digits: %w", doc.SHA, ErrAnswer)
	}
	if len(doc.Siblings) > maxFiles {
		return listing{}, fmt.Errorf("list of files: %d files, at most %d: %w", len(doc.Siblings), maxFiles, ErrAnswer)
	}
	l := listing{commit: doc.SHA, files: make([]remote, 0, len(doc.Siblings))}
	for _, s := range doc.Siblings {
		f := remote{path: s.Path, size: -1}
		if !safePath(s.Path) {
			return listing{}, fmt.Errorf("list of files: %.200q is not a path within a repository: %w", s.Path,
				ErrAnswer)
		}
		if s.Size != nil {
			f.size = *s.Size
		}
		if s.LFS != nil {
			f.sha256 = s.LFS.SHA256
			if s.LFS.Size != nil {
				f.size = *s.LFS.Size
			}
		} else if gitBlob.MatchString(s.Blob) {
			f.blob = s.Blob
		}
		if f.size < -1 {
			return listing{}, fmt.Errorf("list of files: %s has %d bytes: %w", f.path, f.size, ErrAnswer)
		}
		l.files = append(l.files, f)
	}
	return l, nil
}

// safePath reports whether a foreign path stays within its folder.
func safePath(p string) bool {
	return fs.ValidPath(p) && p != "." && len(p) <= 500 && !strings.Contains(p, `\`) &&
		!strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// find returns the file with this path.
func (l listing) find(path string) (remote, bool) {
	for _, f := range l.files {
		if f.path == path {
			return f, true
		}
	}
	return remote{}, false
}
