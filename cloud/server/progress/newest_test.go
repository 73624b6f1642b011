package progress

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/broker"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/mqttlink"
	"cattlecounter/shared/topic"
)

// counted records footage of a time and counts it.
func counted(t *testing.T, l *ledger.Ledger, device, id string, at time.Time, n int) ledger.Job {
	t.Helper()
	r, err := l.Footage.Record(t.Context(), ledger.Footage{ID: footage.ID(id), Site: "farm", Device: device, Captured: at,
		Name: id + ".mp4", Size: 1, SHA256: footage.Sum([]byte(id)), BlobKey: "footage/" + id + "/original.mp4"})
	if err != nil {
		t.Fatal(err)
	}
	j := begin(t, l, r.Job.ID)
	finish(t, l, j, n)
	return j
}

// spread stores how the animals of a count lie in paddocks.
func spread(t *testing.T, l *ledger.Ledger, id string, paddocks map[string]int) {
	t.Helper()
	g := ledger.Ground{Spread: ledger.Spread{Way: "camera", Placed: 1, Borders: 1}}
	for name, n := range paddocks {
		g.Paddocks = append(g.Paddocks, ledger.PaddockCount{Name: name, Animals: &n, Low: &n, High: &n, Seen: 1})
	}
	if err := l.Grounds.Put(t.Context(), ledger.DueGround{Footage: footage.ID(id), Mark: 9}, g); err != nil {
		t.Fatal(err)
	}
}

// TestNewestCounts has two stations. What is newest is decided by the time of recording, not by that of counting.
func TestNewestCounts(t *testing.T) {
	l, b := openLedger(t), newFakeBroker()
	s := sources(l)
	s.Borders = func(context.Context, string) (now, before []string, err error) {
		return []string{"Hill", "Dam camp"}, []string{"Hill", "Dam camp", "Old"}, nil
	}
	b.retained[topic.PaddockOf("farm", "Old")] = []byte("{}")
	p := NewPublisher(s, slog.New(slog.DiscardHandler))
	p.Use(b)
	run(t, p)
	noon := time.Now().Add(-24 * time.Hour).UTC().Truncate(time.Second)
	counted(t, l, "edge1", "b", noon.Add(time.Hour), 20)
	spread(t, l, "b", map[string]int{"Hill": 12, "Old": 3})
	counted(t, l, "edge1", "a", noon, 10) // recorded earlier, counted later
	spread(t, l, "a", map[string]int{"Hill": 7, "Dam camp": 3})
	counted(t, l, "edge2", "c", noon, 5)
	await(t, b, topic.NewestOf("farm", "edge2"), func(m topic.Newest) bool { return m.Unique == 5 && m.Footage == "c" })
	m := await(t, b, topic.NewestOf("farm", "edge1"), func(m topic.Newest) bool { return m.Unique == 20 })
	if m.Captured == nil || !m.Captured.Equal(noon.Add(time.Hour)) || m.Seq == 0 || m.CountedAt.IsZero() {
		t.Errorf("newest: %+v", m)
	}
	dam := await(t, b, topic.PaddockOf("farm", "Dam camp"), func(m topic.PaddockCount) bool { return m.Animals == 3 })
	if dam.Paddock != "Dam camp" || dam.Footage != "a" {
		t.Errorf("paddock: %+v", dam)
	}
	await(t, b, topic.PaddockOf("farm", "Hill"), func(m topic.PaddockCount) bool { return m.Animals == 12 })
	b.mu.Lock()
	defer b.mu.Unlock()
	if old, ok := b.retained[topic.PaddockOf("farm", "Old")]; ok {
		t.Errorf("a paddock that the site has no more is retained: %s", old)
	}
}

// run runs a Publisher until the end of the test.
func run(t *testing.T, p *Publisher) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestOldCountsEnd keeps the messages of two pieces of footage at a real broker. A subscriber from before gets an empty
// message for each older one, and one that comes later gets the two and the newest count of the station.
func TestOldCountsEnd(t *testing.T) {
	broker.Each(t, func(t *testing.T, b *broker.Broker) {
		b.Start()
		l := openLedger(t)
		var jobs []ledger.Job
		noon := time.Now().Add(-24 * time.Hour)
		for i := range 5 {
			id := fmt.Sprint("f", i)
			jobs = append(jobs, counted(t, l, "edge1", id, noon.Add(time.Duration(i)*time.Minute), i))
		}
		link, err := mqttlink.New(mqttlink.Options{URL: b.URL(), ClientID: "cloud", Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- link.Run(ctx) }()
		t.Cleanup(func() { cancel(); <-done })
		d := topic.Device{Site: "farm", Name: "edge1"}
		live := b.Subscribe("cattle/v1/#")
		mark := mqttlink.Message{Topic: d.Status(), Payload: []byte("{}"), Retain: true}
		if err := link.Deliver(t.Context(), mark); err != nil {
			t.Fatal(err)
		}
		next(t, live) // the subscription is there
		p := NewPublisher(sources(l), slog.New(slog.DiscardHandler))
		p.keep = 2
		p.Use(link)
		run(t, p)
		empty := map[string]bool{}
		for _, i := range []int{0, 1, 2} {
			empty[topic.Counts("farm", footage.ID(fmt.Sprint("f", i)))], empty[d.Job(jobs[i].ID)] = true, true
		}
		for len(empty) > 0 {
			if m := next(t, live); len(m.Payload) == 0 {
				delete(empty, m.Topic)
			}
		}
		late := b.Subscribe("cattle/v1/#")
		want := map[string]bool{topic.Counts("farm", "f3"): true, topic.Counts("farm", "f4"): true, d.Job(jobs[3].ID): true,
			d.Job(jobs[4].ID): true, topic.NewestOf("farm", "edge1"): true, d.Status(): true}
		for len(want) > 0 {
			m := nextRetained(t, late)
			if !want[m.Topic] {
				t.Errorf("%s is retained: %s", m.Topic, m.Payload)
			}
			delete(want, m.Topic)
		}
		// A change of a count that has ended is published, and not retained.
		spread(t, l, "f0", map[string]int{"Hill": 1})
		for {
			m := next(t, late)
			var c topic.Count
			if err := json.Unmarshal(m.Payload, &c); err != nil {
				t.Fatalf("%s: %v", m.Topic, err)
			}
			if m.Topic == topic.Counts("farm", "f0") && len(c.Paddocks) == 1 {
				break
			}
		}
		again := b.Subscribe("cattle/v1/#")
		for range 6 {
			if m := nextRetained(t, again); m.Topic == topic.Counts("farm", "f0") {
				t.Errorf("%s is retained again", m.Topic)
			}
		}
	})
}

// nextRetained skips what is published after the subscription.
func nextRetained(t *testing.T, messages <-chan broker.Message) broker.Message {
	t.Helper()
	for {
		if m := next(t, messages); m.Retained {
			return m
		}
	}
}

func next(t *testing.T, messages <-chan broker.Message) broker.Message {
	t.Helper()
	select {
	case m := <-messages:
		return m
	case <-time.After(time.Minute):
		t.Fatal("no message")
		return broker.Message{}
	}
}
