package stations

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/broker"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/orderkey"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

// follower is a station that answers orders by its pinned key, and follows rotations.
type follower struct {
	mu     sync.Mutex
	pinned orderkey.Public
	got    chan string // names of opened orders, and "" for refused ones
	client mqtt.Client
}

func (f *follower) handle(_ mqtt.Client, m mqtt.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := topic.ParseOrder(m.Payload())
	r := topic.Reply{Header: headerNow(100), ID: c.ID, Name: c.Name, State: topic.Finished}
	opened, key, err2 := f.pinned.OpenFollowing(c, dock)
	if err != nil || err2 != nil {
		r.State = topic.Refused
	}
	f.pinned = key
	text, _ := json.Marshal(r)
	f.got <- opened.Name // before the answer, after which the test looks
	f.client.Publish(dock.CommandReply(c.ID), 1, true, text)
}

// A station that reports an old key gets one order that leads it to the new one. One that reports the new key, or none, gets
// nothing. One that does not follow is shown.
func TestRotationIsAnnounced(t *testing.T) {
	broker.Each(t, func(t *testing.T, b *broker.Broker) {
		b.Start()
		old := orderkey.New()
		keys := ledger.OrderKeys{Current: orderkey.New(), Since: time.Now()}
		keys.Links = []string{must.Get(old.Succeed(keys.Current.Public(), keys.Since))(t)}
		current := keys.Current.Public().ID()
		f := newSigningField(t, b, Options{Sign: func(_ context.Context, c topic.Command, pinned time.Time) (topic.Command, error) {
			return keys.Sign(c, pinned)
		}, Key: func(ctx context.Context) (string, error) {
			if ledger.Actor(ctx) != "test" {
				return "", errors.New("the test announces at its own times")
			}
			return current, nil
		}})
		s := &follower{pinned: old.Public(), got: make(chan string, 10), client: b.Connect("edge-north-dock-1", nil)}
		if tok := s.client.Subscribe(dock.Command(), 1, s.handle); !tok.WaitTimeout(time.Minute) || tok.Error() != nil {
			t.Fatal(tok.Error())
		}
		publish(t, s.client, dock.Status(), true, topic.Status{Header: headerNow(1), Session: 1, Online: true})
		f.connected()
		seq := int64(1)
		report := func(key string) wire.Station {
			seq++
			publish(t, s.client, dock.Vitals(), false, topic.Vitals{Header: headerNow(seq), Session: 1, OrderKey: key})
			return f.until("vitals with the key", func(v wire.Station) bool { return v.Vitals != nil && v.Vitals.Seq == topic.SessionSeq(1)+seq })
		}
		announce := func(want string) {
			t.Helper()
			var wait sync.WaitGroup
			f.announce(ledger.By(t.Context(), "test"), []ledger.Device{{Name: dock.Name, Site: dock.Site, Role: ledger.RoleDevice}}, &wait)
			wait.Wait()
			select {
			case got := <-s.got:
				if got != want {
					t.Errorf("the station got %q, want %q", got, want)
				}
			default:
				if want != "none" {
					t.Errorf("the station got nothing, want %q", want)
				}
			}
		}
		report("") // an agent of an earlier version
		announce("none")
		report(old.Public().ID())
		announce(topic.CommandTrust)
		announce("none") // it just got it
		if s.pinned != keys.Current.Public() {
			t.Error("the station did not follow")
		}
		report(current)
		announce("none")
		s.mu.Lock()
		s.pinned = orderkey.New().Public() // of another ledger
		s.mu.Unlock()
		report(s.pinned.ID())
		announce("")
		refuses := func(v wire.Station) bool {
			return len(v.Warnings) == 1 && strings.Contains(v.Warnings[0].Text, "enrol it again")
		}
		f.until("a warning", refuses)
		if v := report(current); refuses(v) {
			t.Errorf("still warned: %+v", v.Warnings)
		}
	})
}
