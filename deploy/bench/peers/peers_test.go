package peers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// program writes a shell script that prints a text.
func program(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nprintf '%s' '"+text+"'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEveryMethodIsMeasured(t *testing.T) {
	o := options{
		worker: program(t, `{"count": {"unique": 9}}`), python: program(t, `{"tracks": 14, "line": 6}`),
	}
	got, err := o.count(t.Context(), clip{name: "a", truth: 10})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"worker": 9, "ByteTrack": 14, "LineZone": 6, "BoT-SORT": 14}
	if len(got) != len(want) {
		t.Fatalf("%d measurements, want %d", len(got), len(want))
	}
	for i, m := range got {
		if m.method != methods[i] || m.count != want[m.method] || m.clip.name != "a" || m.wall <= 0 {
			t.Errorf("measurement %d: %+v, want a count of %d", i, m, want[m.method])
		}
	}
}

func TestMemoryIsWatched(t *testing.T) {
	ended := make(chan struct{})
	close(ended)
	if got := watchMemory(os.Getpid(), ended); got < 1<<20 {
		t.Errorf("this process uses %d bytes, want a MiB at least", got)
	}
	if got := watchMemory(1<<30, ended); got != 0 {
		t.Errorf("a process that does not exist uses %d bytes", got)
	}
}

func TestAFaultOfAMethodNamesIt(t *testing.T) {
	o := options{worker: program(t, "no JSON"), python: program(t, "{}")}
	if _, err := o.count(t.Context(), clip{}); err == nil || !strings.Contains(err.Error(), o.worker) {
		t.Errorf("%v, want an error that names %s", err, o.worker)
	}
}

func TestTable(t *testing.T) {
	a := clip{name: "a", kind: "pan", truth: 100}
	var text strings.Builder
	writeTable(&text, []measured{
		{method: "worker", clip: a, count: 98, cpu: 10 * time.Second, wall: 5 * time.Second, peak: 300 << 20},
		{method: "BoT-SORT", clip: a, count: 110, cpu: 30 * time.Second, wall: 20 * time.Second, peak: 280 << 20},
	})
	for _, row := range []string{
		"| 1, pan | worker | 2.0 | 2.0 % | 10.0 | 1.00 | 5.0 | 300 |", "| 1, all | BoT-SORT | 10.0 | 10.0 % | 30.0 | 3.00 | 20.0 | 280 |",
	} {
		if !strings.Contains(text.String(), row) {
			t.Errorf("the table lacks %q:\n%s", row, text.String())
		}
	}
}

func TestHandOutsHaveTheirTruth(t *testing.T) {
	data := t.TempDir()
	dir := filepath.Join(data, "drone-pans")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"one.mp4": "", "one.json": `{"unique_animals": 92}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := handOuts(data)
	if err != nil || len(got) != 1 || got[0].truth != 92 || got[0].name != "one" {
		t.Errorf("%+v, %v; want one clip of 92 animals", got, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "one.json"), []byte("["), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := handOuts(data); err == nil {
		t.Error("a damaged truth is no error")
	}
}
