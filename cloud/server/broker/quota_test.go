package broker

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/topic"
)

// Each role × own and foreign site × each kind of topic.
func TestRightsAtSites(t *testing.T) {
	north := topic.Device{Site: "north", Name: "dock"}
	topics := []string{north.Status(), north.Vitals(), north.Footage("f"), north.CommandReply("c"), north.Command(),
		north.Job("j"), topic.Counts("north", "f"), topic.FlightCount("north", "f")}
	for _, role := range append(ledger.PeopleRoles(), ledger.RoleReader) {
		own := accountOf(ledger.Device{Name: "a", Site: "north", Role: role, Sites: ledger.SiteSet{"north", "south"}})
		foreign := accountOf(ledger.Device{Name: "b", Site: "south", Role: role, Sites: ledger.SiteSet{"south"}})
		all := accountOf(ledger.Device{Name: "c", Site: "south", Role: role, Sites: ledger.SiteSet{ledger.AllSites}})
		commands := role == ledger.RoleOperator || role == ledger.RoleAdmin
		for _, name := range topics {
			may := commands && name == north.Command()
			if own.mayPublish(name) != may || all.mayPublish(name) != may || foreign.mayPublish(name) {
				t.Errorf("%s publishes %s: own %v, all %v, foreign %v, want %v, %v, false", role, name, own.mayPublish(name),
					all.mayPublish(name), foreign.mayPublish(name), may, may)
			}
			if !own.maySubscribe(name) || !all.maySubscribe(name) || foreign.maySubscribe(name) {
				t.Errorf("%s reads %s: own %v, all %v, foreign %v", role, name, own.maySubscribe(name), all.maySubscribe(name),
					foreign.maySubscribe(name))
			}
		}
		for filter, want := range map[string]bool{"cattle/v1/north/#": false, "cattle/v1/south/#": true, everything: true,
			"cattle/v1/+/counts/+": true, "cattle/v1": false, "cattle/v1/southern/#": false, "#": false} {
			if foreign.maySubscribe(filter) != want {
				t.Errorf("%s of south subscribes to %s: %v, want %v", role, filter, !want, want)
			}
		}
	}
}

// A filter for all sites delivers own sites only, also what is retained. An order to a foreign site does not arrive.
func TestSitesLimitDeliveries(t *testing.T) {
	b, _ := start(t)
	edge, err := dial(t, b, login{user: "edge1", password: "edge1-token", id: "e"})
	if err != nil {
		t.Fatal(err)
	}
	dock := topic.Device{Site: "farm", Name: "edge1"}
	must(t, edge.Publish(dock.Status(), 1, true, "online"))
	orders := make(chan string, 4)
	must(t, edge.Subscribe(dock.Command(), 1, func(_ mqtt.Client, m mqtt.Message) { orders <- string(m.Payload()) }))
	got := map[string]chan string{}
	clients := map[string]mqtt.Client{}
	for _, name := range []string{"south", "boss"} {
		c, err := dial(t, b, login{user: name, password: name + "-token", id: name})
		if err != nil {
			t.Fatal(err)
		}
		seen := make(chan string, 16)
		must(t, c.Subscribe(everything, 1, func(_ mqtt.Client, m mqtt.Message) { seen <- m.Topic() }))
		got[name], clients[name] = seen, c
	}
	stranger, err := dial(t, b, login{user: "south", password: "south-token", id: "stranger"})
	if err != nil {
		t.Fatal(err)
	}
	refused := stranger.Publish(dock.Command(), 1, false, `{"id":"from-south"}`)
	must2(t, refused)
	if refused.Error() == nil {
		t.Error("an order to a foreign site is accepted")
	}
	must(t, clients["boss"].Publish(dock.Command(), 1, false, `{"id":"from-boss"}`))
	if order := receive(t, orders); order != `{"id":"from-boss"}` {
		t.Errorf("the station got the order %q", order)
	}
	for range 2 { // the status and the order
		select {
		case <-got["boss"]:
		case <-time.After(patience):
			t.Fatal("the operator of the site got nothing")
		}
	}
	select {
	case name := <-got["south"]:
		t.Errorf("the operator of south got %s", name)
	default:
	}
}

// One account cannot retain more than its quota; others and the cloud still can.
func TestRetainedQuota(t *testing.T) {
	b, _ := start(t)
	c, err := dial(t, b, login{user: "edge1", password: "edge1-token", id: "e"})
	if err != nil {
		t.Fatal(err)
	}
	dock, other := topic.Device{Site: "farm", Name: "edge1"}, topic.Device{Site: "farm", Name: "edge2"}
	big := bytes.Repeat([]byte("x"), maxRetained)
	const most = userRetainedBytes / maxRetained
	for i := range most + 40 {
		must(t, c.Publish(dock.Footage(footage.ID(fmt.Sprintf("f%d", i))), 1, true, big))
	}
	if n := b.retainedBelow(dock.Prefix()); n > most {
		t.Errorf("%d messages of 64 KiB are retained, want at most %d", n, most)
	}
	must(t, c.Publish(dock.Footage("f0"), 1, true, []byte{})) // room again
	must(t, c.Publish(dock.Footage("small"), 1, true, "x"))
	if _, ok := b.server.Topics.Retained.Get(dock.Footage("small")); !ok {
		t.Error("no room after a deletion")
	}
	c2, err := dial(t, b, login{user: "edge2", password: "edge2-token", id: "e"})
	if err != nil {
		t.Fatal(err)
	}
	must(t, c2.Publish(other.Status(), 1, true, "online"))
	if _, ok := b.server.Topics.Retained.Get(other.Status()); !ok {
		t.Error("another device has no room")
	}
}

// A session has a bounded number of subscriptions.
func TestSubscriptionQuota(t *testing.T) {
	b, _ := start(t)
	c, err := dial(t, b, login{user: "edge1", password: "edge1-token", id: "e"})
	if err != nil {
		t.Fatal(err)
	}
	dock := topic.Device{Site: "farm", Name: "edge1"}
	refused := 0
	for i := range userSubscriptions + 20 {
		tok := c.Subscribe(dock.Job(fmt.Sprintf("j%d", i)), 1, nil).(*mqtt.SubscribeToken)
		must2(t, tok)
		for _, code := range tok.Result() {
			if code == 0x80 {
				refused++
			}
		}
	}
	if refused != 20 {
		t.Errorf("%d subscriptions were refused, want 20", refused)
	}
}

// retainedBelow counts the retained messages of topics with a prefix.
func (b *Broker) retainedBelow(prefix string) (n int) {
	for name := range b.server.Topics.Retained.GetAll() {
		if strings.HasPrefix(name, prefix) {
			n++
		}
	}
	return n
}

// must2 waits for an answer that may be a refusal.
func must2(t *testing.T, tok mqtt.Token) {
	t.Helper()
	if !tok.WaitTimeout(patience) {
		t.Fatal("no answer")
	}
}

// The retained messages of a revoked device are deleted, and its session ends.
func TestRevokedDeviceLeavesNothing(t *testing.T) {
	b, people := start(t)
	lost := make(chan error, 1)
	c, err := dial(t, b, login{user: "edge1", password: "edge1-token", id: "e", lost: lost})
	if err != nil {
		t.Fatal(err)
	}
	dock := topic.Device{Site: "farm", Name: "edge1"}
	must(t, c.Publish(dock.Status(), 1, true, "online"))
	people.revoke("edge1")
	<-lost
	if err := b.dropRevoked(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := b.retainedBelow(dock.Prefix()); n != 0 {
		t.Errorf("%d messages of a revoked device are retained", n)
	}
}

// A renewed token ends the session that logged in with the one before.
func TestGenerationEndsSessions(t *testing.T) {
	b, people := start(t)
	lost := make(chan error, 1)
	if _, err := dial(t, b, login{user: "boss", password: "boss-token", id: "e", lost: lost}); err != nil {
		t.Fatal(err)
	}
	people.mu.Lock()
	for i := range people.devices {
		people.devices[i].Generation++
	}
	people.mu.Unlock()
	select {
	case <-lost:
	case <-time.After(patience):
		t.Fatal("the session lives on")
	}
}

// One address cannot take every connection.
func TestConnectionsOfOneAddress(t *testing.T) {
	b, _ := start(t)
	var held []net.Conn
	defer func() {
		for _, c := range held {
			c.Close()
		}
	}()
	for range maxConnections {
		c, err := net.Dial("tcp", b.Addr())
		if err != nil {
			break
		}
		held = append(held, c)
	}
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	o := mqtt.NewClientOptions().AddBroker(b.URL()).SetClientID("e").SetUsername("edge1").SetPassword("edge1-token").
		SetProtocolVersion(4).SetDialer(from)
	c := mqtt.NewClient(o)
	tok := c.Connect()
	must2(t, tok)
	if tok.Error() != nil {
		t.Errorf("another address: %v", tok.Error())
	}
	c.Disconnect(50)
}
