package archtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// documents lists every Markdown file of the tree, relative to its root.
func documents(t *testing.T) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "*.md")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("list the documents: %v", err)
	}
	files := strings.Fields(string(out))
	if len(files) < 20 {
		t.Fatalf("only %d documents found", len(files))
	}
	return files
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../..", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestLinks follows every relative link of every document.
func TestLinks(t *testing.T) {
	for _, f := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, f), -1) {
			to, _, _ := strings.Cut(m[1], "#")
			if strings.Contains(to, ":") || to == "" {
				continue
			}
			if _, err := os.Stat(filepath.Join("../..", filepath.Dir(f), to)); err != nil {
				t.Errorf("%s links to %s, which does not exist", f, to)
			}
		}
	}
}

// TestReadmeIsShort holds README.md to what a person reads in one sitting.
func TestReadmeIsShort(t *testing.T) {
	const mostLines, mostWide = 90, 120
	lines := strings.Split(strings.TrimSuffix(read(t, "README.md"), "\n"), "\n")
	if len(lines) > mostLines {
		t.Errorf("README.md has %d lines, at most %d; reference goes to deploy/docs", len(lines), mostLines)
	}
	for i, l := range lines {
		if n := utf8.RuneCountInString(l); n > mostWide {
			t.Errorf("README.md line %d has %d characters, at most %d", i+1, n, mostWide)
		}
	}
}
