package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/broker"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

// outpost is a station as a broker sees it.
type outpost struct {
	t      *testing.T
	answer func(topic.Command) (topic.ReplyState, string)
	at     topic.Device
	c      mqtt.Client
	conn   net.Conn
	seq    int64
}

func (o *outpost) header() topic.Header {
	o.seq++
	return topic.Header{V: topic.Version, Seq: topic.SessionSeq(1) + o.seq, At: time.Now().UTC(), Clock: topic.ClockSynced}
}

// startOutpost connects a station of the farm that refuses every order.
func startOutpost(t *testing.T, address, name, token string) *outpost {
	t.Helper()
	return startOutpostAt(t, address, topic.Device{Site: "farm", Name: name}, token, func(c topic.Command) (topic.ReplyState, string) {
		return topic.Refused, "not " + c.Args["footage"]
	})
}

// startOutpostAt connects a station with its last will, announces it and answers every order.
func startOutpostAt(t *testing.T, address string, at topic.Device, token string,
	answer func(topic.Command) (topic.ReplyState, string)) *outpost {
	t.Helper()
	o, name := &outpost{t: t, at: at, answer: answer}, at.Name
	will, err := json.Marshal(topic.Status{Header: topic.Header{V: 1, Seq: topic.SessionSeq(1) + 1000}, Session: 1})
	must.Do(t, err)
	o.c = mqtt.NewClient(mqtt.NewClientOptions().AddBroker(address).SetClientID("edge-"+name).SetUsername(name).
		SetPassword(token).SetAutoReconnect(false).SetBinaryWill(o.at.Status(), will, 1, true).
		SetCustomOpenConnectionFn(func(u *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
			conn, err := net.Dial("tcp", u.Host)
			o.conn = conn
			return conn, err
		}))
	o.wait(o.c.Connect())
	t.Cleanup(func() { o.c.Disconnect(50) })
	o.wait(o.c.Subscribe(o.at.Command(), 1, func(_ mqtt.Client, m mqtt.Message) {
		var c topic.Command
		if err := json.Unmarshal(m.Payload(), &c); err != nil {
			t.Error(err)
		}
		state, why := o.answer(c)
		text, err := json.Marshal(topic.Reply{Header: o.header(), ID: c.ID, Name: c.Name, State: state, Why: why})
		if err != nil {
			t.Error(err)
		}
		o.c.Publish(o.at.CommandReply(c.ID), 1, true, text)
	}))
	o.send(o.at.Status(), true, topic.Status{Header: o.header(), Session: 1, Online: true, Version: "9.9"})
	return o
}

func (o *outpost) wait(tok mqtt.Token) {
	o.t.Helper()
	if !tok.WaitTimeout(time.Minute) || tok.Error() != nil {
		o.t.Fatal(tok.Error())
	}
}

func (o *outpost) send(name string, retain bool, payload any) {
	o.t.Helper()
	text, err := json.Marshal(payload)
	must.Do(o.t, err)
	o.wait(o.c.Publish(name, 1, retain, text))
}

// as sends a request with a token and decodes the answer.
func (r *running) as(token, method, path, body string, into any) int {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.at.HTTP+path, strings.NewReader(body))
	must.Do(r.t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := r.client.Do(req)
	must.Do(r.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must.Do(r.t, err)
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			r.t.Fatalf("%v in %s", err, text)
		}
	}
	return resp.StatusCode
}

// stationEvents returns the events "station".
func (r *running) stationEvents(token string) <-chan wire.Station {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.at.HTTP+"/api/v1/events", nil)
	must.Do(r.t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := r.client.Do(req)
	must.Do(r.t, err)
	events, ended := make(chan wire.Station, 1000), make(chan struct{})
	go func() {
		defer close(ended)
		lines, name := bufio.NewReader(resp.Body), ""
		for {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				return
			}
			key, value, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(": "))
			var v wire.Station
			switch {
			case string(key) == "event":
				name = string(value)
			case string(key) == "data" && name == "station" && json.Unmarshal(value, &v) == nil:
				events <- v
			}
		}
	}()
	r.t.Cleanup(func() {
		cancel()
		resp.Body.Close()
		<-ended
	})
	return events
}

func TestStations(t *testing.T) {
	t.Run("built-in broker", func(t *testing.T) {
		r := serve(t, nil)
		testStations(t, r, r.at.Broker)
		// The built-in broker retains nothing over a restart.
		var before, after wire.StationDetail
		r.get("/api/v1/stations/dock-1", &before)
		r.stop()
		again := serve(t, func(c *config.Config) { c.Data = r.cfg.Data })
		eventually(t, "the station is remembered", func() bool {
			return again.get("/api/v1/stations/dock-1", &after) == 200 && after.State == wire.StationOffline
		})
		if !after.Since.Equal(*before.Since) || !after.Seen.Equal(*before.Seen) || after.Waiting != 1 || after.Vitals == nil {
			t.Errorf("got %+v, want %+v", after, before)
		}
	})
	broker.Each(t, func(t *testing.T, b *broker.Broker) {
		b.Start()
		r := serve(t, func(c *config.Config) {
			c.MQTT.URL, c.MQTT.Username, c.MQTT.Password = b.URL(), "cloud", secret.New("pass")
		})
		testStations(t, r, b.URL())
	})
}

func testStations(t *testing.T, r *running, address string) {
	boss, own, other := r.addDevice("boss", ledger.RoleOperator), r.addDevice("dock-1", ledger.RoleDevice),
		r.addDevice("dock-2", ledger.RoleDevice)
	var list wire.Page[wire.Station]
	if status := r.as(boss, "GET", "/api/v1/stations", "", &list); status != 200 || len(list.Items) != 2 ||
		list.Items[1].State != wire.StationNever {
		t.Fatalf("%d %+v", status, list)
	}
	eventually(t, "the cloud hears the stations", func() bool { return r.metric("cattle_mqtt_stations_up 1") })
	events := r.stationEvents(boss)
	o := startOutpost(t, address, "dock-1", own)
	o.send(o.at.Vitals(), false, topic.Vitals{Header: o.header(), Session: 1, DiskTotal: 100, DiskFree: 50})
	o.send(o.at.Footage("01a"), true, topic.Footage{Header: o.header(), Footage: "01a", State: topic.Spooled, Size: 5})
	limit := time.After(time.Minute)
	for heard := false; !heard; {
		select {
		case v := <-events:
			heard = v.Device == "dock-1" && v.State == wire.StationOnline && v.Waiting == 1 && v.Vitals != nil
		case <-limit:
			t.Fatal("no event of the station")
		}
	}
	var v wire.StationDetail
	if status := r.as(boss, "GET", "/api/v1/stations/dock-1", "", &v); status != 200 || v.Version != "9.9" ||
		v.Vitals.DiskFree != 50 || v.Footage[0].Size != 5 || len(v.History) != 1 {
		t.Errorf("%d %+v", status, v)
	}
	var reply wire.StationReply
	if status := r.as(boss, "POST", "/api/v1/stations/dock-1/commands", `{"command":"retry","args":{"footage":"01a"}}`,
		&reply); status != 200 || reply.State != topic.Refused || reply.Text != "not 01a" {
		t.Errorf("%d %+v", status, reply)
	}
	r.wantOrderInAudit(`dock-1: retry footage="01a"`)
	for path, status := range map[string]int{"/api/v1/stations/dock-1": 200, "/api/v1/stations/dock-2": 404} {
		if got := r.as(own, "GET", path, "", nil); got != status {
			t.Errorf("the station gets %d from %s", got, path)
		}
	}
	if status := r.as(other, "GET", "/api/v1/stations", "", &list); status != 200 || len(list.Items) != 1 ||
		list.Items[0].Device != "dock-2" {
		t.Errorf("%d %+v", status, list)
	}
	if status := r.as(own, "POST", "/api/v1/stations/dock-1/commands", `{"command":"pause"}`, nil); status != 403 {
		t.Errorf("a station gave an order: %d", status)
	}
	o.conn.Close() // a power cut
	eventually(t, "the last will arrives", func() bool {
		return r.as(boss, "GET", "/api/v1/stations/dock-1", "", &v) == 200 && v.State == wire.StationOffline
	})
	var p wire.Problem
	if status := r.as(boss, "POST", "/api/v1/stations/dock-1/commands", `{"command":"pause"}`, &p); status != 504 ||
		p.Slug() != wire.SlugNoAnswer {
		t.Errorf("%d %+v", status, p)
	}
}

func (r *running) metric(line string) bool {
	r.t.Helper()
	resp, err := r.client.Get(r.at.HTTP + "/metrics")
	must.Do(r.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must.Do(r.t, err)
	return strings.Contains(string(text), line+"\n")
}

func (r *running) wantOrderInAudit(subject string) {
	r.t.Helper()
	l, err := OpenLedger(r.t.Context(), r.cfg)
	must.Do(r.t, err)
	defer l.Close()
	entries, err := l.Audit.List(r.t.Context(), 0, 1)
	must.Do(r.t, err)
	if len(entries) != 1 || entries[0].Who != "boss" || entries[0].Action != ledger.ActionOrder ||
		entries[0].Subject != subject {
		r.t.Errorf("audit: %+v", entries)
	}
}
