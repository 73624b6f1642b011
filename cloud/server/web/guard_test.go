package web

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"cattlecounter/cloud/server/problem"
)

// Requests that two servers could read differently are answered with 400 before any route, and the connection ends.
func TestAmbiguousRequestsAreRefused(t *testing.T) {
	got := make(chan seen, 1)
	s := open(t, func(o *Options) { o.Uploads = reading(got, nil) })
	token := "Authorization: Bearer " + s.patch("")[strings.Index(s.patch(""), "cc_"):]
	token, _, _ = strings.Cut(token, "\n")
	post := "POST /files/ HTTP/1.1\r\nHost: x\r\n" + token + "\r\n"
	for name, request := range map[string]string{
		"length and chunked":         post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"chunked and length":         post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
		"two lengths":                post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
		"one length twice":           post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
		"a list of lengths":          post + "Content-Length: 5, 5\r\n\r\nhello",
		"a signed length":            post + "Content-Length: +5\r\n\r\nhello",
		"a negative length":          post + "Content-Length: -5\r\n\r\nhello",
		"a hexadecimal length":       post + "Content-Length: 0x5\r\n\r\nhello",
		"an empty length":            post + "Content-Length:\r\n\r\n",
		"a length of 30 digits":      post + "Content-Length: 100000000000000000000000000000\r\n\r\n",
		"two encodings":              post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
		"another encoding":           post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"identity":                   post + "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",
		"a hidden encoding":          post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"an encoding after a tab":    post + "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
		"chunked in HTTP/1.0":        "POST /files/ HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"a folded line":              post + "X-A: b\r\n folded\r\n\r\n",
		"a folded length":            post + "Content-Length:\r\n 5\r\n\r\nhello",
		"a space before the colon":   post + "Content-Length : 5\r\n\r\nhello",
		"a space before the name":    "POST /files/ HTTP/1.1\r\n Host: x\r\n\r\n",
		"no colon":                   post + "Content-Length 5\r\n\r\nhello",
		"no name":                    post + ": 5\r\n\r\n",
		"a bare line feed":           "POST /files/ HTTP/1.1\r\nHost: x\nContent-Length: 5\r\n\r\nhello",
		"a bare carriage return":     post + "X-A: b\rContent-Length: 5\r\n\r\nhello",
		"a NUL":                      post + "X-A: b\x00\r\n\r\n",
		"no host":                    "GET /healthz HTTP/1.1\r\n\r\n",
		"two hosts":                  "GET /healthz HTTP/1.1\r\nHost: x\r\nHost: evil.example\r\n\r\n",
		"an absolute target":         "GET http://evil.example/healthz HTTP/1.1\r\nHost: x\r\n\r\n",
		"a space in the target":      "GET /healthz x HTTP/1.1\r\nHost: x\r\n\r\n",
		"another version":            "GET /healthz HTTP/3.1\r\nHost: x\r\n\r\n",
		"a chunk without a size":     post + "Transfer-Encoding: chunked\r\n\r\nhello\r\n0\r\n\r\n",
		"a chunk that is too long":   post + "Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n",
		"a chunk of endless size":    post + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
		"a chunk with a signed size": post + "Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := s.dial()
			if _, err := io.WriteString(c, request+"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			resp, body := c.answer()
			if resp.StatusCode != http.StatusBadRequest || !resp.Close {
				t.Errorf("status %d, close %v: %s", resp.StatusCode, resp.Close, body)
			}
			c.wantClosed()
			select {
			case <-got:
			default:
			}
		})
	}
}

// A whole chunked body is still accepted, and no second request is read after it.
func TestChunkedBodyEndsTheConnection(t *testing.T) {
	got := make(chan seen, 1)
	s := open(t, func(o *Options) { o.Uploads = reading(got, nil) })
	c := s.dial()
	c.send("%s5\nhello\n0\n\nGET /livez HTTP/1.1\nHost: x\n\n", s.patch("Transfer-Encoding: chunked"))
	if g := <-got; string(g.body) != "hello" || g.err != nil {
		t.Errorf("handler saw %q and %v", g.body, g.err)
	}
	if resp, _ := c.answer(); resp.StatusCode != http.StatusNoContent || !resp.Close {
		t.Errorf("%d, close %v", resp.StatusCode, resp.Close)
	}
	c.wantClosed()
}

// So does a chunked body that is a form: a proxy may read an end of line within a chunk extension in another way.
func TestChunkedFormEndsTheConnection(t *testing.T) {
	s := open(t, nil)
	c := s.dial()
	c.send("POST /api/v1/session HTTP/1.1\nHost: localhost\nContent-Type: application/json\nTransfer-Encoding: chunked\n\n" +
		"2;ext\n{}\n0\n\nGET /livez HTTP/1.1\nHost: localhost\n\n")
	if resp, _ := c.answer(); resp.StatusCode != http.StatusUnauthorized || !resp.Close {
		t.Errorf("%d, close %v", resp.StatusCode, resp.Close)
	}
	c.wantClosed()
}

// A page of another site whose name points to this server (DNS rebinding) is refused.
func TestHosts(t *testing.T) {
	s := open(t, func(o *Options) { o.Hosts = []string{"cattle.example", "api"} })
	for host, want := range map[string]int{
		"cattle.example": 200, "CATTLE.Example:8443": 200, "cattle.example.": 200, "api:8080": 200, "localhost": 200,
		"127.0.0.1:8080": 200, "[::1]:8080": 200, "10.1.2.3": 200,
		"evil.example": 421, "cattle.example.evil.example": 421, "evilcattle.example": 421, "127.0.0.1.nip.example": 421,
		"localhost.evil.example": 421, "cattle.example:1@evil.example": 421, "": 400,
		"[::1": 421, "::1]": 421, "0x7f.1": 421, "2130706433": 421, "127.0.0.1, evil.example": 421,
	} {
		c := s.dial()
		c.send("GET /healthz HTTP/1.1\nHost: %s\nConnection: close\n\n", host)
		resp, body := c.answer()
		if resp.StatusCode != want && (host != "" || resp.StatusCode != 421) {
			t.Errorf("host %q: status %d, want %d: %s", host, resp.StatusCode, want, body)
		}
	}
}

// A head that passes the check has one host, and at most one length of the body.
func FuzzCheckHead(f *testing.F) {
	f.Add("HTTP/1.1", "/files/", "Host: x\r\nContent-Length: 5\r\n\r\n")
	f.Add("HTTP/1.1", "*", "Host: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	f.Add("HTTP/1.0", "/", "\r\n")
	f.Add("HTTP/1.1", "/", "Host: x\r\nA: b\r\n c\r\n\r\n")
	f.Fuzz(func(t *testing.T, protocol, target, lines string) {
		err := checkHead(protocol, []byte(target), []byte(lines))
		var p *problem.Error
		if err != nil {
			if !errors.As(err, &p) || p.Status != http.StatusBadRequest {
				t.Fatalf("error %v is no problem", err)
			}
			return
		}
		lower := "\n" + strings.ToLower(lines)
		if strings.Contains(lower, "\n ") || strings.Contains(lower, "\n\t") || strings.Count(lower, "\nhost:") > 1 {
			t.Fatalf("accepted %q", lines)
		}
	})
}

// Text of strangers cannot forge lines of the log, move a cursor or turn the direction of writing.
func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"anna": "anna", "a\nb": "a?b", "a\x1b[2Jb": "a?[2Jb", "gpj.\u202eexe": "gpj.?exe", "a\u2066b\u2069": "a?b?",
		"a\u200bb": "a?b", "vaca ñandú": "vaca ñandú", "\xff": "?", strings.Repeat("x", 500): strings.Repeat("x", 128) + "…",
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) = %q, want %q", in, got, want)
		}
	}
	if got := auditCell("=HYPERLINK(1)"); got != "'=HYPERLINK(1)" {
		t.Errorf("a formula stays one: %q", got)
	}
}
