package web

import (
	"errors"
	"net"
	"net/http"
	"testing"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/shared/wire"
)

// One address and one account leave event streams for others.
func TestStreamsOfOneClient(t *testing.T) {
	var s streams
	leave := map[string]func(){}
	for i := range streamsPerAddress {
		f, err := s.enter("10.0.0.1", "")
		if err != nil {
			t.Fatalf("stream %d: %v", i, err)
		}
		leave["10.0.0.1"] = f
	}
	var p *problem.Error
	if _, err := s.enter("10.0.0.1", ""); !errors.As(err, &p) || p.Slug() != wire.SlugTooManyListeners {
		t.Errorf("one more of the address: %v", err)
	}
	if _, err := s.enter("10.0.0.2", ""); err != nil {
		t.Errorf("another address: %v", err)
	}
	leave["10.0.0.1"]()
	leave["10.0.0.1"]()
	if _, err := s.enter("10.0.0.1", ""); err != nil {
		t.Errorf("after one ended: %v", err)
	}
	if _, err := s.enter("10.0.0.1", ""); err == nil {
		t.Error("a second end of one stream counts")
	}
	for i := range streamsPerAccount {
		if _, err := s.enter("10.0.1."+string(rune('0'+i%5)), "anna"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.enter("10.0.2.1", "anna"); err == nil {
		t.Error("one account has every stream")
	}
}

// One address cannot take every connection; another one is answered, and is not kept while it is crowded.
func TestConnectionsOfOneAddress(t *testing.T) {
	s := open(t, nil)
	var held []net.Conn
	defer func() {
		for _, c := range held {
			c.Close()
		}
	}()
	for range maxConns {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			break
		}
		held = append(held, c)
	}
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	client := &http.Client{Transport: &http.Transport{DialContext: from.DialContext}}
	defer client.CloseIdleConnections()
	r, err := client.Get(s.url + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusOK {
		t.Errorf("another address: %s", r.Status)
	}
	if n := s.ln.open(); n > maxPerAddress+1 {
		t.Errorf("%d connections are open, want at most %d", n, maxPerAddress+1)
	}
}
