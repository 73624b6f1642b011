package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/report"
	"cattlecounter/shared/footage"
)

// resultsOf writes the results of every counted clip of a plan and returns the paths of the JSON files by clip.
func resultsOf(t *testing.T, dir string, p *plan) map[string]string {
	t.Helper()
	r, err := newResultFolder(dir, p)
	if err != nil {
		t.Fatal(err)
	}
	written := map[string]string{}
	for _, flight := range p.flights {
		for _, i := range flight {
			c := &p.clips[i]
			if c.digest.IsZero() {
				b, err := os.ReadFile(c.path)
				if err != nil {
					t.Fatal(err)
				}
				c.digest = footage.Sum(b)
			}
			before := listFiles(t, dir)
			res := report.Result{Schema: report.Schema, Source: report.Source{SHA256: c.digest}}
			if _, err := r.write(i, count.Outcome{Result: res, Still: []byte(c.rel)}, ""); err != nil {
				t.Fatal(err)
			}
			for name, content := range listFiles(t, dir) {
				if filepath.Ext(name) == ".jpg" && content == c.rel && before[name] != c.rel {
					written[c.rel] = strings.TrimSuffix(name, ".jpg")
				}
			}
		}
	}
	return written
}

func listFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		rel, _ := filepath.Rel(dir, p)
		files[rel] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestResultNames(t *testing.T) {
	digest := func(s string) string { return footage.Sum([]byte(s)).String()[:8] }
	long := strings.Repeat("\u725b", 70)
	for name, c := range map[string]struct {
		files map[string]string
		want  map[string]string
	}{
		"folders": {
			map[string]string{"1/A.MP4": "1", "2/A.MP4": "2", "A.MP4": "3"},
			map[string]string{"1/A.MP4": "1/A", "2/A.MP4": "2/A", "A.MP4": "A"},
		},
		"extension": {
			map[string]string{"A.MP4": "1", "A.MOV": "2"},
			map[string]string{"A.MP4": "A.MP4", "A.MOV": "A.MOV"},
		},
		"copy takes no name": {
			map[string]string{"1/A.MP4": "1", "1/A.MOV": "1"},
			map[string]string{"1/A.MOV": "1/A"},
		},
		"letter case": {
			map[string]string{"a.mp4": "1", "A.mp4": "2"},
			map[string]string{"a.mp4": "a.mp4." + digest("1"), "A.mp4": "A.mp4." + digest("2")},
		},
		"case of folders": {
			map[string]string{"x/a.mp4": "1", "X/a.mp4": "2"},
			map[string]string{"x/a.mp4": "x/a.mp4." + digest("1"), "X/a.mp4": "X/a.mp4." + digest("2")},
		},
		"name like a result": {
			map[string]string{"a.mp4": "1", "a.mov": "2", "a.mp4.mkv": "3"},
			map[string]string{"a.mp4": "a.mp4." + digest("1"), "a.mov": "a.mov", "a.mp4.mkv": "a.mp4.mkv"},
		},
		"bytes of Latin-1": {
			map[string]string{"\xe9.mp4": "1", "\xe8.mp4": "2", `\xe9.mp4`: "3"},
			map[string]string{
				"\xe9.mp4": `\xe9.mp4.` + digest("1"),
				"\xe8.mp4": `\xe8`,
				`\xe9.mp4`: `\xe9.mp4.` + digest("3"),
			},
		},
		"direction of text": {map[string]string{"a\u202e.mp4": "1"}, map[string]string{"a\u202e.mp4": `a\u202e`}},
		"long name": {
			map[string]string{long + ".mp4": "1"},
			map[string]string{long + ".mp4": long[:180] + "~" + footage.Sum([]byte(long)).String()[:8]},
		},
		"sibling": {
			map[string]string{"A.MP4": smallMP4(9, 640, 640, "1"), "A.LRF": smallMP4(9, 320, 320, "2")},
			map[string]string{"A.MP4": "A", "A.LRF": "A.LRF"},
		},
		"folder like a clip": {
			map[string]string{"a.mp4/b.mp4": "1", "a.mp4.mov": "2"},
			map[string]string{"a.mp4/b.mp4": "a.mp4/b", "a.mp4.mov": "a.mp4"},
		},
		"folder like results": {
			map[string]string{"a.json/b.mp4": "1", "a.avi": "2"},
			map[string]string{"a.json/b.mp4": "a.json/b", "a.avi": "a.avi"},
		},
	} {
		p := planOf(t, c.files)
		dir := t.TempDir()
		for range 2 { // the second run replaces the results of the first
			got := resultsOf(t, dir, p)
			if len(got) == 0 {
				got = c.want // replaced in place
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("%s:\n got %q\nwant %q", name, got, c.want)
			}
		}
		if n := len(listFiles(t, dir)); n != 3*len(c.want) {
			t.Errorf("%s: %d files for %d clips: %v", name, n, len(c.want), listFiles(t, dir))
		}
	}
}

// TestResultsReplaceNothingElse keeps what is in the way: photos, results of other content, and files that are no
// results.
func TestResultsReplaceNothingElse(t *testing.T) {
	p := planOf(t, map[string]string{"a.mp4": "1"})
	for name, existing := range map[string]map[string]string{
		"photo": {"a.jpg": "a photo"},
		"table": {"a.csv": "1,2"},
		"other content": {
			"a.json": `{"schema":1,"source":{"sha256":"` + footage.Sum([]byte("2")).String() + `"}}`,
			"a.csv":  "x",
		},
		"other JSON":  {"a.json": `{"animals": 3}`},
		"no JSON":     {"a.json": "text"},
		"folder":      {"a.json/b": "c"},
		"twice taken": {"a.jpg": "a photo", "a.mp4.csv": "y"},
	} {
		dir := t.TempDir()
		for file, content := range existing {
			write(t, filepath.Join(dir, file), content)
		}
		r, err := newResultFolder(dir, p)
		if err != nil {
			t.Fatal(err)
		}
		p.clips[0].digest = footage.Sum([]byte("1"))
		res := report.Result{Schema: report.Schema, Source: report.Source{SHA256: p.clips[0].digest}}
		for range 2 { // the second time replaces the first
			note, err := r.write(0, count.Outcome{Result: res, Still: []byte("s")}, "")
			if err != nil || !strings.Contains(note, "a.mp4: the results are in a.mp4") {
				t.Errorf("%s: %q %v", name, note, err)
			}
		}
		files := listFiles(t, dir)
		if len(files) != len(existing)+3 {
			t.Errorf("%s: files %v", name, files)
		}
		for file, content := range existing {
			if files[file] != content {
				t.Errorf("%s: %s was changed to %q", name, file, files[file])
			}
		}
	}
}

// TestResultsWithoutStill removes the picture of an earlier result.
func TestResultsWithoutStill(t *testing.T) {
	p := planOf(t, map[string]string{"a.mp4": "1"})
	dir := t.TempDir()
	resultsOf(t, dir, p)
	r, err := newResultFolder(dir, p)
	if err != nil {
		t.Fatal(err)
	}
	res := report.Result{Schema: report.Schema, Source: report.Source{SHA256: p.clips[0].digest}}
	if _, err := r.write(0, count.Outcome{Result: res}, ""); err != nil {
		t.Fatal(err)
	}
	if files := listFiles(t, dir); len(files) != 2 || files["a.jpg"] != "" {
		t.Errorf("files %v", files)
	}
}
