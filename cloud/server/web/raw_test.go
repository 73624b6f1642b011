package web

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// seen is what a handler met.
type seen struct {
	body []byte
	err  error
	took time.Duration
}

// reading is a handler that reads the whole body and tells.
func reading(got chan<- seen, first chan<- []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		var all []byte
		buf := make([]byte, 32<<10)
		for {
			n, err := r.Body.Read(buf)
			if all = append(all, buf[:n]...); first != nil && n > 0 {
				first <- bytes.Clone(all)
				first = nil
			}
			if err != nil {
				if err == io.EOF {
					err = nil
				}
				got <- seen{all, err, time.Since(began)}
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
	})
}

type raw struct {
	*net.TCPConn
	t *testing.T
	r *bufio.Reader
}

func (s *site) dial() *raw {
	s.t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		s.t.Fatal(err)
	}
	return &raw{c.(*net.TCPConn), s.t, bufio.NewReader(c)}
}

func (c *raw) send(format string, args ...any) {
	c.t.Helper()
	lines := strings.ReplaceAll(fmt.Sprintf(format, args...), "\r\n", "\n")
	if _, err := io.WriteString(c, strings.ReplaceAll(lines, "\n", "\r\n")); err != nil {
		c.t.Fatal(err)
	}
}

func (c *raw) answer() (*http.Response, []byte) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp, body
}

// wantClosed checks that the server ends the connection.
func (c *raw) wantClosed() {
	c.t.Helper()
	if n, err := c.r.Read(make([]byte, 1)); err == nil || errors.Is(err, errTimeout(err)) {
		c.t.Errorf("the connection stays open: %d bytes, %v", n, err)
	}
}

func errTimeout(err error) error {
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return err
	}
	return errors.New("another error")
}

func (s *site) patch(length string) string {
	return "PATCH /files/x HTTP/1.1\nHost: x\nAuthorization: Bearer " + s.tokens[ledger.RoleDevice] + "\n" + length + "\n\n"
}
