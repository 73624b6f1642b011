package intake

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tus/tusd/v2/pkg/handler"

	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// tusd reads every header that is accepted here in the same way.
func FuzzParseMetadata(f *testing.F) {
	for _, s := range []string{"", "filename YS5tcDQ=", "a,b ", "a  YQ==", "k YQ==,k Yg==", " , ", "sha256 !!",
		"\x00 YQ=="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		m, err := wire.ParseMetadataHeader(header)
		if err != nil {
			return
		}
		theirs := handler.ParseMetadataHeader(header)
		if len(theirs) != len(m) {
			t.Fatalf("%q: ours %q, tusd's %q", header, m, theirs)
		}
		for k, v := range m {
			if theirs[k] != v || !utf8.ValidString(v) {
				t.Fatalf("%q: ours %q, tusd's %q", header, m, theirs)
			}
		}
	})
}

func FuzzCleanName(f *testing.F) {
	for _, s := range []string{"", ".", "..", "/", `C:\a\b.mp4`, "../../etc/passwd", "a\x00b\n",
		strings.Repeat("ä", 300), "\xff", `k\xfche.mp4`, "cows\u202e4pm.mp4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := cleanName(name, "id")
		if got == "" || len(got) > footage.MaxName || strings.ContainsAny(got, "/\x00\n\r\u202e\u200b") || got == "." ||
			got == ".." || !utf8.ValidString(got) || cleanName(got, "id") != got && !windowsPath.MatchString(got) {
			t.Fatalf("%q became %q", name, got)
		}
	})
}

// The whole handler gets random headers. It does not panic, every error is a problem
// document, and a body that is not a whole video is never recorded.
func FuzzHeaders(f *testing.F) {
	f.Add("POST", "", "100", "", "0", "filename YS5tcDQ=", "1.0.0", "body")
	f.Add("POST", "", "", "1", "", "footage ZjE=,kind dGVsZW1ldHJ5", "1.0.0", "")
	f.Add("PATCH", "x", "5", "", "0", "", "1.0.0", "hello")
	f.Add("HEAD", "../x", "", "", "", "", "", "")
	f.Add("PUT", "%", "9223372036854775808", "2", "-1", ",,,", "2", "\x00")
	s := newSite(f, f.TempDir())
	path := s.create(5000, "footage", "f1")
	f.Fuzz(func(t *testing.T, method, id, length, deferred, offset, metadata, version, body string) {
		if id == "x" {
			id = strings.TrimPrefix(path, "/files/")
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/files/", strings.NewReader(body))
		r.Method, r.URL.Path = method, "/files/"+id
		for k, v := range map[string]string{
			"Upload-Length": length, "Upload-Defer-Length": deferred, "Upload-Offset": offset, "Upload-Metadata": metadata,
			"Tus-Resumable": version, "Content-Type": "application/offset+octet-stream",
		} {
			if v != "" {
				r.Header[k] = []string{v}
			}
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code >= 400 && w.Header().Get("Content-Type") != wire.ProblemMedia {
			t.Fatalf("%d with %q: %s", w.Code, w.Header().Get("Content-Type"), w.Body)
		}
		if w.Code >= 500 && w.Code != http.StatusNotImplemented {
			t.Fatalf("%d: %s", w.Code, w.Body)
		}
		if len(body) < footage.SniffLen {
			if _, err := s.ledger.Footage.Get(t.Context(), "f1"); err == nil {
				t.Fatal("footage was recorded")
			}
		}
	})
}
