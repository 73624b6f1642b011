package intake

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

func sha256Of(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256 " + base64.StdEncoding.EncodeToString(sum[:])
}

func sha1Of(b []byte) string {
	sum := sha1.Sum(b)
	return "sha1 " + base64.StdEncoding.EncodeToString(sum[:])
}

func (s *site) checked(path string, offset int, content io.Reader, sum string, more ...string) reply {
	s.t.Helper()
	return s.do("PATCH", path, content, append([]string{"Upload-Offset", strconv.Itoa(offset), "Content-Type", octets,
		"Upload-Checksum", sum}, more...)...)
}

// chunked hides the size of a body, which is then sent without Content-Length.
func chunked(b []byte) io.Reader { return struct{ io.Reader }{bytes.NewReader(b)} }

func TestChecksum(t *testing.T) {
	s := newSite(t, t.TempDir())
	content := clip("x", 2_000_000)
	path := s.create(len(content), "sha256", digestOf(content))
	for i, c := range []struct {
		from, to int
		sum      func([]byte) string
	}{{0, 3, sha256Of}, {3, 3, sha1Of}, {3, 900_000, sha1Of}, {900_000, len(content), sha256Of}} {
		part := content[c.from:c.to]
		r := s.checked(path, c.from, bytes.NewReader(part), c.sum([]byte("something else")))
		s.want(r, statusChecksumMismatch, wire.SlugChecksumMismatch)
		if len(part) > 0 && r.header.Get("Upload-Expires") == "" {
			t.Error("a refused PATCH has no Upload-Expires")
		}
		if got := s.head(path); got != c.from {
			t.Fatalf("offset %d after a wrong checksum, want %d", got, c.from)
		}
		body := io.Reader(bytes.NewReader(part))
		if i%2 == 0 {
			body = chunked(part)
		}
		if r := s.checked(path, c.from, body,
			c.sum(part)); r.status != http.StatusNoContent || r.header.Get("Upload-Offset") != strconv.Itoa(c.to) {
			t.Fatalf("got status %d, headers %v, body %s", r.status, r.header, r.body)
		}
	}
	if f := s.footageOf(path); f.SHA256 != footage.Sum(content) || !bytes.Equal(s.blob(f.BlobKey), content) {
		t.Fatalf("got footage %+v", f)
	}
	// A complete upload accepts no more bytes and checks no checksum.
	s.want(s.checked(path, len(content), strings.NewReader("more"), sha256Of([]byte("more"))),
		http.StatusRequestEntityTooLarge, wire.SlugTooLarge)
	s.want(s.checked(path, len(content), nil, sha256Of([]byte("more"))), statusChecksumMismatch, wire.SlugChecksumMismatch)
	if r := s.checked(path, len(content), nil, sha256Of(nil)); r.status != http.StatusNoContent {
		t.Fatalf("got status %d, body %s", r.status, r.body)
	}
}

func TestChecksumRefused(t *testing.T) {
	s := newSite(t, t.TempDir())
	content := clip("x", 5000)
	path := s.create(len(content))
	good := sha256Of(content)
	for name, sum := range map[string]string{
		"algorithm": "md5 " + strings.Fields(good)[1], "upper case": "SHA256 " + strings.Fields(good)[1],
		"empty": "", "no digest": "sha256", "short": "sha256 YQ==",
		"of another": "sha1 " + strings.Fields(good)[1], "no padding": strings.TrimRight(good,
			"="), "two spaces": strings.Replace(good, " ", "  ", 1), "more": good + ",",
	} {
		t.Run(name, func(t *testing.T) {
			s.want(s.checked(path, 0, bytes.NewReader(content), sum), http.StatusBadRequest, wire.SlugBadMetadata)
		})
	}
	s.want(s.checked(path, 0, bytes.NewReader(content), good, "Upload-Checksum", good), http.StatusBadRequest,
		wire.SlugBadMetadata)
	s.want(s.checked(path, 7, bytes.NewReader(content[7:]), sha256Of(content[7:])), http.StatusConflict,
		wire.SlugOffsetConflict)
	s.want(s.checked("/files/unknown", 0, bytes.NewReader(content), good), http.StatusNotFound, wire.SlugUploadGone)
	for name, body := range map[string]io.Reader{"declared": bytes.NewReader(append(content, 0)),
		"chunked": chunked(append(content, 0))} {
		t.Run("too much, "+name, func(t *testing.T) {
			s.want(s.checked(path, 0, body, sha256Of(append(content, 0))), http.StatusRequestEntityTooLarge, wire.SlugTooLarge)
		})
	}
	if got := s.head(path); got != 0 {
		t.Fatalf("offset %d after refusals", got)
	}
	// A body over the limit is refused before it is sent.
	c := s.rawPatch(path, 0, maxChecked+1, nil, "Upload-Checksum: "+good)
	answer := make([]byte, 32)
	if _, err := io.ReadFull(c, answer); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 413") {
		t.Fatalf("got answer %q, error %v", answer, err)
	}
}

func TestChecksumAtCreation(t *testing.T) {
	s := newSite(t, t.TempDir())
	content := clip("x", 9000)
	post := func(sum string, more ...string) reply {
		return s.do("POST", "/files/", bytes.NewReader(content[:4000]),
			append([]string{"Upload-Length", "9000", "Upload-Checksum", sum}, more...)...)
	}
	s.want(post(sha256Of(content), "Content-Type", octets), statusChecksumMismatch, wire.SlugChecksumMismatch)
	s.want(post(sha256Of(content[:4000])), http.StatusBadRequest, wire.SlugBadMetadata) // no body, by its type
	if n := must.Get(s.ledger.Uploads.CountUnfinished(t.Context(), ""))(t); n != 0 {
		t.Fatalf("refused creations left %d sessions", n)
	}
	r := post(sha256Of(content[:4000]), "Content-Type", octets)
	if r.status != http.StatusCreated || r.header.Get("Upload-Offset") != "4000" {
		t.Fatalf("got status %d, headers %v, body %s", r.status, r.header, r.body)
	}
	s.wantPatch(r.header.Get("Location"), 4000, content[4000:])
	if f := s.footageOf(r.header.Get("Location")); f.SHA256 != footage.Sum(content) {
		t.Fatalf("got footage %+v", f)
	}
}

// No byte of a request counts that is cut, or that another request ends.
func TestChecksumOfACutRequest(t *testing.T) {
	s := newSite(t, t.TempDir())
	w := watch(s.blobs)
	s.in.blobs = w
	content := clip("x", 400_000)
	path := s.create(len(content))
	s.wantPatch(path, 0, content[:100_000])
	for name, end := range map[string]func(*net.TCPConn) error{
		"broken":      func(*net.TCPConn) error { return nil },
		"half closed": (*net.TCPConn).CloseWrite,
		"reset": func(c *net.TCPConn) error {
			_ = c.SetLinger(0)
			return c.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			have := w.count()
			c := s.rawPatch(path, 100_000, 300_000, content[100_000:350_000], "Upload-Checksum: "+sha256Of(content[100_000:]))
			w.wait(t, have+250_000)
			must.Do(t, end(c.TCPConn))
			if got := s.head(path); got != 100_000 {
				t.Fatalf("%d bytes count", got)
			}
		})
	}
	if r := s.checked(path, 100_000, bytes.NewReader(content[100_000:]),
		sha1Of(content[100_000:])); r.status != http.StatusNoContent {
		t.Fatalf("got status %d, body %s", r.status, r.body)
	}
	if s.footageOf(path).SHA256 != footage.Sum(content) {
		t.Fatal("the blob differs from the upload")
	}
}

// The part of an unchecked body that a crash left is deleted and does no harm.
func TestChecksumAfterACrash(t *testing.T) {
	s := newSite(t, t.TempDir())
	content := clip("x", 5000)
	leave := func(path string) {
		id := checkedID(strings.TrimPrefix(path, "/files/"))
		must.Do(t, s.blobs.Stage(t.Context(), id))
		must.Get(s.blobs.Append(t.Context(), id, 0, strings.NewReader("left over")))(t)
	}
	path := s.create(len(content))
	leave(path)
	if r := s.checked(path, 0, bytes.NewReader(content),
		sha256Of(content)); r.status != http.StatusNoContent || s.footageOf(path).SHA256 != footage.Sum(content) {
		t.Fatalf("got status %d, body %s", r.status, r.body)
	}
	path = s.create(len(content))
	leave(path)
	s.clock.Advance(defaultExpire + time.Second)
	must.Do(t, s.in.sweep(t.Context()))
	s.wantGone(path)
}

func FuzzParseChecksum(f *testing.F) {
	for _, s := range []string{"", " ", "sha1", sha1Of(nil), sha256Of(nil), "sha1 " + sha256Of(nil)[7:],
		"md5 1B2M2Y8AsgTpgAmY7PhCfg==", sha1Of(nil) + "\n", "sha256 \x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		c, err := parseChecksum(header)
		if err != nil {
			return
		}
		name, _, _ := strings.Cut(header, " ")
		if !strings.Contains(","+algorithmNames()+",", ","+name+",") || len(c.want) != c.make().Size() ||
			fmt.Sprintf("%s %s", name, base64.StdEncoding.EncodeToString(c.want)) != header {
			t.Fatalf("%q became %x", header, c.want)
		}
	})
}
