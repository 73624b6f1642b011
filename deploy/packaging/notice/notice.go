// Package notice collects the licences of the Go modules that are linked into
// the programs of this project, for NOTICE and for the texts that a release
// carries.
package notice

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Tags are the build tags of the programs.
const Tags = "gocv_specific_modules,gocv_videoio"

// ErrLicence marks a module whose licence file is missing or not recognized.
var ErrLicence = errors.New("unknown licence")

// Module is one Go module that at least one program contains.
type Module struct {
	// Path is the module's path. The Go standard library has the path "std".
	Path string
	// Licence is one or several SPDX identifiers, joined by "and" or "or".
	Licence string
	// Copyright holds the first copyright lines of the licence file; at most three.
	Copyright []string
	// Programs are the names of the programs that contain the module, sorted.
	Programs []string
	// Dir is the folder of the module's source, for "std" that of the Go installation.
	Dir string
}

// chosen holds the modules whose licence files offer a choice, or need a reader.
var chosen = map[string]string{
	"github.com/eclipse/paho.mqtt.golang": "EPL-2.0 or BSD-3-Clause",
}

// Programs lists the import paths of the project's programs below root, which
// is the module's folder: every package main in a folder below "cmd", except the
// command of this package and the measurements, which are not shipped.
func Programs(ctx context.Context, root string) ([]string, error) {
	out, err := goList(ctx, root, "-f", `{{if eq .Name "main"}}{{.ImportPath}}{{end}}`, "./...")
	if err != nil {
		return nil, err
	}
	programs := strings.Fields(out)
	return slices.DeleteFunc(programs, func(p string) bool {
		return path.Base(path.Dir(p)) != "cmd" || strings.Contains(p, "/deploy/packaging/") || strings.Contains(p, "/deploy/bench/")
	}), nil
}

// Linked returns the modules of all programs, sorted by path, the standard
// library first. The module cache must hold their sources. The error is
// ErrLicence when the licence of a module is not recognized.
func Linked(ctx context.Context, root string, programs []string) ([]Module, error) {
	found := map[string]*Module{}
	for _, program := range programs {
		out, err := goList(ctx, root, "-deps", "-json=Module,Standard,Root", program)
		if err != nil {
			return nil, err
		}
		if err := addModules(found, path.Base(program), out); err != nil {
			return nil, err
		}
	}
	var modules []Module
	var faults []error
	for _, m := range found {
		if err := m.readLicence(); err != nil {
			faults = append(faults, err)
		}
		slices.Sort(m.Programs)
		modules = append(modules, *m)
	}
	slices.SortFunc(modules, func(a, b Module) int {
		if first := boolFirst(a.Path == "std", b.Path == "std"); first != 0 {
			return first
		}
		return strings.Compare(a.Path, b.Path)
	})
	return modules, errors.Join(faults...)
}

func boolFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// addModules reads the output of go list and notes the program for each module.
func addModules(found map[string]*Module, program, list string) error {
	type listed struct {
		Standard bool
		Root     string
		Module   *struct {
			Path, Dir string
			Main      bool
			Replace   *struct{ Dir string }
		}
	}
	for d := json.NewDecoder(strings.NewReader(list)); ; {
		var l listed
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read the output of go list: %w", err)
		}
		name, dir := "std", l.Root
		switch {
		case l.Standard:
		case l.Module == nil || l.Module.Main:
			continue
		case l.Module.Replace != nil:
			name, dir = l.Module.Path, l.Module.Replace.Dir
		default:
			name, dir = l.Module.Path, l.Module.Dir
		}
		m := found[name]
		if m == nil {
			m = &Module{Path: name, Dir: dir}
			found[name] = m
		}
		if !slices.Contains(m.Programs, program) {
			m.Programs = append(m.Programs, program)
		}
	}
}

// readLicence fills in Licence and Copyright.
func (m *Module) readLicence() error {
	texts, err := m.Texts()
	if err != nil {
		return err
	}
	var all strings.Builder
	for _, t := range texts {
		all.WriteString(t.Text + "\n")
	}
	m.Licence = chosen[m.Path]
	if m.Licence == "" {
		m.Licence = strings.Join(recognize(all.String()), " and ")
	}
	m.Copyright = copyrights(all.String())
	if m.Licence == "" {
		return fmt.Errorf("%s in %s: read its licence and extend the package notice: %w", m.Path, m.Dir, ErrLicence)
	}
	return nil
}

// Text is one file with licence conditions, as the module ships it.
type Text struct{ Name, Text string }

var licenceFile = regexp.MustCompile(`(?i)^(licen[sc]e|copying|unlicense|notice)`)

// Texts reads the licence and notice files in the module's top folder, sorted
// by name. The error is ErrLicence when there is no such file.
func (m *Module) Texts() ([]Text, error) {
	entries, err := os.ReadDir(m.Dir)
	if err != nil {
		return nil, fmt.Errorf("licence of %s: %w; run go mod download", m.Path, err)
	}
	var texts []Text
	for _, e := range entries {
		if !licenceFile.MatchString(e.Name()) || e.Type()&fs.ModeDir != 0 {
			continue
		}
		b, err := os.ReadFile(filepath.Join(m.Dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("licence of %s: %w", m.Path, err)
		}
		texts = append(texts, Text{e.Name(), string(b)})
	}
	if len(texts) == 0 {
		return nil, fmt.Errorf("no licence file in %s: %w", m.Dir, ErrLicence)
	}
	return texts, nil
}

func goList(ctx context.Context, root string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"list", "-tags", Tags}, args...)...)
	cmd.Dir = root
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("go list: %w\n%s", err, exit.Stderr)
	}
	if err != nil {
		return "", fmt.Errorf("go list: %w", err)
	}
	return string(out), nil
}
