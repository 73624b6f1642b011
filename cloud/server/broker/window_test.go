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

// windowed connects edge1 with MQTT 5 and a Receive Maximum, and subscribes to its orders. It returns the QoS that it gets.
func windowed(t *testing.T, b *Broker, most uint16) (conn net.Conn, qos byte) {
	t.Helper()
	conn = fiveWith(t, b, packets.ConnectParams{}, packets.Properties{ReceiveMaximum: most})
	s := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, ProtocolVersion: 5, PacketID: 1,
		Filters: packets.Subscriptions{{Filter: topic.Device{Site: "farm", Name: "edge1"}.Command(), Qos: 1}}}
	var out bytes.Buffer
	if err := s.SubscribeEncode(&out); err != nil {
		t.Fatal(err)
	}
	answer := exchange(t, conn, out.Bytes())
	return conn, answer[len(answer)-1]
}

// A client with a large Receive Maximum acknowledges messages while others arrive for it. With the counting of the library
// it stops at times, and the broker with it.
func TestLargeReceiveMaximum(t *testing.T) {
	b, _ := start(t)
	conn, qos := windowed(t, b, 65_535)
	if qos != 1 {
		t.Fatalf("granted QoS %d, want 1", qos)
	}
	cloud, err := dial(t, b, login{user: ServiceUser, password: "s3cret", id: "cloud"})
	if err != nil {
		t.Fatal(err)
	}
	const orders = 20_000
	room := make(chan struct{}, 100) // for messages on their way
	go func() {
		for i := range orders {
			select {
			case room <- struct{}{}:
				cloud.Publish(topic.Device{Site: "farm", Name: "edge1"}.Command(), 1, false, fmt.Sprintf(`{"id":"%d"}`, i))
			case <-t.Context().Done():
				return
			}
		}
	}()
	in := bufio.NewReader(conn)
	for i := range orders {
		id, err := acknowledge(in, conn)
		if err != nil {
			t.Fatalf("message %d with identifier %d: %v", i, id, err)
		}
		<-room
	}
}

// acknowledge reads a short message with QoS 1 and answers it.
func acknowledge(in io.Reader, out io.Writer) (id uint16, err error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(in, head); err != nil {
		return 0, err
	}
	rest := make([]byte, head[1])
	if _, err := io.ReadFull(in, rest); err != nil {
		return 0, err
	}
	id = binary.BigEndian.Uint16(rest[2+binary.BigEndian.Uint16(rest):])
	_, err = out.Write(binary.BigEndian.AppendUint16([]byte{packets.Puback << 4, 2}, id))
	return id, err
}

// A client that takes few messages at a time gets them with QoS 0, which needs no count.
func TestSmallReceiveMaximum(t *testing.T) {
	for most, want := range map[uint16]byte{1: 0, maxInflight - 1: 0, maxInflight: 1, 0: 1} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			b, _ := start(t)
			if _, qos := windowed(t, b, most); qos != want {
				t.Errorf("granted QoS %d, want %d", qos, want)
			}
		})
	}
}
