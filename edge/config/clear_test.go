package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A token is not sent over a network in the clear unless the configuration says so.
func TestTokenInTheClear(t *testing.T) {
	for _, c := range []struct {
		cloud, mqtt              string
		cloudClear, brokerClear  bool
		faultCloud, faultsBroker bool
	}{
		{"https://cattle.example", "ssl://cattle.example:8883", false, false, false, false},
		{"http://cattle.example", "tcp://cattle.example:1883", false, false, true, true},
		{"http://10.0.0.2:8080", "ws://10.0.0.2/mqtt", false, false, true, true},
		{"http://localhost.evil.example", "", false, false, true, false},
		{"http://cattle.example", "mqtt://cattle.example", true, true, false, false},
		{"http://127.0.0.1:8080", "tcp://[::1]:1883", false, false, false, false},
		{"http://LOCALHOST:8080", "tcp://localhost:1883", false, false, false, false},
	} {
		cfg := Defaults()
		cfg.Cloud.URL, cfg.Cloud.Insecure, cfg.MQTT.URL, cfg.MQTT.Insecure = c.cloud, c.cloudClear, c.mqtt, c.brokerClear
		text := "\n" + cfg.Validate().Error() // the other keys are not set
		if got := strings.Contains(text, "\ncloud.url: "+c.cloud+" sends the token"); got != c.faultCloud {
			t.Errorf("%s: refused %v, want %v", c.cloud, got, c.faultCloud)
		}
		if got := strings.Contains(text, "\nmqtt.url: "+c.mqtt+" sends the token"); got != c.faultsBroker {
			t.Errorf("%s: refused %v, want %v", c.mqtt, got, c.faultsBroker)
		}
	}
}

func TestExposedTokenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("cc_x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o660: false, 0o644: true, 0o604: true, 0o602: true} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		c := Config{TokenFile: path}
		if got := c.Exposed() != ""; got != want {
			t.Errorf("mode %o: exposed %v, want %v", mode, got, want)
		}
	}
	if c := (Config{}); c.Exposed() != "" {
		t.Error("no file is exposed")
	}
}
