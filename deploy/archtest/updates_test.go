package archtest

import (
	"encoding/json"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

type manager struct {
	Patterns []string `json:"managerFilePatterns"`
	Matches  []string `json:"matchStrings"`
}

// updates is what this test reads of renovate.json.
type updates struct {
	Gomod      manager   `json:"gomod"`
	Pip        manager   `json:"pip_requirements"`
	Dockerfile manager   `json:"dockerfile"`
	Custom     []manager `json:"customManagers"`
}

// TestUpdatesCoverEveryPin compares renovate.json with the files that pin
// versions: each is read by a manager, and each pattern reads a file.
func TestUpdatesCoverEveryPin(t *testing.T) {
	var u updates
	if err := json.Unmarshal([]byte(read(t, "renovate.json")), &u); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "git", "-C", "../..", "ls-files").Output()
	if err != nil {
		t.Fatal(err)
	}
	files := strings.Fields(string(out))
	var covered []string
	for _, m := range append([]manager{u.Gomod, u.Pip, u.Dockerfile}, u.Custom...) {
		for _, p := range m.Patterns {
			pattern, err := regexp.Compile(strings.Trim(p, "/"))
			if err != nil {
				t.Fatal(err)
			}
			before := len(covered)
			for _, f := range files {
				if pattern.MatchString(f) {
					covered = append(covered, f)
				}
			}
			if len(covered) == before {
				t.Errorf("renovate.json: %s matches no file", p)
			}
		}
	}
	byDefault := []string{"go.mod", "package.json", "docker-compose.yml"}
	for _, f := range files {
		pins := strings.HasSuffix(f, ".mod") || strings.HasSuffix(f, "Dockerfile") || path.Base(f) == "package.json" || path.Base(f) == "requirements.txt"
		if pins && !slices.Contains(covered, f) && !slices.Contains(byDefault, path.Base(f)) {
			t.Errorf("renovate.json: nothing updates %s", f)
		}
	}
	for _, m := range u.Custom {
		for _, s := range m.Matches {
			pins := regexp.MustCompile(strings.ReplaceAll(s, "(?<", "(?P<"))
			if !slices.ContainsFunc(files, func(f string) bool {
				return patternOf(t, m).MatchString(f) && pins.MatchString(read(t, f))
			}) {
				t.Errorf("renovate.json: %s matches nothing in %v", s, m.Patterns)
			}
		}
	}
}

// patternOf matches the names of the files that a manager reads.
func patternOf(t *testing.T, m manager) *regexp.Regexp {
	t.Helper()
	var all []string
	for _, p := range m.Patterns {
		all = append(all, strings.Trim(p, "/"))
	}
	pattern, err := regexp.Compile(strings.Join(all, "|"))
	if err != nil {
		t.Fatal(err)
	}
	return pattern
}

// TestIssueTemplatesParse reads the forms that the hosting platform shows.
func TestIssueTemplatesParse(t *testing.T) {
	for _, f := range []string{"fault.yml", "feature.yml"} {
		var form struct {
			Name, Description string
			Body              []struct {
				Type string
				ID   string
			}
		}
		if err := yaml.Unmarshal([]byte(read(t, ".github/ISSUE_TEMPLATE/"+f)), &form); err != nil {
			t.Fatal(err)
		}
		if form.Name == "" || form.Description == "" || len(form.Body) == 0 {
			t.Errorf("%s: name, description and body are required", f)
		}
		for _, field := range form.Body {
			if field.Type != "markdown" && field.ID == "" {
				t.Errorf("%s: a field of type %q has no id", f, field.Type)
			}
		}
	}
}
