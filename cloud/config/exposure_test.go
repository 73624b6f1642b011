package config

import (
	"strings"
	"testing"
)

// An address that others can reach in the clear is refused unless the configuration says so, and reading without a login
// works on this machine only.
func TestExposure(t *testing.T) {
	names, files := []string{"cattle.example"}, Default().HTTP.TLS
	files.CertFile, files.KeyFile = "a", "b"
	for name, c := range map[string]struct {
		change func(*Config)
		want   string // key of the fault, "" for a valid configuration
	}{
		"http on all addresses":      {func(c *Config) { c.HTTP.Listen = "0.0.0.0:8080" }, "http.listen"},
		"http on all addresses, v6":  {func(c *Config) { c.HTTP.Listen = "[::]:8080" }, "http.listen"},
		"http without a host":        {func(c *Config) { c.HTTP.Listen = ":8080" }, "http.listen"},
		"http on a name":             {func(c *Config) { c.HTTP.Listen = "server.lan:8080" }, "http.listen"},
		"http with tls":              {func(c *Config) { c.HTTP.Listen, c.HTTP.TLS = ":443", files }, ""},
		"http that says so":          {func(c *Config) { c.HTTP.Listen, c.HTTP.Insecure = ":8080", true }, ""},
		"loopback v6":                {func(c *Config) { c.HTTP.Listen = "[::1]:8080" }, ""},
		"loopback by name":           {func(c *Config) { c.HTTP.Listen = "localhost:8080" }, ""},
		"loopback in v6 form":        {func(c *Config) { c.HTTP.Listen = "[::ffff:127.0.0.1]:8080" }, ""},
		"half a certificate":         {func(c *Config) { c.HTTP.TLS.CertFile = "a" }, "http.tls"},
		"metrics on all addresses":   {func(c *Config) { c.HTTP.MetricsListen = ":9090" }, "http.metrics_listen"},
		"metrics on loopback":        {func(c *Config) { c.HTTP.MetricsListen = "127.0.0.1:9090" }, ""},
		"metrics without a port":     {func(c *Config) { c.HTTP.MetricsListen = "9090" }, "http.metrics_listen"},
		"broker on all addresses":    {func(c *Config) { c.MQTT.EmbeddedListen = "0.0.0.0:1883" }, "mqtt.embedded_listen"},
		"broker with tls":            {func(c *Config) { c.MQTT.EmbeddedListen, c.MQTT.TLS = ":8883", BrokerTLS{CertFile: "a", KeyFile: "b"} }, ""},
		"broker that says so":        {func(c *Config) { c.MQTT.EmbeddedListen, c.MQTT.Insecure = ":1883", true }, ""},
		"broker that is not used":    {func(c *Config) { c.MQTT.EmbeddedListen, c.MQTT.URL = ":1883", "ssl://b:8883" }, ""},
		"open reading here":          {func(c *Config) { c.HTTP.OpenReading = true }, ""},
		"open reading from anywhere": {func(c *Config) { c.HTTP.OpenReading, c.HTTP.Listen, c.HTTP.Insecure = true, ":1", true }, "http.open_reading"},
		"open reading behind a proxy": {func(c *Config) { c.HTTP.OpenReading, c.HTTP.PublicURL = true, "https://cattle.example" },
			"http.open_reading"},
		"http by acme": {func(c *Config) { c.HTTP.Listen, c.HTTP.TLS.ACME.Domains = ":443", names }, ""},
		"both by acme": {func(c *Config) {
			c.HTTP.Listen, c.MQTT.EmbeddedListen, c.HTTP.TLS.ACME.Domains, c.MQTT.TLS.OfHTTP = ":443", ":8883", names, true
		}, ""},
		"broker with the files of http": {func(c *Config) {
			c.HTTP.Listen, c.HTTP.TLS, c.MQTT.EmbeddedListen, c.MQTT.TLS.OfHTTP = ":443", files, ":8883", true
		}, ""},
		"broker of nothing":   {func(c *Config) { c.MQTT.TLS.OfHTTP = true }, "mqtt.tls.of_http"},
		"broker of two":       {func(c *Config) { c.HTTP.TLS, c.MQTT.TLS = files, BrokerTLS{"a", "b", true} }, "mqtt.tls"},
		"acme and files":      {func(c *Config) { c.HTTP.TLS.CertFile, c.HTTP.TLS.KeyFile, c.HTTP.TLS.ACME.Domains = "a", "b", names }, "http.tls"},
		"acme for a wildcard": {func(c *Config) { c.HTTP.TLS.ACME.Domains = []string{"*.cattle.example"} }, "http.tls.acme.domains"},
		"acme for an address": {func(c *Config) { c.HTTP.TLS.ACME.Domains = []string{"192.0.2.1"} }, "http.tls.acme.domains"},
		"acme in the clear":   {func(c *Config) { c.HTTP.TLS.ACME.Directory = "http://acme.example" }, "http.tls.acme.directory"},
		"acme without a port": {func(c *Config) { c.HTTP.TLS.ACME.HTTPListen = "80" }, "http.tls.acme.http_listen"},
		"acme for no address": {func(c *Config) { c.HTTP.TLS.ACME.Email = "admin" }, "http.tls.acme.email"},
		"host with a port":    {func(c *Config) { c.HTTP.Hosts = []string{"cattle.lan:80"} }, "http.hosts"},
		"proxies":             {func(c *Config) { c.HTTP.Proxies = []string{"10.1.2.3", "172.16.0.0/12", "fd00::/8"} }, ""},
		"proxy by name":       {func(c *Config) { c.HTTP.Proxies = []string{"caddy"} }, "http.proxies"},
		"every proxy":         {func(c *Config) { c.HTTP.Proxies = []string{"0.0.0.0/0"} }, "http.proxies"},
		"every host":          {func(c *Config) { c.HTTP.Hosts = []string{"*"} }, "http.hosts"},
	} {
		cfg := Default()
		c.change(&cfg)
		err := cfg.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want+":") {
			t.Errorf("%s: error %v, want one of %q", name, err, c.want)
		}
	}
}
