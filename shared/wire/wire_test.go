package wire

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

// Progress stands flat in a job: a station that looked for it below "progress"
// showed 0 %.
func TestProgressIsFlat(t *testing.T) {
	text, err := json.Marshal(Job{ID: "j", Progress: job.Progress{Stage: job.StageDetect, Percent: 40}})
	if err != nil {
		t.Fatal(err)
	}
	var flat map[string]any
	if err := json.Unmarshal(text, &flat); err != nil {
		t.Fatal(err)
	}
	if flat["percent"] != 40.0 || flat["stage"] != "detect" || flat["progress"] != nil {
		t.Errorf("%s", text)
	}
}

func TestMetadataThereAndBack(t *testing.T) {
	for _, m := range []Metadata{
		{Kind: KindVideo},
		{Filename: "DJI_0001, ä.MP4", Filetype: "video/mp4", Footage: "f1", SHA256: footage.Sum([]byte("x")),
			Captured: time.Date(2026, 7, 1, 6, 0, 0, 0, time.UTC), Kind: KindTelemetry},
	} {
		raw, err := ParseMetadataHeader(m.Header())
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadMetadata(raw)
		if err != nil || got != m {
			t.Errorf("%v: got %+v %v", m, got, err)
		}
	}
}

func TestBadMetadata(t *testing.T) {
	for _, header := range []string{"footage ?", "a YQ==,a YQ==", " ,", "k\x01 YQ==", strings.Repeat("a", maxMetadata+1),
		"name /w=="} {
		if m, err := ParseMetadataHeader(header); err == nil {
			t.Errorf("%q: %v", header, m)
		}
	}
	for key, value := range map[string]string{
		MetaFootage: "../x", MetaSHA256: strings.Repeat("0", 64), MetaCaptured: "yesterday", MetaKind: "song",
	} {
		_, err := ReadMetadata(map[string]string{key: value})
		var bad *MetadataError
		if !errors.As(err, &bad) || bad.Key != key {
			t.Errorf("%s=%s: %v", key, value, err)
		}
	}
}

func TestProblems(t *testing.T) {
	for _, s := range Slugs() {
		p := NewProblem(s, "detail")
		if p.Title == "" || p.Status < 400 || p.Slug() != s || !s.Allows(p.Status) || s.Allows(200) {
			t.Errorf("%s: %+v", s, p)
		}
	}
	if s := (Problem{Type: "about:blank"}).Slug(); s != "" {
		t.Errorf("slug %q of a foreign problem", s)
	}
}

func FuzzMetadata(f *testing.F) {
	f.Add("filename RA==,kind dmlkZW8=")
	f.Fuzz(func(t *testing.T, header string) {
		raw, err := ParseMetadataHeader(header)
		if err != nil {
			return
		}
		m, err := ReadMetadata(raw)
		if err != nil {
			return
		}
		if _, err := ParseMetadataHeader(m.Header()); err != nil && len(m.Header()) <= maxMetadata {
			t.Fatalf("%q was accepted and its own form %q is not: %v", header, m.Header(), err)
		}
	})
}

func TestFenceOfAResult(t *testing.T) {
	model := footage.Sum([]byte("model"))
	for key, want := range map[string]int64{
		ResultKey("f-1", model, 12, "json"):       12,
		ResultKey("f-1", model, 1, ContactExt(3)): 1,
		TraceKey("f-1", model, 7):                 7,
		"footage/f-1/result/0123abcd.json":        0, // of earlier versions
		"footage/f-1/result/-.json":               0,
		"":                                        0,
	} {
		if got := ResultFence(key); got != want {
			t.Errorf("%s: fence %d, want %d", key, got, want)
		}
	}
}
