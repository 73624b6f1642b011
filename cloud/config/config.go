// Package config is the one configuration of the cloud's processes: cloud-api
// and the worker read the same file, each the sections it needs. Nothing else
// in the cloud reads a file or the environment for its settings.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cattlecounter/shared/logging"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/settings"
)

// EnvPrefix begins every environment variable of this configuration.
const EnvPrefix = "CATTLE_CLOUD"

// Off turns an optional part off where an address is expected.
const Off = "off"

// Config is the whole configuration. Make it with Default or Load; a Config
// that Load returned is valid.
type Config struct {
	// Data is the folder that cloud-api and the worker share: ledger, blobs, cache.
	Data string `yaml:"data"`
	// Store is where blobs and job messages are: StoreLocal, in Data, or StoreAzure.
	Store  string         `yaml:"store"`
	Azure  Azure          `yaml:"azure"`
	Ledger Ledger         `yaml:"ledger"`
	Log    logging.Config `yaml:"log"` // to standard error
	HTTP   HTTP           `yaml:"http"`
	MQTT   MQTT           `yaml:"mqtt"`
	Intake Intake         `yaml:"intake"`
	Worker Worker         `yaml:"worker"`
	// Retention says what goes by age.
	Retention Retention `yaml:"retention"`
}

// HTTP is the API, the page and the intake.
type HTTP struct {
	Listen string `yaml:"listen"` // host:port; port 0 picks a free one
	// PublicURL is where browsers and devices reach the API; empty means
	// whatever the client asked.
	PublicURL string `yaml:"public_url"`
	// IdleTimeout ends a request whose body stands still, and an idle connection.
	IdleTimeout time.Duration     `yaml:"idle_timeout"`
	MaxUpload   settings.ByteSize `yaml:"max_upload"` // largest video
}

// MQTT is the broker. With an empty URL cloud-api runs one itself.
type MQTT struct {
	URL      string        `yaml:"url"` // tcp://host:1883 | ssl://host:8883
	Username string        `yaml:"username"`
	Password secret.String `yaml:"password"`
	CAFile   string        `yaml:"ca_file"` // PEM; empty means the system's
	// EmbeddedListen is the address of cloud-api's own broker, or Off for no MQTT.
	EmbeddedListen string `yaml:"embedded_listen"`
}

// Intake is how uploads are taken in.
type Intake struct {
	ExpireAfter time.Duration     `yaml:"expire_after"` // an unfinished upload nobody touched for so long goes
	MinFree     settings.ByteSize `yaml:"min_free"`     // below this much free space the API is not ready
}

// Retention is how long things are kept.
type Retention struct {
	Videos time.Duration `yaml:"videos"` // after the count; 0 means for ever
}

// Worker is the counting.
type Worker struct {
	Model          string            `yaml:"model"`           // name of a pulled model, ONNX file or its folder; empty means the chosen or default model
	Tile           int               `yaml:"tile"`            // pixels; 0 means the model's own size
	Overlap        float64           `yaml:"overlap"`         // share of a tile, up to 0.9; 0: the model's own
	Threshold      float64           `yaml:"threshold"`       // 0 means the model's own, or 0.25
	Provider       string            `yaml:"provider"`        // cpu | cuda | tensorrt
	Device         int               `yaml:"device"`          // number of the GPU
	GPUMemory      settings.ByteSize `yaml:"gpu_memory"`      // CUDA's arena, TensorRT's workspace; 0 means the library's default
	HalfPrecision  bool              `yaml:"half_precision"`  // tensorrt in half precision
	EngineCache    string            `yaml:"engine_cache"`    // folder of tensorrt's built engines; empty means engines in the data folder
	Threads        int               `yaml:"threads"`         // 0 means all cores
	Batch          int               `yaml:"batch"`           // tiles per run; 0 means automatic
	SampleFPS      float64           `yaml:"sample_fps"`      // frames looked at per second of footage
	Lease          time.Duration     `yaml:"lease"`           // how long a silent worker keeps its job
	MaxDeliveries  int               `yaml:"max_deliveries"`  // tries before a job is given up
	Drain          time.Duration     `yaml:"drain"`           // how long the job at hand is worked on after a signal to stop; 0: given back at once
	MaxMemory      settings.ByteSize `yaml:"max_memory"`      // in RAM; above it the worker starts itself anew between two jobs; 0: off
	Cache          settings.ByteSize `yaml:"cache"`           // footage of a remote store kept on this machine; 0: only what is in use
	ONNXRuntimeLib string            `yaml:"onnxruntime_lib"` // shared library; empty means the usual places
}

// Providers are the execution providers the worker knows.
func Providers() []string { return []string{"cpu", "cuda", "tensorrt"} }

// Default returns the configuration of a machine where nothing was configured.
func Default() Config {
	return Config{
		Data: "data", Store: StoreLocal,
		Azure: Azure{Container: "cattlecounter", Queue: "cattlecounter-jobs"},
		Log:   logging.Default(),
		HTTP:  HTTP{Listen: "127.0.0.1:8080", IdleTimeout: time.Minute, MaxUpload: 64 << 30},
		MQTT:  MQTT{EmbeddedListen: "127.0.0.1:1883"},
		Intake: Intake{
			ExpireAfter: 7 * 24 * time.Hour,
			MinFree:     512 << 20,
		},
		Worker: Worker{
			Provider: "cpu", SampleFPS: 3, Lease: 2 * time.Minute, MaxDeliveries: 5, Cache: 32 << 30,
		},
	}
}

// Load reads path, which may be empty, and environ over the defaults. Every
// fault is reported at once; the error wraps settings.ErrInvalid.
func Load(path string, environ []string) (Config, error) {
	c := Default()
	if err := settings.Load(path, environ, EnvPrefix, &c); err != nil {
		return Config{}, err
	}
	return c, nil
}

// LedgerPath is the ledger's file, without Ledger.URL.
func (c Config) LedgerPath() string { return filepath.Join(c.Data, "ledger.db") }

// BlobDir is the root of the disk blob store.
func (c Config) BlobDir() string { return filepath.Join(c.Data, "blobs") }

// CacheDir is for what can be made anew.
func (c Config) CacheDir() string { return filepath.Join(c.Data, "cache") }

// Validate reports every fault, each beginning with its key path.
func (c *Config) Validate() error {
	var f faults
	f.when(c.Data == "", "data: a folder is needed")
	f.when(c.Store != StoreLocal && c.Store != StoreAzure, "store: %q is neither %s nor %s", c.Store, StoreLocal, StoreAzure)
	if c.Store == StoreAzure {
		c.Azure.validate(&f)
	}
	c.Ledger.validate(&f)
	if err := c.Log.Format.Validate(); err != nil {
		f.when(true, "log.format: %v", err)
	}
	c.HTTP.validate(&f)
	c.MQTT.validate(&f)
	f.when(c.Intake.ExpireAfter < time.Minute, "intake.expire_after: %s is below 1m: a slow link would lose its uploads", c.Intake.ExpireAfter)
	c.Worker.validate(&f)
	f.when(c.Retention.Videos != 0 && c.Retention.Videos < time.Hour, "retention.videos: %s is below 1h; 0 keeps videos for ever", c.Retention.Videos)
	return errors.Join(f...)
}

type faults []error

func (f *faults) when(bad bool, format string, args ...any) {
	if bad {
		*f = append(*f, fmt.Errorf(format, args...))
	}
}

func (h HTTP) validate(f *faults) {
	f.when(!hostPort(h.Listen), "http.listen: %q is not host:port such as 127.0.0.1:8080", h.Listen)
	if h.PublicURL != "" {
		u, err := url.Parse(h.PublicURL)
		ok := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" &&
			strings.Trim(u.Path, "/") == "" && u.RawQuery == "" && u.Fragment == ""
		f.when(!ok, "http.public_url: %q is not an address such as https://cattle.example without a path", h.PublicURL)
	}
	f.when(h.IdleTimeout < time.Second, "http.idle_timeout: %s is below 1s", h.IdleTimeout)
	f.when(h.MaxUpload <= 0, "http.max_upload: %s would refuse every upload", h.MaxUpload)
}

func (m MQTT) validate(f *faults) {
	if m.URL != "" {
		u, err := url.Parse(m.URL)
		ok := err == nil && u.Host != "" && slices.Contains([]string{"tcp", "mqtt", "ssl", "tls", "mqtts", "ws", "wss"}, u.Scheme)
		f.when(!ok, "mqtt.url: want tcp://host:1883, ssl://host:8883, ws://… or wss://…")
		f.when(ok && u.User != nil, "mqtt.url: put the name and the password into mqtt.username and mqtt.password")
	}
	f.when(m.URL == "" && m.EmbeddedListen != Off && !hostPort(m.EmbeddedListen),
		"mqtt.embedded_listen: %q is neither host:port such as 127.0.0.1:1883 nor %q", m.EmbeddedListen, Off)
	f.when(m.Username == "" && !m.Password.IsZero(), "mqtt.username: is empty although mqtt.password is set")
}

func (w Worker) validate(f *faults) {
	f.when(w.Tile < 0, "worker.tile: %d is negative; 0 means the model's own size", w.Tile)
	f.when(w.Tile > 0 && w.Tile < 32, "worker.tile: %d pixels are too few, use 32 or more", w.Tile)
	f.when(!(w.Overlap >= 0 && w.Overlap <= 0.9), "worker.overlap: %g is outside 0 to 0.9", w.Overlap)
	f.when(!(w.Threshold >= 0 && w.Threshold < 1), "worker.threshold: %g is outside 0 to 1", w.Threshold)
	f.when(!slices.Contains(Providers(), w.Provider), "worker.provider: %q is none of %s", w.Provider, strings.Join(Providers(), ", "))
	f.when(w.Device < 0, "worker.device: %d is negative", w.Device)
	f.when(w.HalfPrecision && w.Provider != "tensorrt", "worker.half_precision: is for provider tensorrt, not %s", w.Provider)
	f.when(w.EngineCache != "" && w.Provider != "tensorrt", "worker.engine_cache: is for provider tensorrt, not %s", w.Provider)
	f.when(w.GPUMemory > 0 && w.Provider == "cpu", "worker.gpu_memory: is for providers cuda and tensorrt, not cpu")
	f.when(w.Threads < 0, "worker.threads: %d is negative; 0 means all cores", w.Threads)
	f.when(w.Batch < 0, "worker.batch: %d is negative; 0 means automatic", w.Batch)
	f.when(!(w.SampleFPS > 0 && w.SampleFPS <= 120), "worker.sample_fps: %g is outside 0 to 120", w.SampleFPS)
	f.when(w.Lease < 10*time.Second || w.Lease > 15*time.Minute, "worker.lease: %s is outside 10s to 15m", w.Lease)
	f.when(w.Drain < 0, "worker.drain: %s is negative; 0 gives the job back at once", w.Drain)
	f.when(w.MaxDeliveries < 1, "worker.max_deliveries: %d would give up every job", w.MaxDeliveries)
}

func hostPort(s string) bool {
	_, port, err := net.SplitHostPort(s)
	return err == nil && port != ""
}
