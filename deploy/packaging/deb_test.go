package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// root is a separate system root, with the database of dpkg and with users.
type root struct {
	t   *testing.T
	dir string
}

func newRoot(t *testing.T) root {
	t.Helper()
	if _, err := exec.LookPath("dpkg"); err != nil || os.Geteuid() != 0 {
		t.Skip("installing a package needs dpkg and root")
	}
	r := root{t, t.TempDir()}
	for name, text := range map[string]string{"etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "etc/group": "root:x:0:\n", "etc/shadow": "root:*:1::::::\n",
		"var/lib/dpkg/status": "", "var/lib/dpkg/info/format": "1\n", "var/lib/dpkg/updates/.keep": "", "var/lib/dpkg/triggers/File": ""} {
		r.write(name, text)
	}
	_ = os.Remove(filepath.Join(r.dir, "var/lib/dpkg/updates/.keep"))
	return r
}

func (r root) write(name, text string) {
	r.t.Helper()
	at := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r root) read(name string) string {
	b, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// dpkg runs dpkg on the root. The maintainer scripts run outside it and get its path in DPKG_ROOT.
func (r root) dpkg(args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "dpkg", append([]string{"--root=" + r.dir, "--force-script-chrootless", "--force-depends", "--log=/dev/null"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("dpkg %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// pack builds a package whose program is a text.
func pack(t *testing.T, version, text string) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "edge-agent")
	if err := os.WriteFile(program, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"edge-agent.bash", "edge-agent.zsh", "edge-agent.fish", "edge-agent.1.gz"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name+" of "+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	deb := filepath.Join(dir, "edge-agent.deb")
	cmd := exec.CommandContext(t.Context(), "go", "tool", "-modfile=deploy/packaging/nfpm.mod", "nfpm", "package",
		"--packager", "deb", "--config", "deploy/packaging/nfpm.yaml", "--target", deb)
	cmd.Dir = "../.."
	cmd.Env = append(cmd.Environ(), "ARCH=all", "VERSION="+version, "BINARY="+program, "SHARE="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return deb
}

func TestPackage(t *testing.T) {
	r := newRoot(t)
	one, two := pack(t, "0.1.9", "first\n"), pack(t, "0.1.10", "second\n")
	const bin, config, spool = "usr/bin/edge-agent", "etc/cattlecounter/edge-agent.yaml", "var/lib/cattlecounter/spool/store/000001.vlog"
	wanted := filepath.Join(r.dir, "etc/systemd/system/multi-user.target.wants/edge-agent.service")

	if out := r.dpkg("-i", one); !strings.Contains(out, "fill it in") {
		t.Errorf("the output does not name the next step:\n%s", out)
	}
	if r.read(bin) != "first\n" || !strings.Contains(r.read("etc/passwd"), "cattlecounter:") || !strings.Contains(r.read("usr/lib/systemd/system/edge-agent.service"), "Type=notify") {
		t.Error("program, user or unit is missing")
	}
	for name, at := range map[string]string{"edge-agent.bash": "usr/share/bash-completion/completions/edge-agent", "edge-agent.zsh": "usr/share/zsh/vendor-completions/_edge-agent",
		"edge-agent.fish": "usr/share/fish/vendor_completions.d/edge-agent.fish", "edge-agent.1.gz": "usr/share/man/man1/edge-agent.1.gz"} {
		if got := r.read(at); got != name+" of first\n" {
			t.Errorf("%s: %s", at, got)
		}
	}
	if _, err := exec.LookPath("systemctl"); err == nil {
		if _, err := os.Lstat(wanted); err != nil {
			t.Errorf("the unit is not enabled: %v", err)
		}
	}
	info, err := os.Stat(filepath.Join(r.dir, "etc/cattlecounter"))
	if err != nil || info.Mode().Perm() != 0o750 {
		t.Errorf("%v %v", info, err)
	}
	r.write(config, "mine")
	r.write("etc/cattlecounter/token", "cc_mine")
	r.write(spool, "footage")

	if out := r.dpkg("-i", two); r.read(bin) != "second\n" || strings.Contains(out, "fill it in") {
		t.Errorf("update:\n%s", out)
	}
	if r.dpkg("-i", one); r.read(bin) != "first\n" { // dpkg warns about the downgrade and installs it
		t.Error("the downgrade failed")
	}
	if r.read(config) != "mine" || strings.Count(r.read("etc/passwd"), "\ncattlecounter:") != 1 {
		t.Error("an update changed the configuration or the user")
	}

	if out := r.dpkg("-r", "edge-agent"); !strings.Contains(out, "the spool with its footage stays") {
		t.Errorf("the output does not say where the footage is:\n%s", out)
	}
	if _, err := os.Lstat(wanted); err == nil || r.read(bin) == "first\n" || r.read(config) != "mine" || r.read(spool) != "footage" {
		t.Error("a removal must keep the configuration and the footage and nothing else")
	}
	r.dpkg("--purge", "edge-agent")
	for _, name := range []string{config, "etc/cattlecounter/token"} {
		if !strings.Contains(r.read(name), "no such file") {
			t.Errorf("%s still exists", name)
		}
	}
	if r.read(spool) != "footage" {
		t.Error("a purge removed footage")
	}
}
