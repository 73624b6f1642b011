package mqtt

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"cattlecounter/deploy/conformance/finding"
)

// changed is a fault that changes the messages for the clients.
func changed(f func(*link, *packets.PublishPacket) bool) fault {
	return fault{down: func(l *link, pk packets.ControlPacket) []packets.ControlPacket {
		if m, ok := pk.(*packets.PublishPacket); ok && !f(l, m) {
			return nil
		}
		return []packets.ControlPacket{pk}
	}}
}

// sent is a fault that changes the messages of the clients; what it does not pass on is acknowledged.
func sent(f func(*link, *packets.PublishPacket) bool) fault {
	return fault{up: func(l *link, pk packets.ControlPacket) []packets.ControlPacket {
		if m, ok := pk.(*packets.PublishPacket); ok && !f(l, m) {
			l.ack(m)
			return nil
		}
		return []packets.ControlPacket{pk}
	}}
}

// answered is a fault that changes the answers to filters.
func answered(f func(*link, *packets.SubackPacket)) fault {
	return fault{down: func(l *link, pk packets.ControlPacket) []packets.ControlPacket {
		if a, ok := pk.(*packets.SubackPacket); ok {
			f(l, a)
		}
		return []packets.ControlPacket{pk}
	}}
}

// replaced is a fault that replaces text in what the API answers for paths with a part.
func replaced(part, old, new string) fault {
	return fault{body: func(path, text string) string {
		if strings.Contains(path, part) {
			text = strings.ReplaceAll(text, old, new)
		}
		return text
	}}
}

// text is a fault that replaces text in messages whose topic has a part.
func text(part, old, new string) fault {
	return changed(func(_ *link, m *packets.PublishPacket) bool {
		if strings.Contains(m.TopicName, part) {
			m.Payload = []byte(strings.ReplaceAll(string(m.Payload), old, new))
		}
		return true
	})
}

// onFilter is a fault that gives a retained message to the reader when it subscribes to a filter.
func onFilter(filter, topic, payload string) fault {
	return fault{subscribed: func(l *link, f string) {
		if l.is("reader") && f == filter {
			l.give(topic, []byte(payload), true)
		}
	}}
}

// accepting answers every log-in with yes.
func accepting() fault {
	return fault{stays: true, down: func(_ *link, pk packets.ControlPacket) []packets.ControlPacket {
		if a, ok := pk.(*packets.ConnackPacket); ok {
			a.ReturnCode = packets.Accepted
		}
		return []packets.ControlPacket{pk}
	}}
}

// granted is a fault with every filter granted.
func granted(f fault) fault {
	f.down = answered(func(_ *link, a *packets.SubackPacket) { a.ReturnCodes[0] = 1 }).down
	return f
}

// own reports whether the user of a connection is the station of a topic and may publish there.
func own(l *link, topic string) bool {
	levels := strings.Split(topic, "/")
	return len(levels) > 4 && levels[3] == l.user && slices.Contains([]string{"status", "vitals", "footage"}, levels[4])
}

// faults are faults of a cloud, each with the checks that must find it.
var faults = map[string]struct {
	fault  fault
	checks []string
}{
	"every log-in is accepted": {accepting(), []string{"login-wrong-token", "login-without-name", "login-name-of-another", "limit-sessions"}},
	"client ids are shared": {fault{connect: func(l *link, c *packets.ConnectPacket) {
		l.p.each("a", func(other *link) {
			if other.id == c.ClientIdentifier && other != l {
				_ = other.client.Close()
			}
		})
	}}, []string{"login-client-id-of-another"}},
	"retained messages of another site": {onFilter(everything, "cattle/v1/south/counts/x", "{}"), []string{"read-own-sites"}},
	"# delivers another site":           {granted(onFilter("#", "cattle/v1/south/counts/x", "{}")), []string{"read-wide-filters"}},
	"one list of identifiers": {answered(func(l *link, a *packets.SubackPacket) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.waiting[a.MessageID] {
			a.ReturnCodes[0] = 0x91
		}
	}), []string{"identifiers-of-both-sides"}},
	"vitals are retained":     {onFilter(everything, "cattle/v1/north/dock/vitals", "{}"), []string{"retained-kinds", "messages-fit-the-schema"}},
	"a count is not retained": {changed(func(_ *link, m *packets.PublishPacket) bool { return !strings.HasSuffix(m.TopicName, "/counts/seed-2") }), []string{"counts-retained"}},
	"a count is wrong":        {text("/counts/seed-2", `"unique":42`, `"unique":43`), []string{"counts-retained"}},
	"no newest count": {changed(func(_ *link, m *packets.PublishPacket) bool {
		return !strings.Contains(m.TopicName, "/counts/stations/")
	}), []string{"counts-newest"}},
	"the newest count is an old one": {text("/counts/stations/", `"captured":"20`, `"captured":"19`), []string{"counts-newest"}},
	"an entity without its state":    {text("homeassistant/", `"state_topic"`, `"topic"`), []string{"home-assistant"}},
	"a field of version 1 is gone":   {replaced("asyncapi", "frames_done", "frames"), []string{"version-1-stays"}},
	"a number is a text":             {text("/counts/seed-2", `"unique":42`, `"unique":"42"`), []string{"messages-fit-the-schema"}},
	"a message without an old field": {text("/counts/seed-2", `"model_digest"`, `"digest"`), []string{"messages-have-version-1", "messages-fit-the-schema"}},
	"QoS 0":                          {changed(func(_ *link, m *packets.PublishPacket) bool { m.Qos = 0; return true }), []string{"messages-at-qos-1"}},
	"the seq of a job stays":         {changed(staySeq), []string{"job-published", "seq-grows"}},
	"the birth is not retained": {sent(func(_ *link, m *packets.PublishPacket) bool {
		m.Retain = m.Retain && !strings.HasSuffix(m.TopicName, "/status")
		return true
	}), []string{"status-birth"}},
	"no last will":              {fault{connect: func(_ *link, c *packets.ConnectPacket) { c.WillFlag = false; c.WillQos = 0; c.WillRetain = false }}, []string{"status-will", "will-of-another", "will-is-no-order"}},
	"a station is never online": {replaced("/stations/", `"state":"online"`, `"state":"never"`), []string{"station-online"}},
	"vitals are not heard": {sent(func(_ *link, m *packets.PublishPacket) bool {
		return !strings.Contains(string(m.Payload), `"disk_free":47`)
	}), []string{"vitals-heard", "malformed-ignored"}},
	"malformed vitals end the session": {sent(func(l *link, m *packets.PublishPacket) bool {
		if string(m.Payload) == "{" {
			_ = l.client.Close()
		}
		return true
	}), []string{"malformed-ignored"}},
	"footage is not heard": {sent(func(_ *link, m *packets.PublishPacket) bool { return !strings.Contains(m.TopicName, "/footage/") }), []string{"footage-heard", "retained-cleared"}},
	"clears are ignored": {sent(func(_ *link, m *packets.PublishPacket) bool {
		return len(m.Payload) > 0 || !strings.Contains(m.TopicName, "/footage/")
	}), []string{"retained-cleared"}},
	"anybody may publish":     {sent(anybody), []string{"station-not-for-another", "station-not-for-the-cloud", "reader-publishes-nothing"}},
	"every filter is granted": {granted(fault{}), []string{"station-reads-own-orders", "limit-subscriptions"}},
	"live messages everywhere": {sent(func(l *link, m *packets.PublishPacket) bool {
		l.p.each("stranger", func(other *link) { other.give(m.TopicName, m.Payload, false) })
		return true
	}), []string{"sites-apart-live"}},
	"orders are not signed": {text("/command", `"signed":"ey`, `"signed":"eY`), []string{"order-signed"}},
	"orders are retained": {changed(func(_ *link, m *packets.PublishPacket) bool {
		m.Retain = m.Retain || strings.HasSuffix(m.TopicName, "/command")
		return true
	}), []string{"order-signed", "operator-orders", "order-not-retained"}},
	"a refusal counts as done":    {replaced("/commands", `"state":"refused"`, `"state":"done"`), []string{"order-refused", "order-answer-malformed"}},
	"the answer loses its text":   {replaced("/commands", "42 pieces", ""), []string{"order-done"}},
	"the last answer is lost":     {replaced("/stations/", "at last", ""), []string{"order-accepted-then-done"}},
	"any answer counts":           {replaced("/commands", `"text":"right"`, `"text":"wrong id"`), []string{"order-answer-malformed"}},
	"every order exists":          {fault{request: func(_ http.ResponseWriter, _, body string) bool { return strings.Contains(body, "explode") }}, []string{"order-unknown"}},
	"orders wait for a station":   {fault{request: func(_ http.ResponseWriter, path, _ string) bool { return strings.HasSuffix(path, "/commands") }}, []string{"order-offline"}},
	"operators may not order":     {sent(func(l *link, _ *packets.PublishPacket) bool { return !l.is("operator") }), []string{"operator-orders"}},
	"operators order everywhere":  {sent(func(l *link, m *packets.PublishPacket) bool { return !l.is("operator") || give(l, "b", m) }), []string{"operator-of-another-site"}},
	"a large message is retained": {kept(func(m *packets.PublishPacket) bool { return len(m.Payload) > mostPayload }), []string{"limit-retained-size"}},
	"an order is kept":            {kept(func(m *packets.PublishPacket) bool { return strings.HasSuffix(m.TopicName, "/command") }), []string{"order-not-retained"}},
	"sessions outlive tokens":     {fault{stays: true}, []string{"token-revoked", "station-revoked"}},
	"a revoked station is shown":  {kept(func(m *packets.PublishPacket) bool { return strings.HasSuffix(m.TopicName, "/status") }), []string{"station-revoked"}},
	"a message at QoS 2 that is sent again is another one": {sent(func(l *link, m *packets.PublishPacket) bool {
		if m.Qos == 2 && m.Dup {
			give(l, "reader", m)
		}
		return true
	}), []string{"qos2-from-a-station"}},
	"a received message is sent again": {fault{down: repeated}, []string{"qos2-to-a-reader"}},
	"a message at QoS 2 is sent once": {changed(func(_ *link, m *packets.PublishPacket) bool { return m.Qos < 2 || !m.Dup }),
		[]string{"qos2-to-a-reader"}},
	"QoS 2 becomes QoS 1": {fault{up: func(_ *link, pk packets.ControlPacket) []packets.ControlPacket {
		if f, ok := pk.(*packets.SubscribePacket); ok {
			f.Qoss[0] = 1
		}
		return []packets.ControlPacket{pk}
	}}, []string{"qos2-to-a-reader"}},
	"every session is clean": {fault{connect: func(_ *link, c *packets.ConnectPacket) { c.CleanSession = true }},
		[]string{"qos2-from-a-station", "qos2-to-a-reader", "takeover-ends-the-old", "takeover-delivers-once"}},
	"two connections have one client id": {apart(), []string{"takeover-ends-the-old", "takeover-delivers-once", "takeover-keeps-online"}},
	"what waits comes twice": {fault{down: func(_ *link, pk packets.ControlPacket) []packets.ControlPacket {
		if m, ok := pk.(*packets.PublishPacket); ok && m.Dup {
			return []packets.ControlPacket{pk, pk}
		}
		return []packets.ControlPacket{pk}
	}}, []string{"takeover-delivers-once"}},
	"what waits is lost": {changed(func(_ *link, m *packets.PublishPacket) bool { return !m.Dup }), []string{"takeover-delivers-once"}},
	"the last will comes late": {fault{up: func(l *link, pk packets.ControlPacket) []packets.ControlPacket {
		m, ok := pk.(*packets.PublishPacket)
		if !ok || !strings.HasSuffix(m.TopicName, "/status") {
			return []packets.ControlPacket{pk}
		}
		late := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
		late.TopicName, late.Retain, late.Payload = m.TopicName, true, []byte(strings.Replace(string(m.Payload), `"online":true`, `"online":false`, 1))
		return []packets.ControlPacket{pk, late}
	}}, []string{"takeover-keeps-online"}},
	"1,001 counts": {fault{subscribed: manyCounts}, []string{"counts-at-most-1000"}},
	"a restart changes times": {changed(func(l *link, m *packets.PublishPacket) bool {
		l.p.mu.Lock()
		defer l.p.mu.Unlock()
		if l.p.again && strings.HasSuffix(m.TopicName, "/counts/seed-1") {
			m.Payload = []byte(strings.Replace(string(m.Payload), `"at":"20`, `"at":"19`, 1))
		}
		return true
	}), []string{"restart-keeps-times"}},
}

// repeated sends a message at QoS 2 again whose receipt the client has acknowledged.
func repeated(l *link, pk packets.ControlPacket) []packets.ControlPacket {
	const last = "the last one at QoS 2"
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	switch pk := pk.(type) {
	case *packets.PublishPacket:
		if pk.Qos == 2 {
			l.p.kept[last] = pk.Payload
		}
	case *packets.PubrelPacket:
		l.give("again", l.p.kept[last], false)
	}
	return []packets.ControlPacket{pk}
}

// apart gives every connection a client id of its own, and says that it resumes a session.
func apart() fault {
	return fault{connect: func(_ *link, c *packets.ConnectPacket) { c.ClientIdentifier += rand.Text() },
		down: func(_ *link, pk packets.ControlPacket) []packets.ControlPacket {
			if a, ok := pk.(*packets.ConnackPacket); ok {
				a.SessionPresent = true
			}
			return []packets.ControlPacket{pk}
		}}
}

// staySeq gives every message of a job the same seq.
func staySeq(_ *link, m *packets.PublishPacket) bool {
	if _, rest, ok := strings.Cut(string(m.Payload), `"seq":`); ok && strings.Contains(m.TopicName, "/jobs/") {
		_, rest, _ = strings.Cut(rest, ",")
		m.Payload = []byte(`{"v":1,"seq":1,` + rest)
	}
	return true
}

// anybody delivers to the reader what only others may publish.
func anybody(l *link, m *packets.PublishPacket) bool {
	if own(l, m.TopicName) || l.is("operator") {
		return true
	}
	return give(l, "reader", m)
}

// give delivers a message to a role without the broker.
func give(l *link, role string, m *packets.PublishPacket) bool {
	l.p.each(role, func(other *link) { other.give(m.TopicName, m.Payload, false) })
	return false
}

// kept retains messages that fit, and gives them to a client that subscribes to their topic or below their station.
func kept(fits func(*packets.PublishPacket) bool) fault {
	f := sent(func(l *link, m *packets.PublishPacket) bool {
		if fits(m) {
			l.p.mu.Lock()
			l.p.kept[m.TopicName] = m.Payload
			l.p.mu.Unlock()
		}
		return true
	})
	f.subscribed = func(l *link, filter string) {
		l.p.mu.Lock()
		defer l.p.mu.Unlock()
		for topic, payload := range l.p.kept {
			if topic == filter || strings.HasPrefix(topic, strings.TrimSuffix(filter, "#")) && strings.Count(filter, "/") > 3 {
				l.give(topic, payload, true)
			}
		}
	}
	return f
}

func manyCounts(l *link, filter string) {
	if filter != everything {
		return
	}
	for i := range mostCounts {
		l.give(fmt.Sprint("cattle/v1/north/counts/more-", i), []byte("{}"), true)
	}
}

// TestEveryFaultIsFound shows that each check can fail: it fails in front of a cloud with the matching fault.
func TestEveryFaultIsFound(t *testing.T) {
	t.Parallel()
	o := startCloud(t).o
	o.Patience = 3 * time.Second
	proven := map[string]bool{}
	t.Run("faults", func(t *testing.T) {
		for name, f := range faults {
			for _, c := range f.checks {
				proven[c] = true
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				o := behind(t, o, f.fault)
				o.Only = slices.Clone(f.checks)
				found := run(t, o)
				for _, name := range f.checks {
					want := map[finding.Level]finding.Result{finding.Must: finding.Fail, finding.Should: finding.Warn}[found[name].Level]
					if got := found[name]; got.Result != want {
						t.Errorf("%s: %s (%s)", name, got.Result, got.Detail)
					}
				}
			})
		}
	})
	for _, c := range checks() {
		if !proven[c.name] {
			t.Errorf("no fault makes %s fail", c.name)
		}
	}
}

// Without a fault the proxy changes nothing.
func TestProxyAlonePasses(t *testing.T) {
	t.Parallel()
	o := startCloud(t).o
	o = behind(t, o, fault{})
	o.Only = []string{"login-wrong-token", "read-own-sites", "identifiers-of-both-sides", "status-will", "order-signed", "token-revoked",
		"messages-fit-the-schema", "restart-keeps-times"}
	for _, f := range run(t, o) {
		if f.Result != finding.Pass {
			t.Errorf("%s: %s: %s", f.Name, f.Result, f.Detail)
		}
	}
}
