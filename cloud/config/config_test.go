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

func TestSampleIsTheDefaultsAndNamesEveryKey(t *testing.T) {
	var c Config
	if err := settings.Parse([]byte(Sample), nil, EnvPrefix, &c); err != nil {
		t.Fatal(err)
	}
	if want := Default(); !reflect.DeepEqual(c, want) {
		t.Errorf("sample gives\n%+v\ndefaults are\n%+v", c, want)
	}
	var keys []string
	section := ""
	for line := range strings.Lines(Sample) {
		m := regexp.MustCompile(`^( *)([a-z_]+):(.*)$`).FindStringSubmatch(strings.TrimRight(line, "\n"))
		switch {
		case m == nil:
		case m[1] == "" && m[3] == "":
			section = m[2] + "."
		case m[1] == "":
			keys = append(keys, m[2])
		default:
			keys = append(keys, section+m[2])
		}
	}
	if want := settings.Keys(&c); !slices.Equal(keys, want) {
		t.Errorf("sample names %v\nwant %v", keys, want)
	}
}

func TestDefaultIsValid(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
}

func TestUnknownKeyNamesLineAndKnownKeys(t *testing.T) {
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
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
}

func TestEnvironmentGoesOverFile(t *testing.T) {
	c, err := Load("", []string{"CATTLE_CLOUD_HTTP_LISTEN=0.0.0.0:80", "CATTLE_CLOUD_MQTT_USERNAME=u", "CATTLE_CLOUD_MQTT_PASSWORD=p",
		"CATTLE_CLOUD_LOG_LEVEL=debug", "CATTLE_CLOUD_WORKER_LEASE=30s", "CATTLE_CLOUD_HTTP_MAX_UPLOAD=2GB"})
	if err != nil {
		t.Fatal(err)
	}
	if c.HTTP.Listen != "0.0.0.0:80" || c.MQTT.Password.Reveal() != "p" || c.Log.Level.Level() != slog.LevelDebug ||
		c.Worker.Lease != 30*time.Second || c.HTTP.MaxUpload != 2e9 {
		t.Errorf("%+v", c)
	}
}

func TestEveryFaultIsReported(t *testing.T) {
	c := Default()
	c.Data, c.Log.Format = "", "xml"
	c.HTTP = HTTP{Listen: "8080", PublicURL: "cattle.example/x", MaxUpload: 0}
	c.MQTT.URL, c.MQTT.EmbeddedListen = "http://x", "1883"
	c.Intake.ExpireAfter = 0
	c.Worker = Worker{Tile: -1, Overlap: 0.95, Threshold: 1, Provider: "tpu", Device: -1, Threads: -1, Batch: -1, Lease: time.Hour, Drain: -time.Second}
	err := c.Validate()
	for _, key := range []string{"data", "log.format", "http.listen", "http.public_url", "http.idle_timeout", "http.max_upload", "mqtt.url",
		"intake.expire_after", "worker.tile", "worker.overlap", "worker.threshold", "worker.provider", "worker.device", "worker.threads",
		"worker.batch", "worker.sample_fps", "worker.lease", "worker.max_deliveries", "worker.drain"} {
		if err == nil || !strings.Contains("\n"+err.Error(), "\n"+key+":") {
			t.Errorf("%s is not reported in:\n%v", key, err)
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

// What is for a GPU is refused where it would do nothing.
func TestOptionsOfTheGPU(t *testing.T) {
	for provider, refused := range map[string][]string{
		"cpu": {"worker.gpu_memory", "worker.half_precision", "worker.engine_cache"}, "cuda": {"worker.half_precision", "worker.engine_cache"}, "tensorrt": nil,
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
				t.Errorf("%s: %s is not reported in:\n%v", provider, key, err)
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
			t.Fatal("an invalid configuration was taken")
		}
		if err != nil && !errors.Is(err, settings.ErrInvalid) {
			t.Fatal(err)
		}
	})
}

func TestLedgerAddress(t *testing.T) {
	for _, c := range []struct{ url, identity, want string }{
		{"postgres://u:p@db.example:5432/cattle?sslmode=verify-full", "false", ""},
		{"postgres://u@db.example/cattle?sslmode=verify-full", "true", ""},
		{"postgres://u@db.example/cattle", "true", "needs sslmode"},
		{"postgres://u:hu@zzsh@db.example/cattle", "false", "ledger.url: is not an address"},
		{"", "false", ""},
		{"", "true", "ledger.identity: is for"},
		{"postgres://u:p@db.example/cattle", "true", "ledger.url: has a password"},
		{"postgres://db.example", "false", "ledger.url: is not an address"},
		{"mysql://u:hush@db.example/cattle", "false", "ledger.url: is not an address"},
		{"postgres://u:hu%zzsh@db.example/cattle", "false", "ledger.url: is not an address"},
	} {
		_, err := Load("", []string{"CATTLE_CLOUD_LEDGER_URL=" + c.url, "CATTLE_CLOUD_LEDGER_IDENTITY=" + c.identity})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.url, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "zzsh")) {
			t.Errorf("the password shows in %v", err)
		}
	}
}
