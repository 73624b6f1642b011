package allinone

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"cattlecounter/deploy/process"
)

const (
	siteName     = "demo-ranch"
	deviceName   = "dock-1"
	operatorName = "operator"
	personName   = "demo"
	brokerPort   = 1883
)

// station holds the addresses and files of one run.
type station struct {
	o          Options
	model      string
	web, mqtt  int    // ports on loopback
	operator   string // token
	code       string // logs a browser in once
	cloudYAML  string
	edgeYAML   string
	deviceFile string // token of the edge agent
}

// newStation picks ports, writes the configurations and creates the tokens.
func newStation(ctx context.Context, o Options, model string) (*station, error) {
	s := &station{
		o: o, model: model,
		cloudYAML:  filepath.Join(o.Data, "cloud.yaml"),
		edgeYAML:   filepath.Join(o.Data, "edge.yaml"),
		deviceFile: filepath.Join(o.Data, "edge", "token"),
	}
	var err error
	if s.web, err = process.FreePort(ctx, o.Port); err != nil {
		return nil, err
	}
	if s.mqtt, err = process.FreePort(ctx, brokerPort); err != nil {
		return nil, err
	}
	cloud := fmt.Sprintf("data: %q\nhttp:\n  listen: 127.0.0.1:%d\nmqtt:\n  embedded_listen: 127.0.0.1:%d\nworker:\n  model: %q\n  onnxruntime_lib: %q\n",
		filepath.Join(o.Data, "cloud"), s.web, s.mqtt, model, os.Getenv("ONNXRUNTIME_LIB"))
	edge := fmt.Sprintf("site: %s\ndevice: %s\ntoken_file: %q\ncloud:\n  url: %s\nmqtt:\n  url: tcp://127.0.0.1:%d\n"+
		"watch:\n  folders: [%q]\n  stable: 2s\n  sidecar: 1s\n  poll: 500ms\nspool:\n  dir: %q\n",
		siteName, deviceName, s.deviceFile, s.address(), s.mqtt, s.card(), s.spool())
	err = errors.Join(os.WriteFile(s.cloudYAML, []byte(cloud), 0o600), os.WriteFile(s.edgeYAML, []byte(edge), 0o600))
	if err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	if _, err := s.ensureToken(ctx, deviceName, "device", s.deviceFile); err != nil {
		return nil, err
	}
	if s.operator, err = s.ensureToken(ctx, operatorName, "operator", filepath.Join(o.Data, "operator.token")); err != nil {
		return nil, err
	}
	s.code, err = s.logInCode(ctx)
	return s, err
}

func (s *station) address() string { return fmt.Sprintf("http://127.0.0.1:%d", s.web) }
func (s *station) card() string    { return filepath.Join(s.o.Data, "card") }
func (s *station) cardDir() string { return filepath.Join(s.card(), "DCIM", "100MEDIA") }
func (s *station) spool() string   { return filepath.Join(s.o.Data, "edge", "spool") }
func (s *station) logs() string    { return filepath.Join(s.o.Data, "logs") }

// link is the address of the page with a code that logs in once. A browser never sends the part after the #.
func (s *station) link() string { return s.address() + "/#code=" + s.code }

func (s *station) program(name string) string { return filepath.Join(s.o.Bin, name) }

// ensureToken returns the token in the file, or adds the device and writes its token there.
func (s *station) ensureToken(ctx context.Context, name, role, file string) (string, error) {
	if b, err := os.ReadFile(file); err == nil {
		return strings.TrimSpace(string(b)), nil
	}
	cmd := exec.CommandContext(ctx, s.program("cloud-api"), "device", "add", name, "--site", siteName, "--role", role, "--config", s.cloudYAML)
	var fault strings.Builder
	cmd.Stderr = &fault
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("add %s: %w: %s", name, err, strings.TrimSpace(fault.String()))
	}
	token := strings.TrimSpace(string(out))
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("write the token of %s: %w", name, err)
	}
	return token, nil
}

// logInCode adds the person of the demo, with a password that is nowhere else, and returns a code that logs them in.
func (s *station) logInCode(ctx context.Context) (string, error) {
	listed, err := s.cloudAPI(ctx, "", "user", "list")
	if err == nil && !strings.Contains(listed, "\n"+personName+" ") {
		_, err = s.cloudAPI(ctx, rand.Text()+"\n", "user", "add", personName, "--role", "admin", "--site", "*")
	}
	if err != nil {
		return "", err
	}
	return s.cloudAPI(ctx, "", "user", "code", personName)
}

// cloudAPI runs a command of cloud-api and returns what it prints.
func (s *station) cloudAPI(ctx context.Context, input string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.program("cloud-api"), append(args, "--config", s.cloudYAML)...)
	var fault strings.Builder
	cmd.Stdin, cmd.Stderr = strings.NewReader(input), &fault
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("cloud-api %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(fault.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// start starts the programs, each after those that it needs.
func (s *station) start(ctx context.Context, screen *screen) (*tree, error) {
	t := &tree{screen: screen}
	for _, p := range []*program{
		s.child("cloud-api", "serve", "--config", s.cloudYAML),
		s.child("worker", "run", "--config", s.cloudYAML),
		s.child("edge-agent", "run", "--config", s.edgeYAML),
	} {
		if err := t.add(p); err != nil {
			t.stop()
			return nil, err
		}
		if p.name != "cloud-api" {
			continue
		}
		ready, cancel := context.WithTimeout(ctx, readyLimit)
		err := p.child.WaitHTTP(ready, s.address()+"/readyz")
		cancel()
		if err != nil {
			t.stop()
			return nil, err
		}
	}
	return t, nil
}

func (s *station) child(name string, args ...string) *program {
	return &program{name: name, start: func() (*process.Child, error) {
		return process.Start(name, s.logs(), []string{"CATTLE_MODELS=" + s.o.store().Dir}, s.program(name), args...)
	}}
}

// render writes a clip of a simulated herd, with its true count beside it.
func render(ctx context.Context, o Options) (string, error) {
	clip := filepath.Join(o.Data, "herd.mp4")
	cmd := exec.CommandContext(ctx, filepath.Join(o.Bin, "herdsim"), "clip", "--out", clip, "--size", "960x540", "--fps", "15")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("render a clip: %w: %s", err, out)
	}
	return clip, nil
}
