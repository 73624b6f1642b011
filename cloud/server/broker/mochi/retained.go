package mochi

import (
	"log/slog"
	"sync"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Guard returns h as the only hook that changes messages, for a server whose clients may subscribe to wildcards while
// others retain messages. Mochi 2.7.9 reads the names of retained messages without a lock there (mochi-mqtt/server, issue
// 200), so a search could read half of a name. The hook lets searches and changes of retained messages wait for each
// other: a change has the lock from OnPublish or OnWill to OnRetainMessage, a search from the SUBACK, once that is
// written, to OnPacketProcessed.
// A search has no lock while it writes to the network or while OnRetainPublished of h waits.
//
// Two ways to a retained message stay without the lock: a last will with a delay, and a subscription of the server's own
// (mqtt.Server.Subscribe).
func Guard(h mqtt.Hook) mqtt.Hook {
	return &guarded{Hook: h, searching: map[*mqtt.Client]struct{}{}}
}

// guarded implements mqtt.Hook.
type guarded struct {
	mqtt.Hook
	retains bool // the server retains messages

	retained sync.RWMutex                // read by searches
	changing atomic.Pointer[mqtt.Client] // who has the lock for a change; nil for none

	mu        sync.Mutex
	searching map[*mqtt.Client]struct{} // who has the lock for a search
}

// SetOpts implements mqtt.Hook.
func (g *guarded) SetOpts(l *slog.Logger, o *mqtt.HookOptions) {
	g.retains = o.Capabilities.RetainAvailable != 0
	g.Hook.SetOpts(l, o)
}

// Provides implements mqtt.Hook.
func (g *guarded) Provides(b byte) bool {
	switch b {
	case mqtt.OnPublish, mqtt.OnWill, mqtt.OnRetainMessage, mqtt.OnPacketSent, mqtt.OnRetainPublished, mqtt.OnPacketProcessed:
		return true
	}
	return g.Hook.Provides(b)
}

// OnPublish implements mqtt.Hook.
func (g *guarded) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	out, err := g.Hook.OnPublish(cl, pk)
	if err == nil && out.FixedHeader.Retain && !out.Ignore {
		g.beginChange(cl)
	}
	return out, err
}

// OnWill implements mqtt.Hook.
func (g *guarded) OnWill(cl *mqtt.Client, will mqtt.Will) (mqtt.Will, error) {
	out, err := g.Hook.OnWill(cl, will)
	if err == nil && out.Retain && will.WillDelayInterval == 0 {
		g.beginChange(cl)
	}
	return out, err
}

// beginChange takes the lock for the message that the server retains next.
func (g *guarded) beginChange(cl *mqtt.Client) {
	if g.retains {
		g.retained.Lock()
		g.changing.Store(cl)
	}
}

// OnRetainMessage implements mqtt.Hook: the server has changed the retained message.
func (g *guarded) OnRetainMessage(cl *mqtt.Client, pk packets.Packet, r int64) {
	if g.changing.CompareAndSwap(cl, nil) {
		g.retained.Unlock()
	}
	g.Hook.OnRetainMessage(cl, pk, r)
}

// OnPacketSent implements mqtt.Hook: the server searches the retained messages next when it has sent a SUBACK.
func (g *guarded) OnPacketSent(cl *mqtt.Client, pk packets.Packet, b []byte) {
	g.Hook.OnPacketSent(cl, pk, b)
	if pk.FixedHeader.Type != packets.Suback {
		return
	}
	g.retained.RLock()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.searching[cl] = struct{}{}
}

// OnRetainPublished implements mqtt.Hook: a search has found a message.
func (g *guarded) OnRetainPublished(cl *mqtt.Client, pk packets.Packet) {
	if g.searches(cl) {
		g.retained.RUnlock()
		defer g.retained.RLock()
	}
	g.Hook.OnRetainPublished(cl, pk)
}

func (g *guarded) searches(cl *mqtt.Client) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.searching[cl]
	return ok
}

// OnPacketProcessed implements mqtt.Hook: the searches of a SUBSCRIBE are over.
func (g *guarded) OnPacketProcessed(cl *mqtt.Client, pk packets.Packet, err error) {
	if pk.FixedHeader.Type == packets.Subscribe && g.searches(cl) {
		g.mu.Lock()
		delete(g.searching, cl)
		g.mu.Unlock()
		g.retained.RUnlock()
	}
	g.Hook.OnPacketProcessed(cl, pk, err)
}
