package sbom

import (
	"cmp"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// Lock names packages of a package-lock.json (version 3): Names and everything that they depend on.
type Lock struct {
	Path  string
	Names []string
}

// ParseLock reads the form FILE=NAME,NAME of the command line.
func ParseLock(s string) (Lock, error) {
	path, names, ok := strings.Cut(s, "=")
	if !ok || path == "" || names == "" {
		return Lock{}, fmt.Errorf("--npm %q: want FILE=NAME,NAME", s)
	}
	return Lock{Path: path, Names: strings.Split(names, ",")}, nil
}

type npmPackage struct {
	Version      string
	Integrity    string
	License      string
	Dependencies map[string]string
}

func (l Lock) parts() ([]cdx.Component, error) {
	b, err := os.ReadFile(l.Path)
	if err != nil {
		return nil, err
	}
	out, err := npmParts(b, l.Names)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.Path, err)
	}
	return out, nil
}

func npmParts(lock []byte, names []string) ([]cdx.Component, error) {
	var file struct {
		LockfileVersion int
		Packages        map[string]npmPackage
	}
	if err := json.Unmarshal(lock, &file); err != nil {
		return nil, fmt.Errorf("no package-lock.json: %w", err)
	}
	if file.LockfileVersion != 3 {
		return nil, fmt.Errorf("lockfileVersion %d, want 3: make the file again with a newer npm", file.LockfileVersion)
	}
	// wanted has folders such as node_modules/a/node_modules/b; a package finds another in its own folder first.
	var out []cdx.Component
	done := map[string]bool{}
	var add func(from, name string) error
	add = func(from, name string) error {
		at := from
		for {
			folder := strings.TrimPrefix(at+"/node_modules/"+name, "/")
			if p, ok := file.Packages[folder]; ok {
				if done[folder] {
					return nil
				}
				done[folder] = true
				c, err := npmPart(name, p)
				if err != nil {
					return err
				}
				out = append(out, c)
				for other := range p.Dependencies {
					if err := add(folder, other); err != nil {
						return err
					}
				}
				return nil
			}
			if at == "" {
				return fmt.Errorf("package %s is not in the file", cmp.Or(name, `""`))
			}
			at = strings.TrimSuffix(at[:max(strings.LastIndex(at, "node_modules/"), 0)], "/")
		}
	}
	for _, name := range names {
		if err := add("", name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func npmPart(name string, p npmPackage) (cdx.Component, error) {
	kind, text, _ := strings.Cut(p.Integrity, "-")
	sum, err := base64.StdEncoding.DecodeString(text)
	if err != nil || kind != "sha512" || len(sum) != sha512.Size || p.Version == "" {
		return cdx.Component{}, fmt.Errorf("package %s: version %q, integrity %q: want a version and a SHA-512", name, p.Version, p.Integrity)
	}
	c := part(cdx.ComponentTypeLibrary, "pkg:npm/"+strings.Replace(name, "@", "%40", 1)+"@"+strings.ReplaceAll(p.Version, "+", "%2B"), name, p.Version)
	c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA512, Value: hex.EncodeToString(sum)}}
	if p.License != "" {
		c.Licenses = &cdx.Licenses{{Expression: p.License}}
	}
	return c, nil
}
