package broker

import (
	"context"
	"strings"
	"sync"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"cattlecounter/shared/topic"
)

// auditLines is an audit log in memory.
type auditLines struct {
	mu  sync.Mutex
	all []string
}

func (l *auditLines) Record(_ context.Context, action, subject string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, action+" "+subject)
	return nil
}

func (l *auditLines) get() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.all...)
}

// What shows an id reaches the station, which answers it. The rest gets a line in the audit log, and one account gets only
// some of them.
func TestMalformedOrders(t *testing.T) {
	log := &auditLines{}
	b, _ := startWith(t, nil, func(o *Options) { o.Audit = log })
	dock := topic.Device{Site: "farm", Name: "edge1"}
	edge, err := dial(t, b, login{user: "edge1", password: "edge1-token", id: "e"})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 100)
	must(t, edge.Subscribe(dock.Command(), 1, func(_ mqtt.Client, m mqtt.Message) { got <- string(m.Payload()) }))
	boss, err := dial(t, b, login{user: "boss", password: "boss-token", id: "b"})
	if err != nil {
		t.Fatal(err)
	}
	for _, payload := range []string{"pause", "{", `{"name":"pause"}`, "", `{"id":"1","name":"pau`, `{"id":"2","nam":"pause"}`,
		`{"id":"3","name":"pause"}`} {
		must(t, boss.Publish(dock.Command(), 1, false, payload))
	}
	for _, want := range []string{`{"id":"1","name":"pau`, `{"id":"2","nam":"pause"}`, `{"id":"3","name":"pause"}`} {
		if p := <-got; p != want {
			t.Errorf("the station got %q, want %q", p, want)
		}
	}
	for i, want := range []string{"invalid character 'p'", "unexpected end", "its id"} {
		if all := log.get(); len(all) != 3 || !strings.HasPrefix(all[i], "refused order "+dock.Command()+": not an order: ") ||
			!strings.Contains(all[i], want) {
			t.Fatalf("the audit log has %q, want %q", all, want)
		}
	}
	must(t, boss.Publish(dock.Command(), 1, false, `{"na`+"\u202e"+strings.Repeat("x", 5000)+`":1}`))
	if all := log.get(); len(all) != 4 || len(all[3]) > 500 || strings.ContainsRune(all[3], '\u202e') || !strings.HasSuffix(all[3], "xx…") {
		t.Errorf("a long reason: %q", all[len(all)-1])
	}
	// Each message to a topic that is none ends the connection.
	for _, name := range []string{"cattle/v1/farm/edge1/commands", "cattle/v2/farm/edge1/command", "cattle/v1/south/dock/command"} {
		c, err := dial(t, b, login{user: "boss", password: "boss-token", id: "wrong"})
		if err != nil {
			t.Fatal(err)
		}
		refused := c.Publish(name, 1, false, "{}")
		must2(t, refused)
		if all := log.get(); refused.Error() == nil || !strings.HasPrefix(all[len(all)-1], "refused order "+name+": want cattle/v1/") {
			t.Errorf("%s: %v, the audit log has %q", name, refused.Error(), all)
		}
	}
	for range 5 * auditAtOnce {
		must(t, boss.Publish(dock.Command(), 1, false, "pause"))
	}
	if n := len(log.get()); n < auditAtOnce || n > 2*auditAtOnce {
		t.Errorf("%d lines of one account in the audit log", n)
	}
}
