package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var treeLine = regexp.MustCompile(`^( *)(\S+)/(?: +(.*))?$`)

// tree reads the listing in ARCHITECTURE.md: each folder with what it is for.
func tree(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n## Tree\n")
	_, section, opened := strings.Cut(section, "```\n")
	section, _, closed := strings.Cut(section, "```\n")
	if !ok || !opened || !closed {
		t.Fatal("ARCHITECTURE.md has no section Tree with a listing")
	}
	const indent = 2
	folders := map[string]string{}
	var above []string
	for line := range strings.Lines(section) {
		m := treeLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil || len(m[1])%indent != 0 || len(m[1])/indent > len(above) {
			t.Fatalf("ARCHITECTURE.md: cannot read the line %q of the tree", line)
		}
		above = append(above[:len(m[1])/indent], m[2])
		folders[strings.Join(above, "/")] = m[3]
	}
	return folders
}

// TestTreeIsWhatThereIs compares the listing in ARCHITECTURE.md with the folders:
// each one named exists, and each package is named.
func TestTreeIsWhatThereIs(t *testing.T) {
	folders := tree(t)
	for folder := range folders {
		if info, err := os.Stat(filepath.Join("../..", folder)); err != nil || !info.IsDir() {
			t.Errorf("ARCHITECTURE.md names the folder %s, which does not exist", folder)
		}
	}
	for _, p := range packages(t) {
		if what, ok := folders[p.ImportPath]; !ok {
			t.Errorf("the tree in ARCHITECTURE.md lacks the package %s", p.ImportPath)
		} else if what == "" {
			t.Errorf("the tree in ARCHITECTURE.md does not say what %s is for", p.ImportPath)
		}
	}
}
