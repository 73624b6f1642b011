package mqtt

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// mostMessages bounds what one connection keeps. More end it with an error.
const mostMessages = 100_000

// keepAlive is longer than a check, in seconds: a client sends no pings.
const keepAlive = 3600

// refusedFilter and higher answers refuse a filter.
const refusedFilter = 0x80

var (
	// errRefused is the class of log-ins that the broker refuses.
	errRefused = errors.New("the log-in is refused")
	errTooMany = fmt.Errorf("more than %d messages", mostMessages)
)

// account is what a client logs in with.
type account struct{ name, token, site string }

// message is one message that arrived.
type message struct {
	topic    string
	payload  []byte
	retained bool
	qos      byte
	id       uint16 // of the packet
}

// manner is how far a client acknowledges messages.
type manner int

const (
	acksAll     manner = iota
	acksReceipt        // the receipt of a message at QoS 2, and not its release
	acksNothing
)

// client is one connection with single packets in its hand. It keeps every message that arrives. Close or cut ends it.
type client struct {
	who   account
	conn  net.Conn
	done  chan struct{} // closed when the reader has ended
	write sync.Mutex

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced at every change
	messages []message
	acks     map[uint16][]byte // return codes by packet
	next     uint16
	manner   manner
	resumed  bool            // the broker had a session of this client id
	received map[uint16]bool // own messages at QoS 2 of which the broker has acknowledged the receipt (PUBREC)
	complete map[uint16]bool // own messages at QoS 2 that are complete (PUBCOMP)
	released []uint16        // messages at QoS 2 that the broker has released (PUBREL), in their order
	err      error           // why the connection ended
}

// dial connects and logs in. change may alter the log-in. The error wraps errRefused when the broker refuses it.
func (k *kit) dial(ctx context.Context, a account, change func(*packets.ConnectPacket)) (*client, error) {
	return k.dialAs(ctx, a, acksAll, change)
}

// dialAs is dial for a client with a manner from the first message on.
func (k *kit) dialAs(ctx context.Context, a account, as manner, change func(*packets.ConnectPacket)) (*client, error) {
	ctx, cancel := context.WithTimeout(ctx, steady)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", k.host)
	if err == nil && k.tls != nil {
		secured := tls.Client(conn, k.tls)
		if err = secured.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
		}
		conn = secured
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoServer, err)
	}
	p, ok := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	if !ok {
		return nil, errors.New("no packet for a log-in")
	}
	p.ProtocolName, p.ProtocolVersion, p.CleanSession, p.Keepalive = "MQTT", 4, true, keepAlive
	p.ClientIdentifier = "kit-" + strings.ToLower(rand.Text())
	if a.name != "" {
		p.UsernameFlag, p.Username, p.PasswordFlag, p.Password = true, a.name, true, []byte(a.token)
	}
	if change != nil {
		change(p)
	}
	end, _ := ctx.Deadline()
	_ = conn.SetDeadline(end)
	from := bufio.NewReader(conn)
	err = p.Write(conn)
	var answer packets.ControlPacket
	if err == nil {
		answer, err = packets.ReadPacket(from)
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	ack, ok := answer.(*packets.ConnackPacket)
	if !ok || ack.ReturnCode != packets.Accepted {
		_ = conn.Close()
		return nil, fmt.Errorf("%w: %s", errRefused, answer)
	}
	_ = conn.SetDeadline(noDeadline)
	c := &client{who: a, conn: conn, done: make(chan struct{}), changed: make(chan struct{}), acks: map[uint16][]byte{}, manner: as,
		resumed: ack.SessionPresent, received: map[uint16]bool{}, complete: map[uint16]bool{}}
	go c.read(from)
	return c, nil
}

// read keeps what arrives until the connection ends.
func (c *client) read(from *bufio.Reader) {
	defer close(c.done)
	for {
		p, err := packets.ReadPacket(from)
		if err == nil {
			err = c.keep(p)
		}
		if err != nil {
			_ = c.conn.Close()
			c.mu.Lock()
			c.err = err
			c.notify()
			c.mu.Unlock()
			return
		}
	}
}

// keep records a packet and acknowledges a message.
func (c *client) keep(p packets.ControlPacket) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.notify()
	switch p := p.(type) {
	case *packets.PublishPacket:
		if len(c.messages) >= mostMessages {
			return errTooMany
		}
		c.messages = append(c.messages, message{p.TopicName, p.Payload, p.Retain, p.Qos, p.MessageID})
		switch {
		case p.Qos == 1 && c.manner < acksNothing:
			return c.answer(packets.Puback, p.MessageID)
		case p.Qos == 2 && c.manner < acksNothing:
			return c.answer(packets.Pubrec, p.MessageID)
		}
	case *packets.PubrelPacket:
		c.released = append(c.released, p.MessageID)
		if c.manner == acksAll {
			return c.answer(packets.Pubcomp, p.MessageID)
		}
	case *packets.PubrecPacket:
		c.received[p.MessageID] = true
	case *packets.PubcompPacket:
		c.complete[p.MessageID] = true
	case *packets.SubackPacket:
		c.acks[p.MessageID] = p.ReturnCodes
	case *packets.PubackPacket:
		c.acks[p.MessageID] = []byte{}
	}
	return nil
}

// notify wakes everything that waits; call it with mu held.
func (c *client) notify() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// answer sends an acknowledgement of a kind for the packet with an identifier.
func (c *client) answer(kind byte, id uint16) error {
	p := packets.NewControlPacket(kind)
	switch p := p.(type) {
	case *packets.PubackPacket:
		p.MessageID = id
	case *packets.PubrecPacket:
		p.MessageID = id
	case *packets.PubrelPacket:
		p.MessageID = id
	case *packets.PubcompPacket:
		p.MessageID = id
	}
	return c.send(p)
}

func (c *client) send(p packets.ControlPacket) error {
	c.write.Lock()
	defer c.write.Unlock()
	return p.Write(c.conn)
}

// until waits until f holds. It is called with mu held.
func (c *client) until(ctx context.Context, what string, f func() bool) error {
	for {
		c.mu.Lock()
		ok, err, changed := f(), c.err, c.changed
		c.mu.Unlock()
		switch {
		case ok:
			return nil
		case err != nil:
			return fmt.Errorf("%s: the connection ended: %w", what, err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%s: not within the patience", what)
		}
	}
}

// id returns the next identifier of a packet.
func (c *client) id() uint16 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	return c.next
}

// subscribe asks for a filter and returns whether it is granted.
func (c *client) subscribe(ctx context.Context, filter string) (bool, error) {
	return c.subscribeAs(ctx, c.id(), filter, 1)
}

// subscribeAs is subscribe with an identifier of the packet and a QoS.
func (c *client) subscribeAs(ctx context.Context, id uint16, filter string, qos byte) (bool, error) {
	p, _ := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	c.mu.Lock()
	delete(c.acks, id)
	c.mu.Unlock()
	p.MessageID, p.Topics, p.Qoss = id, []string{filter}, []byte{qos}
	if err := c.send(p); err != nil {
		return false, err
	}
	var codes []byte
	err := c.until(ctx, "the answer to the filter "+filter, func() (ok bool) { codes, ok = c.acks[p.MessageID]; return ok })
	return len(codes) == 1 && codes[0] < refusedFilter, err
}

// publish sends a message at QoS 1 and waits until it is acknowledged. It fails when the connection ends instead, which is
// how a broker may refuse a message.
func (c *client) publish(ctx context.Context, topic string, payload []byte, retain bool) error {
	p, _ := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.MessageID, p.TopicName, p.Payload, p.Qos, p.Retain = c.id(), topic, payload, 1, retain
	if err := c.send(p); err != nil {
		return err
	}
	return c.until(ctx, "the acknowledgement of a message to "+topic, func() bool { return c.acks[p.MessageID] != nil })
}

// await returns the first message for which fits holds, from the message with number from on, and the number after it.
func (c *client) await(ctx context.Context, what string, from int, fits func(message) bool) (m message, next int, err error) {
	err = c.until(ctx, what, func() bool {
		for i := from; i < len(c.messages); i++ {
			if fits(c.messages[i]) {
				m, next = c.messages[i], i+1
				return true
			}
		}
		return false
	})
	return m, next, err
}

// all returns the messages so far.
func (c *client) all() []message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.messages)
}

// count is how many messages have arrived.
func (c *client) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.messages)
}

// ended waits until the broker ends the connection.
func (c *client) ended(ctx context.Context) error {
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return errors.New("the connection does not end")
	}
}

// alive reports whether the connection has not ended.
func (c *client) alive() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err == nil
}

// cut ends the connection without a farewell, like a lost link.
func (c *client) cut() {
	_ = c.conn.Close()
	<-c.done
}

// close ends the connection with a farewell: the broker publishes no last will.
func (c *client) close() {
	_ = c.send(packets.NewControlPacket(packets.Disconnect))
	c.cut()
}
