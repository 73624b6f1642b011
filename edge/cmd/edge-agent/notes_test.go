package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"cattlecounter/edge/config"
	"cattlecounter/shared/settings"
	"cattlecounter/shared/topic"
)

// notes are the documents for people at the station.
func notes(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../../../firmware-notes/*.md")
	if err != nil || len(files) < 6 {
		t.Fatal(files, err)
	}
	texts := map[string]string{}
	for _, f := range append(files, "../../../README.md", "../../../deploy/docs/stations.md") {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(filepath.Dir(f))+"/"+filepath.Base(f)] = string(b)
	}
	return texts
}

var (
	codeSpan  = regexp.MustCompile("`([^`\n]+)`")
	yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")
	isKey     = regexp.MustCompile(`^[a-z]+\.[a-z_.]+$`)
	wildcard  = regexp.MustCompile(`\{[a-z]+\}`)
)

// Every option, topic and command that a note names exists.
func TestNotesNameOnlyWhatExists(t *testing.T) {
	keys := settings.Keys(&config.Config{})
	var sections []string
	for _, k := range keys {
		if s, _, nested := strings.Cut(k, "."); nested {
			sections = append(sections, s)
		}
	}
	parser, err := kong.New(new(commands))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for name, text := range notes(t) {
		for _, m := range codeSpan.FindAllStringSubmatch(text, -1) {
			code := m[1]
			section, _, _ := strings.Cut(code, ".")
			switch {
			case isKey.MatchString(code) && slices.Contains(sections, section):
				if seen++; !slices.Contains(keys, code) {
					t.Errorf("%s: option %s does not exist", name, code)
				}
			case strings.HasPrefix(code, "cattle/"):
				seen++
				if code = strings.TrimSuffix(code, "/"); strings.HasSuffix(code, "{site}") {
					continue // the root of the topics
				}
				if _, err := topic.Parse(wildcard.ReplaceAllString(code, "x")); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			case strings.HasPrefix(code, "edge-agent ") && !strings.HasPrefix(code, "edge-agent.") && !strings.Contains(code, "…"):
				seen++
				if _, err := parser.Parse(strings.Fields(code)[1:]); err != nil {
					t.Errorf("%s: `%s`: %v", name, code, err)
				}
			}
		}
		for _, m := range yamlBlock.FindAllStringSubmatch(text, -1) {
			c := config.Defaults()
			env := []string{"CATTLE_EDGE_SITE=s", "CATTLE_EDGE_DEVICE=d", "CATTLE_EDGE_TOKEN=t", "CATTLE_EDGE_CLOUD_URL=https://c", "CATTLE_EDGE_WATCH_FOLDERS=/card"}
			seen++
			if err := settings.Parse([]byte(m[1]), env, config.EnvPrefix, &c); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if seen < 40 {
		t.Errorf("only %d names found: does this test still read the notes?", seen)
	}
}
