package sbom

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"regexp"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// wheelName is the name of a wheel: name, version, an optional build number, and three tags (binary distribution format of
// the Python packaging specifications).
var wheelName = regexp.MustCompile(`^([A-Za-z0-9_.]+)-([A-Za-z0-9_.!+]+)(-[0-9][A-Za-z0-9_.]*)?-[^-]+-[^-]+-[^-]+\.whl$`)

// wheels reads what sha256sum wrote about wheels whose libraries are in the image.
func wheels(file string) ([]cdx.Component, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	out, err := wheelParts(string(b))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return out, nil
}

func wheelParts(text string) ([]cdx.Component, error) {
	var out []cdx.Component
	for line := range strings.Lines(text) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		digest, err := hex.DecodeString(sum)
		m := wheelName.FindStringSubmatch(path.Base(name))
		if err != nil || len(digest) != sha256.Size || m == nil {
			return nil, fmt.Errorf("line %q: want a SHA-256 and the name of a wheel", line)
		}
		// The name of a project has one form (name normalization), which package URLs use too.
		project := strings.ToLower(strings.NewReplacer("_", "-", ".", "-").Replace(m[1]))
		c := part(cdx.ComponentTypeLibrary, "pkg:pypi/"+project+"@"+strings.NewReplacer("+", "%2B", "!", "%21").Replace(m[2]), project, m[2])
		c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: sum}}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: it names no wheel", ErrEmpty)
	}
	return out, nil
}
