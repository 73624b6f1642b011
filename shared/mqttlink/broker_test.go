package mqttlink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/broker"
	"cattlecounter/deploy/testkit/faultproxy"
)

// anonymous is a link to a broker that accepts every client.
func anonymous(t *testing.T, b *broker.Broker, change ...func(*Options)) *Link {
	t.Helper()
	return link(t, b.Addr(), append([]func(*Options){func(o *Options) { o.Username = "" }}, change...)...)
}

// After a restart of the broker subscriptions and deliveries continue.
func TestBrokerRestart(t *testing.T) {
	broker.Each(t, func(t *testing.T, b *broker.Broker) {
		b.Start()
		got := make(chan Message, 10)
		l := anonymous(t, b, func(o *Options) {
			o.Birth = func() Message { return Message{Topic: "birth", Payload: []byte("b"), Retain: true} }
		})
		l.Subscribe("loop", func(m Message) { got <- m })
		stop := running(t, l)
		for round := range 3 {
			deliver(t, l, "loop", fmt.Sprint(round))
			for last := ""; last != fmt.Sprint(round); {
				select {
				case m := <-got: // after a reconnection the last one may arrive twice
					last = string(m.Payload)
				case <-time.After(patience):
					t.Fatal("no message arrived")
				}
			}
			if round < 2 {
				b.Stop()
				b.Start()
			}
		}
		stop()
	})
}

// Two clients with one id end each other's connections. Both detect it, pause and
// report it.
func TestDuplicateClientID(t *testing.T) {
	broker.Each(t, func(t *testing.T, b *broker.Broker) {
		b.Start()
		detected := make(chan *Link, 1000)
		var links []*Link
		for range 2 {
			var l *Link
			l = anonymous(t, b, func(o *Options) {
				o.OnDown = func(err error) {
					if errors.Is(err, ErrRival) {
						detected <- l
					}
				}
			})
			links = append(links, l)
		}
		began := time.Now()
		for _, l := range links {
			defer running(t, l)()
		}
		select {
		case l := <-detected:
			if !l.Contested() {
				t.Error("Contested is false")
			}
		case <-time.After(patience):
			t.Fatal("no client detects the other")
		}
		t.Logf("detected after %s", time.Since(began).Round(time.Millisecond))
	})
}

// numbered is a payload with the number of the message in its topic.
func numbered(n int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

// view is the newest number of each topic that a subscriber has seen.
type view struct {
	t    *testing.T
	seen map[string]uint64
}

// until receives messages until the newest of each topic is want. A number that goes
// back is an error.
func (v *view) until(got <-chan broker.Message, want map[string]int) {
	v.t.Helper()
	limit := time.After(2 * patience)
	for {
		right := 0
		for topic, n := range want {
			if v.seen[topic] == uint64(n) {
				right++
			}
		}
		if right == len(want) {
			return
		}
		select {
		case m := <-got:
			n := binary.BigEndian.Uint64(m.Payload)
			if n < v.seen[m.Topic] && !m.Retained {
				v.t.Errorf("%s went back from %d to %d", m.Topic, v.seen[m.Topic], n)
			}
			v.seen[m.Topic] = max(n, v.seen[m.Topic])
		case <-limit:
			v.t.Fatalf("%d of %d topics have their newest state", right, len(want))
		}
	}
}

// Without a broker dozens of topics change thousands of times, while the program is
// stopped and killed. When the broker is back, a subscriber sees the newest state of
// each topic, and no number goes back.
func TestDaysWithoutBroker(t *testing.T) {
	broker.Each(t, func(t *testing.T, b *broker.Broker) {
		s, want := newMemoryStore(), map[string]int{}
		const topics, starts, changes = 60, 6, 1500
		for start := range starts {
			l := anonymous(t, b, func(o *Options) { o.Store = s })
			stop := running(t, l)
			for i := range changes {
				topic := fmt.Sprintf("state/%d", (start*7+i*13)%(topics-start)) // some never change again
				want[topic]++
				if err := l.Publish(Message{Topic: topic, Payload: numbered(want[topic]), Retain: true,
					Durable: true}); err != nil {
					t.Fatal(err)
				}
			}
			if start%2 == 0 {
				stop()
				continue
			}
			l.save(true) // another test covers the last ten seconds
			s = s.kill()
			stop()
		}
		v := view{t, map[string]uint64{}}
		got := b.Subscribe("state/#")
		l := anonymous(t, b, func(o *Options) { o.Store = s })
		if l.Waiting() != len(want) {
			t.Errorf("%d of %d messages are saved", l.Waiting(), len(want))
		}
		stop := running(t, l)
		b.Start()
		v.until(got, want)
		stop()
		if held := s.holds(t); len(held) != 0 {
			t.Errorf("%d messages are saved after their acknowledgement", len(held))
		}
	})
}

// Messages, restarts of the broker, stops and kills of the program come in random order.
// A subscriber sees no number go back, and in the end the newest state.
func TestRandomOrderOfFaults(t *testing.T) {
	broker.Each(t, func(t *testing.T, b *broker.Broker) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 1))
		s, want := newMemoryStore(), map[string]int{}
		v, got := view{t, map[string]uint64{}}, b.Subscribe("state/#")
		var l *Link
		var stop func()
		var wire *faultproxy.Proxy
		drops := 0
		start := func() {
			drops = 0
			wire = b.Relay()
			l = link(t, wire.Addr(), func(o *Options) { o.Username, o.Store = "", s })
			stop = running(t, l)
		}
		start()
		steps := 100
		if testing.Short() {
			steps = 15
		}
		var story []string
		for range steps {
			switch n := random.IntN(12); n {
			case 0:
				story = append(story, "broker starts")
				b.Start()
			case 1:
				story = append(story, "broker stops")
				b.Stop()
			case 2:
				story = append(story, "program restarts")
				stop()
				start()
			case 3:
				story = append(story, "program is killed")
				if err := wire.Close(); err != nil {
					t.Fatal(err)
				}
				dead := s
				s = dead.kill()
				stop()
				start()
			case 6:
				if drops++; drops < rivalAfter { // more would look like a rival
					story = append(story, "network is cut")
					wire.Sever()
				}
			case 4:
				story = append(story, "all is saved")
				l.save(true)
			case 5:
				if b.Running() { // waits for a connection
					story = append(story, "one is delivered")
					want["state/0"]++
					deliverDurable(t, l, "state/0", want["state/0"])
				}
			default:
				for range random.IntN(50) {
					topic := fmt.Sprint("state/", random.IntN(20))
					want[topic]++
					if err := l.Publish(Message{Topic: topic, Payload: numbered(want[topic]), Retain: true,
						Durable: true}); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		b.Start()
		for topic := range want { // the next change replaces what a kill lost
			want[topic]++
			if err := l.Publish(Message{Topic: topic, Payload: numbered(want[topic]), Retain: true, Durable: true}); err != nil {
				t.Fatal(err)
			}
		}
		v.until(got, want)
		stop()
		if t.Failed() {
			t.Log(strings.Join(story, ", "))
		}
	})
}

func deliverDurable(t *testing.T, l *Link, topic string, n int) {
	t.Helper()
	if err := l.Deliver(t.Context(), Message{Topic: topic, Payload: numbered(n), Retain: true,
		Durable: true}); err != nil {
		t.Fatal(err)
	}
}
