package mqttlink

import (
	"context"
	"net"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// fakeBroker accepts a client and then acknowledges its messages or stays silent. It
// reports whether the client ended with a DISCONNECT.
func fakeBroker(t *testing.T, l net.Listener, acknowledges bool) <-chan bool {
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
				if acknowledges {
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

// A DISCONNECT makes the broker drop the last will. The link sends it only when every
// message was acknowledged. Otherwise subscribers would not learn that it is offline.
func TestWillStaysWithoutAcknowledgedGoodbye(t *testing.T) {
	for name, acknowledges := range map[string]bool{"acknowledged": true, "not acknowledged": false} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			left := fakeBroker(t, ln, acknowledges)
			up := make(chan struct{}, 1)
			l, err := New(Options{URL: "tcp://" + ln.Addr().String(), ClientID: "c", OnUp: func() { up <- struct{}{} },
				Will: func() Message { return Message{Topic: "status", Payload: []byte("offline")} }})
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
			if got := <-left; got != acknowledges {
				t.Errorf("DISCONNECT: %t", got)
			}
		})
	}
}
