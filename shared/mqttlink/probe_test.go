package mqttlink

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/port"
	"cattlecounter/shared/secret"
)

func TestProbe(t *testing.T) {
	s := newServer(t)
	s.gate.deny = "others/command"
	s.start()
	defer s.stop()
	dead := port.Free(t)
	for _, c := range []struct {
		name, addr, password, filter string
		want                         error
		fails                        bool // with another error
	}{
		{"good account", s.addr, "secret", "own/command", nil, false},
		{"without a filter", s.addr, "secret", "", nil, false},
		{"wrong password", s.addr, "guess", "own/command", ErrCredentials, false},
		{"without the right", s.addr, "secret", "others/command", ErrRights, false},
		{"no broker", dead, "secret", "", nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Probe(t.Context(), Options{URL: "tcp://" + c.addr, ClientID: "probe", Username: "dock",
				Password: secret.New(c.password)}, c.filter)
			other := err != nil && !errors.Is(err, ErrCredentials) && !errors.Is(err, ErrRights)
			if other != c.fails || !c.fails && !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
	// The broker removes the client when it has read the DISCONNECT.
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(patience); ; <-tick.C {
		if _, there := s.b.Clients.Get("probe"); !there {
			break
		}
		if time.Now().After(limit) {
			t.Fatal("the probe left a session behind")
		}
	}
	if err := Probe(t.Context(), Options{}, ""); err == nil {
		t.Error("no error without a URL")
	}
}

// A probe of a broker that accepts and does not answer ends with its context.
func TestProbeOfSilentBroker(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err = Probe(ctx, Options{URL: "tcp://" + l.Addr().String(), ClientID: "probe"}, "")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
