package server

import (
	"errors"
	"strings"
	"testing"

	"cattlecounter/cloud/config"
)

func TestOneServerPerDataFolder(t *testing.T) {
	first := serve(t, nil)
	cfg := config.Default()
	cfg.Data = first.cfg.Data
	cfg.HTTP.Listen, cfg.MQTT.EmbeddedListen = "127.0.0.1:0", "127.0.0.1:0"
	err := Serve(t.Context(), cfg, Options{})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), cfg.Data) {
		t.Fatal(err)
	}
	first.stop()
	serve(t, func(c *config.Config) { c.Data = cfg.Data })
}
