// Package hub pushes models to a Hugging Face hub, and pulls them: from the Hugging Face hub, from a mirror of it with or without a list of files, from a
// folder over HTTP with files of the same names, and from a folder of this machine. It is pure Go.
//
// Order of writes: a file is downloaded as NAME.part. At its end it is compared with the digest of the source, made
// durable and renamed. After the last file the store checks and names the model (model.Adding.Name). An interrupted
// pull leaves its parts; the next pull of the same model continues them.
package hub

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"cattlecounter/cloud/model"
)

// DefaultBase is the Hugging Face hub.
const DefaultBase = "https://huggingface.co"

// mainBranch is the default revision.
const mainBranch = "main"

// Classes of faults.
var (
	// ErrReference marks a text that is not the reference of a model.
	ErrReference = errors.New("not a model to pull")
	// ErrNotFound marks a repository, revision or file that the source does not have.
	ErrNotFound = errors.New("not found")
	// ErrDenied marks a source that needs a token or the consent to terms.
	ErrDenied = errors.New("access denied")
	// ErrOffline marks a source that cannot be reached, or not for long enough.
	ErrOffline = errors.New("cannot be reached")
	// ErrAnswer marks an answer that violates the rules of the hub or of HTTP.
	ErrAnswer = errors.New("answer cannot be used")
	// ErrChoice marks a repository with several networks, or with none.
	ErrChoice = errors.New("cannot choose the network")
	// ErrTooLarge marks a model that is larger than allowed.
	ErrTooLarge = errors.New("larger than allowed")
	// ErrNoSpace marks a full disk.
	ErrNoSpace = errors.New("disk is full")
)

// Reference names a model to pull: on a hub (Repository), in a folder over HTTP (only Base) or in a folder of this
// machine (Folder).
type Reference struct {
	Base       string // URL of the hub or folder, without a slash at the end
	Repository string // owner/name
	Revision   string // branch, tag or commit
	Folder     string // of this machine
	File       string // path of the network in it; empty for the choice by rules
}

var (
	repositoryForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}$`)
	revisionForm   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$`)
)

// ParseReference reads a reference: OWNER/NAME, OWNER/NAME@REVISION, the URL of a repository's page at base or of a
// file there, the URL of a folder or of an .onnx file, or a path of this machine that begins with / or a point. base is
// the URL of the hub, empty for DefaultBase. The error wraps ErrReference.
func ParseReference(text, base string) (Reference, error) {
	if base == "" {
		base = DefaultBase
	}
	hub, err := parseAddress(base)
	if err != nil {
		return Reference{}, fmt.Errorf("base %w", err)
	}
	switch {
	case strings.Contains(text, "://"):
		return parseURL(text, hub)
	case strings.HasPrefix(text, "/"), strings.HasPrefix(text, "."):
		if strings.HasSuffix(text, ".onnx") {
			return Reference{Folder: filepath.Dir(text), File: filepath.Base(text)}, nil
		}
		return Reference{Folder: filepath.Clean(text)}, nil
	}
	return parseRepository(text, address(hub))
}

func parseRepository(text, base string) (Reference, error) {
	name, revision, given := strings.Cut(text, "@")
	if !given {
		revision = mainBranch
	}
	if !repositoryForm.MatchString(name) || strings.Contains(name, "..") {
		return Reference{}, fmt.Errorf("%q: want OWNER/NAME of a repository, a URL, or a path that begins with / or ./: %w", text, ErrReference)
	}
	if !revisionForm.MatchString(revision) || strings.Contains(revision, "..") || strings.Contains(revision, "//") {
		return Reference{}, fmt.Errorf("%q: revision %q is not a branch, tag or commit: %w", text, revision,
			ErrReference)
	}
	return Reference{Base: base, Repository: name, Revision: revision}, nil
}

// parseAddress reads the URL of a hub or folder. A password in it is an error: it would get into records and logs.
func parseAddress(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("want a URL such as %s: %w", DefaultBase, ErrReference)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("URL %s://%s… has a user name, password, query or fragment; remove it, and put a token into HF_TOKEN: %w", u.Scheme, u.Host, ErrReference)
	}
	u.Path = strings.TrimRight(path.Clean("/"+u.Path), "/")
	u.RawPath = ""
	return u, nil
}

// address formats a URL as in the records.
func address(u *url.URL) string { return u.Scheme + "://" + u.Host + u.EscapedPath() }

// parseURL reads a URL. Below the URL of the hub it is the page of a repository or of a file, elsewhere a folder or a
// network in a folder.
func parseURL(text string, hub *url.URL) (Reference, error) {
	text, _, _ = strings.Cut(text, "?download=") // as in the links of the hub's pages
	u, err := parseAddress(text)
	if err != nil {
		return Reference{}, err
	}
	rest, below := strings.CutPrefix(u.Path+"/", hub.Path+"/")
	if below && u.Scheme == hub.Scheme && u.Host == hub.Host {
		if r, ok := parsePage(strings.Split(strings.TrimSuffix(rest, "/"), "/"), address(hub)); ok {
			return r, nil
		}
	}
	if strings.HasSuffix(u.Path, ".onnx") {
		file := path.Base(u.Path)
		u.Path = strings.TrimRight(path.Dir(u.Path), "/")
		return Reference{Base: address(u), File: file}, nil
	}
	return Reference{Base: address(u)}, nil
}

// parsePage reads the parts of the URL of a page: owner, name, and optionally tree, blob or resolve with a revision and
// a path.
func parsePage(parts []string, base string) (Reference, bool) {
	if len(parts) != 2 && len(parts) < 4 {
		return Reference{}, false
	}
	text := parts[0] + "/" + parts[1]
	if len(parts) > 2 {
		text += "@" + parts[3]
	}
	r, err := parseRepository(text, base)
	switch {
	case err != nil:
		return Reference{}, false
	case len(parts) == 2, len(parts) == 4 && parts[2] == "tree":
		return r, true
	case parts[2] == "blob" || parts[2] == "resolve":
		r.File = strings.Join(parts[4:], "/")
		return r, strings.HasSuffix(r.File, ".onnx")
	}
	return Reference{}, false
}

// String returns the reference for messages.
func (r Reference) String() string {
	switch {
	case r.Folder != "":
		return filepath.Join(r.Folder, r.File)
	case r.Repository != "":
		return r.Repository + "@" + r.Revision
	case r.File != "":
		return r.Base + "/" + r.File
	}
	return r.Base
}

// name is the default name in the store: that of the repository or folder, and of the network when it is not
// model.onnx.
func (r Reference) name(network string) string {
	name := path.Base(r.Base)
	switch {
	case r.Folder != "":
		name = r.Folder
		if abs, err := filepath.Abs(r.Folder); err == nil {
			name = abs
		}
		name = filepath.Base(name)
	case r.Repository != "":
		name = path.Base(r.Repository)
	}
	stem := strings.TrimSuffix(path.Base(network), ".onnx")
	stem = strings.TrimPrefix(strings.TrimPrefix(stem, "model"), "_")
	if stem != "" {
		name += "-" + stem
	}
	name = strings.TrimLeft(strings.Map(func(c rune) rune {
		if c < 0x80 && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._-", c)) {
			return c
		}
		return '-'
	}, name), "._-")
	name = name[:min(len(name), 90)]
	if model.CheckName(name) != nil {
		name = "model-" + strings.TrimSuffix(name, ".onnx")
	}
	return name
}
