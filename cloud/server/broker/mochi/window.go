package mochi

import (
	"bytes"
	"net"
	"sync"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Windows is a hook that keeps to the Receive Maximum of clients of MQTT 5: so many messages with QoS 1 and 2 are on their
// way to the client at a time, and the others wait in their order. Mochi 2.7.9 counts them under a read lock that it takes
// twice (Inflight.NextImmediate): a message that arrives in between stops the client, its senders and the loop of the
// server for good. So the hook takes the number away from it. At the start of a session Mochi delivers all messages again
// that are not acknowledged, whatever the number.
//
// The server must write without a buffer (Options.ClientNetWriteBufferSize of 1): a message that has to wait is not
// written, and what was buffered before it would wait with it.
type Windows struct {
	mqtt.HookBase
	largest int

	mu sync.Mutex
	of map[net.Conn]*window
}

// window is what is on its way to a client.
type window struct {
	most       int
	begun      bool                // the session has begun
	delivering bool                // a goroutine delivers what waits
	sent       map[uint16]struct{} // identifiers of messages on their way
	waiting    []uint16            // identifiers in the order of their messages
}

// Windows returns the hook for a server that l belongs to; it must be called before Serve. A Receive Maximum from largest
// on limits nothing, because a client has no more messages that wait.
func (l *Listener) Windows(largest int) *Windows {
	h := &Windows{largest: largest, of: map[net.Conn]*window{}}
	l.left = append(l.left, h.end)
	return h
}

// ID implements mqtt.Hook.
func (*Windows) ID() string { return "windows" }

// Provides implements mqtt.Hook.
func (*Windows) Provides(b byte) bool {
	return bytes.Contains([]byte{mqtt.OnSessionEstablish, mqtt.OnSessionEstablished, mqtt.OnPacketEncode, mqtt.OnPacketProcessed},
		[]byte{b})
}

// OnSessionEstablish implements mqtt.Hook.
func (h *Windows) OnSessionEstablish(cl *mqtt.Client, _ packets.Packet) {
	most := int(cl.Properties.Props.ReceiveMaximum) // 0: none
	cl.Properties.Props.ReceiveMaximum = 0
	cl.State.Inflight.ResetSendQuota(0)
	if most == 0 || most >= h.largest {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	cl.Properties.Props.TopicAliasMaximum = 0 // a message with the name of an alias may wait while others use it
	h.of[cl.Net.Conn] = &window{most: most, sent: map[uint16]struct{}{}}
}

// OnSessionEstablished implements mqtt.Hook.
func (h *Windows) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w := h.of[cl.Net.Conn]; w != nil {
		w.begun = true
	}
}

// end is called when the server has returned from a connection.
func (h *Windows) end(c net.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.of, c)
}

// OnPacketEncode implements mqtt.Hook: a message that has to wait gets a limit of its size, so that it is not written.
func (h *Windows) OnPacketEncode(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	if pk.FixedHeader.Type != packets.Publish || pk.FixedHeader.Qos == 0 {
		return pk
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.of[cl.Net.Conn]
	if w == nil || tooLarge(cl, pk) { // the server drops what is too large, and nothing acknowledges it
		return pk
	}
	if _, ok := w.sent[pk.PacketID]; ok {
		return pk
	}
	if w.begun && (w.delivering || len(w.waiting) > 0 || len(w.sent) >= w.most) {
		w.waiting = append(w.waiting, pk.PacketID)
		pk.Mods.MaxSize = 1
		return pk
	}
	w.sent[pk.PacketID] = struct{}{}
	return pk
}

// OnPacketProcessed implements mqtt.Hook: what is acknowledged makes room for what waits.
func (h *Windows) OnPacketProcessed(cl *mqtt.Client, pk packets.Packet, _ error) {
	switch pk.FixedHeader.Type {
	case packets.Puback, packets.Pubrec, packets.Pubcomp:
	default:
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.of[cl.Net.Conn]
	if w == nil || w.delivering {
		return
	}
	for id := range w.sent {
		if _, ok := cl.State.Inflight.Get(id); !ok {
			delete(w.sent, id)
		}
	}
	w.delivering = true
	for len(w.waiting) > 0 && len(w.sent) < w.most {
		m, ok := cl.State.Inflight.Get(w.waiting[0])
		w.waiting = w.waiting[1:]
		if _, again := w.sent[m.PacketID]; !ok || again {
			continue // it has expired, and another message may have its identifier
		}
		w.sent[m.PacketID] = struct{}{}
		h.mu.Unlock()
		_ = cl.WritePacket(m) // a connection that ended has its own error
		h.mu.Lock()
	}
	w.delivering = false
}

// tooLarge reports whether a message is above the Maximum Packet Size of the client.
func tooLarge(cl *mqtt.Client, pk packets.Packet) bool {
	most := cl.Properties.Props.MaximumPacketSize
	if most == 0 {
		return false
	}
	var b bytes.Buffer
	return pk.PublishEncode(&b) == nil && b.Len() > int(most)
}
