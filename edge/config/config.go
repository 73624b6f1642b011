// Package config is the edge agent's configuration: one struct, its defaults and the
// rules for its values. shared/settings reads YAML and environment; no other package
// of the edge reads either.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"cattlecounter/edge/proxy"
	"cattlecounter/shared/logging"
	"cattlecounter/shared/orderkey"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/settings"
	"cattlecounter/shared/topic"
)

// EnvPrefix is the prefix of the environment variables that override keys.
const EnvPrefix = "CATTLE_EDGE"

// Config is the whole configuration. edge-agent.sample.yaml explains each key.
type Config struct {
	Site      string        `yaml:"site"`
	Device    string        `yaml:"device"`
	Token     secret.String `yaml:"token"`
	TokenFile string        `yaml:"token_file"`
	// OrderKey is the key of the cloud; orders over MQTT must be signed with it. Zero: they need no signature.
	OrderKey orderkey.Public `yaml:"order_key"`
	// Enrolment names the enrolment of the station, "" without one. It is in EnrolmentFile, not in the configuration.
	Enrolment string         `yaml:"-"`
	Cloud     Cloud          `yaml:"cloud"`
	MQTT      MQTT           `yaml:"mqtt"`
	Watch     Watch          `yaml:"watch"`
	Spool     Spool          `yaml:"spool"`
	Uplink    Uplink         `yaml:"uplink"`
	Clock     Clock          `yaml:"clock"`
	Vitals    Vitals         `yaml:"vitals"`
	Log       logging.Config `yaml:"log"`
}

// Cloud is the server that receives the footage.
type Cloud struct {
	URL         string        `yaml:"url"`
	CAFile      string        `yaml:"ca_file"`
	Insecure    bool          `yaml:"insecure"` // the token may cross a network without TLS
	Proxy       secret.String `yaml:"proxy"`
	IdleTimeout time.Duration `yaml:"idle_timeout"`
}

// MQTT is the broker; an empty URL switches MQTT off.
type MQTT struct {
	URL      string `yaml:"url"`
	CAFile   string `yaml:"ca_file"`
	Insecure bool   `yaml:"insecure"` // the token may cross a network without TLS
}

// Watch is which folders the agent watches and when a file counts as finished.
type Watch struct {
	Folders []string      `yaml:"folders"`
	Stable  time.Duration `yaml:"stable"`
	Sidecar time.Duration `yaml:"sidecar"`
	Poll    time.Duration `yaml:"poll"`
	// DeleteConfirmed deletes footage from the card after the cloud has confirmed it.
	DeleteConfirmed bool `yaml:"delete_confirmed"`
}

// Spool is the durable buffer.
type Spool struct {
	Dir     string            `yaml:"dir"`
	Quota   settings.ByteSize `yaml:"quota"`
	MinFree settings.ByteSize `yaml:"min_free"`
	// WhenFull is FullStop or FullEvict.
	WhenFull string            `yaml:"when_full"`
	ValueLog settings.ByteSize `yaml:"value_log"`
}

// Vitals is the device's health report.
type Vitals struct {
	Every time.Duration `yaml:"every"`
}

// Values of spool.when_full.
const (
	FullStop  = "stop"  // delete confirmed content at once; a full spool accepts nothing
	FullEvict = "evict" // keep confirmed content until its space is needed
)

// Limits of the rules below.
const (
	minStable = 100 * time.Millisecond
	minPoll   = 50 * time.Millisecond
	minIdle   = time.Second
	minVitals = time.Second
	// leastFree is the lower limit of spool.min_free: Badger writes through memory maps,
	// and the kernel kills a process that writes into a map on a full disk.
	leastFree = 32 << 20
	// leastQuota holds one piece of footage of a few minutes beside Badger's own files.
	leastQuota = 256 << 20
	// A value log holds two chunks at least. The upper limit saves address space.
	leastValueLog = 8 << 20
	mostValueLog  = 512 << 20
	// longestDir keeps the path of the status socket below the kernel's limit of 108 bytes.
	longestDir = 90
)

// Defaults returns the configuration that an empty file means.
func Defaults() Config {
	c := Config{
		Cloud:  Cloud{IdleTimeout: time.Minute},
		Watch:  Watch{Stable: 10 * time.Second, Sidecar: 5 * time.Second, Poll: 2 * time.Second},
		Spool:  Spool{Dir: "/var/lib/cattlecounter/spool", MinFree: 256 << 20, WhenFull: FullStop, ValueLog: 32 << 20},
		Uplink: Uplink{Order: orderOldest, WhenMetered: MeteredFootage},
		Clock:  Clock{NTP: []string{}, NTPEvery: 15 * time.Minute},
		Vitals: Vitals{Every: 30 * time.Second},
		Log:    logging.Default(),
	}
	// Badger maps its value log into memory: a 32-bit board runs out of addresses first.
	if strconv.IntSize == 32 {
		c.Spool.Quota, c.Spool.ValueLog = 1<<30, 16<<20
	}
	return c
}

// Load reads path (may be empty) and the environment over the defaults and over the identity of an enrolled station, and
// the token file when one is named. Its errors wrap settings.ErrInvalid.
func Load(path string, environ []string) (Config, error) {
	c := Defaults()
	enrolled, err := readEnrolled(path)
	if err != nil {
		return Config{}, err
	}
	if enrolled != (Enrolled{}) {
		enrolled.apply(&c)
		if c.Enrolment, err = readEnrolment(path); err != nil {
			return Config{}, err
		}
	}
	if err := settings.Load(path, environ, EnvPrefix, &c); err != nil {
		return Config{}, err
	}
	if err := enrolled.check(c, path); err != nil {
		return Config{}, err
	}
	if c.TokenFile != "" {
		b, err := os.ReadFile(c.TokenFile)
		if err != nil {
			return Config{}, fmt.Errorf("token_file: %w: %w", err, settings.ErrInvalid)
		}
		c.Token = secret.New(strings.TrimSpace(string(b)))
		if c.Token.IsZero() {
			return Config{}, fmt.Errorf("token_file: %s is empty: %w", c.TokenFile, settings.ErrInvalid)
		}
	}
	return c, nil
}

// Address is the device's address in the topics.
func (c *Config) Address() topic.Device { return topic.Device{Site: c.Site, Name: c.Device} }

// Validate implements settings.Validator.
func (c *Config) Validate() error {
	var errs []error
	fault := func(key, format string, a ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, a...)))
	}
	if _, err := topic.ParseDevice(c.Site, c.Device); err != nil {
		fault("site, device", "%v", err)
	}
	switch {
	case c.Token.IsZero() && c.TokenFile == "":
		fault("token_file", "set the path of the file with the device's token (or set token)")
	case !c.Token.IsZero() && c.TokenFile != "":
		fault("token", "set token or token_file, not both")
	}
	checkURL(fault, "cloud.url", c.Cloud.URL, "http", "https")
	if c.MQTT.URL != "" {
		checkURL(fault, "mqtt.url", c.MQTT.URL, "tcp", "mqtt", "ssl", "tls", "mqtts", "ws", "wss")
	}
	checkClear(fault, "cloud", c.Cloud.URL, c.Cloud.Insecure, "http")
	checkClear(fault, "mqtt", c.MQTT.URL, c.MQTT.Insecure, "tcp", "mqtt", "ws")
	checkFile(fault, "cloud.ca_file", c.Cloud.CAFile)
	checkFile(fault, "mqtt.ca_file", c.MQTT.CAFile)
	c.validateFolders(fault)
	atLeast(fault, "cloud.idle_timeout", c.Cloud.IdleTimeout, minIdle)
	atLeast(fault, "watch.stable", c.Watch.Stable, minStable)
	atLeast(fault, "watch.sidecar", c.Watch.Sidecar, 0)
	atLeast(fault, "watch.poll", c.Watch.Poll, minPoll)
	atLeast(fault, "vitals.every", c.Vitals.Every, minVitals)
	if c.Spool.MinFree < leastFree {
		fault("spool.min_free", "%s is less than %s, the minimum for a safe spool", c.Spool.MinFree,
			settings.ByteSize(leastFree))
	}
	if w := c.Spool.WhenFull; w != FullStop && w != FullEvict {
		fault("spool.when_full", "%q is not %s or %s", w, FullStop, FullEvict)
	}
	if v := c.Spool.ValueLog; v < leastValueLog || v > mostValueLog {
		fault("spool.value_log", "%s is not between %s and %s", v, settings.ByteSize(leastValueLog),
			settings.ByteSize(mostValueLog))
	}
	if c.Spool.Quota != 0 && c.Spool.Quota < leastQuota {
		fault("spool.quota", "%s is less than %s; 0 means no quota", c.Spool.Quota, settings.ByteSize(leastQuota))
	}
	if _, err := proxy.Func(c.Cloud.Proxy); err != nil {
		fault("cloud.proxy", "%v", err)
	}
	c.Uplink.validate(fault)
	c.Clock.validate(fault)
	if err := c.Log.Format.Validate(); err != nil {
		fault("log.format", "%v", err)
	}
	return errors.Join(errs...)
}

func (c *Config) validateFolders(fault func(key, format string, a ...any)) {
	if len(c.Watch.Folders) == 0 {
		fault("watch.folders", "set at least one folder")
	}
	if !filepath.IsAbs(c.Spool.Dir) {
		fault("spool.dir", "%q must be an absolute path", c.Spool.Dir)
	}
	if len(c.Spool.Dir) > longestDir {
		fault("spool.dir", "%d characters, at most %d", len(c.Spool.Dir), longestDir)
	}
	for _, f := range c.Watch.Folders {
		if !filepath.IsAbs(f) {
			fault("watch.folders", "%q must be an absolute path", f)
			continue
		}
		if inside(c.Spool.Dir, f) {
			fault("spool.dir", "%s is inside the watched folder %s", c.Spool.Dir, f)
		}
	}
}

func inside(dir, folder string) bool {
	rel, err := filepath.Rel(folder, dir)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

func checkURL(fault func(key, format string, a ...any), key, text string, schemes ...string) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		fault(key, "%q is not a URL such as %s://host", text, schemes[0])
		return
	}
	if u.User != nil {
		fault(key, "must not hold a user or password; the device's token is used")
	}
	for _, s := range schemes {
		if u.Scheme == s {
			return
		}
	}
	fault(key, "scheme %q is not one of %s", u.Scheme, strings.Join(schemes, ", "))
}

// checkClear refuses an address of another machine without TLS, unless the configuration says that this is meant.
func checkClear(fault func(key, format string, a ...any), section, text string, insecure bool, schemes ...string) {
	u, err := url.Parse(text)
	if err != nil || insecure || !slices.Contains(schemes, u.Scheme) {
		return
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsLoopback() || strings.EqualFold(u.Hostname(), "localhost") {
		return
	}
	fault(section+".url", "%s sends the token over the network without TLS; use %ss://, or set %s.insecure: true where "+
		"strangers cannot listen in", text, schemes[0], section)
}

// Exposed says why others on this machine can read the token file, "" when they cannot.
func (c *Config) Exposed() string {
	info, err := os.Stat(c.TokenFile)
	if c.TokenFile == "" || err != nil || info.Mode().Perm()&0o007 == 0 {
		return ""
	}
	return fmt.Sprintf("every user of this machine may use the token file %s (mode %04o)", c.TokenFile, info.Mode().Perm())
}

func checkFile(fault func(key, format string, a ...any), key, path string) {
	if path == "" {
		return
	}
	if _, err := os.Stat(path); err != nil {
		fault(key, "%v", err)
	}
}

func atLeast(fault func(key, format string, a ...any), key string, d, least time.Duration) {
	if d < least {
		fault(key, "%s is less than %s", d, least)
	}
}
