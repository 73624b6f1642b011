package mochi

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
)

// serve runs a broker without rights and returns its address.
func serve(t *testing.T) string {
	t.Helper()
	return serveAs(t, Guard(new(auth.AllowHook)))
}

// serveAs runs a broker with a hook and returns its address.
func serveAs(t testing.TB, h mqtt.Hook) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := mqtt.New(&mqtt.Options{Logger: slog.New(slog.DiscardHandler)})
	l := NewListener(ln, time.Minute, slog.New(slog.DiscardHandler))
	if err := errors.Join(s.AddHook(h, nil), s.AddListener(l), s.Serve()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return l.Address()
}

func connect(t testing.TB, url string) paho.Client {
	t.Helper()
	c := paho.NewClient(paho.NewClientOptions().AddBroker(url).SetClientID(rand.Text()).SetAutoReconnect(false))
	if token := c.Connect(); !token.WaitTimeout(time.Minute) || token.Error() != nil {
		t.Fatalf("%s: %v", url, token.Error())
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return c
}

// TestWebSocket sends messages of all sizes both ways between a client of TCP and one of WebSocket at the same address.
func TestWebSocket(t *testing.T) {
	address := serve(t)
	clients := map[string]paho.Client{"tcp": connect(t, "tcp://"+address), "ws": connect(t, "ws://"+address+"/mqtt")}
	for to, receiver := range clients {
		got := make(chan []byte, 1)
		if token := receiver.Subscribe("to/"+to, 1, func(_ paho.Client, m paho.Message) { got <- m.Payload() }); !token.WaitTimeout(time.Minute) || token.Error() != nil {
			t.Fatal(token.Error())
		}
		for from, sender := range clients {
			for _, size := range []int{0, 1, 125, 126, 4096, 70_000, 300_000} {
				want := bytes.Repeat([]byte{byte(size)}, size)
				if token := sender.Publish("to/"+to, 1, false, want); !token.WaitTimeout(time.Minute) || token.Error() != nil {
					t.Fatalf("%s to %s, %d bytes: %v", from, to, size, token.Error())
				}
				select {
				case b := <-got:
					if !bytes.Equal(b, want) {
						t.Errorf("%s to %s: %d bytes arrive as %d", from, to, size, len(b))
					}
				case <-time.After(time.Minute):
					t.Fatalf("%s to %s: %d bytes do not arrive", from, to, size)
				}
			}
		}
	}
}

// TestOtherHTTP checks that a browser at the broker's address gets an answer that says what is there.
func TestOtherHTTP(t *testing.T) {
	address := serve(t)
	for _, header := range []string{"", "chat"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Sec-WebSocket-Protocol", header)
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(b), "MQTT broker") {
			t.Errorf("%s: %s", resp.Status, b)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// scripted is a connection that a client has written to and closed.
type scripted struct {
	net.Conn
	in  io.Reader
	out bytes.Buffer
}

func (s *scripted) Read(b []byte) (int, error)     { return s.in.Read(b) }
func (s *scripted) Write(b []byte) (int, error)    { return s.out.Write(b) }
func (*scripted) SetDeadline(time.Time) error      { return nil }
func (*scripted) SetReadDeadline(time.Time) error  { return nil }
func (*scripted) SetWriteDeadline(time.Time) error { return nil }
func (*scripted) Close() error                     { return nil }

const request = "GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"

func TestRequestIsBounded(t *testing.T) {
	endless := &scripted{in: io.MultiReader(strings.NewReader("GET / HTTP/1.1\r\nA: "), strings.NewReader(strings.Repeat("a", 1<<20)))}
	if _, err := open(endless); !errors.Is(err, errNoWebSocket) {
		t.Errorf("an endless request: %v", err)
	}
	if left, _ := io.Copy(io.Discard, endless.in); left < 1<<19 {
		t.Errorf("only %d bytes are left: the request was read without a bound", left)
	}
}

// FuzzOpen reads what clients may send first: bytes that are no request for a WebSocket arrive unchanged.
func FuzzOpen(f *testing.F) {
	f.Add([]byte("\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"))
	f.Add([]byte("G"))
	f.Add([]byte(request))
	f.Add([]byte(strings.Replace(request, "mqtt\r\n\r\n", "mqtt\r\n\r\n\x82\x82\x00\x00\x00\x00\xc0\x00", 1)))
	f.Fuzz(func(t *testing.T, sent []byte) {
		c, err := open(&scripted{in: bytes.NewReader(sent)})
		if err != nil {
			return
		}
		got, err := io.ReadAll(c)
		if _, is := c.(*plain); is && (err != nil || !bytes.Equal(got, sent)) {
			t.Errorf("%d bytes arrive as %d: %v", len(sent), len(got), err)
		}
	})
}
