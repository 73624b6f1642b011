// Package config is the configuration of cloud-api and the worker. Both read the same file, and each uses the sections
// that it needs. No other package of the cloud reads settings from a file or the environment.
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
	"cattlecounter/shared/topic"
)

// EnvPrefix is the prefix of every environment variable of this configuration.
const EnvPrefix = "CATTLE_CLOUD"

// LetsEncrypt is the directory of the ACME server that is the default.
const LetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// Off stands for an address where it turns an optional part off.
const Off = "off"

// Config is the whole configuration. Default and Load create it. Load returns only valid values. The zero value is not
// valid.
type Config struct {
	// Data is the folder of ledger, blobs and cache, shared by cloud-api and the worker.
	Data string `yaml:"data"`
	// Store is where blobs and job messages are stored: StoreLocal (in Data) or StoreAzure.
	Store     string         `yaml:"store"`
	Azure     Azure          `yaml:"azure"`
	Ledger    Ledger         `yaml:"ledger"`
	Log       logging.Config `yaml:"log"` // to standard error
	HTTP      HTTP           `yaml:"http"`
	MQTT      MQTT           `yaml:"mqtt"`
	Intake    Intake         `yaml:"intake"`
	Worker    Worker         `yaml:"worker"`
	Retention Retention      `yaml:"retention"`
	Notify    Notify         `yaml:"notify"`
	// Sites is a folder of files with the paddocks of sites, for those without a page; empty for none.
	Sites string `yaml:"sites"`
}

// HTTP configures the server of the API, the page and the uploads.
type HTTP struct {
	Listen string `yaml:"listen"` // host:port; port 0 takes a free port
	// PublicURL is the address at which browsers and devices reach the API. Empty means the address that the client
	// used.
	PublicURL string `yaml:"public_url"`
	// Hosts are further names under which clients reach the API. Requests for other names are refused.
	Hosts []string `yaml:"hosts"`
	// Proxies are addresses and networks of proxies on other machines. Their X-Forwarded-For is believed.
	Proxies []string `yaml:"proxies"`
	// OpenReading lets programs and people of this machine read without a login. Listen must be a loopback address.
	OpenReading bool `yaml:"open_reading"`
	// SecondFactor has the roles whose people may not log in without a second factor.
	SecondFactor []string `yaml:"second_factor"`
	// Passwords says whether people may log in with a password. Codes of the command line work all the same.
	Passwords bool   `yaml:"passwords"`
	OpenID    OpenID `yaml:"openid"`
	Insecure  bool   `yaml:"insecure"` // Listen may be reached from other machines without TLS
	TLS       TLS    `yaml:"tls"`
	// MetricsListen is the address of /metrics and of the details of /readyz without a login, or Off.
	MetricsListen string `yaml:"metrics_listen"`
	// IdleTimeout ends a request whose body makes no progress for this time, and an idle connection.
	IdleTimeout time.Duration     `yaml:"idle_timeout"`
	MaxUpload   settings.ByteSize `yaml:"max_upload"` // size limit of a video
}

// MQTT configures the broker. With an empty URL cloud-api runs its built-in broker.
type MQTT struct {
	URL      string        `yaml:"url"` // tcp://host:1883 | ssl://host:8883
	Username string        `yaml:"username"`
	Password secret.String `yaml:"password"`
	CAFile   string        `yaml:"ca_file"` // PEM; empty means the system's authorities
	// PublicURL is the address of the broker that enrolled stations use.
	PublicURL string `yaml:"public_url"`
	// EmbeddedListen is the address of the built-in broker, or Off for no MQTT.
	EmbeddedListen string `yaml:"embedded_listen"`
	// HomeAssistant is the first level of the topics that Home Assistant finds stations and paddocks by, or Off.
	HomeAssistant string `yaml:"homeassistant"`
	Insecure      bool   `yaml:"insecure"` // EmbeddedListen may be reached from other machines without TLS
	// TLS is that of the built-in broker.
	TLS BrokerTLS `yaml:"tls"`
}

// Intake configures uploads.
type Intake struct {
	ExpireAfter time.Duration     `yaml:"expire_after"` // an unfinished upload expires this long after its last byte
	MinFree     settings.ByteSize `yaml:"min_free"`     // with less free space no bytes are taken, and the API is not ready
	// MaxDeviceBytes bounds what one device has announced and not sent yet.
	MaxDeviceBytes settings.ByteSize `yaml:"max_device_bytes"`
}

// leastAudit is the shortest life of an entry of the audit log: a theft is often found after days.
const leastAudit = 30 * 24 * time.Hour

// Retention configures what is deleted by age.
type Retention struct {
	Videos time.Duration `yaml:"videos"` // a video is deleted this long after its count; 0 means never
	// Sites replaces Videos for some sites: "SITE TIME", such as north 2160h.
	Sites []string      `yaml:"sites"`
	Audit time.Duration `yaml:"audit"` // an entry of the audit log is deleted after this time; 0 means never
}

// Worker configures counting. The sample file explains every key.
type Worker struct {
	Model          string            `yaml:"model"`           // name of a pulled model, ONNX file or its folder
	Tile           int               `yaml:"tile"`            // pixels; 0 means the input size of the model
	Overlap        float64           `yaml:"overlap"`         // share of a tile, up to 0.9; 0 means that of the model
	Threshold      float64           `yaml:"threshold"`       // minimum score; 0 means that of the model, or 0.25
	Provider       string            `yaml:"provider"`        // one of Providers
	Device         int               `yaml:"device"`          // number of the GPU
	GPUMemory      settings.ByteSize `yaml:"gpu_memory"`      // limit; 0 means the default of ONNX Runtime
	HalfPrecision  bool              `yaml:"half_precision"`  // tensorrt only
	EngineCache    string            `yaml:"engine_cache"`    // tensorrt only: folder of the built engines; may be empty
	Threads        int               `yaml:"threads"`         // 0 means one per core
	Batch          int               `yaml:"batch"`           // tiles per run; 0 means automatic
	SampleFPS      float64           `yaml:"sample_fps"`      // looks at one place per second of footage at most
	Young          bool              `yaml:"young"`           // tell adults and young animals apart
	Lease          time.Duration     `yaml:"lease"`           // a job's lease expires this long after its last renewal
	MaxDeliveries  int               `yaml:"max_deliveries"`  // attempts before a job is poisoned
	Drain          time.Duration     `yaml:"drain"`           // time for the current job after a stop signal; 0 means none
	MaxMemory      settings.ByteSize `yaml:"max_memory"`      // RAM above which the worker restarts; 0 means no restart
	Cache          settings.ByteSize `yaml:"cache"`           // limit of cached footage; 0 means only footage in use
	Heartbeat      string            `yaml:"heartbeat"`       // file for worker probe; empty means none
	Lines          string            `yaml:"lines"`           // file of lines and zones for footage without its own; may be empty
	ONNXRuntimeLib string            `yaml:"onnxruntime_lib"` // path of the library; empty means the usual places
	Decoder        Decoder           `yaml:"decoder"`
	Evidence       Evidence          `yaml:"evidence"`
}

// Evidence configures what a worker makes for a person who checks a count.
type Evidence struct {
	Video  bool `yaml:"video"`  // the footage with boxes, track numbers and the running count
	Sheets bool `yaml:"sheets"` // the count sheet and the contact sheets
}

// Decoder configures how footage is decoded, and the limits of one clip. Footage beyond a limit fails with the reason.
type Decoder struct {
	Hardware    string            `yaml:"hardware"`  // cuda or vaapi; empty means the processor
	Device      string            `yaml:"device"`    // of the hardware; empty means the first one
	Isolation   string            `yaml:"isolation"` // IsolationStrict or IsolationRelaxed
	MaxPixels   int64             `yaml:"max_pixels"`
	MaxFrames   int64             `yaml:"max_frames"`
	MaxDuration time.Duration     `yaml:"max_duration"`
	MaxMemory   settings.ByteSize `yaml:"max_memory"`
	MaxCPU      time.Duration     `yaml:"max_cpu"` // processor time
	Stall       time.Duration     `yaml:"stall"`   // time without a decoded frame
}

// Values of Decoder.Isolation.
const (
	IsolationStrict  = "strict"  // a kernel that cannot isolate the decoder is an error
	IsolationRelaxed = "relaxed" // footage is then decoded with what isolation there is
)

// Hardware returns the names of the hardware that can decode.
func Hardware() []string { return []string{"cuda", "vaapi"} }

// Providers returns the names of the execution providers that the worker supports.
func Providers() []string { return []string{"cpu", "cuda", "tensorrt"} }

// Default returns the configuration with every key at its default. It is valid.
func Default() Config {
	return Config{
		Data: "data", Store: StoreLocal,
		Azure: Azure{Container: "cattlecounter", Queue: "cattlecounter-jobs"},
		Log:   logging.Default(),
		HTTP: HTTP{Listen: "127.0.0.1:8080", Hosts: []string{}, Proxies: []string{}, SecondFactor: []string{}, Passwords: true,
			OpenID: OpenID{Claim: "groups", Scopes: []string{}, Grants: []string{}}, MetricsListen: Off, IdleTimeout: time.Minute, MaxUpload: 64 << 30,
			TLS: TLS{ACME: ACME{Domains: []string{}, Directory: LetsEncrypt, HTTPListen: Off}}},
		MQTT: MQTT{EmbeddedListen: "127.0.0.1:1883", HomeAssistant: Off},
		Intake: Intake{
			ExpireAfter:    7 * 24 * time.Hour,
			MinFree:        512 << 20,
			MaxDeviceBytes: 256 << 30,
		},
		Worker: Worker{
			Provider: "cpu", SampleFPS: 3, Lease: 2 * time.Minute, MaxDeliveries: 5, Cache: 32 << 30,
			Decoder: Decoder{
				Isolation: IsolationStrict, MaxPixels: 50e6, MaxFrames: 5e6, MaxDuration: 12 * time.Hour, MaxMemory: 4 << 30,
				MaxCPU: 48 * time.Hour, Stall: time.Minute,
			},
			Evidence: Evidence{Video: true, Sheets: true},
		},
		Retention: Retention{Sites: []string{}},
		Notify:    Notify{SMTP: SMTP{TLS: MailStartTLS}, Networks: []string{}},
	}
}

// Load returns the defaults, overridden by the file path and then by environ, a list of NAME=value. An empty path means
// no file. The error reports every fault at once and wraps settings.ErrInvalid.
func Load(path string, environ []string) (Config, error) {
	c := Default()
	if err := settings.Load(path, environ, EnvPrefix, &c); err != nil {
		return Config{}, err
	}
	return c, nil
}

// LedgerPath returns the path of the ledger's SQLite file, which is unused when Ledger.URL is set.
func (c Config) LedgerPath() string { return filepath.Join(c.Data, "ledger.db") }

// KeyPath returns the file of the keys that encrypt secrets of the ledger, "" for none: Ledger.KeyFile, or beside the SQLite
// file. Ledger.Keys needs none.
func (c Config) KeyPath() string {
	if !c.Ledger.Keys.IsZero() {
		return ""
	}
	if c.Ledger.KeyFile != "" || !c.Ledger.URL.IsZero() {
		return c.Ledger.KeyFile
	}
	return filepath.Join(c.Data, "secrets.key")
}

// SealsSecrets reports whether secrets of the ledger are encrypted.
func (c Config) SealsSecrets() bool { return !c.Ledger.Keys.IsZero() || c.KeyPath() != "" }

// BlobDir returns the root folder of the disk blob store.
func (c Config) BlobDir() string { return filepath.Join(c.Data, "blobs") }

// CacheDir returns the folder of files that can be fetched or built again.
func (c Config) CacheDir() string { return filepath.Join(c.Data, "cache") }

// Validate returns every fault as one error, a line for each, which begins with the key path.
func (c *Config) Validate() error {
	var f faults
	f.addIf(c.Data == "", "data: set the path of a folder")
	f.addIf(c.Store != StoreLocal && c.Store != StoreAzure, "store: %q is not %s or %s", c.Store, StoreLocal, StoreAzure)
	if c.Store == StoreAzure {
		c.Azure.validate(&f)
	}
	c.Ledger.validate(&f)
	if err := c.Log.Format.Validate(); err != nil {
		f.addIf(true, "log.format: %v", err)
	}
	c.HTTP.validate(&f)
	c.MQTT.validate(&f)
	c.validateBrokerTLS(&f)
	f.addIf(c.Intake.ExpireAfter < time.Minute,
		"intake.expire_after: %s is less than 1m; over a slow link every upload would expire", c.Intake.ExpireAfter)
	f.addIf(c.Intake.MaxDeviceBytes < c.HTTP.MaxUpload, "intake.max_device_bytes: %s is less than http.max_upload, %s",
		c.Intake.MaxDeviceBytes, c.HTTP.MaxUpload)
	c.Worker.validate(&f)
	c.Notify.validate(&f)
	f.addIf(c.Retention.Videos != 0 && c.Retention.Videos < time.Hour,
		"retention.videos: %s is less than 1h; 0 means that videos are never deleted", c.Retention.Videos)
	_, err := c.Retention.OfSites()
	f.addIf(err != nil, "retention.sites: %v", err)
	f.addIf(c.Retention.Audit != 0 && c.Retention.Audit < leastAudit,
		"retention.audit: %s is less than %s; 0 means that entries are never deleted", c.Retention.Audit, leastAudit)
	return errors.Join(f...)
}

// faults collects what is wrong with a configuration.
type faults []error

// addIf adds the fault format, which begins with the key path, if bad is true.
func (f *faults) addIf(bad bool, format string, args ...any) {
	if bad {
		*f = append(*f, fmt.Errorf(format, args...))
	}
}

// PeopleRoles are the roles that people may have.
func PeopleRoles() []string { return []string{"viewer", "reviewer", "operator", "admin"} }

func (h HTTP) validate(f *faults) {
	f.addIf(!hostPort(h.Listen), "http.listen: %q is not host:port, such as 127.0.0.1:8080", h.Listen)
	if h.PublicURL != "" {
		u, err := url.Parse(h.PublicURL)
		ok := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" &&
			strings.Trim(u.Path, "/") == "" && u.RawQuery == "" && u.Fragment == ""
		f.addIf(!ok, "http.public_url: %q is not a URL without a path, such as https://cattle.example", h.PublicURL)
	}
	h.validateExposure(f)
	for _, role := range h.SecondFactor {
		f.addIf(!slices.Contains(PeopleRoles(), role), "http.second_factor: %q is not one of %s", role, strings.Join(PeopleRoles(), ", "))
	}
	h.validateOpenID(f)
	f.addIf(h.IdleTimeout < time.Second, "http.idle_timeout: %s is less than 1s", h.IdleTimeout)
	f.addIf(h.MaxUpload <= 0, "http.max_upload: %s refuses every upload; set a size such as 64GiB", h.MaxUpload)
}

func (m MQTT) validate(f *faults) {
	for key, text := range map[string]string{"mqtt.url": m.URL, "mqtt.public_url": m.PublicURL} {
		if text == "" {
			continue
		}
		u, err := url.Parse(text)
		ok := err == nil && u.Host != "" &&
			slices.Contains([]string{"tcp", "mqtt", "ssl", "tls", "mqtts", "ws", "wss"}, u.Scheme)
		f.addIf(!ok, "%s: is not an address such as tcp://host:1883, ssl://host:8883 or wss://host/path", key)
		f.addIf(ok && u.User != nil, "%s: has a user or password; set mqtt.username and mqtt.password instead", key)
	}
	f.addIf(m.URL == "" && m.EmbeddedListen != Off && !hostPort(m.EmbeddedListen),
		"mqtt.embedded_listen: %q is not host:port, such as 127.0.0.1:1883, or %q", m.EmbeddedListen, Off)
	if m.HomeAssistant != Off {
		_, err := topic.ParseDiscoveryPrefix(m.HomeAssistant)
		f.addIf(err != nil, "mqtt.homeassistant: %v; %q publishes nothing for Home Assistant", err, Off)
	}
	m.validateExposure(f)
	f.addIf(m.Username == "" && !m.Password.IsZero(), "mqtt.username: is empty, but mqtt.password is set; set both")
}

func (w Worker) validate(f *faults) {
	f.addIf(w.Tile < 0, "worker.tile: %d is negative; 0 means the input size of the model", w.Tile)
	f.addIf(w.Tile > 0 && w.Tile < 32, "worker.tile: %d pixels are too few, use 32 or more", w.Tile)
	f.addIf(!(w.Overlap >= 0 && w.Overlap <= 0.9), "worker.overlap: %g is outside 0 to 0.9", w.Overlap)
	f.addIf(!(w.Threshold >= 0 && w.Threshold < 1), "worker.threshold: %g is outside 0 to 1", w.Threshold)
	f.addIf(!slices.Contains(Providers(), w.Provider),
		"worker.provider: %q is not one of %s", w.Provider, strings.Join(Providers(), ", "))
	f.addIf(w.Device < 0, "worker.device: %d is negative", w.Device)
	f.addIf(w.HalfPrecision && w.Provider != "tensorrt",
		"worker.half_precision: works only with worker.provider tensorrt, not %s", w.Provider)
	f.addIf(w.EngineCache != "" && w.Provider != "tensorrt",
		"worker.engine_cache: works only with worker.provider tensorrt, not %s", w.Provider)
	f.addIf(w.GPUMemory > 0 && w.Provider == "cpu",
		"worker.gpu_memory: works only with worker.provider cuda or tensorrt, not cpu")
	f.addIf(w.Threads < 0, "worker.threads: %d is negative; 0 means one per core", w.Threads)
	f.addIf(w.Batch < 0, "worker.batch: %d is negative; 0 means automatic", w.Batch)
	f.addIf(!(w.SampleFPS > 0 && w.SampleFPS <= 120), "worker.sample_fps: %g is outside 0 to 120", w.SampleFPS)
	f.addIf(w.Lease < 10*time.Second || w.Lease > 15*time.Minute, "worker.lease: %s is outside 10s to 15m", w.Lease)
	f.addIf(w.Drain < 0, "worker.drain: %s is negative; 0 returns the current job to the queue at once", w.Drain)
	f.addIf(w.MaxDeliveries < 1, "worker.max_deliveries: %d is less than 1; every job would be poisoned", w.MaxDeliveries)
	w.Decoder.validate(f)
}

func (d Decoder) validate(f *faults) {
	f.addIf(d.Hardware != "" && !slices.Contains(Hardware(), d.Hardware),
		"worker.decoder.hardware: %q is not one of %s; empty means the processor", d.Hardware, strings.Join(Hardware(), ", "))
	f.addIf(d.Device != "" && d.Hardware == "", "worker.decoder.device: works only with worker.decoder.hardware")
	f.addIf(d.Isolation != IsolationStrict && d.Isolation != IsolationRelaxed,
		"worker.decoder.isolation: %q is not %s or %s", d.Isolation, IsolationStrict, IsolationRelaxed)
	f.addIf(d.MaxPixels < 1, "worker.decoder.max_pixels: %d refuses every clip", d.MaxPixels)
	f.addIf(d.MaxFrames < 1, "worker.decoder.max_frames: %d refuses every clip", d.MaxFrames)
	f.addIf(d.MaxDuration < time.Second, "worker.decoder.max_duration: %s is less than 1s", d.MaxDuration)
	f.addIf(d.MaxMemory < 64<<20, "worker.decoder.max_memory: %s is less than 64MiB", d.MaxMemory)
	f.addIf(d.MaxCPU < time.Second, "worker.decoder.max_cpu: %s is less than 1s", d.MaxCPU)
	f.addIf(d.Stall < time.Second, "worker.decoder.stall: %s is less than 1s", d.Stall)
}

func hostPort(s string) bool {
	_, port, err := net.SplitHostPort(s)
	return err == nil && port != ""
}

// Discovery is the first level of the topics for Home Assistant; "" when they are off.
func (m MQTT) Discovery() string {
	if m.HomeAssistant == Off {
		return ""
	}
	return m.HomeAssistant
}
