package tus

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/server"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/conformance/finding"
	"cattlecounter/deploy/process"
	"cattlecounter/deploy/testkit/azurite"
	"cattlecounter/deploy/testkit/port"
	"cattlecounter/deploy/testkit/postgres"
)

// cloud runs a cloud-api in this process and returns the options to check it.
func cloud(t *testing.T, change func(*config.Config)) Options {
	t.Helper()
	cfg := configured(t, change)
	at := serve(t, cfg)
	return Options{URL: at + "/files/", Header: token(t, cfg), Digest: "sha256", Patience: time.Minute}
}

// configured is the configuration of a cloud-api with a separate data folder.
func configured(t *testing.T, change func(*config.Config)) config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.Data, cfg.HTTP.Listen, cfg.MQTT.EmbeddedListen, cfg.Intake.MinFree = t.TempDir(), "127.0.0.1:0", config.Off, 1<<20
	change(&cfg)
	return cfg
}

// serve runs a cloud-api until the test ends and returns its address.
func serve(t *testing.T, cfg config.Config) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan server.Addresses, 1), make(chan error, 1)
	go func() {
		done <- server.Serve(ctx, cfg, server.Options{Log: slog.New(slog.DiscardHandler), Ready: func(a server.Addresses) { ready <- a }})
	}()
	var at server.Addresses
	select {
	case at = <-ready:
	case err := <-done:
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return at.HTTP
}

// token adds a device and returns the header with its token.
func token(t *testing.T, cfg config.Config) http.Header {
	t.Helper()
	l, err := server.OpenLedger(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	token, err := l.Devices.Add(t.Context(), "kit", "farm", ledger.RoleDevice)
	if err != nil {
		t.Fatal(err)
	}
	return http.Header{"Authorization": {"Bearer " + token.Reveal()}}
}

// want compares the findings with the known results; checks that are not listed pass. maybe lists checks that can also
// warn on a slow machine.
func want(t *testing.T, found map[string]Finding, known map[string]Result, maybe ...string) {
	t.Helper()
	if len(found) != len(checks()) {
		t.Errorf("%d findings of %d checks", len(found), len(checks()))
	}
	for name, f := range found {
		result, listed := known[name]
		if !listed {
			result = Pass
		}
		ok := f.Result == result
		for _, m := range maybe {
			ok = ok || m == name && f.Result == Warn
		}
		if !ok {
			t.Errorf("%s (%s): %s, want %s: %s", name, f.Level, f.Result, result, f.Detail)
		}
	}
	t.Log(counts(found))
	for name := range known {
		if _, there := found[name]; !there {
			t.Errorf("no such check: %s", name)
		}
	}
}

func counts(found map[string]Finding) string {
	n := finding.Count(slices.Collect(maps.Values(found)))
	return fmt.Sprintf("%d passed, %d failed, %d warnings, %d skipped", n[Pass], n[Fail], n[Warn], n[Skipped])
}

// A reset can discard bytes that the kernel has not delivered yet.
const mayLose = "cut-reset-keeps"

// ours is the result of our cloud: it follows every MUST, and refuses empty files and partial uploads.
var ours = map[string]Result{
	"create-empty": Warn, "expires-gone": Skipped,
	"concat-partial": Skipped, "concat-final": Skipped, "concat-final-patch": Skipped,
}

func TestCloud(t *testing.T) {
	t.Parallel()
	found := run(t, cloud(t, func(*config.Config) {}))
	want(t, found, ours, mayLose)
}

// With blobs in Azure Storage the results are the same.
func TestCloudOnAzure(t *testing.T) {
	t.Parallel()
	server := azurite.Get(t)
	found := run(t, cloud(t, func(c *config.Config) {
		c.Store = config.StoreAzure
		c.Azure.ConnectionString = server.ConnectionString()
	}))
	want(t, found, ours, mayLose)
}

// Two clouds that share Azure Storage and PostgreSQL answer like one, when a balancer sends each request to the other one.
func TestTwoCloudsAtOneAddress(t *testing.T) {
	t.Parallel()
	server, database := azurite.Get(t), postgres.Get(t).Database(t)
	shared := func(c *config.Config) {
		c.Store = config.StoreAzure
		c.Azure.ConnectionString, c.Azure.Container, c.Azure.Queue = server.ConnectionString(), "two-clouds", "two-clouds-jobs"
		c.Ledger.URL = database
	}
	cfg := configured(t, shared)
	var clouds []*url.URL
	for _, at := range []string{serve(t, cfg), serve(t, configured(t, shared))} {
		u, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		clouds = append(clouds, u)
	}
	var n atomic.Int64
	balancer := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(clouds[n.Add(1)%int64(len(clouds))])
			r.Out.Host = r.In.Host
		},
		FlushInterval: -1,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:      slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	})
	t.Cleanup(balancer.Close)
	balancer.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	found := run(t, Options{URL: balancer.URL + "/files/", Header: token(t, cfg), Digest: "sha256", Patience: time.Minute})
	want(t, found, ours, mayLose, "cut-half-closed-keeps") // the balancer then ends its own request
}

func TestCloudLetsUploadsExpire(t *testing.T) {
	t.Parallel()
	o := cloud(t, func(c *config.Config) { c.Intake.ExpireAfter = 2 * time.Second })
	o.Only = []string{"expires-gone"}
	if f := run(t, o)["expires-gone"]; f.Result != Pass {
		t.Errorf("%+v", f)
	}
}

// TestTusd checks the reference server. Its source confirms the findings: the refusal of a version does not list its own,
// HEAD needs no version, an override works with POST only (the middleware of pkg/handler), another media type is refused
// with 400, and malformed metadata is ignored.
func TestTusd(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds tusd")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "tusd")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-modfile=deploy/conformance/tus/tusd.mod", "-o", program, "github.com/tus/tusd/v2/cmd/tusd")
	cmd.Dir = "../../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build tusd: %v\n%s", err, out)
	}
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	at := port.Free(t)
	child, err := process.Start("tusd", dir, nil, program, "-host", "127.0.0.1", "-port", fmt.Sprint(port.Number(t, at)), "-upload-dir", filepath.Join(dir, "data"),
		"-max-size", "67108864", "-filelock-holder-poll-interval", "100ms", "-filelock-acquirer-poll-interval", "100ms")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(child.Kill)
	home := "http://" + at + "/"
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := child.WaitHTTP(ctx, home); err != nil {
		t.Fatal(err)
	}
	known := map[string]Result{
		"version-refused-head": Fail, "version-listed": Fail, "override-any": Fail,
		"patch-media-type": Warn, "metadata-malformed": Warn,
	}
	for _, c := range checks() {
		for _, e := range c.needs {
			if e == "expiration" || e == "checksum" {
				known[c.name] = Skipped
			}
		}
	}
	want(t, run(t, Options{URL: home + "files/", Patience: time.Minute}), known, mayLose)
}
