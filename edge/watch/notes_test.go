package watch

import (
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var codeSpan = regexp.MustCompile("`([^`]+)`")

// The installer's note on cards says what the code does: each name in its table,
// and every name that the code knows is in it.
func TestCardNote(t *testing.T) {
	b, err := os.ReadFile("../../firmware-notes/card.md")
	if err != nil {
		t.Fatal(err)
	}
	neither := func(name string) bool { return !isFootage(name) && !isTelemetry(name) }
	rules := map[string]func(string) bool{
		"footage": isFootage, "telemetry": isTelemetry, "left alone": neither, "unfinished": neither, "folders left alone": skipsFolder,
	}
	named := map[string][]string{}
	for line := range strings.Lines(string(b)) {
		row, rest, _ := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		rule := rules[row]
		if rule == nil || !strings.HasPrefix(line, "| ") {
			continue
		}
		for _, m := range codeSpan.FindAllStringSubmatch(rest, -1) {
			name := m[1]
			named[row] = append(named[row], strings.ToLower(name))
			if row != "folders left alone" && strings.LastIndex(name, ".") == 0 {
				name = "DJI_0001" + name // an extension
			}
			if !rule(name) {
				t.Errorf("%q is not %s", name, row)
			}
		}
	}
	for row := range rules {
		if named[row] == nil {
			t.Errorf("the table has no row %q", row)
		}
	}
	if got := named["footage"]; !slices.Equal(got, videoExtensions) {
		t.Errorf("footage is named as %v, it is %v", got, videoExtensions)
	}
	for _, ending := range partialEndings {
		if !slices.Contains(named["unfinished"], "x"+ending+".mp4") {
			t.Errorf("a name with %q is missing", ending)
		}
	}
	for _, folder := range otherFolders {
		if !slices.Contains(named["folders left alone"], folder) {
			t.Errorf("folder %q is missing", folder)
		}
	}
	for _, m := range codeSpan.FindAllStringSubmatch(string(b), -1) { // DJI's layouts
		if folder, name := path.Split(m[1]); folder != "" && strings.HasSuffix(name, ".MP4") {
			if !isFootage(name) || slices.ContainsFunc(strings.Split(strings.Trim(folder, "/"), "/"), skipsFolder) {
				t.Errorf("%s would not be taken", m[1])
			}
		}
	}
}
