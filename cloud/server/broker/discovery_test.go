package broker

import (
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/topic"
)

func TestDiscoveryRights(t *testing.T) {
	with := func(a account) account { a.discovery = "ha"; return a }
	token := func(name string, r ledger.Role, sites ...string) account {
		return with(accountOf(ledger.Device{Name: name, Site: "farm", Role: r, Sites: sites}))
	}
	device, reader := token("edge1", ledger.RoleDevice), token("eye", ledger.RoleReader, "farm")
	operator, south := token("boss", ledger.RoleOperator, "farm"), token("south", ledger.RoleReader, "south")
	cloud := with(account{user: ServiceUser, service: true})
	everyone := []account{device, reader, operator, south, cloud}
	readers := []account{reader, operator, south}
	own := topic.DiscoveryOf("ha", topic.Sensor, "farm", "station_edge1_disk")
	for _, row := range []struct {
		name                      string
		publish, leave, subscribe []account
	}{
		{own, []account{cloud}, []account{cloud}, []account{reader, operator, cloud}},
		{"ha/status", readers, readers, []account{cloud}},
		{"ha/status/x", nil, nil, []account{cloud}},
		{"ha/light/farm/x/config", nil, nil, []account{reader, operator, cloud}},
		{"ha/sensor/farm/x/state", nil, nil, []account{reader, operator, cloud}},
		{"ha/#", nil, nil, append(readers, cloud)},
		{"ha/sensor/+/+/config", nil, nil, append(readers, cloud)},
		{"ha/sensor/+/config", nil, nil, append(readers, cloud)},
		{"ha/+/farm/+/config", nil, nil, []account{reader, operator, cloud}},
		{"ha/+/south/#", nil, nil, []account{south, cloud}},
		{"ha", nil, nil, nil},
		{"+/#", nil, nil, nil},
		{"other/sensor/farm/x/config", nil, nil, nil},
		{"$share/g/ha/#", nil, nil, nil},
	} {
		for _, a := range everyone {
			if got := a.mayPublish(row.name); got != holds(row.publish, a) {
				t.Errorf("%s publishes to %q: %v", a.user, row.name, got)
			}
			if got := a.mayLeave(row.name); got != holds(row.leave, a) {
				t.Errorf("%s leaves a will at %q: %v", a.user, row.name, got)
			}
			if got := a.maySubscribe(row.name); got != holds(row.subscribe, a) {
				t.Errorf("%s subscribes to %q: %v", a.user, row.name, got)
			}
			if a.discovery = ""; a.mayPublish(row.name) || a.mayLeave(row.name) || a.maySubscribe(row.name) {
				t.Errorf("%s reaches %q while the topics are off", a.user, row.name)
			}
		}
	}
	if operator.mayLeave(topic.Device{Site: "farm", Name: "edge1"}.Command()) {
		t.Error("an operator leaves an order as a will")
	}
}

// TestHomeAssistantConnects logs in as Home Assistant does, with its last will and its filters, and gets what is of its
// site only.
func TestHomeAssistantConnects(t *testing.T) {
	b, _ := startWith(t, nil, func(o *Options) { o.Discovery = "homeassistant" })
	cloud, err := dial(t, b, login{user: ServiceUser, password: "s3cret", id: "cloud"})
	if err != nil {
		t.Fatal(err)
	}
	object := "station_edge1_disk"
	own := topic.DiscoveryOf("homeassistant", topic.Sensor, "south", object)
	for _, name := range []string{topic.DiscoveryOf("homeassistant", topic.Sensor, "farm", object), own} {
		must(t, cloud.Publish(name, 1, true, "{}"))
	}
	o := mqtt.NewClientOptions().AddBroker(b.URL()).SetClientID("ha").SetUsername("south").SetPassword("south-token").
		SetAutoReconnect(false).SetWill("homeassistant/status", "offline", 0, false)
	ha := mqtt.NewClient(o)
	must(t, ha.Connect())
	t.Cleanup(func() { ha.Disconnect(0) })
	seen := make(chan string, 10)
	filters := []string{"homeassistant/sensor/+/config", "homeassistant/sensor/+/+/config", "homeassistant/#"}
	for _, filter := range filters {
		must(t, ha.Subscribe(filter, 0, func(_ mqtt.Client, m mqtt.Message) { seen <- m.Topic() }))
	}
	must(t, ha.Publish("homeassistant/status", 0, false, "online"))
	last := topic.DiscoveryOf("homeassistant", topic.BinarySensor, "south", "station_edge1_online")
	must(t, cloud.Publish(last, 1, true, "{}"))
	for {
		select {
		case name := <-seen:
			if name == last {
				return
			}
			if name != own {
				t.Fatalf("a reader of another site gets %s", name)
			}
		case <-time.After(patience):
			t.Fatal("no message")
		}
	}
}
