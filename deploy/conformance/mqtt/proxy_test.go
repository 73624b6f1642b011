package mqtt

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// fault is one departure of a cloud from the contract. A proxy in front of our cloud causes it.
type fault struct {
	// up changes a packet of a client: what it returns goes to the broker. down does it with a packet of the broker.
	up, down func(*link, packets.ControlPacket) []packets.ControlPacket
	// connect changes a log-in.
	connect func(*link, *packets.ConnectPacket)
	// subscribed is called after a filter was answered.
	subscribed func(l *link, filter string)
	// request answers a request itself when it returns true. body changes an answer of the API.
	request func(w http.ResponseWriter, path, body string) bool
	body    func(path, text string) string
	// stays keeps a connection open that the broker ends.
	stays bool
}

// proxy is between the kit and our cloud.
type proxy struct {
	fault
	t      *testing.T
	broker string
	mu     sync.Mutex
	links  map[*link]bool
	kept   map[string][]byte // messages of faults, by topic
	again  bool              // after a restart that was only pretended
	all    sync.WaitGroup
}

// link is one connection.
type link struct {
	p              *proxy
	client, server net.Conn
	user, id       string
	mu             sync.Mutex // of writes to the client
	filters        map[uint16]string
	waiting        map[uint16]bool // identifiers of messages that the client has not acknowledged
}

// behind returns the options of a cloud behind a proxy with a fault.
func behind(t *testing.T, o Options, f fault) Options {
	t.Helper()
	p := &proxy{fault: f, t: t, links: map[*link]bool{}, kept: map[string][]byte{}}
	_, p.broker, _ = strings.Cut(o.URL, "://")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			p.all.Go(func() { p.serve(c) })
		}
	})
	api := httptest.NewServer(p.api(o.API))
	t.Cleanup(func() {
		_ = ln.Close()
		p.cut()
		p.all.Wait()
		api.Close()
	})
	o.URL, o.API = "mqtt://"+ln.Addr().String(), api.URL
	o.Restart = func(context.Context) error {
		p.mu.Lock()
		p.again = true
		p.mu.Unlock()
		p.cut()
		return nil
	}
	return o
}

// cut ends every connection.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		_ = l.client.Close()
		_ = l.server.Close()
	}
}

func (p *proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.broker)
	if err != nil {
		_ = client.Close()
		return
	}
	l := &link{p: p, client: client, server: server, filters: map[uint16]string{}, waiting: map[uint16]bool{}}
	p.mu.Lock()
	p.links[l] = true
	p.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.fromBroker()
		if !p.stays {
			_ = client.Close()
		}
	}()
	l.fromClient()
	_ = client.Close()
	_ = server.Close()
	<-ended
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

func (l *link) fromClient() {
	for {
		pk, err := packets.ReadPacket(l.client)
		if err != nil {
			return
		}
		switch pk := pk.(type) {
		case *packets.ConnectPacket:
			l.user, l.id = pk.Username, pk.ClientIdentifier
			if l.p.connect != nil {
				l.p.connect(l, pk)
			}
		case *packets.SubscribePacket:
			l.mu.Lock()
			l.filters[pk.MessageID] = pk.Topics[0]
			l.mu.Unlock()
		case *packets.PubackPacket:
			l.mu.Lock()
			delete(l.waiting, pk.MessageID)
			l.mu.Unlock()
		}
		out := []packets.ControlPacket{pk}
		if l.p.up != nil {
			out = l.p.up(l, pk)
		}
		for _, pk := range out {
			if pk.Write(l.server) != nil && !l.p.stays {
				return
			}
		}
	}
}

func (l *link) fromBroker() {
	for {
		pk, err := packets.ReadPacket(l.server)
		if err != nil {
			return
		}
		if m, ok := pk.(*packets.PublishPacket); ok && m.Qos == 1 {
			l.mu.Lock()
			l.waiting[m.MessageID] = true
			l.mu.Unlock()
		}
		out := []packets.ControlPacket{pk}
		if l.p.down != nil {
			out = l.p.down(l, pk)
		}
		for _, pk := range out {
			l.write(pk)
		}
		if ack, ok := pk.(*packets.SubackPacket); ok && l.p.subscribed != nil {
			l.p.subscribed(l, l.filterOf(ack.MessageID))
		}
	}
}

func (l *link) filterOf(id uint16) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.filters[id]
}

func (l *link) write(pk packets.ControlPacket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = pk.Write(l.client) // the client may have gone
}

// is reports whether the user of the connection has a role that the kit made: a, b, reader, stranger or operator.
func (l *link) is(role string) bool { return strings.HasSuffix(l.user, "-"+role) }

// give sends a message to the client as if it came from the broker. It uses QoS 1 and an identifier that is not used.
func (l *link) give(topic string, payload []byte, retain bool) {
	m := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	m.TopicName, m.Payload, m.Qos, m.Retain, m.MessageID = topic, payload, 1, retain, 60_000
	l.write(m)
}

// ack acknowledges a message of the client without the broker.
func (l *link) ack(m *packets.PublishPacket) {
	a := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
	a.MessageID = m.MessageID
	l.write(a)
}

// each calls f for the connections of a role.
func (p *proxy) each(role string, f func(*link)) {
	p.mu.Lock()
	var all []*link
	for l := range p.links {
		if l.is(role) {
			all = append(all, l)
		}
	}
	p.mu.Unlock()
	for _, l := range all {
		f(l)
	}
}

// api passes requests on and changes the answers.
func (p *proxy) api(to string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if p.request != nil && p.request(w, r.URL.Path, string(sent)) {
			return
		}
		out, err := http.NewRequestWithContext(r.Context(), r.Method, to+r.URL.RequestURI(), bytes.NewReader(sent))
		if err != nil {
			return
		}
		out.Header = r.Header.Clone()
		out.Header.Del("Accept-Encoding") // the transport then asks for gzip itself, and body sees the text
		answer, err := http.DefaultTransport.RoundTrip(out)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			return
		}
		if p.body != nil {
			text = []byte(p.body(r.URL.Path, string(text)))
		}
		for name, v := range answer.Header {
			w.Header()[name] = v
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		w.WriteHeader(answer.StatusCode)
		_, _ = w.Write(text)
	})
}
