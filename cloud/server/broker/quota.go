package broker

import (
	"maps"
	"strings"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"golang.org/x/time/rate"

	"cattlecounter/shared/topic"
)

// Quotas of one account, so that one station cannot use up what the others and the cloud need.
const (
	userRetainedTopics = 20_000
	userRetainedBytes  = 16 << 20
	userSubscriptions  = 200 // of a session
	// Refused log-ins of one address at once, one more each second, and the wait of the others.
	refusedAtOnce    = 50
	refusedWait      = 3 * time.Second
	refusedAddresses = 4096
	warningsAtOnce   = 20 // lines of one account in the log, one more each second
	// serviceReserve is the share of the retained topics that only the cloud may use.
	serviceReserve = maxRetainedTopics / 4
)

// OnPublish implements mqtt.Hook: it slows an account down that sends too fast, and bounds its retained messages. What is
// over the bounds is delivered, but not retained.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	h.mu.Lock()
	s, ok := h.sessions[cl.ID]
	h.mu.Unlock()
	if !ok || s.service {
		return h.bounded(cl, pk, ServiceUser, maxRetainedTopics), nil
	}
	h.slowSender(cl, s.user, 1, sizeOf(pk))
	if at, err := topic.Parse(pk.TopicName); err == nil && at.Kind == topic.KindCommand {
		pk.FixedHeader.Retain = false // the station would get the order again, also after its operator lost access
		if err := h.checkOrder(s, pk); err != nil {
			return pk, err
		}
	}
	return h.bounded(cl, pk, s.user, maxRetainedTopics-serviceReserve), nil
}

// OnWill implements mqtt.Hook: a retained will counts like other retained messages.
func (h *hook) OnWill(cl *mqtt.Client, will mqtt.Will) (mqtt.Will, error) {
	h.mu.Lock()
	s, ok := h.sessions[cl.ID]
	h.mu.Unlock()
	user, most := s.user, maxRetainedTopics-serviceReserve
	if !ok {
		user, _, _ = strings.Cut(cl.ID, "/")
	}
	if s.service {
		user, most = ServiceUser, maxRetainedTopics
	}
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Retain: will.Retain}, TopicName: will.TopicName, Payload: will.Payload,
		Properties: packets.Properties{User: will.User}}
	will.Retain = h.bounded(cl, pk, user, most).FixedHeader.Retain
	return will, nil
}

// mayLog reports whether a line about a user may go into the log, which a client could fill otherwise.
func (h *hook) mayLog(user string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.loggable(user)
}

// loggable is mayLog with the lock held.
func (h *hook) loggable(user string) bool {
	l := h.warnings[user]
	if l == nil {
		l = rate.NewLimiter(1, warningsAtOnce)
		h.warnings[user] = l
	}
	return l.Allow()
}

// bounded removes the retain flag of a message that would go over a bound.
func (h *hook) bounded(cl *mqtt.Client, pk packets.Packet, user string, most int) packets.Packet {
	if !pk.FixedHeader.Retain {
		return pk
	}
	_, known := h.server.Topics.Retained.Get(pk.TopicName)
	all := h.server.Topics.Retained.Len()
	h.mu.Lock()
	defer h.mu.Unlock()
	own := h.kept[user]
	if len(pk.Payload) == 0 {
		own.put(pk.TopicName, 0)
		return pk
	}
	if size := sizeOf(pk); size > maxRetained || !known && all >= most || user != ServiceUser && !own.fits(pk) {
		if h.loggable(user) {
			h.log.Warn("mqtt message not retained: over the limit", "client", printable(cl.ID), "topic", printable(pk.TopicName),
				"bytes", size)
		}
		h.notRetained.Add(1)
		pk.FixedHeader.Retain = false
		return pk
	}
	if user != ServiceUser {
		if own == nil {
			own = &retained{topics: map[string]int{}}
			h.kept[user] = own
		}
		own.put(pk.TopicName, sizeOf(pk))
	}
	return pk
}

// sizeOf is the memory of a retained message: its payload, and beyond that the properties of MQTT 5, which may be longer.
func sizeOf(pk packets.Packet) int {
	const perProperty = 48 // the two texts and their place in a list
	p := pk.Properties
	n := len(pk.Payload) + len(p.ContentType) + len(p.ResponseTopic) + len(p.CorrelationData)
	for _, u := range p.User {
		n += len(u.Key) + len(u.Val) + perProperty
	}
	return n
}

// retained are the sizes of the retained messages of a user. nil has none.
type retained struct {
	topics map[string]int
	bytes  int
}

// put records the size of the message of a topic, 0 for none.
func (r *retained) put(name string, size int) {
	if r == nil {
		return
	}
	r.bytes += size - r.topics[name]
	if r.topics[name] = size; size == 0 {
		delete(r.topics, name)
	}
}

// fits reports whether a message stays within the quota.
func (r *retained) fits(pk packets.Packet) bool {
	if r == nil {
		return true
	}
	before, known := r.topics[pk.TopicName]
	return r.bytes+sizeOf(pk)-before <= userRetainedBytes && (known || len(r.topics) < userRetainedTopics)
}

// OnSubscribe implements mqtt.Hook: what is over the number of subscriptions of a session is refused.
func (h *hook) OnSubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	h.mu.Lock()
	s := h.sessions[cl.ID]
	h.mu.Unlock()
	if s.service {
		return pk
	}
	h.slowSender(cl, s.user, len(pk.Filters), 0)
	left := userSubscriptions - len(cl.State.Subscriptions.GetAll())
	for i := range pk.Filters {
		if _, known := cl.State.Subscriptions.Get(pk.Filters[i].Filter); known {
			continue
		}
		if left--; left < 0 {
			pk.Filters[i].Filter = "" // not a valid filter: the server refuses it
		}
	}
	if left < 0 {
		h.overSubscribed.Add(int64(-left))
	}
	if left < 0 && h.mayLog(s.user) {
		h.log.Warn("mqtt subscriptions refused: too many", "client", printable(cl.ID), "limit", userSubscriptions)
	}
	return pk
}

// clearRetained deletes the retained messages that revoked devices published.
//
// It does so a few times for each, because a message may just have been on its way, and no more than that, because it looks at
// every retained message.
func (h *hook) clearRetained(all map[string]bool) {
	const rounds = 3
	revoked := map[string]bool{}
	h.mu.Lock()
	maps.DeleteFunc(h.cleared, func(name string, _ int) bool { return !all[name] })
	for name := range all {
		if h.cleared[name] < rounds {
			h.cleared[name]++
			revoked[name] = true
		}
	}
	h.mu.Unlock()
	if len(revoked) == 0 {
		return
	}
	for name := range h.server.Topics.Retained.GetAll() {
		at, err := topic.Parse(name)
		if err != nil || !revoked[at.Device.Name] {
			continue
		}
		switch at.Kind {
		case topic.KindStatus, topic.KindVitals, topic.KindFootage, topic.KindReply:
			h.server.Topics.Retained.Delete(name)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for name := range revoked {
		delete(h.kept, name)
	}
}
