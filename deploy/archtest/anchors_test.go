package archtest

import (
	"path"
	"regexp"
	"strings"
	"testing"
)

var (
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	dropped = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors returns the names by which links reach the headings of a document, as
// forges make them: lower case, without punctuation, hyphens for spaces.
func anchors(text string) map[string]bool {
	names := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		name := dropped.ReplaceAllString(strings.ToLower(m[1]), "")
		names[strings.ReplaceAll(name, " ", "-")] = true
	}
	return names
}

// TestAnchors follows the part of relative links behind "#".
func TestAnchors(t *testing.T) {
	seen := 0
	for _, f := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, f), -1) {
			to, anchor, ok := strings.Cut(m[1], "#")
			if !ok || strings.Contains(to, ":") {
				continue
			}
			target := f
			if to != "" {
				target = path.Join(path.Dir(f), to)
			}
			if seen++; !anchors(read(t, target))[anchor] {
				t.Errorf("%s links to %s, but %s has no such heading", f, m[1], target)
			}
		}
	}
	if seen == 0 {
		t.Error("no link to a heading was found: does this test still read the documents?")
	}
}
