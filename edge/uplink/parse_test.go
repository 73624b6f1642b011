package uplink

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestClasses(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   error
	}{
		{401, `{"detail":"x"}`, ErrToken}, {403, "", ErrToken}, {404, "", ErrNotFound}, {410, "", ErrNotFound},
		{409, "", ErrOffset}, {409, `{"type":"/problems/conflict"}`, ErrIDTaken},
		{423, `{"type":"/problems/conflict"}`, ErrBusy},
		{413, "", ErrRefused}, {415, "", ErrRefused}, {422, "", ErrRefused},
		{422, `{"type":"/problems/hash-mismatch"}`, ErrHash},
		{423, "", ErrBusy}, {429, "", ErrBusy}, {500, "", ErrBusy}, {507, `{"type":"/problems/no-space"}`, ErrBusy},
		{400, `{"type":"/problems/bad-metadata"}`, ErrRefused}, {400, "<html>", ErrUnexpected}, {302, "", ErrUnexpected},
		{200, "portal", ErrUnexpected},
	} {
		if got := classOf(ParseProblem(c.status, []byte(c.body))); !errors.Is(got, c.want) {
			t.Errorf("%d %s: %v, want %v", c.status, c.body, got, c.want)
		}
	}
	if !errors.Is(ErrHash, ErrRefused) {
		t.Error("a wrong hash is not a refusal")
	}
}

func TestLocate(t *testing.T) {
	c, err := NewCloud(CloudOptions{URL: "https://cloud.example:8443"})
	if err != nil {
		t.Fatal(err)
	}
	for location, want := range map[string]string{
		"http://inside/files/1": "https://cloud.example:8443/files/1",
		"/files/1?x=y":          "https://cloud.example:8443/files/1?x=y",
		"1":                     "https://cloud.example:8443/files/1",
		"":                      "",
		"http://evil":           "",
		"http://%zz":            "",
	} {
		if got, err := c.locate(location); got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q %v", location, got, err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for s, want := range map[string]time.Duration{"": 0, "7": 7 * time.Second, "-1": 0, "Wed, 21 Oct 2015 07:28:00 GMT": 0,
		"999999": longestWait} {
		if got := retryAfter(s); got != want {
			t.Errorf("%q: %s", s, got)
		}
	}
}

func FuzzParseProblem(f *testing.F) {
	f.Add(422, []byte(`{"type":"/problems/hash-mismatch","detail":"got 00"}`))
	f.Add(502, []byte("<html>\x00\xff"))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		p := ParseProblem(status, body)
		if !utf8.ValidString(p.Detail) || strings.ContainsAny(p.Detail, "\n\r\x00\x1b") ||
			utf8.RuneCountInString(p.Detail) > maxDetail+1 {
			t.Fatalf("got detail %q", p.Detail)
		}
		if classOf(p) == nil {
			t.Fatal("no class")
		}
	})
}

func FuzzParseOffset(f *testing.F) {
	f.Add("17", int64(100))
	f.Add("-1", int64(0))
	f.Fuzz(func(t *testing.T, s string, size int64) {
		if n, err := parseOffset(s, size); err == nil && (n < 0 || n > size) {
			t.Fatal(n)
		}
	})
}

func FuzzLocate(f *testing.F) {
	c, err := NewCloud(CloudOptions{URL: "https://cloud.example"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("http://inside/files/1")
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := c.locate(s); err == nil && !strings.HasPrefix(got, "https://cloud.example/") {
			t.Fatalf("%q leads to %q", s, got)
		}
	})
}

func FuzzParseFootage(f *testing.F) {
	f.Add([]byte(`{"id":"a","size":1,"sha256":"","job":{"state":"done","percent":5},"count":{"unique":3}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := parseFootage(b); err != nil && !errors.Is(err, ErrUnexpected) {
			t.Fatal(err)
		}
	})
}
