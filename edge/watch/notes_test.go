package watch

import (
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cattlecounter/shared/footage"
)

var codeSpan = regexp.MustCompile("`([^`]+)`")

// The installer's note on cards agrees with the code: each name in its table has the right
// kind, and the table has every name that the code knows.
func TestCardNote(t *testing.T) {
	b, err := os.ReadFile("../../firmware-notes/card.md")
	if err != nil {
		t.Fatal(err)
	}
	is := func(want kind, reason Reason) func(string) bool {
		return func(name string) bool {
			k, why := classify(name)
			return k == want && (reason == "" || reason == why)
		}
	}
	rules := map[string]func(string) bool{
		"footage": is(footageFile, ""), "telemetry": is(telemetryFile, ""), "proxies": is(skippedFile, Proxy),
		"photos": is(skippedFile, Photo), "sound": is(skippedFile, Audio), "other videos": is(skippedFile, OtherVideo),
		"hidden": is(skippedFile, Hidden), "unfinished": is(skippedFile, Unfinished), "folders left alone": skipsFolder,
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
				t.Errorf("the code does not treat %q as %s", name, row)
			}
		}
	}
	for row := range rules {
		if named[row] == nil {
			t.Errorf("the table has no row %q", row)
		}
	}
	if got, want := named["footage"], footage.VideoExtensions(); !slices.Equal(got, want) {
		t.Errorf("the note lists %v as footage, the code %v", got, want)
	}
	for row, reason := range map[string]Reason{"proxies": Proxy, "other videos": OtherVideo, "photos": Photo, "sound": Audio} {
		if got, want := named[row], otherExtensions[reason]; !slices.Equal(got, want) {
			t.Errorf("the note lists %v as %s, the code %v", got, row, want)
		}
	}
	for _, ending := range partialEndings {
		if !slices.Contains(named["unfinished"], "x"+ending+".mp4") {
			t.Errorf("the note lists no unfinished file with the ending %q", ending)
		}
	}
	for _, folder := range otherFolders {
		if !slices.Contains(named["folders left alone"], folder) {
			t.Errorf("the note does not list the folder %q", folder)
		}
	}
	for _, m := range codeSpan.FindAllStringSubmatch(string(b), -1) { // DJI's layouts
		if folder, name := path.Split(m[1]); folder != "" && strings.HasSuffix(name, ".MP4") {
			if !is(footageFile, "")(name) || slices.ContainsFunc(strings.Split(strings.Trim(folder, "/"), "/"), skipsFolder) {
				t.Errorf("the watcher would not capture %s", m[1])
			}
		}
	}
}
