package config

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"cattlecounter/shared/settings"
)

func TestSampleHasEveryKeyWithItsDefault(t *testing.T) {
	var c Config
	if err := settings.Parse([]byte(Sample), nil, EnvPrefix, &c); err != nil {
		t.Fatal(err)
	}
	if want := Default(); !reflect.DeepEqual(c, want) {
		t.Errorf("the sample is\n%+v\nwant the defaults\n%+v", c, want)
	}
	var keys []string
	var sections []string
	for line := range strings.Lines(Sample) {
		m := regexp.MustCompile(`^( *)([a-z_]+):(.*)$`).FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil {
			continue
		}
		sections = append(sections[:len(m[1])/2], m[2])
		if m[3] != "" {
			keys = append(keys, strings.Join(sections, "."))
		}
	}
	if want := settings.Keys(&c); !slices.Equal(keys, want) {
		t.Errorf("the sample has the keys %v\nwant %v", keys, want)
	}
}

func TestDefaultIsValid(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
}

func TestUnknownKeyIsRefusedWithLineAndKnownKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cloud.yaml")
	if err := os.WriteFile(path, []byte("data: x\nhttp:\n  listne: 127.0.0.1:1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(path, nil)
	if !errors.Is(err, settings.ErrInvalid) {
		t.Fatal(err)
	}
	for _, want := range []string{path, "line 3: http.listne: unknown key", "listen"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error has no %q: %v", want, err)
		}
	}
}

func TestEnvironmentOverridesFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cloud.yaml")
	file := "http: {listen: 127.0.0.1:1, max_upload: 1GB}\nworker: {lease: 20s, batch: 4}\n"
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path, []string{"CATTLE_CLOUD_HTTP_LISTEN=0.0.0.0:80", "CATTLE_CLOUD_HTTP_INSECURE=true",
		"CATTLE_CLOUD_HTTP_HOSTS=api,cattle.lan", "CATTLE_CLOUD_MQTT_USERNAME=u",
		"CATTLE_CLOUD_MQTT_PASSWORD=p", "CATTLE_CLOUD_LOG_LEVEL=debug", "CATTLE_CLOUD_WORKER_LEASE=30s", "CATTLE_CLOUD_WORKER_DECODER_MAX_MEMORY=1GiB",
		"CATTLE_CLOUD_HTTP_MAX_UPLOAD=2GB"})
	if err != nil {
		t.Fatal(err)
	}
	if c.HTTP.Listen != "0.0.0.0:80" || c.MQTT.Password.Reveal() != "p" || c.Log.Level.Level() != slog.LevelDebug ||
		c.Worker.Lease != 30*time.Second || c.Worker.Batch != 4 || c.HTTP.MaxUpload != 2e9 || !slices.Equal(c.HTTP.Hosts, []string{"api", "cattle.lan"}) {
		t.Errorf("the environment is not applied: %+v", c)
	}
}

func TestEveryFaultIsReported(t *testing.T) {
	c := Default()
	c.Data, c.Log.Format = "", "xml"
	c.HTTP = HTTP{Listen: "8080", PublicURL: "cattle.example/x", MaxUpload: 0}
	c.MQTT.URL, c.MQTT.EmbeddedListen, c.MQTT.HomeAssistant = "http://x", "1883", "a/b"
	c.Intake.ExpireAfter = 0
	c.Worker = Worker{Tile: -1, Overlap: 0.95, Threshold: 1, Provider: "tpu", Device: -1, Threads: -1, Batch: -1,
		Lease: time.Hour, Drain: -time.Second}
	err := c.Validate()
	for _, key := range []string{"data", "log.format", "http.listen", "http.public_url", "http.idle_timeout",
		"http.max_upload", "mqtt.url", "mqtt.homeassistant", "intake.expire_after", "worker.tile", "worker.overlap", "worker.threshold",
		"worker.provider", "worker.device", "worker.threads", "worker.batch", "worker.sample_fps", "worker.lease",
		"worker.max_deliveries", "worker.drain"} {
		if err == nil || !strings.Contains("\n"+err.Error(), "\n"+key+":") {
			t.Errorf("no fault of %s in:\n%v", key, err)
		}
	}
	c.MQTT.URL = ""
	if err := c.Validate(); !strings.Contains(err.Error(), "mqtt.embedded_listen:") {
		t.Error(err)
	}
	c.MQTT.EmbeddedListen = Off
	if err := c.Validate(); strings.Contains(err.Error(), "mqtt.embedded_listen:") {
		t.Error(err)
	}
}

// A GPU option is refused with a provider that ignores it.
func TestGPUOptionsNeedTheirProvider(t *testing.T) {
	for provider, refused := range map[string][]string{
		"cpu":      {"worker.gpu_memory", "worker.half_precision", "worker.engine_cache"},
		"cuda":     {"worker.half_precision", "worker.engine_cache"},
		"tensorrt": nil,
	} {
		c := Default()
		w := &c.Worker
		w.Provider, w.GPUMemory, w.HalfPrecision, w.EngineCache = provider, 1<<30, true, "engines"
		err := c.Validate()
		if (err == nil) != (refused == nil) {
			t.Errorf("%s: %v", provider, err)
		}
		for _, key := range refused {
			if err == nil || !strings.Contains("\n"+err.Error(), "\n"+key+":") {
				t.Errorf("provider %s: no fault of %s in:\n%v", provider, key, err)
			}
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(Sample)
	f.Add("worker: {overlap: .nan, lease: 1h}")
	f.Fuzz(func(t *testing.T, text string) {
		c := Default()
		err := settings.Parse([]byte(text), nil, EnvPrefix, &c)
		if err == nil && c.Validate() != nil {
			t.Fatal("Parse accepted an invalid configuration")
		}
		if err != nil && !errors.Is(err, settings.ErrInvalid) {
			t.Fatal(err)
		}
	})
}

func TestLedgerURL(t *testing.T) {
	for _, c := range []struct{ url, identity, want string }{
		{"postgres://u:p@db.example:5432/cattle?sslmode=verify-full", "false", ""},
		{"postgres://u@db.example/cattle?sslmode=verify-full", "true", ""},
		{"postgres://u@db.example/cattle", "true", "ledger.url: needs sslmode"},
		{"postgres://u:hu@zzsh@db.example/cattle", "false", "ledger.url: is not an address"},
		{"", "false", ""},
		{"", "true", "ledger.identity: needs ledger.url"},
		{"postgres://u:p@db.example/cattle", "true", "ledger.url: has a password"},
		{"postgres://db.example", "false", "ledger.url: is not an address"},
		{"mysql://u:hush@db.example/cattle", "false", "ledger.url: is not an address"},
		{"postgres://u:hu%zzsh@db.example/cattle", "false", "ledger.url: is not an address"},
	} {
		_, err := Load("", []string{"CATTLE_CLOUD_LEDGER_URL=" + c.url, "CATTLE_CLOUD_LEDGER_IDENTITY=" + c.identity})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("ledger.url %s: error %v, want %q", c.url, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "zzsh")) {
			t.Errorf("the error contains the password: %v", err)
		}
	}
}
