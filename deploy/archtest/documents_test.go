package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	cloud "cattlecounter/cloud/config"
	shown "cattlecounter/deploy/testkit/documents"
	edge "cattlecounter/edge/config"
	"cattlecounter/shared/settings"
	"cattlecounter/shared/topic"
)

const projectRoot = "../.."

// TestDocumentsNameConfigurationKeys looks for keys that neither configuration has.
func TestDocumentsNameConfigurationKeys(t *testing.T) {
	keys := slices.Concat(settings.Keys(new(edge.Config)), settings.Keys(new(cloud.Config)))
	var sections []string
	for _, k := range keys {
		if s, _, nested := strings.Cut(k, "."); nested {
			sections = append(sections, s)
		}
	}
	isKey := regexp.MustCompile(`^([a-z]+)\.[a-z_.]+$`)
	files := regexp.MustCompile(`\.(db|yaml|json|go|md|sh|py|pt|onnx|csv|jpg)$`)
	seen := 0
	for _, c := range shown.All(t, projectRoot) {
		name, _, _ := strings.Cut(c.Text, ":") // "worker.drain: 20m" names a key as well
		m := isKey.FindStringSubmatch(name)
		if m == nil || !slices.Contains(sections, m[1]) || files.MatchString(name) {
			continue
		}
		if seen++; !slices.Contains(keys, name) && !slices.ContainsFunc(keys, func(k string) bool { return strings.HasPrefix(k, name+".") }) {
			t.Errorf("%s line %d: there is no key %s", c.File, c.Line, name)
		}
	}
	if seen < 50 {
		t.Errorf("only %d keys were found: does this test still read the documents?", seen)
	}
}

// TestDocumentsNameTopics looks for MQTT topics outside the contract.
func TestDocumentsNameTopics(t *testing.T) {
	placeholder := regexp.MustCompile(`\{[a-z]+\}`)
	seen := 0
	for _, c := range shown.All(t, projectRoot) {
		name := placeholder.ReplaceAllString(c.Text, "x")
		if !strings.HasPrefix(name, "cattle/v1/") || strings.ContainsAny(name, "+# ") || strings.HasSuffix(name, "/") {
			continue
		}
		seen++
		if _, err := topic.Parse(name); err != nil {
			t.Errorf("%s line %d: %v", c.File, c.Line, err)
		}
	}
	if seen < 7 {
		t.Errorf("only %d topics were found: does this test still read the documents?", seen)
	}
}

// TestDocumentsNameVariables looks for environment variables that set nothing.
func TestDocumentsNameVariables(t *testing.T) {
	known := []string{"CATTLE_EDGE_CONFIG_FILE"}
	for _, k := range settings.Keys(new(edge.Config)) {
		known = append(known, settings.EnvName(edge.EnvPrefix, k))
	}
	for _, k := range settings.Keys(new(cloud.Config)) {
		known = append(known, settings.EnvName(cloud.EnvPrefix, k))
	}
	variable := regexp.MustCompile(`CATTLE_(?:CLOUD|EDGE)_[A-Z0-9_]+`)
	seen := 0
	for _, c := range shown.All(t, projectRoot) {
		for _, name := range variable.FindAllString(c.Text, -1) {
			if seen++; !slices.Contains(known, name) {
				t.Errorf("%s line %d: no program reads %s", c.File, c.Line, name)
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d variables were found: does this test still read the documents?", seen)
	}
}

// TestDocumentsNameTargets looks for make targets that do not exist.
func TestDocumentsNameTargets(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(projectRoot, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	called := regexp.MustCompile(`^(?:\$ )?(?:[A-Z_]+=\S+ )*make ([a-z][a-z-]*)`)
	seen := 0
	for _, c := range shown.All(t, projectRoot) {
		m := called.FindStringSubmatch(c.Text)
		if m == nil {
			continue
		}
		if seen++; !regexp.MustCompile(`(?m)^` + m[1] + `:`).Match(makefile) {
			t.Errorf("%s line %d: make has no target %s", c.File, c.Line, m[1])
		}
	}
	if seen < 20 {
		t.Errorf("only %d make targets were found: does this test still read the documents?", seen)
	}
}

// TestDocumentsNameFolders looks for paths in the tree that do not exist.
func TestDocumentsNameFolders(t *testing.T) {
	path := regexp.MustCompile(`^(?:\./)?((?:edge|cloud|shared|deploy|firmware-notes)/[A-Za-z0-9_./-]+)$`)
	seen := 0
	for _, c := range shown.All(t, projectRoot) {
		for _, word := range strings.Fields(c.Text) {
			m := path.FindStringSubmatch(strings.TrimSuffix(word, ","))
			if m == nil || strings.HasSuffix(m[1], "/...") {
				continue
			}
			seen++
			if _, err := os.Stat(filepath.Join(projectRoot, m[1])); err != nil {
				t.Errorf("%s line %d: %s does not exist", c.File, c.Line, m[1])
			}
		}
	}
	if seen < 80 {
		t.Errorf("only %d paths were found: does this test still read the documents?", seen)
	}
}

// TestDocumentsHaveShortLines holds what people read in a terminal to 120
// characters, except tables and code.
func TestDocumentsHaveShortLines(t *testing.T) {
	const most = 120
	for _, p := range []string{"*.md", "deploy/docs/*.md", "firmware-notes/*.md", "deploy/azure/*.md",
		"deploy/bench/*.md", "shared/adr/*.md"} {
		files, err := filepath.Glob(filepath.Join(projectRoot, p))
		if err != nil || len(files) == 0 {
			t.Fatal(p, err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			fenced, n := false, 0
			for line := range strings.Lines(string(text)) {
				n++
				if strings.HasPrefix(line, "```") {
					fenced = !fenced
				}
				if long := len([]rune(strings.TrimSuffix(line, "\n"))); long > most && !fenced && !strings.HasPrefix(line, "|") {
					t.Errorf("%s line %d has %d characters, at most %d", f, n, long, most)
				}
			}
		}
	}
}

// TestDocumentsNameTests looks for commands "go test PACKAGE -run NAME" or "-bench
// NAME" that would run nothing.
func TestDocumentsNameTests(t *testing.T) {
	folder := regexp.MustCompile(`\s\./(\S+)`)
	run := regexp.MustCompile(`-(run|bench) '?([A-Za-z]+)'?`)
	seen := 0
	for _, c := range shown.All(t, projectRoot) {
		dir := folder.FindStringSubmatch(c.Text)
		if !strings.Contains(c.Text, "go test ") || dir == nil || strings.Contains(dir[1], "...") {
			continue
		}
		for _, m := range run.FindAllStringSubmatch(c.Text, -1) {
			kind := map[string]string{"run": "Test", "bench": "Benchmark"}[m[1]]
			seen++
			if !declares(t, dir[1], regexp.MustCompile(`(?m)^func `+kind+`\w*`+strings.TrimPrefix(m[2], kind))) {
				t.Errorf("%s line %d: %s has no %s that matches %s", c.File, c.Line, dir[1], kind, m[2])
			}
		}
	}
	if seen < 12 {
		t.Errorf("only %d commands were found: does this test still read the documents?", seen)
	}
}

// declares reports whether a test file in the folder has a line that matches.
func declares(t *testing.T, folder string, line *regexp.Regexp) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(projectRoot, folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(f string) bool {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		return line.Match(text)
	})
}

// TestIndexListsEveryDecision compares shared/adr/README.md with the pages.
func TestIndexListsEveryDecision(t *testing.T) {
	index := read(t, "shared/adr/README.md")
	pages, err := filepath.Glob(filepath.Join(projectRoot, "shared/adr/0*.md"))
	if err != nil || len(pages) < 21 {
		t.Fatal(pages, err)
	}
	for _, p := range pages {
		title, _, _ := strings.Cut(read(t, filepath.Join("shared/adr", filepath.Base(p))), "\n")
		_, title, _ = strings.Cut(title, ". ")
		if row := "[" + title + "](" + filepath.Base(p) + ")"; !strings.Contains(index, row) {
			t.Errorf("shared/adr/README.md lacks %s", row)
		}
	}
}
