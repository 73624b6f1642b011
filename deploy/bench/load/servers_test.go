package load

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/process"
	"cattlecounter/deploy/testkit/azurite"
	"cattlecounter/deploy/testkit/faultproxy"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/deploy/testkit/port"
	"cattlecounter/deploy/testkit/postgres"
	"cattlecounter/deploy/testkit/testserver"
	"cattlecounter/shared/topic"
)

const (
	site          = "ranch"
	cloudPassword = "pw-of-the-cloud-2c61"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(workerConfig); path != "" {
		os.Exit(runWorker(path))
	}
	os.Exit(m.Run())
}

// stage is everything that runs on this machine, on loopback and in one temporary folder.
type stage struct {
	tb        testing.TB
	dir       string
	program   string // cloud-api
	worker    string // this test program, or an older one
	config    string
	database  *postgres.Server
	storage   *azurite.Server
	link      *faultproxy.Proxy // between the programs and the blobs
	mosquitto string            // the program
	broker    *process.Child
	mqtt      int
	ports     []int             // of the clouds
	running   []*process.Child  // the clouds
	counting  []*process.Child  // the workers
	tokens    map[string]string // of the devices
	farm      *farm             // an installation of its own with full disks; nil for none
	options
}

// options are what differs between the benchmark and the soak.
type options struct {
	clouds, workers int
	devices         []string
	small           string // data folder of the first worker when it is a file system of its own, which a test can fill
	from            string // older version whose programs start first; "" for none
	clocks          bool   // each cloud has a clock of its own, which a test can step
}

// newStage starts PostgreSQL, Azurite, mosquitto, clouds and workers, and adds the devices.
func newStage(tb testing.TB, o options) *stage {
	tb.Helper()
	s := &stage{tb: tb, dir: tb.TempDir(), tokens: map[string]string{}, options: o}
	s.useNew()
	s.build()
	if o.from != "" {
		s.useOld()
	}
	var err error
	s.database, err = postgres.New()
	testserver.SkipOrFail(tb, err)
	tb.Cleanup(func() { must.Do(tb, s.database.Remove()) })
	s.storage, err = azurite.Start()
	testserver.SkipOrFail(tb, err)
	tb.Cleanup(func() { must.Do(tb, s.storage.Stop()) })
	link, err := faultproxy.New(faultproxy.Options{To: s.storage.Blob})
	must.Do(tb, err)
	tb.Cleanup(func() { _ = link.Close() })
	s.link = link
	database := s.database.Database(tb)
	tb.Cleanup(s.stop) // before the servers
	s.mqtt = s.port()
	s.config = s.path("cloud.yaml")
	must.Do(tb, os.WriteFile(s.config, fmt.Appendf(nil, `
http: {open_reading: true, idle_timeout: 10s}
mqtt: {url: "tcp://127.0.0.1:%d", username: cloud, password: %s}
intake: {min_free: 1MiB}
worker: {lease: 10s, max_deliveries: 100}
store: azure
azure: {connection_string: %q, container: load, queue: load-jobs}
ledger: {url: %q}
`, s.mqtt, cloudPassword, s.storage.ConnectionStringVia(link.Addr(), "").Reveal(), database.Reveal()), 0o600))
	if o.from == "" {
		s.tokens = addDevices(tb, s.config, o.devices)
	} else {
		s.addDevicesByProgram(o.devices)
	}
	s.startBroker(o.devices)
	for range o.clouds {
		s.ports = append(s.ports, s.port())
		s.running = append(s.running, s.startCloud(len(s.running)))
	}
	for range o.workers {
		s.counting = append(s.counting, s.startWorker(len(s.counting)))
	}
	return s
}

// build builds cloud-api, with a clock that can be stepped if the test steps it.
func (s *stage) build() {
	s.tb.Helper()
	args := []string{"build", "-o", s.program}
	if s.clocks {
		args = append(args, "-overlay", clockOverlay(s.tb, s.tb.TempDir()))
	}
	build := exec.CommandContext(s.tb.Context(), "go", append(args, "./cloud/cmd/cloud-api")...)
	build.Dir, build.Env = "../../..", append(os.Environ(), "CGO_ENABLED=0")
	run(s.tb, build)
}

func (s *stage) clockOf(cloud int) string { return s.path(fmt.Sprintf("clock-%d", cloud)) }

func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

func (s *stage) port() int {
	s.tb.Helper()
	return port.Number(s.tb, port.Free(s.tb))
}

// startBroker starts mosquitto with an account for the cloud and one for each device. A device's password is its name:
// the rights of devices have tests of their own.
func (s *stage) startBroker(devices []string) {
	s.tb.Helper()
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		program = "/usr/sbin/mosquitto"
	}
	if _, err := os.Stat(program); err != nil {
		testserver.SkipOrFail(s.tb, fmt.Errorf("mosquitto: %w", testserver.ErrNotInstalled))
	}
	var accounts, rights strings.Builder
	fmt.Fprintf(&accounts, "cloud:%s\n", cloudPassword)
	fmt.Fprintf(&rights, "user cloud\ntopic readwrite cattle/v1/#\n")
	for _, d := range devices {
		fmt.Fprintf(&accounts, "%s:%s\n", d, d)
	}
	fmt.Fprintf(&rights, "pattern readwrite %s#\n", topic.Device{Site: site, Name: "%u"}.Prefix())
	must.Do(s.tb, os.WriteFile(s.path("passwords"), []byte(accounts.String()), 0o600))
	must.Do(s.tb, os.WriteFile(s.path("rights"), []byte(rights.String()), 0o600))
	if out, err := exec.CommandContext(s.tb.Context(), "mosquitto_passwd", "-U", s.path("passwords")).CombinedOutput(); err != nil {
		s.tb.Fatalf("mosquitto_passwd: %v: %s", err, out)
	}
	conf := fmt.Sprintf("listener %d 127.0.0.1\npassword_file %s\nacl_file %s\npersistence false\n", s.mqtt, s.path("passwords"), s.path("rights"))
	if os.Getuid() == 0 {
		conf += "user root\n" // the files belong to root
	}
	must.Do(s.tb, os.WriteFile(s.path("mosquitto.conf"), []byte(conf), 0o600))
	s.mosquitto = program
	s.broker = s.startMosquitto()
}

func (s *stage) startMosquitto() *process.Child {
	return s.start("mosquitto", nil, s.mosquitto, "-c", s.path("mosquitto.conf"))
}

func (s *stage) start(name string, env []string, program string, args ...string) *process.Child {
	s.tb.Helper()
	c, err := process.Start(name, s.dir, env, program, args...)
	must.Do(s.tb, err)
	return c
}

func (s *stage) url(cloud int) string { return fmt.Sprintf("http://127.0.0.1:%d", s.ports[cloud]) }

// startCloud starts cloud-api number i, at the same address and with the same folder each time.
func (s *stage) startCloud(i int) *process.Child {
	s.tb.Helper()
	name := fmt.Sprintf("cloud-%d", i)
	env := []string{"CATTLE_CLOUD_DATA=" + s.path(name), fmt.Sprintf("CATTLE_CLOUD_HTTP_LISTEN=127.0.0.1:%d", s.ports[i])}
	if s.clocks {
		s.setClock(i, 0)
		env = append(env, clockFile+"="+s.clockOf(i))
	}
	c := s.start(name, env, s.program, "serve", "--config", s.config)
	ctx, cancel := context.WithTimeout(s.tb.Context(), 5*time.Minute) // the storage may be slow on a busy machine
	defer cancel()
	must.Do(s.tb, c.WaitHTTP(ctx, s.url(i)+"/healthz"))
	return c
}

func (s *stage) startWorker(i int) *process.Child {
	s.tb.Helper()
	name := fmt.Sprintf("worker-%d", i)
	data := s.path(name)
	if i == 0 && s.small != "" {
		data = s.small
	}
	return s.start(name, []string{workerConfig + "=" + s.config, "CATTLE_CLOUD_DATA=" + data}, s.worker)
}

// stop ends everything. It shows the logs of a failed run.
func (s *stage) stop() {
	for _, c := range slices.Concat(s.counting, s.running, []*process.Child{s.broker}) {
		if c == nil {
			continue
		}
		if err := c.Stop(time.Minute); err != nil {
			s.tb.Error(err)
		}
		if s.tb.Failed() {
			s.tb.Logf("end of %s:\n%s", c.Log, c.Tail(1500))
		}
	}
}
