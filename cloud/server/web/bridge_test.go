package web

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/wire"
)

func TestFirstBytesReachTheHandlerAtOnce(t *testing.T) {
	got, first := make(chan seen, 1), make(chan []byte, 1)
	s := open(t, func(o *Options) { o.Uploads = reading(got, first) })
	c := s.dial()
	c.send("%s", s.patch("Content-Length: 1000000"))
	c.send("abc")
	if b := <-first; string(b) != "abc" {
		t.Errorf("handler saw %q", b)
	}
	if _, err := c.Write(make([]byte, 1000000-3)); err != nil {
		t.Fatal(err)
	}
	if g := <-got; len(g.body) != 1000000 || g.err != nil {
		t.Errorf("%d bytes, %v", len(g.body), g.err)
	}
	resp, _ := c.answer()
	if resp.StatusCode != http.StatusNoContent || resp.Close {
		t.Errorf("%d, close %v", resp.StatusCode, resp.Close)
	}
	c.send("GET /healthz HTTP/1.1\nHost: x\n\n") // the connection lives on
	if resp, _ := c.answer(); resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
}

func TestCutBodyKeepsItsBytes(t *testing.T) {
	for name, c := range map[string]struct{ head, sent, body string }{
		"within the first bytes":   {"Content-Length: 5000", "abc", "abc"},
		"later":                    {"Content-Length: 500000", strings.Repeat("x", 100_000), strings.Repeat("x", 100_000)},
		"before the first byte":    {"Content-Length: 5000", "", ""},
		"in a chunk":               {"Transfer-Encoding: chunked", "5\r\nab", "ab"},
		"between chunks":           {"Transfer-Encoding: chunked", "3\r\nabc\r\n", "abc"},
		"chunked, before anything": {"Transfer-Encoding: chunked", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan seen, 1)
			s := open(t, func(o *Options) { o.Uploads = reading(got, nil) })
			conn := s.dial()
			conn.send("%s%s", s.patch(c.head), "")
			if _, err := io.WriteString(conn, c.sent); err != nil {
				t.Fatal(err)
			}
			if err := conn.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if g := <-got; string(g.body) != c.body || !errors.Is(g.err, io.ErrUnexpectedEOF) {
				t.Errorf("handler saw %d bytes and %v", len(g.body), g.err)
			}
			if resp, _ := conn.answer(); resp.StatusCode != http.StatusNoContent || !resp.Close {
				t.Errorf("%d, close %v", resp.StatusCode, resp.Close)
			}
			conn.wantClosed()
		})
	}
}

func TestWholeBodies(t *testing.T) {
	for name, c := range map[string]struct{ head, sent, body string }{
		"none":     {"Content-Length: 0", "", ""},
		"one byte": {"Content-Length: 1", "a", "a"},
		"two":      {"Content-Length: 2", "ab", "ab"},
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan seen, 1)
			s := open(t, func(o *Options) { o.Uploads = reading(got, nil) })
			conn := s.dial()
			conn.send("%s", s.patch(c.head))
			if _, err := io.WriteString(conn, c.sent); err != nil {
				t.Fatal(err)
			}
			if g := <-got; string(g.body) != c.body || g.err != nil {
				t.Errorf("handler saw %q and %v", g.body, g.err)
			}
			if resp, _ := conn.answer(); resp.StatusCode != http.StatusNoContent {
				t.Error(resp.Status)
			}
			conn.send("GET /healthz HTTP/1.1\nHost: x\n\n")
			if resp, _ := conn.answer(); resp.StatusCode != http.StatusOK {
				t.Error(resp.Status)
			}
		})
	}
}

func TestIdleBodyEnds(t *testing.T) {
	got := make(chan seen, 1)
	s := open(t, func(o *Options) { o.Uploads, o.IdleTimeout = reading(got, nil), 300*time.Millisecond })
	c := s.dial()
	c.send("%sabcd", s.patch("Content-Length: 1000")) // in one piece: a pause between two could be an idle one
	g := <-got
	if g.err == nil || !errors.Is(errTimeout(g.err), g.err) || string(g.body) != "abcd" {
		t.Errorf("handler saw %q and %v", g.body, g.err)
	}
	if resp, _ := c.answer(); resp.StatusCode != http.StatusNoContent || !resp.Close {
		t.Errorf("%d, close %v", resp.StatusCode, resp.Close)
	}
}

// A body may take longer than the idle time as long as bytes arrive.
func TestSlowBodyIsAccepted(t *testing.T) {
	const idle, size = 4 * time.Second, 100 // a busy machine delays a byte by a second at times
	got, first := make(chan seen, 1), make(chan []byte, 1)
	s := open(t, func(o *Options) { o.Uploads, o.IdleTimeout, o.HeadTimeout = reading(got, first), idle, idle })
	c := s.dial()
	c.send("%sxx", s.patch(fmt.Sprint("Content-Length: ", size))) // a first byte alone waits for the second one
	<-first
	tick := time.NewTicker(idle / 8)
	defer tick.Stop()
	sent := 2
	for began := time.Now(); time.Since(began) < idle+idle/4; sent++ {
		<-tick.C
		c.send("x")
	}
	c.send("%s", strings.Repeat("x", size-sent))
	if g := <-got; len(g.body) != size || g.err != nil || g.took < idle {
		t.Errorf("%d bytes in %s, %v", len(g.body), g.took, g.err)
	}
}

func TestEarlyRefusalClosesTheConnection(t *testing.T) {
	s := open(t, nil)
	c := s.dial()
	c.send("PATCH /files/x HTTP/1.1\nHost: x\nContent-Length: 8000000000\n\n")
	piece := bytes.Repeat([]byte("x"), 64<<10)
	var sent int64
	for { // a client that sends on and on until it is cut off
		n, err := c.Write(piece)
		if sent += int64(n); err != nil {
			break
		}
		if sent > 64<<20 {
			t.Fatal("the server reads the body of a refused request")
		}
	}
}

func TestEarlyRefusalIsReadable(t *testing.T) {
	s := open(t, nil)
	c := s.dial()
	c.send("PATCH /files/x HTTP/1.1\nHost: x\nContent-Length: 1000000\n\n")
	if _, err := c.Write(make([]byte, 500_000)); err != nil {
		t.Fatal(err)
	}
	resp, body := c.answer()
	if resp.StatusCode != http.StatusUnauthorized || !resp.Close || resp.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("got status %d, headers %v, body %s", resp.StatusCode, resp.Header, body)
	}
	c.wantClosed()
}

func TestBodyIsNeverReadAsARequest(t *testing.T) {
	inner := "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
	s := open(t, nil)
	for name, head := range map[string]string{
		"a route without a body": "GET /api/v1/stats HTTP/1.1\nHost: x\n",
		"no such route":          "POST /nope HTTP/1.1\nHost: x\n",
		"refused upload":         "POST /files/ HTTP/1.1\nHost: x\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := s.dial()
			c.send("%sContent-Length: %d\n\n", head, len(inner))
			if _, err := io.WriteString(c, inner); err != nil {
				t.Fatal(err)
			}
			if resp, _ := c.answer(); !resp.Close {
				t.Error("the connection is still open")
			}
			c.wantClosed()
		})
	}
}

func TestPipelinedRequestIsNotPartOfTheBody(t *testing.T) {
	got := make(chan seen, 1)
	s := open(t, func(o *Options) { o.Uploads = reading(got, nil) })
	c := s.dial()
	if _, err := io.WriteString(c, strings.ReplaceAll(s.patch("Content-Length: 3"), "\n",
		"\r\n")+"abcGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if g := <-got; string(g.body) != "abc" || g.err != nil {
		t.Errorf("handler saw %q and %v", g.body, g.err)
	}
	if resp, _ := c.answer(); resp.StatusCode != http.StatusNoContent || !resp.Close {
		t.Errorf("%d, close %v", resp.StatusCode, resp.Close)
	}
	c.wantClosed()
}

func TestDeadlineFromOutsideInterruptsTheRead(t *testing.T) {
	got := make(chan seen, 1)
	started := make(chan *http.ResponseController, 1)
	s := open(t, func(o *Options) {
		inner := reading(got, nil)
		o.Uploads = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			started <- http.NewResponseController(w)
			inner.ServeHTTP(w, r)
		})
		o.IdleTimeout = time.Hour
	})
	c := s.dial()
	c.send("%s", s.patch("Content-Length: 1000"))
	c.send("abcd")
	ctl := <-started
	if err := ctl.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Error(err)
	}
	if err := ctl.SetWriteDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Error(err)
	}
	if err := ctl.SetReadDeadline(time.Now()); err != nil {
		t.Error(err)
	}
	if g := <-got; g.err == nil || !errors.Is(errTimeout(g.err), g.err) || g.took > time.Minute {
		t.Errorf("after %s: %v", g.took, g.err)
	}
}

// A handler may return while one of its goroutines reads the body.
func TestReadEndsAfterItsHandler(t *testing.T) {
	got := make(chan seen, 1)
	s := open(t, func(o *Options) {
		o.IdleTimeout = time.Hour
		o.Uploads = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			first := make(chan []byte, 1)
			go reading(got, first).ServeHTTP(nopWriter{}, r)
			<-first
			w.WriteHeader(http.StatusConflict)
		})
	})
	c := s.dial()
	c.send("%s", s.patch("Content-Length: 1000"))
	c.send("abcd")
	if resp, _ := c.answer(); resp.StatusCode != http.StatusConflict || !resp.Close {
		t.Errorf("%d, close %v", resp.StatusCode, resp.Close)
	}
	if g := <-got; string(g.body) != "abcd" || g.err == nil || g.took > time.Minute {
		t.Errorf("%q %v after %s", g.body, g.err, g.took)
	}
}

type nopWriter struct{ http.ResponseWriter }

func (nopWriter) WriteHeader(int) {}

func TestStopInterruptsUploads(t *testing.T) {
	got, first := make(chan seen, 1), make(chan []byte, 1)
	s := open(t, func(o *Options) { o.Uploads, o.IdleTimeout = reading(got, first), time.Hour })
	c := s.dial()
	c.send("%s", s.patch("Content-Length: 1000"))
	c.send("abcd")
	<-first
	began := time.Now()
	s.stop()
	if g := <-got; string(g.body) != "abcd" || g.err == nil {
		t.Errorf("handler saw %q and %v", g.body, g.err)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("the stop took %s", took)
	}
	if resp, _ := c.answer(); resp.StatusCode != http.StatusNoContent {
		t.Error(resp.Status)
	}
}

func TestSlowHeadIsRefused(t *testing.T) {
	s := open(t, func(o *Options) { o.HeadTimeout = 2 * time.Second })
	c := s.dial()
	c.send("GET / HTTP/1.1\nHost: x\nX-Slow: ")
	resp, body := c.answer()
	if resp.StatusCode != http.StatusRequestTimeout || !strings.Contains(string(body), "/problems/timeout") {
		t.Errorf("got status %d, body %s", resp.StatusCode, body)
	}
	c.wantClosed()
}

func TestHugeHeadIsRefused(t *testing.T) {
	s := open(t, nil)
	c := s.dial()
	c.send("GET / HTTP/1.1\nHost: x\nX-Big: %s\n\n", strings.Repeat("x", headerBytes))
	resp, body := c.answer()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge || resp.Header.Get("Content-Type") != wire.ProblemMedia {
		t.Errorf("got status %d, body %s", resp.StatusCode, body)
	}
}

func TestExpectContinue(t *testing.T) {
	got := make(chan seen, 1)
	s := open(t, func(o *Options) { o.Uploads = reading(got, nil) })
	c := s.dial()
	c.send("%s", s.patch("Content-Length: 4\nExpect: 100-continue"))
	line, err := c.r.ReadString('\n')
	if err != nil || !strings.Contains(line, "100") {
		t.Fatalf("got line %q, error %v", line, err)
	}
	if _, err := c.r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	c.send("abcd")
	if g := <-got; string(g.body) != "abcd" || g.err != nil {
		t.Errorf("handler saw %q and %v", g.body, g.err)
	}
}

func TestRequestAndAnswerPassTheBridge(t *testing.T) {
	s := open(t, func(o *Options) {
		o.Uploads = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			d, _ := r.Context().Value(deviceKey{}).(ledger.Device)
			w.Header().Set("X-Device", d.Name)
			w.Header().Add("X-Two", "a")
			w.Header().Add("X-Two", "b")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusTeapot)
			w.Header().Set("X-Late", "1")
			fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Get("X-In"))
			if _, err := w.Write(make([]byte, maxBridged)); !errors.Is(err, errAnswerTooLong) {
				t.Errorf("a long answer: %v", err)
			}
		})
	})
	r := s.do("POST", "/files/a%20b?c=d", s.tokens[ledger.RoleDevice], "X-In", "in")
	if r.status != http.StatusTeapot || r.header.Get("X-Device") != "device1" || len(r.header.Values("X-Two")) != 2 ||
		r.header.Get("X-Late") != "" {
		t.Errorf("got status %d, headers %v", r.status, r.header)
	}
	if string(r.body) != "POST /files/a b c=d in" {
		t.Errorf("got body %s", r.body)
	}
}

func TestPanicIsAProblem(t *testing.T) {
	s := open(t, func(o *Options) {
		o.Uploads = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("oh") })
	})
	s.do("POST", "/files/", s.tokens[ledger.RoleDevice]).wantProblem(t, http.StatusInternalServerError, "internal")
	if r := s.do("GET", "/healthz", ""); r.status != http.StatusOK {
		t.Error(r.status)
	}
}
