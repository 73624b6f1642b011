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

// hanging is a PATCH on a connection of its own whose body is not whole, which
// no client of net/http sends.
type hanging struct {
	v    *visit
	conn net.Conn
	in   *bufio.Reader
	sent int
}

// begin sends the head of a PATCH that announces size bytes, and the first part
// of them. The caller closes it.
func (v *visit) begin(to string, offset, size int, part []byte, header ...string) (*hanging, error) {
	u, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(v.ctx, http.MethodPatch, to, nil)
	if err != nil {
		return nil, err
	}
	v.dress(r, append([]string{"Upload-Offset", strconv.Itoa(offset), "Content-Type", octets}, header...))
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

func (v *visit) dial(u *url.URL) (net.Conn, error) {
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

// answer reads what the server says; status 0 stands for a closed connection.
func (h *hanging) answer() (answer, error) {
	resp, err := http.ReadResponse(h.in, nil)
	if err != nil {
		var late net.Error
		if errors.As(err, &late) && late.Timeout() {
			return answer{}, fmt.Errorf("no answer to a PATCH: %w", err)
		}
		return answer{}, nil
	}
	defer func() { _ = resp.Body.Close() }() // the connection goes with it
	a := answer{status: resp.StatusCode, header: resp.Header}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	h.v.listen(http.MethodPatch, a)
	return a, err
}

// reset ends the connection as a lost link with a living host does, after a
// moment in which the bytes can arrive.
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

// halfClose ends what is sent, and waits for what the server says or for its end
// of the connection.
func (h *hanging) halfClose() error {
	if c, ok := h.conn.(interface{ CloseWrite() error }); ok {
		if err := c.CloseWrite(); err != nil {
			return err
		}
	}
	_, err := h.answer()
	return err
}

func (h *hanging) close() { _ = h.conn.Close() } // it may be closed
