// Package hub fetches models: from the Hugging Face hub or a mirror of it, also
// one that has the files and no list of them, from any folder over HTTP with
// files of the same names, and from a folder of this machine. It is pure Go.
//
// Order of writes: a file grows under the name NAME.part; at its end it is
// compared with the digest that the source states, made durable and renamed;
// when all are there the store checks and names the model (model.Adding.Name).
// A pull that ends early, however it does, leaves the parts; the next pull of
// the same goes on from them.
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

// mainBranch is the revision that is meant when none is named.
const mainBranch = "main"

// Classes of faults.
var (
	// ErrReference marks a text that names no model to pull.
	ErrReference = errors.New("not a model to pull")
	// ErrNotFound says that the source has no such repository, revision or file.
	ErrNotFound = errors.New("not found")
	// ErrDenied says that the source wants a token, or terms to be accepted.
	ErrDenied = errors.New("access denied")
	// ErrOffline says that the source cannot be reached, or not for long enough.
	ErrOffline = errors.New("cannot be reached")
	// ErrAnswer marks an answer that breaks the rules of the hub or of HTTP.
	ErrAnswer = errors.New("answer cannot be used")
	// ErrChoice says that there are several networks, or none, to choose from.
	ErrChoice = errors.New("which network is not clear")
	// ErrTooLarge says that a model is larger than allowed.
	ErrTooLarge = errors.New("larger than allowed")
	// ErrNoSpace says that the disk is full.
	ErrNoSpace = errors.New("disk is full")
)

// Reference names a model to pull: on a hub (Repository), in a folder over HTTP
// (Base alone) or in one of this machine (Folder).
type Reference struct {
	Base       string // address of the hub or folder, without a slash at its end
	Repository string // owner/name
	Revision   string // branch, tag or commit
	Folder     string // of this machine
	File       string // the network's path within; empty leaves the choice to the rules
}

var (
	repositoryForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}$`)
	revisionForm   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$`)
)

// ParseReference reads what people write: OWNER/NAME, OWNER/NAME@REVISION, the
// address of a repository's page at base or of a file there, the address of a
// folder or of an .onnx file, and a path of this machine that begins with / or
// a point. base is the hub's address, empty for DefaultBase. The error wraps
// ErrReference.
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
		return Reference{}, fmt.Errorf("%q: want OWNER/NAME of a repository, an address, or a path that begins with / or ./: %w", text, ErrReference)
	}
	if !revisionForm.MatchString(revision) || strings.Contains(revision, "..") || strings.Contains(revision, "//") {
		return Reference{}, fmt.Errorf("%q: revision %q is no branch, tag or commit: %w", text, revision, ErrReference)
	}
	return Reference{Base: base, Repository: name, Revision: revision}, nil
}

// parseAddress reads the address of a hub or folder. Passwords in it would end
// up in records and logs.
func parseAddress(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("address is not one such as %s: %w", DefaultBase, ErrReference)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("address %s://%s…: names, passwords, queries and fragments are not taken; a token goes into HF_TOKEN: %w", u.Scheme, u.Host, ErrReference)
	}
	u.Path = strings.TrimRight(path.Clean("/"+u.Path), "/")
	u.RawPath = ""
	return u, nil
}

// address prints an address as records hold it.
func address(u *url.URL) string { return u.Scheme + "://" + u.Host + u.EscapedPath() }

// parseURL reads an address: below the hub's it is the page of a repository or
// of a file, elsewhere a folder or a network in one.
func parseURL(text string, hub *url.URL) (Reference, error) {
	text, _, _ = strings.Cut(text, "?download=") // as the hub's own button has it
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

// parsePage reads the parts of a repository's address: owner, name, and
// perhaps tree, blob or resolve with a revision and a path.
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

// String names the reference for messages.
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

// name is what the store calls the model unless told otherwise: after the
// repository or folder, and after the network where that is not model.onnx.
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
