package systemd

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	unitFile   = "edge-agent.service"
	apiUnit    = "cattlecounter-api.service"
	workerUnit = "cattlecounter-worker@.service"
)

// unit reads the settings of the unit. A repeated setting has several values.
func unit(t *testing.T, file string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "[") {
			continue
		}
		key, value, _ := strings.Cut(line, "=")
		settings[key] = append(settings[key], value)
	}
	return settings
}

// TestUnit checks the settings that the agent, the package and the script depend on.
func TestUnit(t *testing.T) {
	u := unit(t, unitFile)
	for key, want := range map[string]string{
		"Type": "notify", "Restart": "always", "StartLimitIntervalSec": "0", "WatchdogSec": "3min", "TimeoutStartSec": "infinity",
		"User": "cattlecounter", "StateDirectory": "cattlecounter", "MemoryMax": "256M",
		"ConditionPathExists":   "/etc/cattlecounter/edge-agent.yaml",
		"ExecStart":             "/usr/bin/edge-agent run --config /etc/cattlecounter/edge-agent.yaml",
		"ProtectSystem":         "strict",
		"CapabilityBoundingSet": "",
	} {
		if got := u[key]; len(got) != 1 || got[0] != want {
			t.Errorf("%s=%q, want %q", key, got, want)
		}
	}
	if u["ReadWritePaths"] != nil || u["MountFlags"] != nil {
		t.Error("the agent may write only to its state directory, and must see cards that are mounted later")
	}
	// The agent reads the clock state of the kernel with adjtimex(2). @system-service does not contain it, and
	// ProtectClock= forbids it.
	filters := u["SystemCallFilter"]
	if u["ProtectClock"] != nil || !strings.HasPrefix(filters[len(filters)-1], "adjtimex clock_adjtime") {
		t.Error("the unit forbids adjtimex: the clock would always count as unsynced")
	}
}

// TestUnitsByAnalyze runs systemd-analyze, where it is installed.
func TestUnitsByAnalyze(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	for file, program := range map[string]string{
		unitFile: "/usr/bin/edge-agent", apiUnit: "/usr/bin/cloud-api", workerUnit: "/usr/bin/worker",
	} {
		t.Run(file, func(t *testing.T) { analyze(t, file, program) })
	}
}

func analyze(t *testing.T, file, program string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(t.TempDir(), strings.Replace(file, "@", "@1", 1)) // one instance of a template
	// /bin/sh instead of a program that is not installed.
	if err := os.WriteFile(at, bytes.ReplaceAll(text, []byte(program), []byte("/bin/sh")), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", at).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("verify: %v\n%s", err, out)
	}
	const worst = "20" // tenths; 0 is best and 100 worst
	out, err = exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", "--threshold="+worst, at).CombinedOutput()
	if err != nil {
		t.Errorf("exposure above %s: %v\n%s", worst, err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	t.Log(lines[len(lines)-1])
}

// image is the root folder of a system image.
type image struct {
	t    *testing.T
	root string
}

func newImage(t *testing.T) image {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("adding users and changing owners needs root")
	}
	root := t.TempDir()
	for name, text := range map[string]string{"etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "etc/group": "root:x:0:\n", "etc/shadow": "root:*:1::::::\n"} {
		if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return image{t, root}
}

func (i image) install(args ...string) (string, error) {
	out, err := exec.CommandContext(i.t.Context(), "sh", append([]string{"install.sh", "--root", i.root}, args...)...).CombinedOutput()
	return string(out), err
}

func (i image) must(args ...string) string {
	i.t.Helper()
	out, err := i.install(args...)
	if err != nil {
		i.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return out
}

func (i image) read(name string) string {
	b, err := os.ReadFile(filepath.Join(i.root, name))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (i image) program(name, text string) string {
	i.t.Helper()
	at := filepath.Join(i.t.TempDir(), name)
	if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
		i.t.Fatal(err)
	}
	return at
}

func TestInstall(t *testing.T) {
	i := newImage(t)
	one, two := i.program("one", "first\n"), i.program("two", "second\n")
	if out := i.must(one); !strings.Contains(out, "fill it in") {
		t.Error(out)
	}
	const bin, old, wants = "usr/bin/edge-agent", "usr/lib/cattlecounter/edge-agent.previous", "etc/systemd/system/multi-user.target.wants/edge-agent.service"
	for name, want := range map[string]string{bin: "first\n", old: "no such file", "etc/passwd": "cattlecounter:", wants: "Type=notify",
		"usr/share/cattlecounter/edge-agent.sample.yaml": "site: north-station"} {
		got := i.read(name)
		if name == wants { // a link to a path outside the image
			got = i.read("usr/lib/systemd/system/edge-agent.service")
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	info, err := os.Stat(filepath.Join(i.root, "etc/cattlecounter"))
	if err != nil || info.Mode().Perm() != 0o750 {
		t.Errorf("%v %v", info, err)
	}
	for _, name := range []string{"etc/cattlecounter/edge-agent.yaml", "var/lib/cattlecounter/spool/store/000001.vlog"} {
		at := filepath.Join(i.root, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	steps := []struct {
		args     []string
		bin, old string
	}{
		{[]string{one}, "first\n", "no such file"}, // the same program again
		{[]string{two}, "second\n", "first\n"},
		{[]string{two}, "second\n", "first\n"},
		{[]string{"--rollback"}, "first\n", "second\n"},
		{[]string{"--rollback"}, "second\n", "first\n"},
		{[]string{"--remove"}, "no such file", "no such file"},
		{[]string{"--remove"}, "no such file", "no such file"},
	}
	for _, s := range steps {
		if out := i.must(s.args...); strings.Contains(out, "fill it in") {
			t.Errorf("%v: asks for a configuration that exists\n%s", s.args, out)
		}
		if b, o := i.read(bin), i.read(old); !strings.Contains(b, s.bin) || !strings.Contains(o, s.old) {
			t.Errorf("%v: %q, before %q", s.args, b, o)
		}
	}
	if i.read("etc/cattlecounter/edge-agent.yaml") != "mine" || i.read("var/lib/cattlecounter/spool/store/000001.vlog") != "mine" || strings.Count(i.read("etc/passwd"), "\ncattlecounter:") != 1 {
		t.Error("configuration, spool or user were changed")
	}
	left, _ := filepath.Glob(filepath.Join(i.root, "usr/*/*.new"))
	if len(left) > 0 {
		t.Error(left)
	}
}

func TestInstallRefuses(t *testing.T) {
	i := newImage(t)
	one := i.program("one", "first\n")
	for want, args := range map[string][]string{
		"usage: install.sh":      nil,
		"unknown option --force": {"--force", one},
		"no previous program":    {"--rollback"},
		"is no folder":           {one, "--root", "/does/not/exist"},
		"--root needs a folder":  {one, "--root"},
	} {
		if out, err := i.install(args...); err == nil || !strings.Contains(out, want) {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	list := filepath.Join(i.root, "var/lib/dpkg/info/edge-agent.list")
	if err := os.MkdirAll(filepath.Dir(list), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := i.install(one); err == nil || !strings.Contains(out, "use dpkg -i") {
		t.Errorf("%v\n%s", err, out)
	}
}
