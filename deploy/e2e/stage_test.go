package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cattlecounter/deploy/process"
	"cattlecounter/deploy/testkit/azurite"
	"cattlecounter/deploy/testkit/port"
	"cattlecounter/deploy/testkit/postgres"
	"cattlecounter/shared/mqttlink"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/topic"
)

const (
	site   = "ranch"
	device = "dock-1"
	tags   = "gocv_specific_modules,gocv_videoio"

	cloudPassword   = "pw-of-the-cloud-9d1f"
	watcherPassword = "pw-of-the-watcher-77aa"
)

// bin is the folder of the programs, built once per test run.
var bin string

// version is what the programs under test are built as. Without it a clone and a bare tree give different versions.
const version = "9.8.7"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "cattle-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = dir
	cmd := exec.Command("go", "build", "-tags", tags, "-ldflags", "-X cattlecounter/shared/version.number="+version, "-o", bin+"/",
		"cattlecounter/edge/cmd/edge-agent", "cattlecounter/cloud/cmd/cloud-api", "cattlecounter/cloud/cmd/worker",
		"cattlecounter/cloud/cmd/herdsim",
		"cattlecounter/deploy/allinone/cmd/allinone", "cattlecounter/deploy/conformance/tus/cmd/tus-conformance")
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the programs: %v\n%s", err, out)
		return 1
	}
	return postgres.Tests(azurite.Tests(m)).Run()
}

// stage is one station with its cloud, on loopback and in one temporary folder.
type stage struct {
	t        testing.TB
	dir      string
	web      int // ports
	mqtt     int
	cloudcfg string
	edgecfg  string
	token    string
	edgeMore string        // more YAML for the agent
	through  string        // host:port of a proxy between agent and cloud; "" for none
	idle     time.Duration // the agent's cloud.idle_timeout
	inside   []string      // command that starts the agent, such as ip netns exec; nil for none
	noBroker bool          // the agent has no MQTT

	workerEnv []string // overrides the cloud's configuration for the worker

	broker, api, worker, edge *process.Child
	received                  *subscriber
}

// newStage prepares a stage and starts nothing. more is YAML for the cloud. The programs end with the test.
func newStage(t testing.TB, more ...string) *stage {
	t.Helper()
	s := &stage{t: t, dir: t.TempDir(), idle: 10 * time.Second}
	s.web, s.mqtt = s.port(), s.port()
	for _, d := range []string{"card/DCIM/100MEDIA", "logs", "cloud", "spool"} {
		if err := os.MkdirAll(filepath.Join(s.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.cloudcfg = s.write("cloud.yaml", fmt.Sprintf(`
data: %s
http: {listen: "127.0.0.1:%d", open_reading: true, idle_timeout: 5s}
mqtt: {url: "tcp://127.0.0.1:%d", username: cloud, password: %s}
intake: {min_free: 1MiB}
worker: {model: %s, lease: 10s, sample_fps: 1.5, onnxruntime_lib: %q}
%s`, s.path("cloud"), s.web, s.mqtt, cloudPassword, model(t), library(t), strings.Join(more, "\n")))
	s.token = s.addDevice(device, "device")
	s.passwords(map[string]string{"cloud": cloudPassword, "watcher": watcherPassword, device: s.token})
	t.Cleanup(s.stop)
	return s
}

func (s *stage) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

func (s *stage) port() int {
	s.t.Helper()
	return port.Number(s.t, port.Free(s.t))
}

func (s *stage) write(name, text string) string {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return s.path(name)
}

func (s *stage) addDevice(name, role string) string {
	s.t.Helper()
	out, err := exec.Command(filepath.Join(bin, "cloud-api"), "device", "add", name, "--site", site, "--role", role, "--config", s.cloudcfg).Output()
	if err != nil {
		s.t.Fatalf("add device %s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}

// passwords writes the accounts of mosquitto and their rights.
func (s *stage) passwords(users map[string]string) {
	s.t.Helper()
	file := s.write("passwords", "")
	for name, pass := range users {
		if out, err := exec.Command("mosquitto_passwd", "-b", file, name, pass).CombinedOutput(); err != nil {
			s.t.Fatalf("mosquitto_passwd: %v: %s", err, out)
		}
	}
	s.write("acl", fmt.Sprintf("user cloud\ntopic readwrite cattle/v1/#\nuser watcher\ntopic read cattle/v1/#\nuser %s\ntopic readwrite %s#\n",
		device, topic.Device{Site: site, Name: device}.Prefix()))
	who := "mosquitto"
	if os.Getuid() != 0 {
		who = "" // without root, mosquitto keeps the user of the test
	}
	conf := fmt.Sprintf("listener %d 127.0.0.1\npassword_file %s\nacl_file %s\npersistence false\n", s.mqtt, file, s.path("acl"))
	if who != "" {
		conf += "user root\n" // the files belong to root
	}
	s.write("mosquitto.conf", conf)
}

// start starts a program; its log is named after it.
func (s *stage) start(name, program string, args ...string) *process.Child {
	s.t.Helper()
	return s.startIn(nil, name, program, args...)
}

func (s *stage) startIn(env []string, name, program string, args ...string) *process.Child {
	s.t.Helper()
	c, err := process.Start(name, s.path("logs"), env, program, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *stage) startBroker() {
	program := "/usr/sbin/mosquitto"
	if p, err := exec.LookPath("mosquitto"); err == nil {
		program = p
	}
	s.broker = s.start("mosquitto", program, "-c", s.path("mosquitto.conf"))
}

func (s *stage) startAPI() {
	s.t.Helper()
	s.api = s.start("cloud-api", filepath.Join(bin, "cloud-api"), "serve", "--config", s.cloudcfg)
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	if err := s.api.WaitHTTP(ctx, s.url("/healthz")); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) startWorker() {
	s.t.Helper()
	s.worker = s.startIn(s.workerEnv, "worker", filepath.Join(bin, "worker"), "run", "--config", s.cloudcfg)
}

func (s *stage) startEdge() {
	to := s.through
	if to == "" {
		to = fmt.Sprintf("127.0.0.1:%d", s.web)
	}
	broker := fmt.Sprintf("tcp://127.0.0.1:%d", s.mqtt)
	if s.noBroker {
		broker = ""
	}
	s.edgecfg = s.write("edge.yaml", fmt.Sprintf(`
site: %s
device: %s
token: %s
cloud: {url: "http://%s", idle_timeout: %s, insecure: true}
mqtt: {url: %q}
watch: {folders: [%q], stable: 1s, sidecar: 500ms, poll: 200ms}
spool: {dir: %q, min_free: 32MiB}
%s`, site, device, s.token, to, s.idle, broker, s.path("card"), s.path("spool"), s.edgeMore))
	line := append(slices.Clone(s.inside), filepath.Join(bin, "edge-agent"), "run", "--config", s.edgecfg)
	s.edge = s.start("edge-agent", line[0], line[1:]...)
}

// startAll starts every program and a subscriber of every MQTT message.
func (s *stage) startAll() {
	s.t.Helper()
	s.startBroker()
	s.startAPI()
	s.startWorker()
	s.subscribe()
	s.startEdge()
}

// stop ends the programs, looks for secrets in their logs, and shows the logs of a failed test.
func (s *stage) stop() {
	for _, c := range []*process.Child{s.edge, s.worker, s.api, s.broker} {
		if c == nil {
			continue
		}
		if err := c.Stop(time.Minute); err != nil {
			s.t.Error(err)
		}
	}
	if s.received != nil {
		s.received.stop()
	}
	s.noSecrets()
	if s.t.Failed() {
		for _, c := range []*process.Child{s.edge, s.worker, s.api, s.broker} {
			if c != nil {
				s.t.Logf("end of %s:\n%s", c.Log, c.Tail(6000))
			}
		}
	}
}

func (s *stage) url(path string) string { return fmt.Sprintf("http://127.0.0.1:%d%s", s.web, path) }

// get reads JSON from the API.
func (s *stage) get(path string, into any) error {
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url(path), nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", path, resp.Status, b)
	}
	return json.Unmarshal(b, into)
}

// eventually polls until ok returns true: other processes have no event to wait for. It ends the test after the limit.
func (s *stage) eventually(what string, limit time.Duration, ok func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(limit)
	for !ok() {
		if time.Now().After(deadline) {
			s.t.Fatalf("not within %s: %s", limit, what)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// copyToCard copies a file onto the card under a temporary name and renames it.
func (s *stage) copyToCard(from, name string) {
	s.t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		s.t.Fatal(err)
	}
	s.writeToCard(b, name)
}

// writeToCard does the same for bytes.
func (s *stage) writeToCard(b []byte, name string) {
	s.t.Helper()
	part := s.path("card", "DCIM", "100MEDIA", name+".part")
	if err := os.WriteFile(part, b, 0o644); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(part, strings.TrimSuffix(part, ".part")); err != nil {
		s.t.Fatal(err)
	}
}

// subscriber records every MQTT message.
type subscriber struct {
	mu     sync.Mutex
	all    []mqttlink.Message
	cancel context.CancelFunc
	done   chan struct{}
}

// subscribe connects a subscriber that may read all topics.
func (s *stage) subscribe() {
	s.t.Helper()
	r := &subscriber{done: make(chan struct{})}
	up := make(chan struct{}, 1)
	l, err := mqttlink.New(mqttlink.Options{
		URL: fmt.Sprintf("tcp://127.0.0.1:%d", s.mqtt), ClientID: "watcher", Username: "watcher", Password: secret.New(watcherPassword),
		OnUp: func() {
			select {
			case up <- struct{}{}:
			default:
			}
		},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	l.Subscribe("cattle/v1/#", func(m mqttlink.Message) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.all = append(r.all, m)
	})
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() {
		defer close(r.done)
		_ = l.Run(ctx)
	}()
	select {
	case <-up:
	case <-time.After(time.Minute):
		s.t.Fatal("the broker does not answer")
	}
	s.received = r
}

func (r *subscriber) stop() {
	r.cancel()
	<-r.done
}

// messages returns the decoded messages of one kind of topic, in the order of arrival.
func messages[T any](t testing.TB, r *subscriber, kind topic.Kind) []T {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []T
	for _, m := range r.all {
		a, err := topic.Parse(m.Topic)
		if err != nil {
			t.Fatalf("%v", err)
		}
		if a.Kind != kind {
			continue
		}
		var v T
		if err := json.Unmarshal(m.Payload, &v); err != nil {
			t.Fatalf("%s: %v: %s", m.Topic, err, m.Payload)
		}
		out = append(out, v)
	}
	return out
}
