package broker

import (
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// The library (Mochi 2.7.9) records the acknowledgement of a message, writes it, and then delivers the message. When the
// client is gone at that moment, the write fails, nothing is delivered, and the acknowledgement stays: in the next connection
// of the session the client learns that its message was received, at QoS 1 as at QoS 2. So the acknowledgement is removed
// again. The client then sends the message again (MQTT 3.1.1, section 4.4), and it is delivered once.

// receipt is the acknowledgement that the library has recorded for the message that it processes.
type receipt struct {
	id  uint16
	ack *packets.Packet // as recorded; nil for a message that was received before
}

// beginReceipt is called before the library processes a packet of a client.
func (h *hook) beginReceipt(cl *mqtt.Client, pk packets.Packet) {
	if pk.FixedHeader.Type != packets.Publish {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taking[cl] = &receipt{id: pk.PacketID}
}

// OnQosPublish implements mqtt.Hook: the library has recorded a message that waits for its client, or an acknowledgement.
func (h *hook) OnQosPublish(cl *mqtt.Client, pk packets.Packet, _ int64, _ int) {
	if pk.FixedHeader.Type != packets.Puback && pk.FixedHeader.Type != packets.Pubrec {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.taking[cl]; r != nil && r.id == pk.PacketID {
		r.ack = &pk
	}
}

// endReceipt is called when the library has processed a packet of a client, and whether that failed.
func (h *hook) endReceipt(cl *mqtt.Client, err error) {
	h.mu.Lock()
	r := h.taking[cl]
	delete(h.taking, cl)
	h.mu.Unlock()
	if err == nil || r == nil || r.ack == nil {
		return
	}
	h.undo(cl, r.ack)
	// A new connection that did not wait for the end of this one (see mochi.Succession) may have inherited it.
	if heir, ok := h.server.Clients.Get(cl.ID); ok && heir != cl {
		h.undo(heir, r.ack)
	}
}

// undo removes an acknowledgement from what is recorded for a client, and none of another message with its id.
func (h *hook) undo(cl *mqtt.Client, ack *packets.Packet) {
	now, ok := cl.State.Inflight.Get(ack.PacketID)
	if !ok || now.FixedHeader.Type != ack.FixedHeader.Type || now.Created != ack.Created {
		return
	}
	if cl.State.Inflight.Delete(ack.PacketID) {
		atomic.AddInt64(&h.server.Info.Inflight, -1)
		cl.State.Inflight.IncreaseReceiveQuota()
	}
}
