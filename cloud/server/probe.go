package server

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/server/broker"
	"cattlecounter/shared/mqttlink"
	"cattlecounter/shared/wire"
)

// ErrNotReady is a cloud-api that answers and cannot do its work.
var ErrNotReady = errors.New("cloud-api is not ready")

// probeTime bounds a probe. It is above the time that /readyz takes for its own checks.
const (
	probeTime      = 8 * time.Second
	maxProbeAnswer = 64 << 10
)

// Probe asks the cloud-api that runs with the same configuration on this machine whether it can do its work. The error
// wraps ErrNotReady and names the failed checks, or says why there is no answer. Port 0 cannot be probed.
func Probe(ctx context.Context, cfg config.Config) error {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	address, err := loopback(cfg.HTTP.Listen)
	if err != nil {
		return fmt.Errorf("http.listen: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme(cfg)+"://"+address+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("http.listen: %w", err)
	}
	t := &http.Transport{TLSClientConfig: sameMachine()} // without the proxy of the environment
	defer t.CloseIdleConnections()
	r, err := (&http.Client{Transport: t}).Do(req)
	if err != nil {
		return fmt.Errorf("cloud-api does not answer: %w; start it with: cloud-api serve", err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(io.LimitReader(r.Body, maxProbeAnswer))
	if err != nil {
		return fmt.Errorf("answer of cloud-api at %s: %w", address, err)
	}
	return readiness(r.StatusCode, body)
}

// readiness reads an answer of /readyz.
func readiness(status int, body []byte) error {
	var h wire.Health
	err := json.Unmarshal(body, &h)
	switch {
	case status == http.StatusOK && err == nil && h.Status == wire.HealthOK:
		return nil
	case err != nil || h.Status != wire.HealthFailing:
		return fmt.Errorf("%w: /readyz answers HTTP %d without a health document; is http.listen that of cloud-api?",
			ErrNotReady, status)
	}
	var failed []string
	for name, c := range h.Checks {
		if !c.OK {
			failed = append(failed, strings.TrimSuffix(name+": "+c.Detail, ": "))
		}
	}
	slices.Sort(failed)
	if len(failed) == 0 {
		return fmt.Errorf("%w: its log names the failed checks", ErrNotReady)
	}
	return fmt.Errorf("%w: %s", ErrNotReady, strings.Join(failed, "; "))
}

// ProbeBroker connects to the broker that ServeBroker runs with the same configuration on this machine, with the
// cloud's account.
func ProbeBroker(ctx context.Context, cfg config.Config) error {
	if cfg.MQTT.Username == "" || cfg.MQTT.Password.IsZero() {
		return fmt.Errorf("mqtt broker: %w", ErrNoAccount)
	}
	address, err := loopback(cfg.MQTT.EmbeddedListen)
	if err != nil {
		return fmt.Errorf("mqtt.embedded_listen: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	scheme := "tcp://"
	if cfg.MQTT.TLS.On() {
		scheme = "ssl://"
	}
	err = mqttlink.Probe(ctx, mqttlink.Options{URL: scheme + address, ClientID: broker.ServiceUser + "-probe",
		Username: cfg.MQTT.Username, Password: cfg.MQTT.Password, TLS: sameMachine()}, "")
	if err != nil {
		return fmt.Errorf("broker at %s: %w", address, err)
	}
	return nil
}

// loopback returns the address at which this machine reaches a listener.
func loopback(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", err
	}
	if port == "0" {
		return "", fmt.Errorf("%s takes a free port, which a probe cannot know; set a port", listen)
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.Is6() && !ip.Is4In6() {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port), nil
}

// sameMachine does not compare names: a certificate for cattle.example is right for a listener of this machine, and the
// probe sends nothing that must stay secret from a program on this machine that listens in its place.
func sameMachine() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true} //nolint:gosec // see above
}
