package broker

import (
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// The client and the server assign packet identifiers independently of each other (MQTT 3.1.1, section 2.3.1). The library
// keeps both in one list. It would refuse a filter whose identifier is that of a message which the client has not
// acknowledged yet, leave a filter in place that the client ends, and forget a message when the client publishes with its
// identifier. So such a message leaves the list while a packet with its identifier is processed.

// OnPacketRead implements mqtt.Hook: it sets a message aside that has the identifier of the packet.
func (h *hook) OnPacketRead(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if !assigns(pk) {
		return pk, nil
	}
	h.beginReceipt(cl, pk)
	out, ok := cl.State.Inflight.Get(pk.PacketID)
	if !ok || out.FixedHeader.Type != packets.Publish {
		return pk, nil
	}
	cl.State.Inflight.Delete(pk.PacketID)
	h.mu.Lock()
	h.aside[cl] = out
	h.mu.Unlock()
	return pk, nil
}

// OnPacketProcessed implements mqtt.Hook: it puts the message back, unless the client uses its identifier for a message of
// its own that takes several packets.
func (h *hook) OnPacketProcessed(cl *mqtt.Client, pk packets.Packet, err error) {
	if !assigns(pk) {
		return
	}
	h.endReceipt(cl, err)
	h.mu.Lock()
	out, ok := h.aside[cl]
	delete(h.aside, cl)
	h.mu.Unlock()
	if !ok {
		return
	}
	if _, taken := cl.State.Inflight.Get(out.PacketID); !taken {
		cl.State.Inflight.Set(out)
		return
	}
	cl.State.Inflight.IncreaseSendQuota()
}

// putBack puts the message of a client that disconnects back: the library refused the packet with its identifier, and then
// nothing calls OnPacketProcessed. When the server has given the identifier to another message meanwhile, it gets a new one.
func (h *hook) putBack(cl *mqtt.Client) {
	h.mu.Lock()
	out, ok := h.aside[cl]
	delete(h.aside, cl)
	delete(h.taking, cl)
	h.mu.Unlock()
	if !ok {
		return
	}
	if _, taken := cl.State.Inflight.Get(out.PacketID); taken {
		id, err := cl.NextPacketID()
		if err != nil {
			h.log.Warn("a message that waits for its client is lost: no packet identifier is free", "client", printable(cl.ID))
			return
		}
		out.PacketID = uint16(id)
	}
	cl.State.Inflight.Set(out)
}

// assigns reports whether the client has chosen the identifier of a packet.
func assigns(pk packets.Packet) bool {
	switch pk.FixedHeader.Type {
	case packets.Subscribe, packets.Unsubscribe:
		return true
	case packets.Publish:
		return pk.FixedHeader.Qos > 0
	}
	return false
}
