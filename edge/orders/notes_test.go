package orders

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Every order that a note for installers names exists.
func TestNotesNameOrders(t *testing.T) {
	files, err := filepath.Glob("../../firmware-notes/*.md")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	actions, seen := new(Station).Actions(), 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`edge-agent ctl ([a-z]+)`).FindAllSubmatch(b, -1) {
			if _, ok := actions[string(m[1])]; !ok {
				t.Errorf("%s: order %s does not exist", f, m[1])
			}
			seen++
		}
	}
	if seen == 0 {
		t.Error("no order was found")
	}
}
