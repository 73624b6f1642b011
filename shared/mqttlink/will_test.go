package mqttlink

import (
	"context"
	"net"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// deaf is a broker that takes a client and then either confirms what it publishes or
// says nothing more. It tells whether the client took its leave with a DISCONNECT.
func deaf(t *testing.T, l net.Listener, confirms bool) <-chan bool {
	t.Helper()
	left := make(chan bool, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		for {
			p, err := packets.ReadPacket(c)
			if err != nil {
				left <- false
				return
			}
			switch p := p.(type) {
			case *packets.ConnectPacket:
				_ = packets.NewControlPacket(packets.Connack).Write(c)
			case *packets.PublishPacket:
				if confirms {
					ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
					ack.MessageID = p.MessageID
					_ = ack.Write(c)
				}
			case *packets.DisconnectPacket:
				left <- true
				return
			}
		}
	}()
	return left
}

// A DISCONNECT makes the broker drop the last will. So it is sent only when all was
// said: else nobody would learn that the client is gone.
func TestUnsaidGoodbyeLeavesTheWill(t *testing.T) {
	for name, confirms := range map[string]bool{"said": true, "unsaid": false} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			left := deaf(t, ln, confirms)
			up := make(chan struct{}, 1)
			l, err := New(Options{URL: "tcp://" + ln.Addr().String(), ClientID: "c", OnUp: func() { up <- struct{}{} },
				Will: func() Message { return Message{Topic: "status", Payload: []byte("gone")} }})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- l.Run(ctx) }()
			<-up
			if err := l.Publish(Message{Topic: "status", Payload: []byte("goodbye"), Retain: true}); err != nil {
				t.Fatal(err)
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if got := <-left; got != confirms {
				t.Errorf("DISCONNECT: %t", got)
			}
		})
	}
}
