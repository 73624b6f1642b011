package broker

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"cattlecounter/shared/topic"
)

// windowed connects edge1 with MQTT 5 and a Receive Maximum, and subscribes to its orders.
func windowed(t *testing.T, b *Broker, most uint16, qos byte) net.Conn {
	t.Helper()
	conn := fiveWith(t, b, packets.ConnectParams{}, packets.Properties{ReceiveMaximum: most})
	s := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, ProtocolVersion: 5, PacketID: 1,
		Filters: packets.Subscriptions{{Filter: topic.Device{Site: "farm", Name: "edge1"}.Command(), Qos: qos}}}
	var out bytes.Buffer
	if err := s.SubscribeEncode(&out); err != nil {
		t.Fatal(err)
	}
	if answer := exchange(t, conn, out.Bytes()); answer[len(answer)-1] != qos {
		t.Fatalf("granted QoS %d, want %d", answer[len(answer)-1], qos)
	}
	return conn
}

// order publishes orders to edge1, of which at most 100 are on their way at a time: take one from the channel for each
// that has arrived.
func order(t *testing.T, b *Broker, orders int, qos byte) <-chan struct{} {
	t.Helper()
	cloud, err := dial(t, b, login{user: ServiceUser, password: "s3cret", id: "cloud"})
	if err != nil {
		t.Fatal(err)
	}
	room := make(chan struct{}, 100)
	go func() {
		for i := range orders {
			select {
			case room <- struct{}{}:
				cloud.Publish(topic.Device{Site: "farm", Name: "edge1"}.Command(), qos, false, fmt.Sprintf(`{"id":"%d"}`, i))
			case <-t.Context().Done():
				return
			}
		}
	}()
	return room
}

// A client with a large Receive Maximum acknowledges messages while others arrive for it. With the counting of the library
// it stops at times, and the broker with it.
func TestLargeReceiveMaximum(t *testing.T) {
	b, _ := start(t)
	conn := windowed(t, b, 65_535, 1)
	const orders = 20_000
	room := order(t, b, orders, 1)
	c := &slowClient{in: bufio.NewReader(conn), out: conn}
	for i := range orders {
		m, err := c.next()
		if err == nil {
			err = c.acknowledge(m.id, 1)
		}
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		<-room
	}
}

// A client with a small Receive Maximum never has more messages that it has not acknowledged, and gets all in their order.
func TestSmallReceiveMaximum(t *testing.T) {
	for _, qos := range []byte{1, 2} {
		for _, most := range []int{1, 3, 20} {
			t.Run(fmt.Sprint(qos, " ", most), func(t *testing.T) {
				b, _ := start(t)
				conn := windowed(t, b, uint16(most), qos)
				const orders = 200
				room := order(t, b, orders, qos)
				c := &slowClient{in: bufio.NewReader(conn), out: conn}
				var open []uint16
				for i := range orders {
					m, err := c.next()
					if err != nil {
						t.Fatalf("message %d, while %d wait for their acknowledgment: %v", i, len(open), err)
					}
					if want := fmt.Sprintf(`{"id":"%d"}`, i); m.text != want {
						t.Fatalf("message %d is %s", i, m.text)
					}
					<-room
					if open = append(open, m.id); len(open) < most && i < orders-1 {
						continue
					}
					if err := c.quiet(); err != nil {
						t.Fatalf("message %d, while %d wait for their acknowledgment: %v", i, len(open), err)
					}
					if err := c.acknowledge(open[0], qos); err != nil {
						t.Fatal(err)
					}
					open = open[1:]
				}
			})
		}
	}
}

// slowClient reads short packets and acknowledges messages when the test wants it.
type slowClient struct {
	in  *bufio.Reader
	out net.Conn
}

type shortMessage struct {
	id   uint16
	text string
}

func (c *slowClient) read() (kind byte, rest []byte, err error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(c.in, head); err != nil {
		return 0, nil, err
	}
	rest = make([]byte, head[1])
	_, err = io.ReadFull(c.in, rest)
	return head[0] >> 4, rest, err
}

// next returns the next message.
func (c *slowClient) next() (m shortMessage, err error) {
	kind, rest, err := c.read()
	if err == nil && kind != packets.Publish {
		err = fmt.Errorf("packet of type %d", kind)
	}
	if err != nil {
		return m, err
	}
	rest = rest[2+binary.BigEndian.Uint16(rest):]
	return shortMessage{binary.BigEndian.Uint16(rest), string(rest[3:])}, nil // an identifier and no properties
}

// acknowledge ends the delivery of a message.
func (c *slowClient) acknowledge(id uint16, qos byte) error {
	if qos == 1 {
		return c.answer(packets.Puback, id)
	}
	if err := c.answer(packets.Pubrec, id); err != nil {
		return err
	}
	if err := c.expect(packets.Pubrel); err != nil {
		return err
	}
	return c.answer(packets.Pubcomp, id)
}

func (c *slowClient) answer(kind byte, id uint16) error {
	_, err := c.out.Write(binary.BigEndian.AppendUint16([]byte{kind << 4, 2}, id))
	return err
}

// quiet fails when a message comes before the answer to a ping.
func (c *slowClient) quiet() error {
	if _, err := c.out.Write([]byte{packets.Pingreq << 4, 0}); err != nil {
		return err
	}
	return c.expect(packets.Pingresp)
}

func (c *slowClient) expect(want byte) error {
	kind, _, err := c.read()
	if err == nil && kind != want {
		err = fmt.Errorf("packet of type %d, want %d", kind, want)
	}
	return err
}
