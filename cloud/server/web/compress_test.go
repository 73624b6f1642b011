package web

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
)

// Answers to GET are compressed where that is worth it, with a tag of their own that names the document in later requests.
func TestAnswersAreCompressed(t *testing.T) {
	s := open(t, nil)
	for i := range 30 {
		s.record(fmt.Sprint("f", i), fmt.Sprint("content ", i))
	}
	plain := s.do("GET", "/api/v1/footage", "", "Accept-Encoding", "identity")
	tag := plain.header.Get("ETag")
	if plain.header.Get("Content-Encoding") != "" || plain.header.Get("Vary") != "Accept-Encoding" || tag == "" {
		t.Fatalf("plain: %v", plain.header)
	}
	for coding, decode := range map[string]func(dst, src []byte) ([]byte, error){"br": fasthttp.AppendUnbrotliBytes, "gzip": fasthttp.AppendGunzipBytes} {
		r := s.do("GET", "/api/v1/footage", "", "Accept-Encoding", coding)
		if r.header.Get("Content-Encoding") != coding || r.header.Get("Content-Length") != fmt.Sprint(len(r.body)) || len(r.body)*4 > len(plain.body) ||
			r.header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: %d of %d bytes, %v", coding, len(r.body), len(plain.body), r.header)
		}
		t.Logf("%s: %d bytes of %d", coding, len(r.body), len(plain.body))
		if got := must.Get(decode(nil, r.body))(t); !bytes.Equal(got, plain.body) {
			t.Errorf("%s: the document is another one", coding)
		}
		own := r.header.Get("ETag")
		if own != tagWith(tag, coding) {
			t.Errorf("%s: tag %s, want that of %s", coding, own, tag)
		}
		same := s.do("GET", "/api/v1/footage", "", "Accept-Encoding", coding, "If-None-Match", own)
		if same.status != http.StatusNotModified || same.header.Get("ETag") != own || same.header.Get("Vary") != "Accept-Encoding" || len(same.body) > 0 {
			t.Errorf("%s: the same again: %d %v", coding, same.status, same.header)
		}
	}
	if r := s.do("GET", "/api/v1/footage", "", "Accept-Encoding", "gzip, br;q=0"); r.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("br refused: %v", r.header)
	}
	if r := s.do("GET", "/api/v1/footage?limit=1", "", "Accept-Encoding", "br"); r.header.Get("Content-Encoding") != "" {
		t.Errorf("a short answer of %d bytes is compressed", len(r.body))
	}
	if r := s.do("GET", "/api/v1/footage?limit=1000", "", "Accept-Encoding", "br"); r.header.Get("Content-Encoding") != "" || r.status != http.StatusBadRequest {
		t.Errorf("a problem: %d %v", r.status, r.header)
	}
}

// A stored document is compressed, a part of it and a picture are not. Its tag names the document.
func TestStoredDocumentsAreCompressed(t *testing.T) {
	s := open(t, nil)
	s.finish(s.record("one", "content one").Job)
	long := []byte(`{"tracks":[` + strings.Repeat(`{"id":1},`, 1000) + `{"id":2}]}`)
	v := must.Get(s.ledger.Footage.Get(t.Context(), "one"))(t)
	must.Get(s.blobs.Put(t.Context(), v.Job.ResultKey, bytes.NewReader(long)))(t)
	r := s.do("GET", "/api/v1/footage/one/result", "", "Accept-Encoding", "br")
	if got := must.Get(fasthttp.AppendUnbrotliBytes(nil, r.body))(t); r.header.Get("Content-Encoding") != "br" || !bytes.Equal(got, long) ||
		r.header.Get("Accept-Ranges") != "" || len(r.body) > 500 {
		t.Errorf("%d bytes, %v", len(r.body), r.header)
	}
	if again := s.do("GET", "/api/v1/footage/one/result", "", "Accept-Encoding", "br", "If-None-Match", r.header.Get("ETag")); again.status != http.StatusNotModified {
		t.Errorf("again: %d", again.status)
	}
	if part := s.do("GET", "/api/v1/footage/one/result", "", "Accept-Encoding", "br", "Range", "bytes=2-7"); part.status != http.StatusPartialContent ||
		string(part.body) != "tracks" || part.header.Get("Content-Encoding") != "" {
		t.Errorf("a part: %d %q", part.status, part.body)
	}
	if still := s.do("GET", "/api/v1/footage/one/still", "", "Accept-Encoding", "br"); still.status != http.StatusOK || still.header.Get("Content-Encoding") != "" {
		t.Errorf("a picture: %d %v", still.status, still.header)
	}
}

// What has a secret is not compressed, however long it is: its length would tell of it.
func TestSecretsAreNotCompressed(t *testing.T) {
	s := open(t, nil)
	root := must.Get(s.ledger.Devices.AddWith(t.Context(), ledger.Device{Name: "root", Site: "farm", Sites: ledger.SiteSet{"*"}, Role: ledger.RoleAdmin}))(t).Reveal()
	var sites []string
	for i := range 200 {
		sites = append(sites, fmt.Sprintf("site-%03d", i))
	}
	body := `{"name":"robot","role":"viewer","days":1,"sites":["` + strings.Join(sites, `","`) + `"]}`
	made := s.send("POST", "/api/v1/tokens", root, strings.NewReader(body), "Accept-Encoding", "br", "Content-Type", "application/json")
	if made.status != http.StatusOK || len(made.body) < 2*leastCompressed || !bytes.Contains(made.body, []byte("cc_")) || made.header.Get("Content-Encoding") != "" {
		t.Errorf("a new token: %d, %d bytes, %v", made.status, len(made.body), made.header)
	}
	if r := s.do("GET", "/api/v1/tokens", root, "Accept-Encoding", "br"); r.header.Get("Content-Encoding") != "br" {
		t.Errorf("the list of tokens, without their secrets: %v", r.header)
	}
	var c struct{ Name string }
	holder := s.do("GET", "/api/v1/session", made.field(t, "token"), "Accept-Encoding", "br")
	if holder.decode(t, &c); holder.header.Get("Content-Encoding") != "" || holder.header.Get("Vary") == "Accept-Encoding" || len(holder.body) < leastCompressed {
		t.Errorf("the session: %d bytes, %v", len(holder.body), holder.header)
	}
}

// field is a text in a document.
func (r response) field(t *testing.T, name string) string {
	t.Helper()
	var doc map[string]any
	r.decode(t, &doc)
	text, ok := doc[name].(string)
	if !ok {
		t.Fatalf("no %s in %s", name, r.body)
	}
	return text
}
