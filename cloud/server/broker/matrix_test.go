package broker

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"gopkg.in/yaml.v3"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/topic"
)

// right is who may publish to the topics of a channel and who may read them: a device its own, others those of their sites.
// The cloud reads everything.
type right struct {
	publish, read []ledger.Role
	cloud         bool // the cloud publishes there
}

var (
	stations   = []ledger.Role{ledger.RoleDevice}
	readers    = append(ledger.PeopleRoles(), ledger.RoleReader)
	commanders = []ledger.Role{ledger.RoleOperator, ledger.RoleAdmin}
	andStation = append(slices.Clone(readers), ledger.RoleDevice)
)

// rights has a rule for each channel of the AsyncAPI document.
var rights = map[string]right{
	"status":    {stations, readers, false},
	"vitals":    {stations, readers, false},
	"footage":   {stations, readers, false},
	"reply":     {stations, readers, false},
	"command":   {commanders, andStation, true},
	"job":       {nil, andStation, true},
	"count":     {nil, readers, true},
	"flight":    {nil, readers, true},
	"newest":    {nil, readers, true},
	"paddock":   {nil, readers, true},
	"discovery": {nil, readers, true},
}

// visitor is somebody with a token.
type visitor struct {
	login
	role    ledger.Role
	site    string // "*" for every site
	service bool
}

// has reports whether a topic of a device at a site is one of the visitor.
func (v visitor) has(at topic.Device) bool {
	if v.role == ledger.RoleDevice {
		return at == topic.Device{Site: v.site, Name: v.user}
	}
	return v.site == at.Site || v.site == ledger.AllSites
}

// Every channel of the AsyncAPI document, each role, its own and a foreign site, its own and another station: who may publish
// and who may subscribe, at a broker that runs. A channel without a rule fails.
func TestEveryTopicForEveryRole(t *testing.T) {
	var d struct {
		Channels map[string]struct {
			Address string `yaml:"address"`
		} `yaml:"channels"`
	}
	if err := yaml.Unmarshal(topic.AsyncAPI, &d); err != nil {
		t.Fatal(err)
	}
	if got, want := slices.Sorted(maps.Keys(d.Channels)), slices.Sorted(maps.Keys(rights)); !slices.Equal(got, want) {
		t.Fatalf("the document has the channels %v, and there are rules for %v", got, want)
	}
	b, people := startWith(t, nil, func(o *Options) { o.Discovery = "homeassistant" })
	visitors := []visitor{
		{login{user: ServiceUser, password: "s3cret"}, "", "", true},
		{login{user: "edge1", password: "edge1-token"}, ledger.RoleDevice, "farm", false},
	}
	people.mu.Lock()
	for _, role := range readers {
		for _, site := range []string{"farm", "south", ledger.AllSites} {
			name := string(role) + "-of-" + strings.ReplaceAll(site, "*", "all")
			people.devices = append(people.devices, ledger.Device{Name: name, Site: "farm", Role: role, Sites: ledger.SiteSet{site}})
			visitors = append(visitors, visitor{login{user: name, password: name + "-token"}, role, site, false})
		}
	}
	people.mu.Unlock()
	for _, v := range visitors {
		t.Run(v.user, func(t *testing.T) {
			t.Parallel()
			for channel, r := range rights {
				for _, at := range []topic.Device{{Site: "farm", Name: "edge1"}, {Site: "farm", Name: "edge2"}, {Site: "south", Name: "edge1"}} {
					name := strings.NewReplacer("{site}", at.Site, "{device}", at.Name, "{prefix}", "homeassistant", "{component}", "sensor",
						"{object}", "station_"+at.Name+"_disk", "{footage}", "x", "{command}", "x", "{job}", "x", "{flight}", "x",
						"{paddock}", "x").Replace(d.Channels[channel].Address)
					if strings.Contains(name, "{") {
						t.Fatalf("the address %s has an unknown parameter", name)
					}
					publish := v.service && r.cloud || slices.Contains(r.publish, v.role) && v.has(at)
					read := v.service || slices.Contains(r.read, v.role) && v.has(at)
					if got := v.publishes(t, b, name); got != publish {
						t.Errorf("publishes %s: %v, want %v", name, got, publish)
					}
					if got := v.subscribes(t, b, name); got != read {
						t.Errorf("reads %s: %v, want %v", name, got, read)
					}
				}
			}
		})
	}
}

// open connects the visitor.
func (v visitor) open(t *testing.T, b *Broker) mqtt.Client {
	t.Helper()
	v.id = "matrix"
	c, err := dial(t, b, v.login)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// publishes reports whether the broker takes a message. It ends the connection of one that may not.
func (v visitor) publishes(t *testing.T, b *Broker, name string) bool {
	t.Helper()
	c := v.open(t, b)
	defer c.Disconnect(0)
	tok := c.Publish(name, 1, false, `{"id":"x"}`)
	if !tok.WaitTimeout(time.Minute) {
		t.Fatal("no answer")
	}
	return tok.Error() == nil
}

func (v visitor) subscribes(t *testing.T, b *Broker, name string) bool {
	t.Helper()
	c := v.open(t, b)
	defer c.Disconnect(0)
	tok, ok := c.Subscribe(name, 1, nil).(*mqtt.SubscribeToken)
	if !ok || !tok.WaitTimeout(time.Minute) {
		t.Fatal("no answer")
	}
	return tok.Result()[name] < 0x80
}
