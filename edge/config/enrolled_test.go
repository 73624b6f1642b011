package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/orderkey"
	"cattlecounter/shared/settings"
)

// The identity of an enrolled station fills the configuration in. A configuration that says something else is refused.
func TestEnrolled(t *testing.T) {
	id := Enrolled{Site: "north", Device: "dock-1", OrderKey: orderkey.New().Public(),
		Cloud: EnrolledAddress{URL: "https://cloud.example"}, MQTT: EnrolledAddress{URL: "ssl://broker.example"}}
	for name, c := range map[string]struct {
		text    string
		environ []string
		want    string // in the error; "" for none
		mqtt    string
	}{
		"no key of the identity": {"", nil, "", "ssl://broker.example"},
		"the same":               {"site: north\n", nil, "", "ssl://broker.example"},
		"another broker":         {"mqtt: {url: ssl://other.example}\n", nil, "", "ssl://other.example"},
		"another site":           {"site: south\n", nil, `site: "south", but the station is enrolled with "north"`, ""},
		"another cloud":          {"cloud: {url: https://other.example}\n", nil, "cloud.url: ", ""},
		"no key of orders":       {"order_key: \"\"\n", nil, "order_key: ", ""},
		"by the environment":     {"", []string{"CATTLE_EDGE_DEVICE=dock-2"}, "device: ", ""},
		"a token of its own":     {"token: cc_x\n", nil, "set token or token_file, not both", ""},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			id.TokenFile = filepath.Join(folder, "token")
			must.Do(t, os.WriteFile(id.TokenFile, []byte("cc_t\n"), 0o600))
			must.Do(t, os.WriteFile(filepath.Join(folder, EnrolledFile), must.Get(id.Text())(t), 0o600))
			path := filepath.Join(folder, "edge-agent.yaml")
			must.Do(t, os.WriteFile(path, []byte("watch: {folders: [/card]}\n"+c.text), 0o600))
			got, err := Load(path, c.environ)
			if c.want != "" {
				if !errors.Is(err, settings.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %v, want %q", err, c.want)
				}
				return
			}
			if err != nil || got.Device != "dock-1" || got.OrderKey != id.OrderKey || got.Token.Reveal() != "cc_t" ||
				got.MQTT.URL != c.mqtt {
				t.Errorf("configuration %+v, %v", got, err)
			}
		})
	}
}

func TestDamagedIdentity(t *testing.T) {
	folder := t.TempDir()
	must.Do(t, os.WriteFile(filepath.Join(folder, EnrolledFile), []byte("sight: x\n"), 0o600))
	path := filepath.Join(folder, "edge-agent.yaml")
	must.Do(t, os.WriteFile(path, []byte("watch: {folders: [/card]}\n"), 0o600))
	if _, err := Load(path, nil); !errors.Is(err, settings.ErrInvalid) || !strings.Contains(err.Error(), "sight") {
		t.Errorf("error %v", err)
	}
}
