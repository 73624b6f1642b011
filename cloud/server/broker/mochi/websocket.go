package mochi

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// maxRequest bounds the bytes of a request for a WebSocket.
const maxRequest = 16 << 10

// errNoWebSocket says that a client of HTTP wants something else than MQTT.
var errNoWebSocket = errors.New("a request of HTTP that is no WebSocket with the subprotocol mqtt")

// open returns the stream of MQTT packets of a new connection: the connection itself, or what a WebSocket carries in it
// (MQTT 3.1.1, section 6). Their first bytes differ: no packet of a client begins with the letter G of GET.
func open(c net.Conn) (net.Conn, error) {
	limit := &io.LimitedReader{R: c, N: maxRequest}
	in := bufio.NewReader(limit)
	first, err := in.Peek(1)
	if err != nil {
		return nil, err
	}
	if first[0] != 'G' {
		limit.N = math.MaxInt64
		return &plain{Conn: c, in: in}, nil
	}
	r, err := http.ReadRequest(in)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoWebSocket, err)
	}
	w := &answer{conn: c, in: in, header: http.Header{}}
	if !slices.Contains(websocket.Subprotocols(r), "mqtt") {
		http.Error(w, "This is the MQTT broker: use an MQTT client (wss, subprotocol mqtt).", http.StatusBadRequest)
		return nil, errNoWebSocket
	}
	// A page of any origin may connect: the login is in the CONNECT packet, never in a cookie.
	u := websocket.Upgrader{Subprotocols: []string{"mqtt"}, CheckOrigin: func(*http.Request) bool { return true }}
	ws, err := u.Upgrade(w, r, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoWebSocket, err)
	}
	return &framed{Conn: c, ws: ws}, nil
}

// plain is a connection whose first bytes were read ahead.
type plain struct {
	net.Conn
	in *bufio.Reader
}

// Read implements net.Conn.
func (p *plain) Read(b []byte) (int, error) {
	if p.in.Buffered() > 0 {
		return p.in.Read(b)
	}
	return p.Conn.Read(b)
}

// framed is the stream inside of a WebSocket. One goroutine may read and one write at a time, as Mochi does.
type framed struct {
	net.Conn
	ws      *websocket.Conn
	message io.Reader    // what is left of the current message; nil between two
	writeBy atomic.Int64 // deadline in ns of the Unix clock; 0: none
}

// Read implements net.Conn. Packets may be cut anywhere by messages (MQTT-6.0.0-2); text ends the connection
// (MQTT-6.0.0-1).
func (f *framed) Read(b []byte) (int, error) {
	for {
		if f.message == nil {
			kind, r, err := f.ws.NextReader()
			if err != nil {
				return 0, err
			}
			if kind != websocket.BinaryMessage {
				return 0, errors.New("a message of text in a WebSocket of MQTT")
			}
			f.message = r
		}
		n, err := f.message.Read(b)
		if errors.Is(err, io.EOF) {
			f.message, err = nil, nil
		}
		if n > 0 || err != nil || len(b) == 0 {
			return n, err
		}
	}
}

// Write implements net.Conn.
func (f *framed) Write(b []byte) (int, error) {
	var by time.Time
	if ns := f.writeBy.Load(); ns != 0 {
		by = time.Unix(0, ns)
	}
	if err := f.ws.SetWriteDeadline(by); err != nil {
		return 0, err
	}
	if err := f.ws.WriteMessage(websocket.BinaryMessage, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// SetDeadline implements net.Conn.
func (f *framed) SetDeadline(t time.Time) error {
	return errors.Join(f.SetWriteDeadline(t), f.Conn.SetReadDeadline(t))
}

// SetWriteDeadline implements net.Conn. It holds from the next message on.
func (f *framed) SetWriteDeadline(t time.Time) error {
	ns := int64(0)
	if !t.IsZero() {
		ns = t.UnixNano()
	}
	f.writeBy.Store(ns)
	return nil
}

// answer writes the answer to a request that was read from a connection.
type answer struct {
	conn   net.Conn
	in     *bufio.Reader
	header http.Header
	code   int
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(code int) { a.code = code }

// Write implements http.ResponseWriter: the whole answer is written at once.
func (a *answer) Write(b []byte) (int, error) {
	r := http.Response{StatusCode: a.code, ProtoMajor: 1, ProtoMinor: 1, Header: a.header, Close: true,
		ContentLength: int64(len(b)), Body: io.NopCloser(strings.NewReader(string(b)))}
	return len(b), r.Write(a.conn)
}

// Hijack implements http.Hijacker.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return a.conn, bufio.NewReadWriter(a.in, bufio.NewWriter(a.conn)), nil
}
