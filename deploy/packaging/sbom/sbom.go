// Package sbom writes what an image consists of as CycloneDX 1.6, and checks such documents against the schema of
// CycloneDX.
package sbom

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// ErrEmpty marks an image in which no part was found: its document would be wrong.
var ErrEmpty = errors.New("no program and no package found")

// Image says what is in an image.
type Image struct {
	// Name and Version are those of the image.
	Name, Version string
	// Root is the folder with the files of the image: Debian's packages are in var/lib/dpkg/status.d, or, of an image with
	// all of Debian, in var/lib/dpkg/status.
	Root string
	// Programs are files of Go programs.
	Programs []string
	// NPM are packages of npm that are in the programs or beside them.
	NPM []Lock
	// Wheels are files in which sha256sum wrote about the wheels of Python whose libraries are in the image.
	Wheels []string
}

// Write writes the document. The same files give the same bytes: it has no time and no serial number.
func Write(w io.Writer, i Image) error {
	parts, err := parts(i)
	if err != nil {
		return err
	}
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Component: &cdx.Component{BOMRef: i.Name, Type: cdx.ComponentTypeContainer, Name: i.Name, Version: i.Version}}
	bom.Components = &parts
	if err := cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		return fmt.Errorf("write the SBOM of %s: %w", i.Name, err)
	}
	return nil
}

// parts returns each part once, sorted.
func parts(i Image) ([]cdx.Component, error) {
	var all []cdx.Component
	for _, path := range i.Programs {
		p, err := goParts(path)
		if err != nil {
			return nil, err
		}
		all = append(all, p...)
	}
	debian, err := debianParts(i.Root)
	if err != nil {
		return nil, err
	}
	all = append(all, debian...)
	for _, l := range i.NPM {
		p, err := l.parts()
		if err != nil {
			return nil, err
		}
		all = append(all, p...)
	}
	for _, file := range i.Wheels {
		p, err := wheels(file)
		if err != nil {
			return nil, err
		}
		all = append(all, p...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: %w", i.Name, ErrEmpty)
	}
	slices.SortFunc(all, func(a, b cdx.Component) int { return strings.Compare(a.BOMRef, b.BOMRef) })
	return slices.CompactFunc(all, func(a, b cdx.Component) bool { return a.BOMRef == b.BOMRef }), nil
}

// goParts returns the modules that the Go tool has recorded in a program, and Go's standard library.
func goParts(path string) ([]cdx.Component, error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the modules of %s: %w; it must be a program of Go", path, err)
	}
	name := filepath.Base(path)
	out := []cdx.Component{
		{BOMRef: "program:" + name, Type: cdx.ComponentTypeApplication, Name: name},
		part(cdx.ComponentTypeLibrary, "pkg:golang/std@"+strings.TrimPrefix(info.GoVersion, "go"), "std", strings.TrimPrefix(info.GoVersion, "go")),
	}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		c := part(cdx.ComponentTypeLibrary, modulePURL(m), m.Path, m.Version)
		if m.Sum != "" {
			c.Properties = &[]cdx.Property{{Name: "golang:sum", Value: m.Sum}}
		}
		out = append(out, c)
	}
	return out, nil
}

// modulePURL returns the package URL of a Go module; the name is in lower case, as its specification wants.
func modulePURL(m *debug.Module) string {
	return "pkg:golang/" + strings.ToLower(m.Path) + "@" + strings.ReplaceAll(m.Version, "+", "%2B")
}

func part(kind cdx.ComponentType, purl, name, version string) cdx.Component {
	return cdx.Component{BOMRef: purl, Type: kind, Name: name, Version: version, PackageURL: purl}
}

// debianParts reads the installed packages of the file status, and the entries of status.d, one package each, see
// deploy/docker/rootfs.sh.
func debianParts(root string) ([]cdx.Component, error) {
	out, err := installed(filepath.Join(root, "var/lib/dpkg/status"))
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(root, "var/lib/dpkg/status.d")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		c, err := debianPart(string(b))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, e.Name()), err)
		}
		out = append(out, c)
	}
	return out, nil
}

// installed reads the packages of a dpkg status file that are not removed. There may be no such file.
func installed(file string) (out []cdx.Component, err error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for text := range strings.SplitSeq(string(b), "\n\n") {
		if !strings.Contains("\n"+text, "\nStatus: install ok installed\n") {
			continue
		}
		c, err := debianPart(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		out = append(out, c)
	}
	return out, nil
}

// debianPart reads one paragraph of a dpkg status file (deb-control(5)).
func debianPart(text string) (cdx.Component, error) {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok && key != "" && !strings.ContainsAny(key[:1], " \t") {
			fields[key] = strings.TrimSpace(value)
		}
	}
	name, version, board := fields["Package"], fields["Version"], fields["Architecture"]
	if name == "" || version == "" || board == "" {
		return cdx.Component{}, fmt.Errorf("package %q, version %q, architecture %q: one is missing", name, version, board)
	}
	escape := strings.NewReplacer("+", "%2B", ":", "%3A", "~", "~")
	return part(cdx.ComponentTypeLibrary, "pkg:deb/debian/"+escape.Replace(name)+"@"+escape.Replace(version)+"?arch="+board, name, version), nil
}
