package broker

import (
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"golang.org/x/time/rate"
)

// How fast one account may make the broker work. What is faster waits: only the connection of the client waits, its network
// buffer fills, and it cannot send on. An account has at most maxSessionsPerUser of them, so a wait is short.
const (
	userMessages  = 200 // messages, filters and changes of filters a second
	userBurst     = 5_000
	userBytes     = 1 << 20 // of messages, a second
	userByteBurst = 16 << 20
	// Retained messages that subscribing delivers, a second: one small packet can ask for all of them.
	userRetainedSent  = 2_000
	userRetainedBurst = 3 * maxRetainedTopics / 10
)

// paces are the limits of one account.
type paces struct{ messages, bytes, retained *rate.Limiter }

func newPaces() *paces {
	return &paces{rate.NewLimiter(userMessages, userBurst), rate.NewLimiter(userBytes, userByteBurst),
		rate.NewLimiter(userRetainedSent, userRetainedBurst)}
}

// pace returns the limits of a user.
func (h *hook) pace(user string) *paces {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.paces[user]
	if p == nil {
		p = newPaces()
		h.paces[user] = p
	}
	return p
}

// slowSender waits while a user sends too many messages or filters, or too many bytes.
func (h *hook) slowSender(cl *mqtt.Client, user string, messages, bytes int) {
	p := h.pace(user)
	h.wait(cl, user, max(delay(p.messages, messages), delay(p.bytes, bytes)))
}

// delay takes n of a limit and returns how long that must wait.
func delay(l *rate.Limiter, n int) time.Duration {
	if n <= 0 {
		return 0
	}
	return l.ReserveN(time.Now(), min(n, l.Burst())).Delay()
}

// wait waits for d or until another connection wants the client id, counts the wait and tells the operator of it.
func (h *hook) wait(cl *mqtt.Client, user string, d time.Duration) {
	if d <= 0 {
		return
	}
	h.slowed.Add(1)
	if h.mayLog(user) {
		h.log.Warn("mqtt account slowed down: it sends or asks for too much", "device", user, "wait", d.Round(time.Millisecond),
			"messages_per_second", userMessages, "bytes_per_second", userBytes)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-h.succession.Over(cl):
	case <-h.stop:
	}
}

// OnUnsubscribe implements mqtt.Hook.
func (h *hook) OnUnsubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	if user, limited := h.limited(cl); limited {
		h.slowSender(cl, user, len(pk.Filters), 0)
	}
	return pk
}

// OnRetainPublished implements mqtt.Hook: the server calls it for each retained message that a subscription delivers.
func (h *hook) OnRetainPublished(cl *mqtt.Client, _ packets.Packet) {
	if user, limited := h.limited(cl); limited {
		h.wait(cl, user, delay(h.pace(user).retained, 1))
	}
}

// limited returns the user of a client, and whether limits apply to it: not to the cloud.
func (h *hook) limited(cl *mqtt.Client) (user string, limited bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, ok := h.sessions[cl.ID]
	return s.user, ok && !s.service
}

// Pressure counts what the broker did against accounts that want too much.
type Pressure struct {
	Slowed      int64 // waits
	NotRetained int64 // messages that were delivered and not retained
	Refused     int64 // subscriptions over the number of a session
}

// Pressure returns the counts since the start.
func (b *Broker) Pressure() Pressure {
	return Pressure{b.hook.slowed.Load(), b.hook.notRetained.Load(), b.hook.overSubscribed.Load()}
}
