package model

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cattlecounter/shared/footage"
)

var yak = Source{Base: "https://hub.example", Repository: "herd/yak", Revision: "main", Commit: strings.Repeat("0a", 20), Network: "model.onnx",
	Pulled: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}

func fine(context.Context, string) error { return nil }

func TestAdd(t *testing.T) {
	s := Store{Dir: filepath.Join(t.TempDir(), "models")}
	a, err := s.Add()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(); !errors.Is(err, ErrBusy) {
		t.Errorf("a second Add: %v", err)
	}
	stage, err := a.Stage("k")
	if err != nil {
		t.Fatal(err)
	}
	put(t, stage, map[string]string{Network: "weights", "config.json": "{}", "model.onnx.etag": "note", "old.part": "half", SumsFile: "of an earlier pull"})
	sums := []Sum{{Network, footage.Sum([]byte("weights"))}, {"config.json", footage.Sum([]byte("{}"))}}
	broken := errors.New("broken")
	if _, err := a.Name(t.Context(), stage, "yak", sums, yak, func(context.Context, string) error { return broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	if list, err := s.List(); err != nil || len(list) != 0 {
		t.Errorf("named in spite of the error of check: %v %v", list, err)
	}
	e, err := a.Name(t.Context(), stage, "yak", sums, yak, fine)
	if err != nil || e != (Entry{"yak", filepath.Join(s.Dir, "yak"), Stored}) {
		t.Fatalf("%+v %v", e, err)
	}
	if n, err := CheckSums(t.Context(), e.Path); err != nil || n != 2 {
		t.Errorf("%d %v", n, err)
	}
	yak.Schema = sourceSchema
	if got, ok, err := ReadSource(e.Path); err != nil || !ok || got != yak {
		t.Errorf("%+v %v", got, err)
	}
	found, err := os.ReadDir(e.Path)
	if err != nil || len(found) != 4 {
		t.Errorf("files of the transfer remain: %v %v", found, err)
	}
	if stage, err = a.Stage("k"); err != nil {
		t.Fatal(err)
	}
	put(t, stage, map[string]string{Network: "other"})
	if _, err := a.Name(t.Context(), stage, "yak", []Sum{{Network, footage.Sum([]byte("other"))}}, yak, fine); !errors.Is(err, ErrTaken) {
		t.Error(err)
	}
	if _, err := a.Name(t.Context(), stage, "../yak", nil, yak, fine); !errors.Is(err, ErrName) {
		t.Error(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if a, err = s.Add(); err != nil {
		t.Errorf("after Close: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

func TestOldStagesAreRemoved(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	put(t, s.Dir, map[string]string{".pull-old/x.part": "x", ".pull-new/x.part": "x", ".tmp-old": "x", "old/model.onnx": "x", ".other": "x"})
	then := time.Now().Add(-staleStage - time.Hour)
	for _, name := range []string{".pull-old", ".tmp-old", "old", ".other"} {
		if err := os.Chtimes(filepath.Join(s.Dir, name), then, then); err != nil {
			t.Fatal(err)
		}
	}
	a, err := s.Add()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	found, err := os.ReadDir(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range found {
		names = append(names, f.Name())
	}
	if want := []string{".other", ".pull-new", "lock", "old"}; !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
}

func TestStoreWithoutAFolder(t *testing.T) {
	var s Store
	if list, err := s.List(); err != nil || list != nil {
		t.Error(list, err)
	}
	if _, err := s.Add(); !errors.Is(err, ErrStore) {
		t.Error(err)
	}
	if err := s.Use("yak"); !errors.Is(err, ErrStore) {
		t.Error(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	put(t, filepath.Dir(file), map[string]string{"file": ""})
	s.Dir = file
	if _, err := s.List(); !errors.Is(err, ErrStore) {
		t.Error(err)
	}
	if _, err := s.Add(); !errors.Is(err, ErrStore) {
		t.Error(err)
	}
}

func TestCheckSums(t *testing.T) {
	line := func(content, name string) string { return footage.Sum([]byte(content)).String() + "  " + name + "\n" }
	for name, c := range map[string]struct {
		files map[string]string
		n     int
		says  string
	}{
		"none recorded": {map[string]string{Network: "a"}, 0, ""},
		"as recorded":   {map[string]string{Network: "a", "README.md": "later", SumsFile: "# a comment\n" + line("a", Network)}, 1, ""},
		"binary mark":   {map[string]string{Network: "a", SumsFile: strings.Replace(line("a", Network), "  ", " *", 1)}, 1, ""},
		"folders":       {map[string]string{Network: "a", "x/y": "b", SumsFile: line("a", "./"+Network) + line("b", "x/y")}, 2, ""},
		"other content": {map[string]string{Network: "b", SumsFile: line("a", Network)}, 1, "model.onnx has SHA-256 3e23e816"},
		"missing":       {map[string]string{Network: "a", SumsFile: line("a", Network) + line("{}", "config.json")}, 2, "config.json"},
		"not recorded":  {map[string]string{Network: "a", "cattlecounter.yaml": "", SumsFile: line("a", Network)}, 1, "cattlecounter.yaml is in the folder but not in"},
		"weights":       {map[string]string{Network: "a", "model.onnx_data": "", SumsFile: line("a", Network)}, 1, "model.onnx_data is in the folder"},
		"empty":         {map[string]string{Network: "a", SumsFile: "\n"}, 0, "the file has no digest"},
		"outside":       {map[string]string{Network: "a", SumsFile: line("a", "../model.onnx")}, 0, "within the folder"},
		"absolute":      {map[string]string{Network: "a", SumsFile: line("a", "/etc/passwd")}, 0, "within the folder"},
		"twice":         {map[string]string{Network: "a", SumsFile: line("a", Network) + line("b", Network)}, 0, "line 2 names model.onnx again"},
		"short":         {map[string]string{Network: "a", SumsFile: "abc  model.onnx\n"}, 0, "line 1"},
		"zeros":         {map[string]string{Network: "a", SumsFile: strings.Repeat("0", 64) + "  model.onnx\n"}, 0, "zeros"},
		"no name":       {map[string]string{Network: "a", SumsFile: strings.Repeat("1", 64)}, 0, "line 1 is not"},
		"huge":          {map[string]string{Network: "a", SumsFile: strings.Repeat("\n", maxSums+1)}, 0, "more than"},
	} {
		dir := t.TempDir()
		put(t, dir, c.files)
		n, err := CheckSums(t.Context(), dir)
		if n != c.n || (c.says == "") != (err == nil) || err != nil && (!errors.Is(err, ErrDigest) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %d %v", name, n, err)
		}
	}
	why := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	dir := t.TempDir()
	put(t, dir, map[string]string{Network: "a", SumsFile: line("a", Network)})
	if _, err := CheckSums(ctx, dir); !errors.Is(err, why) {
		t.Error(err)
	}
}

func TestSource(t *testing.T) {
	good, err := yak.encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"schema": {`"schema": 1`, `"schema": 2`}, "unknown key": {`"base"`, `"bass"`}, "commit": {`0a0a`, `XY`}, "path": {`"model.onnx"`, `"../model.onnx"`},
		"password": {"https://", "https://me:secret@"}, "commit of no repository": {`"herd/yak"`, `""`}, "no base": {`https://hub.example`, ``},
		"cut": {"}\n", ""}, "two": {"}\n", "}{}"}, "time": {"2026-", "soon-"},
	} {
		b := strings.Replace(string(good), change[0], change[1], 1)
		if b == string(good) {
			t.Fatal(name)
		}
		if s, err := ParseSource([]byte(b)); !errors.Is(err, ErrStore) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %+v %v", name, s, err)
		}
	}
}

func FuzzSums(f *testing.F) {
	f.Add(strings.Repeat("ab", 32) + "  model.onnx\n" + strings.Repeat("cd", 32) + " *x/y\r\n# z")
	f.Add(strings.Repeat("ab", 32) + "  ../x")
	f.Fuzz(func(t *testing.T, text string) {
		sums, err := ParseSums([]byte(text))
		if err != nil {
			if !errors.Is(err, ErrDigest) {
				t.Fatal(err)
			}
			return
		}
		for _, s := range sums {
			if !filepath.IsLocal(filepath.FromSlash(s.File)) || s.SHA256.IsZero() {
				t.Fatalf("%+v", s)
			}
		}
		again, err := ParseSums(FormatSums(sums))
		if err != nil || !slices.Equal(again, sums) {
			t.Fatalf("%+v becomes %+v %v", sums, again, err)
		}
	})
}

func FuzzSource(f *testing.F) {
	b, err := yak.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(b))
	f.Add(`{"schema":1,"base":"/x","network":"a.onnx","pulled":"2026-05-01T12:00:00Z"}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSource([]byte(text))
		if err != nil {
			if !errors.Is(err, ErrStore) {
				t.Fatal(err)
			}
			return
		}
		b, err := s.encode()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseSource(b); err != nil || !again.Same(s) || !again.Pulled.Equal(s.Pulled) {
			t.Fatalf("%+v becomes %+v %v", s, again, err)
		}
	})
}

func FuzzCurrent(f *testing.F) {
	f.Add("yak\n")
	f.Add("../x")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(filepath.Join(dir, chosenFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		name, err := Store{Dir: dir}.Chosen()
		if err != nil && !errors.Is(err, ErrStore) || err == nil && CheckName(name) != nil {
			t.Fatalf("%q: %q %v", text, name, err)
		}
	})
}

func TestComparison(t *testing.T) {
	dir := t.TempDir()
	if _, ok, err := ReadComparison(dir); ok || err != nil {
		t.Error(ok, err)
	}
	c := Comparison{Old: ComparedModel{Name: "default", SHA256: footage.Sum([]byte("a"))}, New: ComparedModel{Name: "yak", SHA256: footage.Sum([]byte("b")), F1: 0.5},
		Data: []ComparedData{{Name: "herd", SHA256: footage.Sum([]byte("c")), Clips: []string{"x"}}}, Verdict: Worse, Reasons: []string{"F1 0.600 to 0.500"}}
	for range 2 {
		if err := WriteComparison(dir, c); err != nil {
			t.Fatal(err)
		}
	}
	got, ok, err := ReadComparison(dir)
	if err != nil || !ok || got.New != c.New || got.Old != c.Old || got.Verdict != Worse || !slices.Equal(got.Data[0].Clips, c.Data[0].Clips) {
		t.Errorf("%+v %v %v", got, ok, err)
	}
	put(t, dir, map[string]string{ComparisonFile: `{"schema": 1, "verdict": "better"}`})
	if _, _, err := ReadComparison(dir); !errors.Is(err, ErrStore) || !strings.Contains(err.Error(), ComparisonFile) {
		t.Error(err)
	}
	if err := WriteComparison(filepath.Join(dir, "none"), c); !errors.Is(err, ErrStore) {
		t.Error(err)
	}
}

func FuzzComparison(f *testing.F) {
	f.Add([]byte(`{"schema": 1, "verdict": "better", "old": {}, "new": {"sha256": "` + strings.Repeat("ab", 32) + `"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := ParseComparison(b); err != nil && !errors.Is(err, ErrStore) || err == nil && c.New.SHA256.IsZero() {
			t.Fatalf("%+v %v", c, err)
		}
	})
}
