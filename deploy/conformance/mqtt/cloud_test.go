package mqtt

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/server"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/conformance/finding"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/deploy/testkit/port"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/topic"
)

var update = flag.Bool("update", false, "add what is new in the contract to version1.txt")

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp's pool notices its stop only after ten seconds, and its clock runs as long as the process.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		// Paho ends a goroutine shortly after a disconnect.
		goleak.IgnoreAnyFunction("github.com/eclipse/paho%2emqtt%2egolang.(*client).Disconnect.func1"))
}

// cloud is a cloud-api in this process that can be restarted.
type cloud struct {
	t    *testing.T
	cfg  config.Config
	at   server.Addresses
	stop func()
	o    Options
}

const site = "north"

// startCloud runs a cloud-api with counts of a station, and returns the options that check it.
func startCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{t: t, cfg: config.Default()}
	c.cfg.Data, c.cfg.HTTP.Listen, c.cfg.MQTT.EmbeddedListen = t.TempDir(), port.Free(t), port.Free(t)
	c.cfg.Intake.MinFree, c.cfg.MQTT.HomeAssistant = 1<<20, "homeassistant"
	c.seed()
	must.Do(t, c.start())
	t.Cleanup(func() { c.stop() })
	c.o.URL, c.o.API, c.o.Site, c.o.Patience = c.at.Broker, c.at.HTTP, site, time.Minute
	c.awaitCounts()
	c.o.Restart = func(context.Context) error {
		c.stop()
		return c.start()
	}
	return c
}

// awaitCounts waits until the cloud has published what it publishes after a start.
func (c *cloud) awaitCounts() {
	t := c.t
	o := c.o
	o.Admin, o.Reader = secret.String{}, "eye"
	k := must.Get(newKit(o))(t)
	eye := must.Get(k.dial(t.Context(), account{name: "eye", token: o.Token.Reveal()}, nil))(t)
	defer eye.close()
	for _, filter := range []string{everything, "homeassistant/#"} {
		if granted, err := eye.subscribe(t.Context(), filter); err != nil || !granted {
			t.Fatalf("%s: %v %v", filter, granted, err)
		}
	}
	for _, part := range []string{"/counts/seed-0", "/counts/seed-4", "/counts/stations/dock", "homeassistant/"} {
		_, _, err := eye.await(t.Context(), part, 0, func(m message) bool { return strings.Contains(m.topic, part) })
		must.Do(t, err)
	}
}

// start runs the cloud; stop ends it.
func (c *cloud) start() error {
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan server.Addresses, 1), make(chan error, 1)
	go func() {
		done <- server.Serve(ctx, c.cfg, server.Options{Log: slog.New(slog.DiscardHandler), Ready: func(a server.Addresses) { ready <- a }})
	}()
	c.stop = func() {
		cancel()
		if err := <-done; err != nil {
			c.t.Error(err)
		}
		c.stop = func() {}
	}
	select {
	case c.at = <-ready:
		return nil
	case err := <-done:
		cancel()
		c.stop = func() {}
		return errors.Join(errors.New("the cloud does not start"), err)
	}
}

// seed fills the ledger with an admin, a reader, and the counts of a station and its paddocks.
func (c *cloud) seed() {
	t := c.t
	l := must.Get(server.OpenLedger(t.Context(), c.cfg))(t)
	defer l.Close()
	c.o.Admin = must.Get(l.Devices.AddWith(t.Context(), ledger.Device{Name: "root", Site: site, Sites: ledger.SiteSet{"*"}, Role: ledger.RoleAdmin}))(t)
	c.o.Token = must.Get(l.Devices.Add(t.Context(), "eye", site, ledger.RoleReader))(t)
	must.Get(l.Devices.Add(t.Context(), "dock", site, ledger.RoleDevice))(t)
	noon := time.Now().Add(-24 * time.Hour).UTC().Truncate(time.Second)
	for i := range 5 {
		id := footage.ID(fmt.Sprint("seed-", i))
		r := must.Get(l.Footage.Record(t.Context(), ledger.Footage{ID: id, Site: site, Device: "dock", Captured: noon.Add(time.Duration(i) * time.Minute),
			Name: string(id) + ".mp4", Size: 1, SHA256: footage.Sum([]byte(id)), BlobKey: "footage/" + string(id) + "/original.mp4"}))(t)
		j, _, err := l.Attempts.Begin(t.Context(), r.Job.ID, "w")
		must.Do(t, err)
		must.Get(l.Attempts.Finish(t.Context(), j.ID, j.Fence, ledger.Count{Footage: id, Job: j.ID, Unique: 40 + i, Low: 38 + i, High: 43 + i,
			ByClass: map[string]int{"cow": 40 + i}, Model: "m", ModelDigest: footage.Sum([]byte("m"))}, "k"))(t)
	}
	n := 7
	must.Do(t, l.Grounds.Put(t.Context(), ledger.DueGround{Footage: "seed-4", Mark: 9}, ledger.Ground{
		Spread: ledger.Spread{Way: "camera", Placed: 1, Borders: 1, Paddocks: []ledger.PaddockCount{
			{Name: "Hill", Animals: &n, Low: &n, High: &n, Seen: 1}, {Name: "Dam camp", Seen: 0.2}}}}))
}

func run(t *testing.T, o Options) map[string]finding.Finding {
	t.Helper()
	fs, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]finding.Finding{}
	for _, f := range fs {
		found[f.Name] = f
	}
	return found
}

// Our cloud passes every check.
func TestCloudPasses(t *testing.T) {
	t.Parallel()
	found := run(t, startCloud(t).o)
	if len(found) != len(checks()) {
		t.Errorf("%d findings of %d checks", len(found), len(checks()))
	}
	for _, f := range found {
		if f.Result != finding.Pass {
			t.Errorf("%s: %s: %s", f.Name, f.Result, f.Detail)
		}
	}
}

// Without an admin the kit checks what a reader sees, and says why the rest is not tested.
func TestReaderOnly(t *testing.T) {
	t.Parallel()
	o := startCloud(t).o
	o.Admin, o.Restart, o.Reader, o.Settle = secret.String{}, nil, "eye", 3*time.Second
	found, tested := run(t, o), 0
	for _, c := range checks() {
		f := found[c.name]
		switch {
		case slices.Contains(c.needs, needsAdmin) || slices.Contains(c.needs, needsRestart):
			if f.Result != finding.Skipped || !strings.Contains(f.Detail, "--") {
				t.Errorf("%s: %s: %s", c.name, f.Result, f.Detail)
			}
		case f.Result == finding.Pass:
			tested++
		default:
			t.Errorf("%s: %s: %s", c.name, f.Result, f.Detail)
		}
	}
	if tested < 10 {
		t.Errorf("%d checks passed", tested)
	}
}

// Every section is a heading of the documents.
func TestSectionsAreInTheDocuments(t *testing.T) {
	text := string(must.Get(os.ReadFile("../../docs/mqtt.md"))(t))
	for _, c := range checks() {
		if c.section != asyncapi && !strings.Contains(text, "\n## "+c.section+"\n") {
			t.Errorf("%s: no heading %q in deploy/docs/mqtt.md", c.name, c.section)
		}
	}
	names := map[string]bool{}
	for _, c := range checks() {
		if names[c.name] || !regexp.MustCompile(`^[a-z0-9-]+$`).MatchString(c.name) {
			t.Errorf("the name %q", c.name)
		}
		names[c.name] = true
	}
}

// The contract has everything that version 1 promised, and version1.txt has everything of the contract.
func TestVersion1(t *testing.T) {
	c := must.Get(parseContract(topic.AsyncAPI))(t)
	if gone := c.missing(); len(gone) > 0 {
		t.Errorf("the contract lacks what version 1 promised: %v", gone)
	}
	have := strings.Split(strings.TrimSpace(promised), "\n")
	for _, line := range c.lines {
		if slices.Contains(have, line) {
			continue
		}
		if !*update {
			t.Errorf("version1.txt lacks %q; go test -update adds it", line)
		}
		have = append(have, line)
	}
	if *update {
		slices.Sort(have)
		must.Do(t, os.WriteFile("version1.txt", []byte(strings.TrimSpace(strings.Join(slices.Compact(have), "\n"))+"\n"), 0o644))
	}
}
