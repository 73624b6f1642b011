package archtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDecisionsAreNumbered checks that every decision has a number of its own, which is that of its title, and that the list
// has all of them in order.
func TestDecisionsAreNumbered(t *testing.T) {
	dir := filepath.Join(projectRoot, "shared", "adr")
	files, err := filepath.Glob(filepath.Join(dir, "[0-9]*.md"))
	if err != nil || len(files) < 40 {
		t.Fatalf("%d decisions: %v", len(files), err)
	}
	list, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| (\d+) \| \[.*\]\((.*)\) \|$`).FindAllStringSubmatch(string(list), -1)
	if len(rows) != len(files) {
		t.Errorf("the list has %d decisions, the folder %d", len(rows), len(files))
	}
	for i, file := range files {
		name := filepath.Base(file)
		if !strings.HasPrefix(name, fmt.Sprintf("%04d-", i+1)) {
			t.Errorf("%s: the next number is %d", name, i+1)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if title := fmt.Sprintf("# %d. ", i+1); !strings.HasPrefix(string(text), title) {
			t.Errorf("%s: the title does not begin with %q", name, title)
		}
		if i < len(rows) && (rows[i][1] != fmt.Sprint(i+1) || rows[i][2] != name) {
			t.Errorf("row %d of the list is %s, %s; want %s", i+1, rows[i][1], rows[i][2], name)
		}
	}
}
