package model

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// StoreFolder is the store's folder within the data folder.
const StoreFolder = "models"

// Store is a folder with one sub-folder per model. The zero value is no store. It is safe for use by several processes.
type Store struct{ Dir string }

// chosenFile holds the name of the model that Use chose, and a newline. A model cannot have a name that the store
// needs.
const (
	chosenFile = "current"
	lockFile   = "lock"
)

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// CheckName checks the name of a model in a store: up to 100 letters, digits, points, underscores and hyphens. The
// error wraps ErrName.
func CheckName(name string) error {
	switch {
	case !nameForm.MatchString(name) || strings.HasSuffix(name, ".onnx"):
		return fmt.Errorf("%q: want up to 100 letters, digits, points, underscores and hyphens, not ending in .onnx: %w", name, ErrName)
	case name == Default || name == chosenFile || name == lockFile:
		return fmt.Errorf("%q is reserved: %w", name, ErrName)
	}
	return nil
}

// String names the store for messages.
func (s Store) String() string {
	if s.Dir == "" {
		return "no store"
	}
	if abs, err := filepath.Abs(s.Dir); err == nil {
		return abs
	}
	return s.Dir
}

// Get returns the model with this name. The error wraps ErrNoModel or ErrName.
func (s Store) Get(name string) (Entry, error) {
	if err := CheckName(name); err != nil {
		return Entry{}, err
	}
	e := Entry{Name: name, Path: filepath.Join(s.Dir, name), Origin: Stored}
	if s.Dir == "" || !isModel(e.Path) {
		return Entry{}, fmt.Errorf("%s has no %s/%s: %w", s, name, Network, ErrNoModel)
	}
	return e, nil
}

// List returns the store's models by name. It includes folders without a network: an operator who copied one into the
// store expects to see it.
func (s Store) List() ([]Entry, error) {
	if s.Dir == "" {
		return nil, nil
	}
	found, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrStore)
	}
	var list []Entry
	for _, f := range found {
		path := filepath.Join(s.Dir, f.Name())
		if st, err := os.Stat(path); err == nil && st.IsDir() && CheckName(f.Name()) == nil {
			list = append(list, Entry{Name: f.Name(), Path: path, Origin: Stored})
		}
	}
	return list, nil
}

// names lists the names of the models, for messages.
func (s Store) names() string {
	list, err := s.List()
	if err != nil || len(list) == 0 {
		return "it is empty"
	}
	const most = 20
	names := make([]string, 0, len(list))
	for _, e := range list {
		names = append(names, e.Name)
	}
	if len(names) > most {
		names = append(names[:most], "…")
	}
	return "it has " + strings.Join(names, ", ")
}

// Chosen returns the name of the last call of Use, "" for none. The error wraps ErrStore.
func (s Store) Chosen() (string, error) {
	if s.Dir == "" {
		return "", nil
	}
	path := filepath.Join(s.Dir, chosenFile)
	b, err := readBounded(path, 1<<10)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err == nil {
		b = bytes.TrimSpace(b)
		err = CheckName(string(b))
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w: %w; run `worker model use` to write the file again", path, err, ErrStore)
	}
	return string(b), nil
}

// Use makes the model with this name the one that Find returns when none is named. Default returns to the project's own
// model. The choice is durable on return. The caller verifies the model first. Running programs are not affected.
func (s Store) Use(name string) error {
	if s.Dir == "" {
		return fmt.Errorf("the store has no folder: %w", ErrStore)
	}
	path := filepath.Join(s.Dir, chosenFile)
	if name == Default {
		err := os.Remove(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return s.fault(errors.Join(err, syncDir(s.Dir)))
	}
	if _, err := s.Get(name); err != nil {
		return err
	}
	return replaceFile(path, []byte(name+"\n"))
}

// replaceFile writes a file that gets its name when its content is durable. The error wraps ErrStore.
func replaceFile(path string, b []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, tempPrefix+"*")
	if err == nil {
		_, err = f.Write(b)
		err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()) // a worker of another user reads it
		if err == nil {
			err = os.Rename(f.Name(), path)
		}
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", err, ErrStore)
	}
	return nil
}

func (s Store) fault(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", err, ErrStore)
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// readBounded reads a file of at most max bytes.
func readBounded(path string, max int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, max+1))
	if err == nil && int64(len(b)) > max {
		err = fmt.Errorf("%s has more than %d bytes", path, max)
	}
	return b, err
}

// IsData reports whether a file of a model folder has weights of the network, by the naming of the exporters of PyTorch
// and Hugging Face.
func IsData(file string) bool {
	_, after, ok := strings.Cut(file, ".onnx")
	return ok && slices.ContainsFunc([]string{"_data", ".data"},
		func(p string) bool { return strings.HasPrefix(after, p) })
}
