package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cattlecounter/deploy/testkit/must"
)

const root = "../.."

var (
	nameOfTest   = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w*`)
	nameOfScript = regexp.MustCompile(`\b\w+\.txtar\b`)
	folder       = regexp.MustCompile("`((?:cloud|edge|shared|deploy)/[\\w/-]+)`")
)

// TestSecurityChecklistNamesTests checks that every test in the security checklist exists, in the package that the line
// names before it, and that each line has a test or a reason.
func TestSecurityChecklistNamesTests(t *testing.T) {
	known := testsByFolder(t)
	everywhere := map[string]bool{}
	for _, names := range known {
		for name := range names {
			everywhere[name] = true
		}
	}
	text := string(must.Get(os.ReadFile(filepath.Join(root, "deploy/docs/security.md")))(t))
	seen := 0
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) < 5 || strings.Trim(cells[1], " -") == "" || strings.Contains(cells[1], "ASVS") {
			continue
		}
		proof := strings.TrimSpace(strings.Join(cells[3:len(cells)-1], "|"))
		if len(proof) < len("TestX") {
			t.Errorf("%s has neither a test nor a reason", cells[1])
		}
		in := ""
		for _, word := range strings.Fields(proof) {
			if m := folder.FindStringSubmatch(word); m != nil {
				in = m[1]
				if _, err := os.Stat(filepath.Join(root, in)); err != nil {
					t.Errorf("%s names a folder that is not there: %s", cells[1], in)
				}
			}
			for _, name := range append(nameOfTest.FindAllString(word, -1), nameOfScript.FindAllString(word, -1)...) {
				seen++
				if in == "" && !everywhere[name] || in != "" && !known[in][name] {
					t.Errorf("%s: %q has no %s", strings.TrimSpace(cells[1]), in, name)
				}
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d tests found in the checklist", seen)
	}
}

// testsByFolder are the names of tests, fuzz targets and scripts below each folder, also those of its subfolders' scripts.
func testsByFolder(t *testing.T) map[string]map[string]bool {
	t.Helper()
	known := map[string]map[string]bool{}
	add := func(dir, name string) {
		if known[dir] == nil {
			known[dir] = map[string]bool{}
		}
		known[dir][name] = true
	}
	for _, top := range []string{"cloud", "edge", "shared", "deploy"} {
		must.Do(t, filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				if err == nil && (d.Name() == "node_modules" || d.Name() == "build") {
					return filepath.SkipDir
				}
				return err
			}
			dir, err := filepath.Rel(root, filepath.Dir(path))
			if err != nil {
				return err
			}
			dir = filepath.ToSlash(dir)
			switch {
			case strings.HasSuffix(path, ".txtar"):
				owner, _, _ := strings.Cut(dir, "/testdata")
				add(owner, d.Name())
			case strings.HasSuffix(path, "_test.go"):
				f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
				if err != nil {
					return err
				}
				for _, decl := range f.Decls {
					if fn, ok := decl.(*ast.FuncDecl); ok && nameOfTest.MatchString(fn.Name.Name) {
						add(dir, fn.Name.Name)
					}
				}
			}
			return nil
		}))
	}
	return known
}
