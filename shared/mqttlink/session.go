package mqttlink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	mqtt "github.com/eclipse/paho.mqtt.golang"

	"cattlecounter/shared/interrupt"
	"cattlecounter/shared/secret"
)

// stayConnected reconnects until ctx ends.
func (l *Link) stayConnected(ctx context.Context) {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = firstWait, longestWait
	for ctx.Err() == nil {
		began := time.Now()
		err := l.session(ctx)
		if ctx.Err() != nil {
			break
		}
		if lasted := time.Since(began); lasted > longestWait && l.rival.closed == 0 || lasted >= steady {
			wait.Reset()
		}
		pause := l.rival.pause(wait.NextBackOff())
		l.o.Log.Warn("mqtt link down", "broker", l.o.URL, "err", err, "retry_in", pause.Round(time.Millisecond))
		_ = interrupt.Pause(ctx, pause) // the loop checks ctx
	}
}

// session runs one connection from connect to its end.
func (l *Link) session(ctx context.Context) (err error) {
	// alive ends, with its cause, when the connection breaks or ctx ends.
	alive, disconnect := context.WithCancelCause(ctx)
	defer disconnect(nil)
	defer l.box.unseal()
	began, connected := time.Now(), false
	defer func() {
		if err != nil && ctx.Err() == nil {
			err = l.rival.connectionEnded(connected, time.Since(began), err)
		}
		l.wentDown(err)
	}()
	var conn atomic.Pointer[net.Conn]
	client := mqtt.NewClient(l.clientOptions(alive, disconnect, func(c net.Conn) { conn.Store(&c) }))
	// Before CONNECT, because a broker with an old session sends its messages at once.
	for filter, h := range l.subs {
		client.AddRoute(filter, func(_ mqtt.Client, m mqtt.Message) {
			h(Message{Topic: m.Topic(), Payload: m.Payload(), Retain: m.Retained()})
		})
	}
	// Every end, a CONNECT that timed out too, leaves nothing behind. A DISCONNECT would
	// make the broker drop the last will (MQTT 3.1.1 section 3.14). That is right only
	// after a stop that has sent every message.
	defer func() {
		if c := conn.Load(); c != nil && (ctx.Err() == nil || l.box.len() > 0) {
			_ = (*c).Close()
		}
		client.Disconnect(disconnectMS)
	}()
	if err := wait(alive, client.Connect(), connectTimeout+time.Second); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	connected = true
	if err := l.subscribeAndAnnounce(alive, client); err != nil {
		err = cause(alive, err)
		if ctx.Err() != nil {
			l.flush(ctx, client) // the birth may be sent, so the goodbye must follow
		}
		return err
	}
	l.cameUp()
	l.o.Log.Info("mqtt link up", "broker", l.o.URL, "client", l.o.ClientID)
	err = cause(alive, l.sendOutbox(alive, client))
	if ctx.Err() != nil {
		l.flush(ctx, client)
	}
	return err
}

// cause returns why a connection ended. Paho first fails the requests and reports the
// reason shortly afterwards.
func cause(alive context.Context, err error) error {
	const reported = time.Second
	if errors.Is(err, errNoAnswer) {
		return err
	}
	return cmp.Or(interrupt.Pause(alive, reported), err)
}

// subscribeAndAnnounce subscribes to the filters and sends the birth message.
func (l *Link) subscribeAndAnnounce(ctx context.Context, client mqtt.Client) error {
	for filter := range l.subs {
		t := client.Subscribe(filter, qosAtLeastOnce, nil) // AddRoute has set the handler
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

// sendOutbox sends queued messages until ctx ends with the connection.
func (l *Link) sendOutbox(ctx context.Context, client mqtt.Client) error {
	for {
		e, more := l.box.next()
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
		l.box.acknowledge(e)
	}
}

// flush sends the queued messages at a stop, within a short deadline.
func (l *Link) flush(ctx context.Context, client mqtt.Client) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainOnStop)
	defer cancel()
	l.box.unseal()
	for {
		e, _ := l.box.next()
		if e == nil || l.send(ctx, client, e.m) != nil {
			return
		}
		l.box.acknowledge(e)
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

// wentDown reports a connection that ended or did not come up.
func (l *Link) wentDown(err error) {
	l.mu.Lock()
	l.up = false
	was := l.contested
	l.contested = l.rival.likely()
	if l.contested && !was {
		l.o.Log.Warn("another client seems to use this mqtt client id; look for a copied card or a second agent of the same site and device",
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

func (l *Link) clientOptions(ctx context.Context, disconnect context.CancelCauseFunc,
	dialed func(net.Conn)) *mqtt.ClientOptions {
	o := mqtt.NewClientOptions().
		AddBroker(l.o.URL).
		SetClientID(l.o.ClientID).
		SetUsername(l.o.Username).
		SetPassword(l.password().Reveal()).
		SetProtocolVersion(4).
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetCleanSession(l.o.Fresh). // otherwise the broker keeps orders while the link is down
		SetOrderMatters(true).      // also, no goroutine outlives the connection
		SetKeepAlive(l.o.KeepAlive).
		SetConnectTimeout(connectTimeout).
		SetWriteTimeout(writeTimeout).
		SetCustomOpenConnectionFn(func(u *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
			dialing, cancel := context.WithTimeout(ctx, connectTimeout)
			defer cancel()
			conn, err := dial(dialing, u, l.o.TLS)
			if err == nil {
				// A stop ends a hanging handshake, after the time for a flush.
				context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now().Add(drainOnStop + time.Second)) })
				dialed(conn)
			}
			return conn, err
		}).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { disconnect(fmt.Errorf("%w: %w", errLinkLost, err)) })
	if l.o.Will != nil {
		w := l.o.Will()
		o.SetBinaryWill(w.Topic, w.Payload, qosAtLeastOnce, w.Retain)
	}
	return o
}

// wait waits for the token, for at most limit or until ctx ends with the connection.
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

// refused reports whether the SUBACK has the failure code (MQTT 3.1.1 section 3.9.3).
func refused(t mqtt.Token, filter string) bool {
	const failure = 0x80
	st, ok := t.(*mqtt.SubscribeToken)
	return ok && st.Result()[filter] == failure
}
