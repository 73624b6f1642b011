package mqttlink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// Errors of Probe, for errors.Is.
var (
	// ErrCredentials marks a broker that refuses user name and password.
	ErrCredentials = errors.New("the broker refuses user name and password")
	// ErrRights marks a broker that accepts them, but refuses the subscription.
	ErrRights = errors.New("the broker refuses the subscription")
)

// probeQuiesceMS bounds the disconnection.
const probeQuiesceMS = 250

// Probe connects once, subscribes to filter unless it is "", and disconnects. It leaves
// no session, will or message on the broker. No other client may use o.ClientID,
// because the broker would end that client's connection. Will, Birth, OnUp and OnDown
// are not used. Probe is safe for concurrent use.
func Probe(ctx context.Context, o Options, filter string) error {
	o.Will = nil
	l, err := New(o)
	if err != nil {
		return err
	}
	alive, disconnect := context.WithCancelCause(ctx)
	defer disconnect(nil)
	client := mqtt.NewClient(l.clientOptions(alive, disconnect, func(net.Conn) {}).SetCleanSession(true))
	defer client.Disconnect(probeQuiesceMS)
	err = wait(alive, client.Connect(), connectTimeout+time.Second)
	if errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword) || errors.Is(err, packets.ErrorRefusedNotAuthorised) {
		return fmt.Errorf("%w: %w", ErrCredentials, err)
	}
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if filter == "" {
		return nil
	}
	t := client.Subscribe(filter, qosAtLeastOnce, func(mqtt.Client, mqtt.Message) {})
	if err := wait(alive, t, ackTimeout); err != nil {
		return fmt.Errorf("subscribe %s: %w", filter, err)
	}
	if refused(t, filter) {
		return fmt.Errorf("%w: %s", ErrRights, filter)
	}
	return nil
}
