package hub

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/model"
)

func TestParseReference(t *testing.T) {
	const base = "https://mirror.example/hf"
	for text, want := range map[string]Reference{
		"herd/yak":            {Base: base, Repository: "herd/yak", Revision: "main"},
		"herd/yak@v1.0":       {Base: base, Repository: "herd/yak", Revision: "v1.0"},
		"herd/yak@refs/pr/1":  {Base: base, Repository: "herd/yak", Revision: "refs/pr/1"},
		base + "/herd/yak":    {Base: base, Repository: "herd/yak", Revision: "main"},
		base + "/herd/yak/":   {Base: base, Repository: "herd/yak", Revision: "main"},
		base + "/a/b/tree/v2": {Base: base, Repository: "a/b", Revision: "v2"},
		base + "/a/b/blob/main/onnx/model_fp16.onnx":      {Base: base, Repository: "a/b", Revision: "main", File: "onnx/model_fp16.onnx"},
		base + "/a/b/resolve/main/x.onnx?download=true":   {Base: base, Repository: "a/b", Revision: "main", File: "x.onnx"},
		"https://other.example/herd/yak":                  {Base: "https://other.example/herd/yak"},
		"https://mirror.example/hfx/herd/yak":             {Base: "https://mirror.example/hfx/herd/yak"},
		"http://127.0.0.1:8000/":                          {Base: "http://127.0.0.1:8000"},
		"http://127.0.0.1:8000/models/my%20yak/best.onnx": {Base: "http://127.0.0.1:8000/models/my%20yak", File: "best.onnx"},
		"./yak":                {Folder: "yak"},
		"/models/yak/":         {Folder: "/models/yak"},
		"../yak/best.onnx":     {Folder: "../yak", File: "best.onnx"},
		"https://x.example/m/": {Base: "https://x.example/m"},
	} {
		if got, err := ParseReference(text, base+"/"); err != nil || got != want {
			t.Errorf("%s: %+v %v", text, got, err)
		}
	}
	for _, text := range []string{"", "yak", "a/b/c", "herd/yak@", "herd/yak@../x", "herd/..", "herd/yak@a b", "herd/y ak", "ftp://x/y", "https://",
		"https://user:secret@x.example/m", "https://x.example/m?sig=secret", "herd/yak@@", "a/b@x//y", "-a/b"} {
		if got, err := ParseReference(text, base); !errors.Is(err, ErrReference) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %+v %v", text, got, err)
		}
	}
	if r, err := ParseReference("a/b", ""); err != nil || r.Base != DefaultBase {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := ParseReference("a/b", "mirror.example"); !errors.Is(err, ErrReference) {
		t.Error(err)
	}
}

func TestNameOfAReference(t *testing.T) {
	for want, c := range map[string]struct {
		r       Reference
		network string
	}{
		"yak":           {Reference{Repository: "herd/yak"}, "onnx/model.onnx"},
		"yak-quantized": {Reference{Repository: "herd/yak"}, "onnx/model_quantized.onnx"},
		"yak-best":      {Reference{Repository: "herd/yak"}, "best.onnx"},
		"my-20yak":      {Reference{Base: "https://x.example/a/my%20yak"}, "model.onnx"},
		"x.example":     {Reference{Base: "https://x.example"}, "model.onnx"},
		"model-default": {Reference{Folder: "/some/default"}, "model.onnx"},
		"model-":        {Reference{Folder: "/"}, "model.onnx"},
		"yak_1":         {Reference{Folder: "/a/_yak_1"}, "model.onnx"},
	} {
		if got := c.r.name(c.network); got != want || model.CheckName(got) != nil {
			t.Errorf("%+v: %s, want %s", c.r, got, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-3": 0, "soon": 0, "99999999999999999999": 0, now.Add(time.Minute).Format(http.TimeFormat): time.Minute,
		now.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func FuzzReference(f *testing.F) {
	for _, s := range []string{"herd/yak@main", "https://huggingface.co/a/b/resolve/main/x.onnx", "./x", "http://127.0.0.1/%2e%2e/x.onnx"} {
		f.Add(s, "")
	}
	f.Add("a/b", "http://user@host")
	f.Fuzz(func(t *testing.T, text, base string) {
		r, err := ParseReference(text, base)
		if err != nil {
			if !errors.Is(err, ErrReference) {
				t.Fatal(err)
			}
			return
		}
		if strings.Contains(r.Repository+r.Revision, "..") || strings.Count(r.Repository, "/") > 1 {
			t.Fatalf("%q at %q becomes %+v", text, base, r)
		}
		if name := r.name(r.File); model.CheckName(name) != nil {
			t.Fatalf("%+v is called %q", r, name)
		}
	})
}

func FuzzListing(f *testing.F) {
	f.Add(`{"sha":"` + commit + `","siblings":[{"rfilename":"onnx/model.onnx","size":7,"lfs":{"sha256":"` + strings.Repeat("ab", 32) + `","size":8}}]}`)
	f.Add(`{"sha":"` + commit + `","siblings":[{"rfilename":"a/../../b"}]}`)
	f.Add(`{"sha":7,"siblings":[{"rfilename":null,"size":-1}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		l, err := parseListing([]byte(text))
		if err != nil {
			if !errors.Is(err, ErrAnswer) {
				t.Fatal(err)
			}
			return
		}
		if !model.IsCommit(l.commit) || len(l.files) > maxFiles {
			t.Fatalf("%+v", l)
		}
		for _, file := range l.files {
			if strings.Contains("/"+file.path+"/", "/../") || strings.HasPrefix(file.path, "/") || strings.ContainsAny(file.path, "\\\n\x00") || file.size < -1 {
				t.Fatalf("%+v", file)
			}
		}
		if n, err := chooseNetwork(l, ""); err == nil && !strings.HasSuffix(n.path, ".onnx") {
			t.Fatalf("%+v", n)
		}
	})
}
