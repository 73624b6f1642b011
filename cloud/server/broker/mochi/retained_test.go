package mochi

import (
	"fmt"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/packets"
)

// answered waits for the answer to a packet.
func answered(t testing.TB, token paho.Token) {
	t.Helper()
	if !token.WaitTimeout(time.Minute) || token.Error() != nil {
		t.Fatalf("no answer within a minute, or an error: %v", token.Error())
	}
}

// Clients retain messages and delete them while others subscribe to wildcards. The race detector sees both.
func TestWildcardsWhileMessagesAreRetained(t *testing.T) {
	address := serve(t)
	const topics, rounds = 20, 30
	var clients, writers []paho.Client
	for range 2 {
		writers = append(writers, connect(t, "tcp://"+address))
		clients = append(clients, connect(t, "tcp://"+address))
	}
	var all sync.WaitGroup
	for n, c := range writers {
		all.Go(func() {
			for i := range rounds * topics {
				payload := "x"
				if i%3 == 2 {
					payload = ""
				}
				c.Publish(fmt.Sprintf("state/%d/%d", n, i%topics), 0, true, payload)
			}
		})
	}
	for _, c := range clients {
		all.Go(func() {
			for range rounds {
				c.Subscribe("state/+/+", 0, func(paho.Client, paho.Message) {}).WaitTimeout(time.Minute)
			}
		})
	}
	all.Wait()
	answered(t, writers[0].Publish("state/last", 1, true, "x"))
	got := make(chan string, 1)
	answered(t, clients[0].Subscribe("state/+", 1, func(_ paho.Client, m paho.Message) { got <- m.Topic() }))
	if name := <-got; name != "state/last" {
		t.Errorf("got %s, want state/last", name)
	}
}

// waiting is a hook that holds the delivery of a retained message up.
type waiting struct {
	auth.AllowHook
	found, goOn chan struct{}
}

func (w *waiting) Provides(b byte) bool {
	return b == mqtt.OnRetainPublished || w.AllowHook.Provides(b)
}

func (w *waiting) OnRetainPublished(*mqtt.Client, packets.Packet) {
	w.found <- struct{}{}
	<-w.goOn
}

// A subscription whose deliveries wait delays no other client that retains messages or subscribes.
func TestSlowDeliveryDelaysNoChange(t *testing.T) {
	w := &waiting{found: make(chan struct{}, 9), goOn: make(chan struct{})}
	address := serveAs(t, Guard(w))
	writer, reader, other := connect(t, "tcp://"+address), connect(t, "tcp://"+address), connect(t, "tcp://"+address)
	answered(t, writer.Publish("state/a", 1, true, "x"))
	answered(t, reader.Subscribe("state/+", 1, func(paho.Client, paho.Message) {}))
	<-w.found
	answered(t, writer.Publish("state/b", 1, true, "x"))
	answered(t, writer.Publish("state/a", 1, true, ""))
	answered(t, other.Subscribe("other/#", 1, func(paho.Client, paho.Message) {}))
	close(w.goOn)
	answered(t, reader.Publish("state/c", 1, true, "x")) // its subscription is over
}

// BenchmarkRetain measures how fast a server takes messages that it retains, with Guard and without, while another client
// subscribes to all of them again and again.
func BenchmarkRetain(b *testing.B) {
	for name, h := range map[string]mqtt.Hook{"guarded": Guard(new(auth.AllowHook)), "bare": new(auth.AllowHook)} {
		b.Run(name, func(b *testing.B) {
			address := serveAs(b, h)
			writer, reader := connect(b, "tcp://"+address), connect(b, "tcp://"+address)
			end, ended := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(ended)
				for {
					select {
					case <-end:
						return
					default:
						reader.Subscribe("state/#", 0, func(paho.Client, paho.Message) {}).WaitTimeout(time.Minute)
					}
				}
			}()
			for i := 0; b.Loop(); i++ {
				answered(b, writer.Publish(fmt.Sprint("state/", i%1000), 1, true, "x"))
			}
			close(end)
			<-ended
		})
	}
}
