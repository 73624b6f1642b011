package mqttlink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	mqtt "github.com/eclipse/paho.mqtt.golang"

	"cattlecounter/shared/secret"
)

// stayConnected goes from connection to connection until ctx ends.
func (l *Link) stayConnected(ctx context.Context) {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = firstWait, longestWait
	for ctx.Err() == nil {
		began := time.Now()
		err := l.session(ctx)
		if ctx.Err() != nil {
			break
		}
		if lasted := time.Since(began); lasted > longestWait && l.rival.thrownOut == 0 || lasted >= steady {
			wait.Reset()
		}
		pause := l.rival.pause(wait.NextBackOff())
		l.o.Log.Warn("mqtt link down", "broker", l.o.URL, "err", err, "retry_in", pause.Round(time.Millisecond))
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// session is one connection from connect to loss.
func (l *Link) session(ctx context.Context) (err error) {
	// alive ends, with its cause, when the connection does or the owner stops.
	alive, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	defer l.box.unseal()
	began, connected := time.Now(), false
	defer func() {
		if err != nil && ctx.Err() == nil {
			err = l.rival.ended(connected, time.Since(began), err)
		}
		l.ended(err)
	}()
	var line atomic.Pointer[net.Conn]
	client := mqtt.NewClient(l.clientOptions(alive, lose, func(c net.Conn) { line.Store(&c) }))
	// Before CONNECT: a broker that kept the session sends what waits at once.
	for filter, h := range l.subs {
		client.AddRoute(filter, func(_ mqtt.Client, m mqtt.Message) {
			h(Message{Topic: m.Topic(), Payload: m.Payload(), Retain: m.Retained()})
		})
	}
	// Whatever went wrong, also a CONNECT that timed out, leaves nothing behind. A
	// DISCONNECT would make the broker drop the last will (MQTT 3.1.1 section 3.14):
	// that is right only when the owner stops and everything was said.
	defer func() {
		if c := line.Load(); c != nil && (ctx.Err() == nil || l.box.len() > 0) {
			_ = (*c).Close()
		}
		client.Disconnect(disconnectMS)
	}()
	if err := wait(alive, client.Connect(), connectTimeout+time.Second); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	connected = true
	if err := l.begin(alive, client); err != nil {
		err = cause(alive, err)
		if ctx.Err() != nil {
			l.flush(ctx, client) // the birth may be out: its owner's goodbye must follow
		}
		return err
	}
	l.cameUp()
	l.o.Log.Info("mqtt link up", "broker", l.o.URL, "client", l.o.ClientID)
	err = cause(alive, l.pump(alive, client))
	if ctx.Err() != nil {
		l.flush(ctx, client)
	}
	return err
}

// cause finds why a connection ended: Paho fails what is under way first and says
// why a moment later.
func cause(alive context.Context, err error) error {
	const moment = time.Second
	if errors.Is(err, errNoAnswer) {
		return err
	}
	select {
	case <-alive.Done():
		return context.Cause(alive)
	case <-time.After(moment):
		return err
	}
}

// begin subscribes and says that the client is there.
func (l *Link) begin(ctx context.Context, client mqtt.Client) error {
	for filter := range l.subs {
		t := client.Subscribe(filter, qosAtLeastOnce, nil) // routed already
		if err := wait(ctx, t, ackTimeout); err != nil {
			return fmt.Errorf("subscribe %s: %w", filter, err)
		}
		if refused(t, filter) {
			return fmt.Errorf("subscribe %s: refused by the broker", filter)
		}
	}
	if l.o.Birth == nil {
		return nil
	}
	if err := l.send(ctx, client, l.o.Birth()); err != nil {
		return fmt.Errorf("birth: %w", err)
	}
	return nil
}

// pump sends the outbox until ctx, which ends with the connection.
func (l *Link) pump(ctx context.Context, client mqtt.Client) error {
	for {
		e, more := l.box.first()
		if e == nil {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-more:
			}
			continue
		}
		if err := l.send(ctx, client, e.m); err != nil {
			return err
		}
		l.box.done(e)
	}
}

// flush sends what still waits at a stop, within a short deadline.
func (l *Link) flush(ctx context.Context, client mqtt.Client) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainOnStop)
	defer cancel()
	l.box.unseal()
	for {
		e, _ := l.box.first()
		if e == nil || l.send(ctx, client, e.m) != nil {
			return
		}
		l.box.done(e)
	}
}

func (l *Link) send(ctx context.Context, client mqtt.Client, m Message) error {
	if err := wait(ctx, client.Publish(m.Topic, qosAtLeastOnce, m.Retain, m.Payload), ackTimeout); err != nil {
		return fmt.Errorf("publish %s: %w", m.Topic, err)
	}
	return nil
}

func (l *Link) cameUp() {
	l.mu.Lock()
	l.up, l.since = true, time.Now()
	l.mu.Unlock()
	if l.o.OnUp != nil {
		l.o.OnUp()
	}
}

// ended tells about a connection that ended or did not come up.
func (l *Link) ended(err error) {
	l.mu.Lock()
	l.up = false
	was := l.contested
	l.contested = l.rival.likely()
	if l.contested && !was {
		l.o.Log.Warn("another client seems to use this mqtt client id; a copied card or a second agent with the same site and device?",
			"broker", l.o.URL, "client", l.o.ClientID)
	}
	l.mu.Unlock()
	if l.o.OnDown != nil {
		l.o.OnDown(err)
	}
}

func (l *Link) password() secret.String {
	if l.o.PasswordSource != nil {
		return l.o.PasswordSource()
	}
	return l.o.Password
}

func (l *Link) clientOptions(ctx context.Context, lose context.CancelCauseFunc, dialed func(net.Conn)) *mqtt.ClientOptions {
	o := mqtt.NewClientOptions().
		AddBroker(l.o.URL).
		SetClientID(l.o.ClientID).
		SetUsername(l.o.Username).
		SetPassword(l.password().Reveal()).
		SetProtocolVersion(4).
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetCleanSession(false). // orders that came in while away are delivered
		SetOrderMatters(true).  // and no goroutine outlives the connection
		SetKeepAlive(l.o.KeepAlive).
		SetConnectTimeout(connectTimeout).
		SetWriteTimeout(writeTimeout).
		SetCustomOpenConnectionFn(func(u *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
			dialing, cancel := context.WithTimeout(ctx, connectTimeout)
			defer cancel()
			conn, err := dial(dialing, u, l.o.TLS)
			if err == nil {
				// A handshake that hangs ends with the owner's stop; what comes
				// after it is flushed first.
				context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now().Add(drainOnStop + time.Second)) })
				dialed(conn)
			}
			return conn, err
		}).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { lose(fmt.Errorf("%w: %w", errLinkLost, err)) })
	if l.o.Will != nil {
		w := l.o.Will()
		o.SetBinaryWill(w.Topic, w.Payload, qosAtLeastOnce, w.Retain)
	}
	return o
}

// wait ends with the token, with ctx, which ends with the connection, or with
// the time limit.
func wait(ctx context.Context, t mqtt.Token, limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-t.Done():
		return t.Error()
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return fmt.Errorf("%w within %s", errNoAnswer, limit)
	}
}

// refused reports a SUBACK with the failure code (MQTT 3.1.1 section 3.9.3).
func refused(t mqtt.Token, filter string) bool {
	const failure = 0x80
	st, ok := t.(*mqtt.SubscribeToken)
	return ok && st.Result()[filter] == failure
}
