package azure

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/process"
	"cattlecounter/deploy/testkit/azurite"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/deploy/testkit/port"
	"cattlecounter/deploy/testkit/testserver"
	"cattlecounter/shared/footage"
)

// programs are built once. Each round has a new Azurite, because Azurite keeps deleted blobs on the disk for a while.
type programs struct {
	dir   string
	azure *azurite.Server
}

func (p *programs) serve(b *testing.B) {
	b.Helper()
	var err error
	p.azure, err = azurite.Start()
	testserver.SkipOrFail(b, err)
	b.Cleanup(func() { _ = p.azure.Stop() }) // after a failed round
}

func build(b *testing.B) *programs {
	b.Helper()
	p := &programs{dir: b.TempDir()}
	for _, args := range [][]string{
		{"build", "-o", p.dir + "/", "./cloud/cmd/cloud-api"},
		{"build", "-modfile=deploy/conformance/tus/tusd.mod", "-o", p.dir + "/", "github.com/tus/tusd/v2/cmd/tusd"},
	} {
		cmd := exec.Command("go", args...)
		cmd.Dir = "../../.."
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("go %v: %v\n%s", args, err, out)
		}
	}
	return p
}

// server is a running program for uploads.
type server struct {
	*process.Child
	host    string // host:port
	header  http.Header
	folders []string // with its files
	// place returns the container and the name of the blob of an upload.
	place func(f *footageFile, upload string) (container, name string)
}

// newContainerName returns a new name of a container.
func newContainerName() string { return "c" + strings.ToLower(string(footage.NewID(time.Now()))) }

func folders(t testing.TB, names ...string) []string {
	t.Helper()
	dir := t.TempDir()
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = filepath.Join(dir, n)
		must.Do(t, os.Mkdir(out[i], 0o755))
	}
	return out
}

// ready waits until the server answers.
func ready(t testing.TB, c *process.Child, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	must.Do(t, c.WaitHTTP(ctx, url))
}

func startCloud(t testing.TB, p *programs) server {
	t.Helper()
	dirs, at, in := folders(t, "data", "tmp", "logs"), port.Number(t, port.Free(t)), newContainerName()
	config := filepath.Join(dirs[2], "cloud.yaml")
	must.Do(t, os.WriteFile(config, fmt.Appendf(nil, "data: %s\nhttp: {listen: \"127.0.0.1:%d\"}\nmqtt: {embedded_listen: off}\nintake: {min_free: 1MiB}\n"+
		"store: azure\nazure: {connection_string: %q, container: %s, queue: %s}\n", dirs[0], at, p.azure.ConnectionString().Reveal(), in, in), 0o600))
	program := filepath.Join(p.dir, "cloud-api")
	token, err := exec.Command(program, "device", "add", "bench", "--site", "ranch", "--role", "device", "--config", config).Output()
	must.Do(t, err)
	c, err := process.Start("cloud-api", dirs[2], []string{"TMPDIR=" + dirs[1]}, program, "serve", "--config", config)
	must.Do(t, err)
	ready(t, c, fmt.Sprintf("http://127.0.0.1:%d/healthz", at))
	return server{Child: c, host: fmt.Sprintf("127.0.0.1:%d", at), header: http.Header{"Authorization": {"Bearer " + strings.TrimSpace(string(token))}},
		folders: dirs[:2], place: func(f *footageFile, _ string) (string, string) { return in, "footage/" + f.id + "/original.mp4" }}
}

func startTusd(t testing.TB, p *programs) server {
	t.Helper()
	dirs, at, in := folders(t, "data", "tmp", "logs"), port.Number(t, port.Free(t)), newContainerName()
	env := []string{"TMPDIR=" + dirs[1], "AZURE_STORAGE_ACCOUNT=" + azurite.Account, "AZURE_STORAGE_KEY=" + azurite.Key}
	c, err := process.Start("tusd", dirs[2], env, filepath.Join(p.dir, "tusd"), "-host", "127.0.0.1", "-port", fmt.Sprint(at), "-upload-dir", dirs[0],
		"-azure-storage", in, "-azure-endpoint", fmt.Sprintf("http://%s/%s", p.azure.Blob, azurite.Account))
	must.Do(t, err)
	ready(t, c, fmt.Sprintf("http://127.0.0.1:%d/metrics", at))
	return server{Child: c, host: fmt.Sprintf("127.0.0.1:%d", at), folders: dirs[:2],
		place: func(_ *footageFile, upload string) (string, string) {
			return in, upload[strings.LastIndex(upload, "/")+1:]
		}}
}
