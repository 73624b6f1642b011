package server

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/port"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/topic"
)

// watch subscribes as a reader and returns the messages.
func watch(t *testing.T, url, name, token, filter string) <-chan mqtt.Message {
	t.Helper()
	got := make(chan mqtt.Message, 100)
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(url).SetClientID(name).SetUsername(name).SetPassword(token).
		SetAutoReconnect(false))
	for _, tok := range []mqtt.Token{c.Connect()} {
		if !tok.WaitTimeout(time.Minute) || tok.Error() != nil {
			t.Fatal(tok.Error())
		}
	}
	t.Cleanup(func() { c.Disconnect(50) })
	if tok := c.Subscribe(filter, 1, func(_ mqtt.Client,
		m mqtt.Message) {
		got <- m
	}); !tok.WaitTimeout(time.Minute) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	return got
}

func next(t *testing.T, from <-chan mqtt.Message, fits func(topic.Job) bool) topic.Job {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		select {
		case m := <-from:
			var j topic.Job
			if err := json.Unmarshal(m.Payload(), &j); err != nil {
				t.Fatal(err)
			}
			if fits(j) {
				return j
			}
		case <-limit:
			t.Fatal("no expected message")
		}
	}
}

func (r *running) record(id string) ledger.Recorded {
	r.t.Helper()
	l, err := OpenLedger(r.t.Context(), r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	defer l.Close()
	rec, err := l.Footage.Record(r.t.Context(), ledger.Footage{ID: footage.ID(id), Site: "farm", Device: "edge1",
		Name: id, Size: 1,
		SHA256: footage.Sum([]byte(id)), BlobKey: "footage/" + id + "/original.mp4"})
	if err != nil {
		r.t.Fatal(err)
	}
	return rec
}

func TestDeviceGetsProgressAlsoAfterARestart(t *testing.T) {
	r := serve(t, nil)
	token := r.addDevice("edge1", ledger.RoleDevice)
	d := topic.Device{Site: "farm", Name: "edge1"}
	got := watch(t, r.at.Broker, "edge1", token, d.Jobs())
	rec := r.record("one")
	// The reconciler enqueues recorded jobs without a message.
	next(t, got, func(j topic.Job) bool {
		return j.Job == rec.Job.ID && (j.State == job.Uploaded || j.State == job.Queued)
	})
	r.stop()
	again := serve(t, func(c *config.Config) { c.Data = r.cfg.Data })
	next(t, watch(t, again.at.Broker, "edge1", token, d.Jobs()), func(j topic.Job) bool { return j.Job == rec.Job.ID })
}

func TestStartsWithoutItsBrokerAndPublishesLater(t *testing.T) {
	at := port.Free(t)
	account := func(c *config.Config) {
		c.MQTT.Username, c.MQTT.Password = "cloud", secret.New("pass")
	}
	r := serve(t, func(c *config.Config) {
		account(c)
		c.MQTT.URL = "tcp://" + at
	})
	var health struct {
		Checks map[string]struct{ OK bool }
	}
	if status := r.get("/readyz", &health); status != http.StatusServiceUnavailable || health.Checks["broker"].OK ||
		!health.Checks["ledger"].OK {
		t.Errorf("%d %+v", status, health)
	}
	token := r.addDevice("eye", ledger.RoleReader)
	rec := r.record("one")

	// The broker starts later, as a separate process on the same folder.
	ctx, cancel := context.WithCancel(context.Background())
	done, ready := make(chan error, 1), make(chan Addresses, 1)
	cfg := r.cfg
	account(&cfg)
	cfg.MQTT.EmbeddedListen = at
	go func() { done <- ServeBroker(ctx, cfg, Options{Ready: func(a Addresses) { ready <- a }}) }()
	var a Addresses
	select {
	case a = <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	next(t, watch(t, a.Broker, "eye", token, "cattle/v1/+/+/jobs/+"),
		func(j topic.Job) bool { return j.Job == rec.Job.ID })
	eventually(t, "the broker is ready", func() bool { return r.get("/readyz", nil) == http.StatusOK })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	eventually(t, "the missing broker is reported",
		func() bool { return r.get("/readyz", nil) == http.StatusServiceUnavailable })
}

// TestHomeAssistant reads the descriptions of a station as a reader of its site. They are off by default.
func TestHomeAssistant(t *testing.T) {
	var tokens []string
	prepare := func(prefix string) func(*config.Config) {
		return func(c *config.Config) {
			c.MQTT.HomeAssistant = prefix
			r := &running{t: t, cfg: *c}
			tokens = []string{r.addDevice("edge1", ledger.RoleDevice), r.addDevice("eye", ledger.RoleReader)}
		}
	}
	r := serve(t, prepare("homeassistant"))
	got := watch(t, r.at.Broker, "eye", tokens[1], "homeassistant/sensor/+/+/config")
	want := map[string]bool{}
	for _, e := range topic.StationEntities("homeassistant", "", topic.Device{Site: "farm", Name: "edge1"}) {
		want[e.Topic] = strings.Contains(e.Topic, "/sensor/")
	}
	for range 3 {
		select {
		case m := <-got:
			if !want[m.Topic()] || !strings.Contains(string(m.Payload()), `"origin":{"name":"CattleCounter"`) {
				t.Errorf("%s: %s", m.Topic(), m.Payload())
			}
			delete(want, m.Topic())
		case <-time.After(time.Minute):
			t.Fatalf("no message; still expected: %v", want)
		}
	}
	r.stop()
	off := serve(t, prepare(config.Off))
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(off.at.Broker).SetUsername("eye").SetPassword(tokens[1]).
		SetAutoReconnect(false))
	if tok := c.Connect(); !tok.WaitTimeout(time.Minute) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	t.Cleanup(func() { c.Disconnect(50) })
	const all, refused = "homeassistant/#", 0x80
	tok, ok := c.Subscribe(all, 1, nil).(*mqtt.SubscribeToken)
	if !ok || !tok.WaitTimeout(time.Minute) || tok.Result()[all] != refused {
		t.Error("the filter is accepted while the topics are off")
	}
}

func TestWithoutMQTT(t *testing.T) {
	r := serve(t, func(c *config.Config) { c.MQTT.EmbeddedListen = config.Off })
	if r.at.Broker != "" {
		t.Errorf("a broker at %s", r.at.Broker)
	}
	if status := r.get("/readyz", nil); status != http.StatusOK {
		t.Error(status)
	}
}

func TestStartFaults(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, c := range map[string]struct {
		change func(*config.Config)
		want   string
	}{
		"http address taken": {func(c *config.Config) { c.HTTP.Listen = taken.Addr().String() }, "http listener"},
		"mqtt address taken": {func(c *config.Config) { c.MQTT.EmbeddedListen = taken.Addr().String() }, "mqtt broker"},
		"no such CA file": {func(c *config.Config) { c.MQTT.URL, c.MQTT.CAFile = "ssl://127.0.0.1:1", "/nowhere" },
			"mqtt.ca_file"},
		"data is a file": {func(c *config.Config) { c.Data = "api.go" }, "data folder"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config.Default()
			cfg.Data, cfg.HTTP.Listen, cfg.MQTT.EmbeddedListen = t.TempDir(), "127.0.0.1:0", "127.0.0.1:0"
			c.change(&cfg)
			if err := Serve(t.Context(), cfg, Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
	if err := ServeBroker(t.Context(), config.Default(), Options{}); !errors.Is(err, ErrNoAccount) {
		t.Error(err)
	}
}

func TestStagesStopInOrder(t *testing.T) {
	var order []string
	part := func(name string, fault error) stage {
		return func(ctx context.Context) error {
			<-ctx.Done()
			order = append(order, name) // one group at a time: no race
			return fault
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	odd := errors.New("odd")
	err := runStages(ctx, []stage{part("web", nil)}, []stage{part("hub", odd)}, []stage{part("broker", nil)})
	if strings.Join(order, " ") != "web hub broker" || !errors.Is(err, odd) {
		t.Errorf("%v %v", order, err)
	}
	broken := errors.New("broken")
	err = runStages(t.Context(), []stage{part("web", nil)}, []stage{func(context.Context) error { return broken }})
	if !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}
