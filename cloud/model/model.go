// Package model stores detectors by name and finds the one to use.
//
// A model is a folder in Hugging Face layout: model.onnx, optional files of weights, config.json,
// preprocessor_config.json, the project's card cattlecounter.yaml and a README.md. SHA256SUMS has the digest of each
// file, and source.json has their source. A Store is a folder of such folders; the name of a folder is the name of its
// model.
//
// A model with a name in a store is complete, has been loaded once, and never changes. Another revision gets another
// name, so a name in a result stands for one model.
//
// The package is pure Go and does not run models.
package model

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Classes of faults.
var (
	// ErrNoModel marks a missing detector: the named one, or any.
	ErrNoModel = errors.New("no detector found")
	// ErrDigest marks files that differ from the recorded ones.
	ErrDigest = errors.New("not the recorded content")
	// ErrStore marks a store whose files cannot be used.
	ErrStore = errors.New("model store cannot be used")
	// ErrName marks a text that cannot be the name of a model.
	ErrName = errors.New("not a name for a model")
	// ErrTaken marks a name that belongs to another model.
	ErrTaken = errors.New("name is taken")
	// ErrBusy marks a store that another program is adding to.
	ErrBusy = errors.New("model store is busy")
)

// Files of a model folder.
const (
	Network    = "model.onnx" // a folder with it is a model
	SumsFile   = "SHA256SUMS"
	SourceFile = "source.json"
)

// Default is the name of the model that comes with the project.
const Default = "default"

// Origin is the kind of place where a model was found.
type Origin string

// Origins.
const (
	Stored      Origin = "store"
	BuiltIn     Origin = "default"
	Path        Origin = "path"        // named by its path
	Development Origin = "development" // beside the project's source
)

// Entry is one model. Path is its folder, or the network file.
type Entry struct {
	Name   string
	Path   string
	Origin Origin
}

// Dir is the model's folder.
func (e Entry) Dir() string {
	if st, err := os.Stat(e.Path); err == nil && !st.IsDir() {
		return filepath.Dir(e.Path)
	}
	return e.Path
}

// Find returns the model to use: the named one (a path, or a name in the store); else the one chosen with Use; else the
// project's own, near the working folder or the program; else the model of a development machine, beside the project. A
// missing named or chosen model is an error; no other model replaces it. The error wraps ErrNoModel or ErrStore.
func (s Store) Find(named string) (Entry, error) {
	if named != "" {
		return s.named(named)
	}
	chosen, err := s.Chosen()
	if err != nil {
		return Entry{}, err
	}
	if chosen != "" {
		e, err := s.Get(chosen)
		if err != nil {
			return Entry{}, fmt.Errorf("model %s was chosen with `worker model use`: %w; choose another one, or run `worker model use %s`", chosen, err, Default)
		}
		return e, nil
	}
	if e, ok := Own(); ok {
		return e, nil
	}
	return Entry{}, fmt.Errorf("%w: --model and worker.model name none, none is chosen in %s, and there is no %s in %s; "+
		"run `worker model pull OWNER/NAME` to fetch one; any DETR-family export to ONNX works (DEIM, D-FINE, RT-DETR, DETR), see deploy/docs/models.md",
		ErrNoModel, s, Network, strings.Join(ownPlaces(), ", "))
}

// Own returns the project's own model, or the model of a development machine in its place.
func Own() (Entry, bool) {
	for _, dir := range ownPlaces() {
		if isModel(dir) {
			return Entry{Name: Default, Path: dir, Origin: BuiltIn}, true
		}
	}
	for _, r := range roots() {
		if _, err := os.Stat(filepath.Join(r, "go.mod")); err != nil {
			continue // not the source tree: what lies beside such a folder is not ours
		}
		dir := filepath.Join(r, "..", "shared", "models", "deimv2-femto-coco")
		if isModel(dir) {
			return Entry{Name: filepath.Base(dir), Path: dir, Origin: Development}, true
		}
	}
	return Entry{}, false
}

// named finds the model for a text. A text without a slash that does not end in .onnx is first a name in the store and
// then a path.
func (s Store) named(text string) (Entry, error) {
	path := strings.ContainsRune(text, filepath.Separator) || strings.HasSuffix(text,
		".onnx") || text == "." || text == ".."
	if !path && text == Default {
		if e, ok := Own(); ok {
			return e, nil
		}
	}
	if !path {
		if e, err := s.Get(text); err == nil {
			return e, nil
		}
	}
	if _, err := os.Stat(text); err == nil {
		return s.at(text), nil
	} else if path || s.Dir == "" || !errors.Is(err, fs.ErrNotExist) {
		return Entry{}, fmt.Errorf("model: %w: %w", err, ErrNoModel)
	}
	return Entry{}, fmt.Errorf("model %s is neither a path nor a name in %s (%s): %w", text, s, s.names(), ErrNoModel)
}

// at describes the model at a path. A path into the store gets its name in the store.
func (s Store) at(path string) Entry {
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	dir := Entry{Path: abs}.Dir()
	e := Entry{Name: filepath.Base(dir), Path: path, Origin: Path}
	if root, err := filepath.Abs(s.Dir); s.Dir != "" && err == nil && filepath.Dir(dir) == root && CheckName(e.Name) == nil {
		e.Origin = Stored
	}
	return e
}

func isModel(dir string) bool {
	st, err := os.Stat(filepath.Join(dir, Network))
	return err == nil && st.Mode().IsRegular()
}

// ownPlaces lists the places of the project's own model: in the source tree, and in share beside the bin of an
// installed program.
func ownPlaces() []string {
	var dirs []string
	for _, r := range roots() {
		dirs = append(dirs, filepath.Join(r, "cloud", "model", "default"))
	}
	if exe, err := os.Executable(); err == nil {
		dirs = append(dirs, filepath.Join(filepath.Dir(exe), "..", "share", "cattlecounter", "model"))
	}
	return dirs
}

// roots lists the working folder and the folders above the program.
func roots() []string {
	roots := []string{"."}
	if exe, err := os.Executable(); err == nil {
		up := filepath.Dir(exe)
		for range 3 {
			roots = append(roots, up)
			up = filepath.Dir(up)
		}
	}
	return roots
}
