package tus

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// hanging is a PATCH with an incomplete body on a separate connection. net/http cannot send one.
type hanging struct {
	v    *probe
	conn net.Conn
	in   *bufio.Reader
	sent int
}

// begin sends the head of a PATCH that announces size bytes, and the first part of them. The caller must close it.
func (v *probe) begin(to string, offset, size int, part []byte, header ...string) (*hanging, error) {
	u, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(v.ctx, http.MethodPatch, to, nil)
	if err != nil {
		return nil, err
	}
	v.setHeaders(r, append([]string{"Upload-Offset", strconv.Itoa(offset), "Content-Type", octets}, header...))
	var b bytes.Buffer
	fmt.Fprintf(&b, "PATCH %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", u.RequestURI(), u.Host, size)
	if err := r.Header.Write(&b); err != nil {
		return nil, err
	}
	b.WriteString("\r\n")
	conn, err := v.dial(u)
	if err != nil {
		return nil, err
	}
	h := &hanging{v: v, conn: conn, in: bufio.NewReader(conn)}
	if err := conn.SetDeadline(time.Now().Add(2 * v.o.Patience)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if _, err := conn.Write(b.Bytes()); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if err := h.send(part); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return h, nil
}

func (v *probe) dial(u *url.URL) (net.Conn, error) {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	at := net.JoinHostPort(u.Hostname(), port)
	if u.Scheme == "https" {
		return (&tls.Dialer{Config: &tls.Config{NextProtos: []string{"http/1.1"}}}).DialContext(v.ctx, "tcp", at)
	}
	return new(net.Dialer).DialContext(v.ctx, "tcp", at)
}

func (h *hanging) send(part []byte) error {
	n, err := h.conn.Write(part)
	h.sent += n
	return err
}

// answer reads the answer; status 0 means that the server closed the connection.
func (h *hanging) answer() (answer, error) {
	resp, err := http.ReadResponse(h.in, nil)
	if err != nil {
		var late net.Error
		if errors.As(err, &late) && late.Timeout() {
			return answer{}, fmt.Errorf("no answer to a PATCH: %w", err)
		}
		return answer{}, nil
	}
	defer func() { _ = resp.Body.Close() }() // the connection is closed with it
	a := answer{status: resp.StatusCode, header: resp.Header}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	h.v.noteVersion(http.MethodPatch, a)
	return a, err
}

// reset resets the connection, after a time in which the sent bytes can arrive.
func (h *hanging) reset() error {
	if err := h.v.pause(h.v.o.Settle); err != nil {
		return errors.Join(err, h.conn.Close())
	}
	conn := h.conn
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if t, ok := conn.(*net.TCPConn); ok {
		if err := t.SetLinger(0); err != nil {
			return errors.Join(err, h.conn.Close())
		}
	}
	return conn.Close()
}

// halfClose closes the sending side and waits for an answer or for the end of the connection.
func (h *hanging) halfClose() error {
	if c, ok := h.conn.(interface{ CloseWrite() error }); ok {
		if err := c.CloseWrite(); err != nil {
			return err
		}
	}
	_, err := h.answer()
	return err
}

func (h *hanging) close() { _ = h.conn.Close() } // it may be closed already
