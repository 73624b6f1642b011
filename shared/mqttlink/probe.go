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
	// ErrCredentials says that the broker is there and does not take user name
	// and password.
	ErrCredentials = errors.New("the broker refuses user name and password")
	// ErrRights says that it takes them, but not the subscription.
	ErrRights = errors.New("the broker refuses the subscription")
)

// probeQuiesceMS is how long the goodbye may take.
const probeQuiesceMS = 250

// Probe connects once, subscribes to filter unless it is "", and leaves without
// a trace: no session, no will, no message. A broker ends an older connection of
// the same client id, so o.ClientID must be one that nobody else uses; Will,
// Birth, OnUp and OnDown are not used. It is safe for concurrent use.
func Probe(ctx context.Context, o Options, filter string) error {
	o.Will = nil
	l, err := New(o)
	if err != nil {
		return err
	}
	alive, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	client := mqtt.NewClient(l.clientOptions(alive, lose, func(net.Conn) {}).SetCleanSession(true))
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
