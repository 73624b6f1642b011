package tus

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"

	"cattlecounter/deploy/conformance/finding"
)

func TestCommand(t *testing.T) {
	var out bytes.Buffer
	c := Command{URL: start(t, "HEAD without no-store", time.Hour), Only: []string{"head-length", "head-no-store"}, Patience: time.Minute}
	ok, err := c.Run(t.Context(), &out)
	if text := out.String(); ok || err != nil || !strings.Contains(text, "1 passed, 1 failed, 0 warnings, 0 skipped") || !strings.Contains(text, `Cache-Control is ""`) {
		t.Errorf("%v %v\n%s", ok, err, text)
	}
	out.Reset()
	c.Only, c.JSON, c.Begin, c.Header = c.Only[:1], true, "00", []string{"X-Test: 1"}
	ok, err = c.Run(t.Context(), &out)
	var fs []Finding
	if e := json.Unmarshal(out.Bytes(), &fs); !ok || errors.Join(err, e) != nil || len(fs) != 1 || fs[0] != (Finding{Name: "head-length", Section: "Core, HEAD", Level: Must, Result: Pass}) {
		t.Errorf("%v %v\n%s", ok, err, &out)
	}
}

func TestWrongUse(t *testing.T) {
	const at = "http://127.0.0.1:1/files/"
	for name, c := range map[string]struct {
		command Command
		class   error
	}{
		"no address":  {Command{URL: "files"}, ErrOptions},
		"scheme":      {Command{URL: "ftp://127.0.0.1/"}, ErrOptions},
		"header":      {Command{URL: at, Header: []string{"secret"}}, ErrOptions},
		"begin":       {Command{URL: at, Begin: "xyz"}, ErrOptions},
		"long begin":  {Command{URL: at, Begin: strings.Repeat("00", small)}, ErrOptions},
		"check":       {Command{URL: at, Only: []string{"nothing"}}, ErrOptions},
		"no listener": {Command{URL: at}, ErrNoServer},
	} {
		t.Run(name, func(t *testing.T) {
			ok, err := c.command.Run(t.Context(), new(bytes.Buffer))
			if ok || !errors.Is(err, c.class) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%v %v", ok, err)
			}
		})
	}
}

// The headers of the options go only to the host of the options.
func TestHeadersGoOnlyToNamedHost(t *testing.T) {
	o := Options{URL: "http://home.example/files/", Header: http.Header{"Authorization": {"Bearer secret"}}}
	if err := o.fill(); err != nil {
		t.Fatal(err)
	}
	v := newSession(o).probe(t.Context(), "x")
	for to, want := range map[string]string{"http://home.example/files/1": "Bearer secret", "http://elsewhere.example/files/1": ""} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, to, nil)
		if err != nil {
			t.Fatal(err)
		}
		v.setHeaders(r, nil)
		if got := r.Header.Get("Authorization"); got != want {
			t.Errorf("%s: %q", to, got)
		}
	}
}

// Every answer of a server is read without a panic, and printed without control characters.
func FuzzAnswer(f *testing.F) {
	f.Add("5", "a YQ==,b", "Mon, 02 Jan 2006 15:04:05 GMT", "text")
	f.Add("-1", ",, ", "2006-01-02T15:04:05Z", "\x1b[2J\x00")
	f.Add("99999999999999999999", " =", "", "\xff")
	f.Fuzz(func(t *testing.T, offset, metadata, date, body string) {
		a := answer{header: http.Header{"Upload-Offset": {offset}, "Upload-Expires": {date}}}
		if n, err := a.offset(); err == nil && n < 0 {
			t.Fatalf("%q is %d", offset, n)
		}
		_, _ = pairs(metadata)
		for _, e := range list(metadata) {
			if e == "" {
				t.Fatalf("%q has an empty element", metadata)
			}
		}
		if at, err := expires(a); err == nil && at.Location() != time.UTC {
			t.Fatalf("%q is in %s", date, at.Location())
		}
		if s := finding.Printable(body); strings.ContainsFunc(s, func(r rune) bool { return r < 0x80 && unicode.IsControl(r) }) {
			t.Fatalf("%q is printed as %q", body, s)
		}
	})
}
