package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"cattlecounter/shared/settings"
)

const good = `
site: north
device: dock-1
token: cc_abc
cloud: {url: "http://127.0.0.1:8080"}
watch: {folders: [/media/card]}
`

func parse(t *testing.T, text string, env ...string) (Config, error) {
	t.Helper()
	p := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(p, env)
}

func TestDefaultsAreEnough(t *testing.T) {
	c, err := parse(t, good)
	if err != nil {
		t.Fatal(err)
	}
	if c.Token.Reveal() != "cc_abc" || c.MQTT.URL != "" || c.Spool.MinFree == 0 ||
		c.Address().Prefix() != "cattle/v1/north/dock-1/" {
		t.Errorf("%+v", c)
	}
}

func TestFaults(t *testing.T) {
	_, err := parse(t, `
site: "a/b"
cloud: {url: "ftp://x", proxy: "ftp://u:hush@x", idle_timeout: 1ms, ca_file: /does/not/exist}
mqtt: {url: "http://u:p@x"}
watch: {folders: [card, /var/lib], stable: 0s, poll: 1ms}
spool: {quota: 1MiB, min_free: 1KiB}
uplink: {order: random, rate_limit: 1KiB, windows: ["22:00"], zone: Middle/Earth, budget: {day: 1KiB, month: 5MiB}}
clock: {ntp: ["http://x", "y:0", "", fine.example, "fine:123", "[::1]:123", "::1"], ntp_every: 1s, gpsd: localhost}
vitals: {every: 1ms}
log: {format: xml}
`)
	if !errors.Is(err, settings.ErrInvalid) {
		t.Fatal(err)
	}
	for _, want := range []string{"site, device:", "token_file: set the path", "cloud.url: scheme", "cloud.idle_timeout:",
		"cloud.ca_file:",
		"mqtt.url: scheme", "mqtt.url: must not hold a user", `watch.folders: "card" must be an absolute`,
		"spool.dir: /var/lib/cattlecounter/spool is inside",
		"watch.stable:", "watch.poll:", "spool.quota:", "spool.min_free:", "uplink.rate_limit:", "uplink.order:",
		`uplink.windows: "22:00": is not a window`, "uplink.zone:", "uplink.budget.day: 1KiB is less",
		"uplink.budget.month: bounds a metered link only", "cloud.proxy:", "vitals.every:",
		`clock.ntp: "http://x" is not`, `clock.ntp: "y:0" is not`, `clock.ntp: "" is not`, "clock.ntp_every:",
		`clock.gpsd: "localhost" is not host:port`, "log.format:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "fine") || strings.Contains(err.Error(), "::1") {
		t.Errorf("good time servers are refused: %v", err)
	}
	if strings.Contains(err.Error(), "hush") {
		t.Error("the proxy's password is shown")
	}
}

func TestUnknownLevelNamesItsLine(t *testing.T) {
	_, err := parse(t, good+"log: {level: loud}\n")
	if !errors.Is(err, settings.ErrInvalid) || !strings.Contains(err.Error(),
		`line 7: log.level: "loud" is not debug, info, warn or error`) {
		t.Error(err)
	}
}

func TestTokenFile(t *testing.T) {
	dir := t.TempDir()
	text := strings.Replace(good, "token: cc_abc", "token_file: "+dir+"/token", 1)
	if _, err := parse(t, text); !errors.Is(err, settings.ErrInvalid) {
		t.Fatal(err)
	}
	for content, ok := range map[string]bool{" \n": false, "cc_file\n": true} {
		if err := os.WriteFile(dir+"/token", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := parse(t, text)
		if (err == nil) != ok || ok && c.Token.Reveal() != "cc_file" {
			t.Errorf("%q: %v", content, err)
		}
	}
	if _, err := parse(t, text, "CATTLE_EDGE_TOKEN=x"); err == nil || !strings.Contains(err.Error(), "not both") {
		t.Error(err)
	}
}

func TestUnknownKey(t *testing.T) {
	if _, err := parse(t, good+"\nspoool: {}\n", "CATTLE_EDGE_CLOUD_URI=x"); err == nil ||
		!strings.Contains(err.Error(), "spoool: unknown key") || !strings.Contains(err.Error(), "CATTLE_EDGE_CLOUD_URL") {
		t.Error(err)
	}
}

// The sample loads, has every key, and shows the defaults.
func TestSample(t *testing.T) {
	text, err := os.ReadFile("edge-agent.sample.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := Defaults()
	if err := settings.Parse(text, nil, EnvPrefix, &c); err != nil {
		t.Fatal(err)
	}
	plain := strings.Replace(string(text), "#token:", "token:", 1)
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(plain), &doc); err != nil {
		t.Fatal(err)
	}
	got := keysOf(doc.Content[0], "")
	want := settings.Keys(&Config{})
	if !slices.Equal(got, want) {
		t.Errorf("sample has\n%v, the struct\n%v", got, want)
	}
	d := Defaults()
	d.Site, d.Device, d.TokenFile, d.Cloud.URL, d.MQTT.URL, d.Watch.Folders = c.Site, c.Device, c.TokenFile, c.Cloud.URL,
		c.MQTT.URL, nil
	c.Watch.Folders = nil
	if c.Spool.Quota == 0 {
		d.Spool.Quota = 0
	}
	a, _ := yaml.Marshal(c)
	b, _ := yaml.Marshal(d)
	if string(a) != string(b) {
		t.Errorf("sample\n%s\ndefaults\n%s", a, b)
	}
}

func keysOf(n *yaml.Node, path string) []string {
	var keys []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		p := strings.TrimPrefix(path+"."+n.Content[i].Value, ".")
		if n.Content[i+1].Kind == yaml.MappingNode {
			keys = append(keys, keysOf(n.Content[i+1], p)...)
		} else {
			keys = append(keys, p)
		}
	}
	return keys
}

func FuzzLoad(f *testing.F) {
	f.Add(good)
	f.Add("watch: {folders: [a], stable: -1s}")
	f.Fuzz(func(t *testing.T, text string) {
		c := Defaults()
		if err := settings.Parse([]byte(text), nil, EnvPrefix, &c); err != nil && !errors.Is(err, settings.ErrInvalid) {
			t.Fatal(err)
		}
	})
}
