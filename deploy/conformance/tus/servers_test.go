package tus

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"cattlecounter/cloud/api"
	"cattlecounter/cloud/azurite"
	"cattlecounter/cloud/config"
	"cattlecounter/cloud/ledger"
	"cattlecounter/deploy/process"
)

// cloud runs a cloud-api in this process, and returns how to look at it.
func cloud(t *testing.T, change func(*config.Config)) Options {
	t.Helper()
	cfg := config.Default()
	cfg.Data, cfg.HTTP.Listen, cfg.MQTT.EmbeddedListen, cfg.Intake.MinFree = t.TempDir(), "127.0.0.1:0", config.Off, 1<<20
	change(&cfg)
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan api.Addresses, 1), make(chan error, 1)
	go func() {
		done <- api.Serve(ctx, cfg, api.Options{Log: slog.New(slog.DiscardHandler), Ready: func(a api.Addresses) { ready <- a }})
	}()
	var at api.Addresses
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
	l, err := api.OpenLedger(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	token, err := l.AddDevice(t.Context(), "kit", "farm", ledger.RoleDevice)
	if err != nil {
		t.Fatal(err)
	}
	return Options{URL: at.HTTP + "/files/", Header: http.Header{"Authorization": {"Bearer " + token.Reveal()}}, Digest: "sha256", Patience: time.Minute}
}

// want compares what was found with the whole list of what is known. maybe are
// warnings that depend on how fast a machine is.
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
			t.Errorf("there is no check %s", name)
		}
	}
}

func counts(found map[string]Finding) string {
	n := Count(slices.Collect(maps.Values(found)))
	return fmt.Sprintf("%d passed, %d failed, %d warnings, %d skipped", n[Pass], n[Fail], n[Warn], n[Skipped])
}

// A reset may throw bytes away that the kernel had not handed over yet.
const mayLose = "cut-reset-keeps"

// ours is what is known of our cloud: it keeps to every MUST, and takes neither
// empty files nor parts.
var ours = map[string]Result{
	"create-empty": Warn, "expires-gone": Skipped,
	"concat-partial": Skipped, "concat-final": Skipped, "concat-final-patch": Skipped,
}

func TestCloud(t *testing.T) {
	found := run(t, cloud(t, func(*config.Config) {}))
	want(t, found, ours, mayLose)
}

// With blobs in Azure Storage it answers alike.
func TestCloudOnAzure(t *testing.T) {
	server := azurite.Get(t)
	found := run(t, cloud(t, func(c *config.Config) {
		c.Store = config.StoreAzure
		c.Azure.ConnectionString = server.ConnectionString()
	}))
	want(t, found, ours, mayLose)
}

func TestCloudLetsUploadsExpire(t *testing.T) {
	o := cloud(t, func(c *config.Config) { c.Intake.ExpireAfter = 2 * time.Second })
	o.Only = []string{"expires-gone"}
	if f := run(t, o)["expires-gone"]; f.Result != Pass {
		t.Errorf("%+v", f)
	}
}

// tusd is the control: the server that many use, and what the kit finds in it.
// Its source agrees: the refusal of a version does not tell its own, HEAD is not
// asked for a version, an override counts with POST only (middleware of
// pkg/handler), the media type is refused with 400, and metadata that cannot be
// read is dropped.
func TestTusd(t *testing.T) {
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
	port, err := process.FreePort(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	child, err := process.Start("tusd", dir, nil, program, "-host", "127.0.0.1", "-port", fmt.Sprint(port), "-upload-dir", filepath.Join(dir, "data"),
		"-max-size", "67108864", "-filelock-holder-poll-interval", "100ms", "-filelock-acquirer-poll-interval", "100ms")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(child.Kill)
	home := fmt.Sprintf("http://127.0.0.1:%d/", port)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := child.WaitHTTP(ctx, home); err != nil {
		t.Fatal(err)
	}
	known := map[string]Result{
		"version-refused-head": Fail, "version-told": Fail, "override-any": Fail,
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
