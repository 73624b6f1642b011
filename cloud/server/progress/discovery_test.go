package progress

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/broker"
	"cattlecounter/shared/mqttlink"
	"cattlecounter/shared/topic"
)

// paddocks are those of the site "farm". They may change while a publisher runs.
type paddocks struct {
	mu          sync.Mutex
	now, before []string
}

func (p *paddocks) at(_ context.Context, site string) (now, before []string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if site != "farm" {
		return nil, nil, nil
	}
	return p.now, p.before, nil
}

func (p *paddocks) set(now, before []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now, p.before = now, before
}

// TestDiscovery describes stations and paddocks to a real broker, and ends them after they were removed. A broker
// that lost its messages gets them again.
func TestDiscovery(t *testing.T) {
	broker.Each(t, func(t *testing.T, b *broker.Broker) {
		b.Start()
		l := openLedger(t)
		for _, name := range []string{"edge1", "edge2", "old"} {
			if _, err := l.Devices.Add(t.Context(), name, "farm", ledger.RoleDevice); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := l.Devices.Add(t.Context(), "eye", "farm", ledger.RoleReader); err != nil {
			t.Fatal(err)
		}
		revoke(t, l, "old")
		borders := &paddocks{now: []string{"Hill", "Süd"}, before: []string{"Hill", "Süd", "Gone"}}
		s := sources(l)
		s.Borders = borders.at
		p := NewPublisher(s, slog.New(slog.DiscardHandler))
		link, err := mqttlink.New(mqttlink.Options{URL: b.URL(), ClientID: "cloud", OnUp: p.Connected,
			Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		runLink(t, link)
		left := topic.PaddockEntity("ha", "v1", "farm", "Gone").Topic // from before a restart
		old := topicsOf(topic.StationEntities("ha", "v1", topic.Device{Site: "farm", Name: "old"}))
		for _, name := range append(old, left) {
			if err := link.Deliver(t.Context(), mqttlink.Message{Topic: name, Payload: []byte("{}"), Retain: true}); err != nil {
				t.Fatal(err)
			}
		}
		p.Discover(Discovery{Prefix: "ha", Version: "v1", Devices: l.Devices, Sites: l.Sites})
		p.discovery.every = 0
		p.Use(link)
		live := b.Subscribe("ha/#")
		next(t, live) // the subscription is there
		run(t, p)
		edge1 := topic.StationEntities("ha", "v1", topic.Device{Site: "farm", Name: "edge1"})
		edge2 := topic.StationEntities("ha", "v1", topic.Device{Site: "farm", Name: "edge2"})
		hill, south := topic.PaddockEntity("ha", "v1", "farm", "Hill"), topic.PaddockEntity("ha", "v1", "farm", "Süd")
		all := append(append(edge1, edge2...), hill, south)
		retained(t, live, all, append(old, left))

		revoke(t, l, "edge1")
		borders.set([]string{"Hill"}, []string{"Hill", "Süd", "Gone"})
		retained(t, live, nil, append(topicsOf(edge1), south.Topic))
		b.Stop()
		b.Start()
		retained(t, b.Subscribe("ha/#"), append(edge2, hill), nil)
	})
}

func revoke(t *testing.T, l *ledger.Ledger, name string) {
	t.Helper()
	if err := l.Devices.Revoke(t.Context(), name); err != nil {
		t.Fatal(err)
	}
}

func runLink(t *testing.T, link *mqttlink.Link) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- link.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

// retained reads messages until the last ones of the entities are their configurations, and those of ended are empty.
func retained(t *testing.T, messages <-chan broker.Message, entities []topic.Entity, ended []string) {
	t.Helper()
	want := map[string][]byte{}
	for _, e := range entities {
		text, err := json.Marshal(e.Discovery)
		if err != nil {
			t.Fatal(err)
		}
		want[e.Topic] = text
	}
	for _, name := range ended {
		want[name] = []byte{}
	}
	for len(want) > 0 {
		m := next(t, messages)
		if text, ok := want[m.Topic]; ok && bytes.Equal(text, m.Payload) {
			delete(want, m.Topic)
		}
	}
}

// TestDiscoveryIsBounded leaves out what is over the limit, says so once, and publishes nothing twice.
func TestDiscoveryIsBounded(t *testing.T) {
	l, b := openLedger(t), newFakeBroker()
	for i := range 5 {
		if _, err := l.Devices.Add(t.Context(), fmt.Sprint("edge", i), "farm", ledger.RoleDevice); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	p := NewPublisher(sources(l), slog.New(slog.NewTextHandler(&log, nil)))
	p.Use(b)
	p.Discover(Discovery{Prefix: "ha", Version: "v1", Devices: l.Devices, Sites: l.Sites})
	p.discovery.every, p.discovery.most = 0, 12
	look := func() {
		t.Helper()
		if err := p.discover(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	look()
	look()
	for name, seqs := range b.history {
		if len(seqs) != 1 {
			t.Errorf("%s was published %d times", name, len(seqs))
		}
	}
	if len(b.retained) != 12 || strings.Count(log.String(), "too many entities") != 1 {
		t.Errorf("%d are retained; log: %s", len(b.retained), &log)
	}
	revoke(t, l, "edge0") // edge3 takes its place
	look()
	disk := topic.DiscoveryOf("ha", topic.Sensor, "farm", "station_edge3_disk")
	if _, ok := b.retained[disk]; !ok || len(b.retained) != 12 {
		t.Errorf("%d are retained", len(b.retained))
	}
	p.discovery.every, p.discovery.lookAt = time.Hour, time.Now()
	revoke(t, l, "edge1")
	if look(); len(b.retained) != 12 {
		t.Error("it looked before it was due")
	}
	p.discovery.forget() // a new connection: what was removed meanwhile is ended too
	if look(); len(b.retained) != 12 {
		t.Errorf("%d are retained", len(b.retained))
	}
	if _, ok := b.retained[topic.DiscoveryOf("ha", topic.Sensor, "farm", "station_edge1_disk")]; ok {
		t.Error("a revoked station is retained")
	}
}
