package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/orderkey"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

// A station gets its identity with a code, executes orders that the cloud has signed, and refuses unsigned, changed and
// repeated ones that an operator publishes to the broker.
func TestEnrolledStation(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	boss := s.addDevice("boss", "operator")
	broker := fmt.Sprintf("tcp://127.0.0.1:%d", s.mqtt)
	s.cloudcfg = s.write("enrolling.yaml", fmt.Sprintf(`
data: %s
http: {listen: "127.0.0.1:%d", open_reading: true}
mqtt: {embedded_listen: "127.0.0.1:%d", public_url: %q}
intake: {min_free: 1MiB}
`, s.path("cloud"), s.web, s.mqtt, broker))
	s.startAPI()
	// The station had a token that was carried by hand: it is enrolled again.
	code := must.Get(exec.Command(filepath.Join(bin, "cloud-api"), "device", "enrol", device, "--site", site, "--config",
		s.cloudcfg).Output())(t)
	s.edgecfg = s.path("edge-agent.yaml")
	out, err := exec.Command(filepath.Join(bin, "edge-agent"), "enrol", "-c", s.edgecfg, "--watch", s.path("card"), s.url(""),
		strings.TrimSpace(string(code))).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "enrolled: "+site+"/"+device) {
		t.Fatalf("%v: %s", err, out)
	}
	s.edge = s.startIn([]string{"CATTLE_EDGE_SPOOL_DIR=" + s.path("spool"), "CATTLE_EDGE_SPOOL_MIN_FREE=32MiB",
		"CATTLE_EDGE_VITALS_EVERY=1s"}, "edge-agent",
		filepath.Join(bin, "edge-agent"), "run", "--config", s.edgecfg)
	s.eventually("the station is online", time.Minute, func() bool {
		var list wire.Page[wire.Station]
		return s.get("/api/v1/stations", &list) == nil && len(list.Items) == 1 && list.Items[0].State == wire.StationOnline
	})
	at := topic.Device{Site: site, Name: device}
	orders, replies := make(chan topic.Command, 100), make(chan topic.Reply, 100)
	c := operator(t, broker, boss)
	follow(t, c, at.Command(), orders)
	follow(t, c, at.CommandReply("+"), replies)

	if r := s.order(boss, `{"command":"pause"}`); r.State != topic.Finished || r.Text != "upload paused" {
		t.Errorf("a signed order: %+v", r)
	}
	recorded, first := <-orders, <-replies
	if recorded.By != "boss" || recorded.Signed == "" || recorded.Station != at.Path() || first.State != topic.Finished {
		t.Errorf("order %+v, answer %+v", recorded, first)
	}
	unsigned := topic.Command{ID: "by-hand", Name: topic.CommandResume, Expires: time.Now().Add(time.Minute)}
	changed := recorded
	changed.ID, changed.Signed = "changed", strings.Replace(recorded.Signed, ".", ".A", 1)
	for _, x := range []struct {
		order topic.Command
		state topic.ReplyState
		why   string
	}{
		{unsigned, topic.Refused, "not signed"}, {changed, topic.Refused, "not one of the cloud"},
		{recorded, topic.Finished, "upload paused"}, // the first answer again
	} {
		must.Do(t, wait(c.Publish(at.Command(), 1, false, must.Get(json.Marshal(x.order))(t))))
		if r := <-replies; r.ID != x.order.ID || r.State != x.state || !strings.Contains(r.Why, x.why) {
			t.Errorf("answer %+v, want %s, %q", r, x.state, x.why)
		}
	}
	s.rotate(t, func(o topic.Command) topic.Reply {
		must.Do(t, wait(c.Publish(at.Command(), 1, false, must.Get(json.Marshal(o))(t))))
		limit := time.NewTimer(time.Minute)
		defer limit.Stop()
		for {
			select {
			case r := <-replies:
				if r.ID == o.ID {
					return r
				}
			case <-limit.C:
				t.Error("no answer to an order")
				return topic.Reply{}
			}
		}
	}, recorded)
	if r := s.order(boss, `{"command":"pause"}`); r.State != topic.Finished {
		t.Errorf("an order with the new key: %+v", r)
	}
}

// rotate changes the key of orders while the cloud runs. The station follows, and then refuses an order of before.
func (s *stage) rotate(t *testing.T, publish func(topic.Command) topic.Reply, recorded topic.Command) {
	t.Helper()
	orders := func(args ...string) string {
		args = append(append([]string{"orders"}, args...), "--config", s.cloudcfg)
		return string(must.Get(exec.Command(filepath.Join(bin, "cloud-api"), args...).Output())(t))
	}
	var next orderkey.Public
	must.Do(t, next.UnmarshalText([]byte(strings.TrimSpace(orders("rotate")))))
	s.eventually("the station has the new key", time.Minute, func() bool {
		var list wire.Page[wire.Station]
		return s.get("/api/v1/stations", &list) == nil && list.Items[0].Vitals != nil && list.Items[0].Vitals.OrderKey == next.ID()
	})
	if r := publish(recorded); r.State != topic.Refused || !strings.Contains(r.Why, "pinned key is "+next.ID()) {
		t.Errorf("an order of before the rotation: %+v", r)
	}
	s.eventually("the cloud remembers which station has the new key", time.Minute, func() bool {
		return strings.Contains(orders("keys"), next.ID()+"  current") && strings.Contains(orders("keys"), device)
	})
}

// operator connects to the broker with the token of an operator.
func operator(t *testing.T, broker, token string) mqtt.Client {
	t.Helper()
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(broker).SetClientID("boss").SetUsername("boss").SetPassword(token))
	must.Do(t, wait(c.Connect()))
	t.Cleanup(func() { c.Disconnect(100) })
	return c
}

func wait(tok mqtt.Token) error {
	if !tok.WaitTimeout(time.Minute) {
		return fmt.Errorf("the broker does not answer")
	}
	return tok.Error()
}

// follow sends every message of a topic to a channel.
func follow[T any](t *testing.T, c mqtt.Client, filter string, to chan<- T) {
	t.Helper()
	must.Do(t, wait(c.Subscribe(filter, 1, func(_ mqtt.Client, m mqtt.Message) {
		var v T
		if err := json.Unmarshal(m.Payload(), &v); err != nil {
			t.Errorf("%s: %v", m.Topic(), err)
			return
		}
		to <- v
	})))
}
