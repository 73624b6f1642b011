package docker

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	cloud "cattlecounter/cloud/config"
	edge "cattlecounter/edge/config"
	"cattlecounter/shared/settings"
)

// service is what the tests read of a service of docker-compose.yml.
type service struct {
	Image       string
	Profiles    []string
	Environment map[string]string
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	Security    []string `yaml:"security_opt"`
	Memory      string   `yaml:"mem_limit"`
	Grace       string   `yaml:"stop_grace_period"`
	Ports       []string
	Secrets     []string
	User        string
	Privileged  bool
}

func composeFile(t *testing.T) map[string]service {
	t.Helper()
	text, err := os.ReadFile("../../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Services map[string]service
		Secrets  map[string]any
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for name, s := range file.Services {
		for _, secret := range s.Secrets {
			if file.Secrets[secret] == nil {
				t.Errorf("%s: there is no secret %s", name, secret)
			}
		}
	}
	return file.Services
}

// variables are the environment variables that the programs read.
func variables() []string {
	var known []string
	add := func(prefix string, keys []string) {
		for _, k := range keys {
			known = append(known, settings.EnvName(prefix, k), settings.EnvName(prefix, k)+"_FILE")
		}
	}
	add(edge.EnvPrefix, settings.Keys(new(edge.Config)))
	add(cloud.EnvPrefix, settings.Keys(new(cloud.Config)))
	return known
}

// TestServicesAreHardened checks what no service of the project may lack.
func TestServicesAreHardened(t *testing.T) {
	known, own := variables(), 0
	for name, s := range composeFile(t) {
		if len(s.Profiles) == 0 || s.Memory == "" || s.Privileged || s.User == "root" {
			t.Errorf("%s: profiles %q, memory limit %q, privileged %v, user %q", name, s.Profiles, s.Memory, s.Privileged, s.User)
		}
		if !strings.Contains(s.Image, ":") || strings.HasSuffix(s.Image, ":latest") {
			t.Errorf("%s: the image %q has no version", name, s.Image)
		}
		for variable := range s.Environment {
			if strings.HasPrefix(variable, "CATTLE_") && !slices.Contains(known, variable) {
				t.Errorf("%s: no program reads %s", name, variable)
			}
		}
		if !strings.HasPrefix(s.Image, "cattlecounter/") {
			continue
		}
		own++
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.Security, "no-new-privileges:true") {
			t.Errorf("%s: read_only %v, cap_drop %v, security_opt %v", name, s.ReadOnly, s.CapDrop, s.Security)
		}
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s: port %s is open to other machines without TLS", name, port)
			}
		}
	}
	if own < 8 {
		t.Errorf("only %d services of the project were found", own)
	}
}

// TestWorkersMayDrain checks that Docker waits for a worker longer than the worker drains.
func TestWorkersMayDrain(t *testing.T) {
	for name, s := range composeFile(t) {
		if !strings.HasPrefix(s.Image, "cattlecounter/worker") {
			continue
		}
		drain, err := time.ParseDuration(s.Environment["CATTLE_CLOUD_WORKER_DRAIN"])
		grace, err2 := time.ParseDuration(s.Grace)
		if err != nil || err2 != nil || drain <= 0 || grace <= drain {
			t.Errorf("%s: stop_grace_period %s, worker.drain %s", name, s.Grace, drain)
		}
	}
}

// TestDockerfiles checks user, health check and labels of each image, and the variables that it sets.
func TestDockerfiles(t *testing.T) {
	known := variables()
	files, err := filepath.Glob("*.Dockerfile")
	if err != nil || len(files) != 4 {
		t.Fatalf("Dockerfiles: %v, %v", files, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		last := text[strings.LastIndex(text, "\nFROM "):]
		for _, want := range []string{"\nUSER 10001:10001\n", "\nCOPY NOTICE /usr/share/doc/", "\nHEALTHCHECK ", "org.opencontainers.image.version=", "\nVOLUME /"} {
			if !strings.Contains(last, want) {
				t.Errorf("%s: its last stage lacks %q", file, strings.TrimSpace(want))
			}
		}
		if !strings.Contains(last, `cattlecounter.sbom="/usr/share/doc/cattlecounter/sbom.cdx.json"`) || !strings.Contains(text, "/sbom.cdx.json\n") {
			t.Errorf("%s: no SBOM, or no label that names it", file)
		}
		if !strings.Contains(text, "ca-certificates") || !strings.Contains(text, "shared/version.number=$VERSION") {
			t.Errorf("%s: CA certificates or the version are missing", file)
		}
		for _, name := range regexp.MustCompile(`CATTLE_[A-Z_]+`).FindAllString(text, -1) {
			if !slices.Contains(known, name) {
				t.Errorf("%s: no program reads %s", file, name)
			}
		}
		for _, from := range regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(text, -1) {
			stage := strings.Contains(text, " AS "+from[1]+"\n")
			if from[1] != "scratch" && !stage && !strings.HasPrefix(from[1], "${") {
				t.Errorf("%s: the base %s is no argument, so that no digest can be given", file, from[1])
			}
		}
	}
}

// TestIgnoreFileSendsWhatIsCopied checks that every source of a COPY is sent to the builder.
func TestIgnoreFileSendsWhatIsCopied(t *testing.T) {
	b, err := os.ReadFile("../../.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	var sent []string
	for line := range strings.Lines(string(b)) {
		if name, is := strings.CutPrefix(strings.TrimSpace(line), "!"); is {
			sent = append(sent, name)
		}
	}
	files, _ := filepath.Glob("*.Dockerfile")
	copies := regexp.MustCompile(`(?m)^COPY ([^-].*) \S+$`)
	seen := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range copies.FindAllStringSubmatch(string(text), -1) {
			for _, source := range strings.Fields(m[1]) {
				seen++
				source = strings.TrimSuffix(source, "/")
				if _, err := os.Stat(filepath.Join("../..", source)); err != nil {
					t.Errorf("%s copies %s: %v", file, source, err)
				}
				if !slices.ContainsFunc(sent, func(s string) bool { return source == s || strings.HasPrefix(source, s+"/") }) {
					t.Errorf("%s copies %s, which .dockerignore does not send", file, source)
				}
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d sources were found", seen)
	}
}

// TestKeysOfTheLedger checks that cloud-api encrypts secrets of a ledger in PostgreSQL, and that workers cannot read the keys.
func TestKeysOfTheLedger(t *testing.T) {
	with := 0
	for name, s := range composeFile(t) {
		if s.Environment["CATTLE_CLOUD_LEDGER_URL_FILE"] == "" {
			continue
		}
		serves := strings.Contains(s.Image, "/cloud-api:") && s.Profiles[0] == "azure" && name != "broker"
		file, has := s.Environment["CATTLE_CLOUD_LEDGER_KEY_FILE"], slices.Contains(s.Secrets, "ledger_keys")
		if has != serves || (file == "/run/secrets/ledger_keys") != serves {
			t.Errorf("%s: keys in %q, secrets %v; want them: %t", name, file, s.Secrets, serves)
		}
		if has {
			with++
		}
	}
	if with < 2 {
		t.Errorf("%d services have keys of the ledger", with)
	}
}
