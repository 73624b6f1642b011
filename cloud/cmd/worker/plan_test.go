package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/video"
	"cattlecounter/shared/footage"
)

// smallMP4 is an MP4 file without pictures: its index announces a video track. salt makes its content unique.
func smallMP4(seconds, width, height uint32, salt string) string {
	box := func(kind string, parts ...[]byte) []byte {
		content := bytes.Join(parts, nil)
		return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(content))), kind...), content...)
	}
	words := func(v ...uint32) []byte {
		var b []byte
		for _, x := range v {
			b = binary.BigEndian.AppendUint32(b, x)
		}
		return b
	}
	tkhd := append(words(0, 0, 0, 1, 0, seconds*1000), make([]byte, 13*4)...)
	stbl := box("stbl", box("stsd", words(0, 1, 16), []byte("avc1")), box("stsz", words(0, 0, seconds*30)))
	trak := box("trak", box("tkhd", tkhd, words(width<<16, height<<16)),
		box("mdia", box("hdlr", words(0, 0), []byte("vide")), box("minf", stbl)))
	moov := box("moov", box("mvhd", words(0, 0, 0, 1000, seconds*1000)), trak)
	return string(bytes.Join([][]byte{box("ftyp", []byte("isom"), words(0)), moov, box("mdat", []byte(salt))}, nil))
}

// noProbe knows nothing of any clip.
func noProbe(context.Context, string) (video.Info, error) { return video.Info{}, video.ErrDecode }

func planOf(t *testing.T, files map[string]string) *plan {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		write(t, filepath.Join(root, name), content)
	}
	l, err := findClips(t.Context(), root, "")
	if err != nil {
		t.Fatal(err)
	}
	p, err := makePlan(t.Context(), l.clips, noProbe, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// summary lists what the plan does with each clip.
func (p *plan) summary() []string {
	var all []string
	for _, f := range p.flights {
		var names []string
		for _, i := range f {
			names = append(names, p.clips[i].rel)
		}
		all = append(all, strings.Join(names, " before "))
	}
	for i, original := range p.copyOf {
		if original >= 0 {
			all = append(all, p.clips[i].rel+" copies "+p.clips[original].rel)
		}
	}
	return all
}

func TestPlan(t *testing.T) {
	wide, thermal := smallMP4(20, 3840, 2160, "w"), smallMP4(20, 640, 512, "t")
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"same name, copies": {
			map[string]string{"1/A.MP4": smallMP4(9, 320, 320, "1"), "2/A.MP4": smallMP4(9, 320, 320, "2"),
				"2/A.MOV": smallMP4(9, 320, 320, "1"), "3/B.MP4": smallMP4(9, 320, 320, "2")},
			[]string{"1/A.MP4", "2/A.MP4", "2/A.MOV copies 1/A.MP4", "3/B.MP4 copies 2/A.MP4"},
		},
		"same size, other content": {
			map[string]string{"a.mp4": smallMP4(9, 320, 320, "1"), "b.mp4": smallMP4(9, 320, 320, "2")},
			[]string{"a.mp4", "b.mp4"},
		},
		"empty files are no copies": {map[string]string{"a.mp4": "", "b.mp4": ""}, []string{"a.mp4", "b.mp4"}},
		"cameras of a flight": {
			map[string]string{"DJI_0001_T.MP4": thermal, "DJI_0001_W.MP4": wide, "DJI_0001_W.LRF": smallMP4(20, 1280, 720, "p")},
			[]string{"DJI_0001_W.MP4 before DJI_0001_W.LRF before DJI_0001_T.MP4"},
		},
		"copy of one camera beside the other": {
			map[string]string{"1/DJI_0001_W.MP4": wide, "2/DJI_0001_W.MP4": wide, "2/DJI_0001_T.MP4": thermal},
			[]string{"1/DJI_0001_W.MP4 before 2/DJI_0001_T.MP4", "2/DJI_0001_W.MP4 copies 1/DJI_0001_W.MP4"},
		},
		"copy of the thermal file of another flight": {
			map[string]string{"DJI_0001_W.MP4": wide, "DJI_0001_T.MP4": thermal, "DJI_0002_T.MP4": thermal,
				"DJI_0002_W.MP4": smallMP4(20, 3840, 2160, "x")},
			[]string{"DJI_0001_W.MP4 before DJI_0001_T.MP4", "DJI_0002_W.MP4", "DJI_0002_T.MP4 copies DJI_0001_T.MP4"},
		},
		"not a video": {map[string]string{"DJI_0001_W.MP4": "text", "DJI_0001_T.MP4": thermal},
			[]string{"DJI_0001_T.MP4", "DJI_0001_W.MP4"}},
	} {
		if got := planOf(t, c.files).summary(); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, c.want)
		}
	}
}

// TestPlanReadsOnlyWhatItMust does not read a clip of which no other has the size, and reads two names of a file once.
func TestPlanReadsOnlyWhatItMust(t *testing.T) {
	root := makeTree(t, "long name.mp4", "a.mp4")
	if err := os.Link(filepath.Join(root, "a.mp4"), filepath.Join(root, "b.mp4")); err != nil {
		t.Fatal(err)
	}
	l, err := findClips(t.Context(), root, "")
	if err != nil {
		t.Fatal(err)
	}
	p, err := makePlan(t.Context(), l.clips, noProbe, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if p.clips[0].digest != footage.Sum([]byte("a.mp4")) || p.copyOf[1] != 0 || !p.clips[2].digest.IsZero() {
		t.Errorf("%+v", p)
	}
}

// TestPlanProbesOtherContainers asks the decoder about clips whose headers have no length, and only about those that
// may be siblings.
func TestPlanProbesOtherContainers(t *testing.T) {
	ts := strings.Repeat("G"+strings.Repeat("x", 187), 5)
	root := t.TempDir()
	for name, content := range map[string]string{"DJI_0001_W.TS": ts + ts, "DJI_0001_T.TS": ts, "alone.ts": ts + ts + ts,
		"DJI_0002_W.MP4": smallMP4(20, 640, 480, "w"), "DJI_0002_T.MP4": smallMP4(20, 640, 512, "t")} {
		write(t, filepath.Join(root, name), content)
	}
	l, err := findClips(t.Context(), root, "")
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	p, err := makePlan(t.Context(), l.clips, func(_ context.Context, path string) (video.Info, error) {
		asked = append(asked, filepath.Base(path))
		return video.Info{Duration: 9 * time.Second, Width: 640, Height: 480}, nil
	}, io.Discard)
	if err != nil || !slices.Equal(asked, []string{"DJI_0001_T.TS", "DJI_0001_W.TS"}) {
		t.Errorf("asked %q, %v", asked, err)
	}
	if got := p.summary(); got[0] != "DJI_0001_W.TS before DJI_0001_T.TS" {
		t.Errorf("%q", got)
	}
	ctx, stop := context.WithCancel(t.Context())
	_, err = makePlan(ctx, l.clips, func(context.Context, string) (video.Info, error) {
		stop()
		return video.Info{}, ctx.Err()
	}, io.Discard)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}

func TestPlanNotesDoubts(t *testing.T) {
	p := planOf(t, map[string]string{"DJI_0001_W.MP4": smallMP4(20, 3840, 2160, "w"),
		"DJI_0001_T.MP4": smallMP4(30, 640, 512, "t")})
	want := "named like a sibling of DJI_0001_W.MP4, but the lengths differ (20.0 s and 30.0 s); it is counted apart"
	if len(p.flights) != 2 || p.notes[0] != want {
		t.Errorf("%v %v", p.summary(), p.notes)
	}
}

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
			if _, err := r.write(i, count.Outcome{Result: res, Still: []byte(c.rel)}); err != nil {
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
			note, err := r.write(0, count.Outcome{Result: res, Still: []byte("s")})
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
	if _, err := r.write(0, count.Outcome{Result: res}); err != nil {
		t.Fatal(err)
	}
	if files := listFiles(t, dir); len(files) != 2 || files["a.jpg"] != "" {
		t.Errorf("files %v", files)
	}
}
