package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/config"
)

// examine returns the findings of a configuration by their check.
func examine(t *testing.T, cfg config.Config, offset func(context.Context) (time.Duration, error)) map[string]Finding {
	t.Helper()
	found := map[string]Finding{}
	Doctor(t.Context(), cfg, DoctorOptions{Now: time.Now, Offset: offset}, func(f Finding) {
		if (f.Level == LevelOK) != (f.Do == "") || f.Found == "" {
			t.Errorf("finding %+v", f)
		}
		found[f.Check] = f
	})
	return found
}

func TestDoctorWithoutALedger(t *testing.T) {
	cfg := config.Default()
	cfg.Data, cfg.HTTP.Listen = t.TempDir(), "127.0.0.1:1"
	found := examine(t, cfg, nil)
	if f := found["ledger"]; f.Level != LevelFail || !strings.Contains(f.Do, "start cloud-api once") {
		t.Errorf("%+v", f)
	}
	if f := found["server"]; f.Level != LevelFail || !strings.Contains(f.Found, "does not answer") {
		t.Errorf("%+v", f)
	}
	if _, made := found["queue"]; made {
		t.Error("the doctor opened a queue without a ledger")
	}
}

func TestDoctorFindings(t *testing.T) {
	cfg := config.Default()
	cfg.Data, cfg.HTTP.Listen, cfg.MQTT.URL = t.TempDir(), "127.0.0.1:1", "tcp://127.0.0.1:1"
	l, err := OpenLedger(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	found := examine(t, cfg, func(context.Context) (time.Duration, error) { return -3 * time.Second, nil })
	for check, want := range map[string]Level{"ledger": LevelOK, "blobs": LevelOK, "queue": LevelOK, "workers": LevelOK,
		"broker": LevelFail, "http tls": LevelOK, "clock": LevelWarn, "server": LevelFail} {
		if found[check].Level != want {
			t.Errorf("%s: %+v, want %s", check, found[check], want)
		}
	}
	cfg.Intake.MinFree = 1 << 60
	if f := examine(t, cfg, nil)["blobs"]; f.Level != LevelFail || !strings.Contains(f.Found, "not enough free space") {
		t.Errorf("%+v", f)
	}
}

func TestDoctorReadsTheClock(t *testing.T) {
	for off, want := range map[time.Duration]Level{0: LevelOK, time.Second: LevelOK, -5 * time.Second: LevelWarn, time.Hour: LevelFail} {
		o := DoctorOptions{Offset: func(context.Context) (time.Duration, error) { return off, nil }}
		if f := clockFinding(t.Context(), o); f.Level != want {
			t.Errorf("%s off: %+v", off, f)
		}
	}
	o := DoctorOptions{Offset: func(context.Context) (time.Duration, error) { return 0, errors.New("no route") }}
	if f := clockFinding(t.Context(), o); f.Level != LevelWarn || !strings.Contains(f.Found, "no route") {
		t.Errorf("%+v", f)
	}
}

func TestDoctorReadsListeners(t *testing.T) {
	var levels []Level
	for _, h := range []config.HTTP{
		{Listen: "127.0.0.1:80"},
		{Listen: "0.0.0.0:80", Insecure: true},
		{Listen: "0.0.0.0:80", TLS: config.TLS{CertFile: "/none", KeyFile: "/none"}},
		{Listen: "0.0.0.0:80", TLS: config.TLS{ACME: config.ACME{Domains: []string{"cattle.example"}}}},
	} {
		levels = append(levels, tlsFinding("http", config.Config{Data: t.TempDir(), HTTP: h}, time.Now()).Level)
	}
	if want := []Level{LevelOK, LevelWarn, LevelFail, LevelFail}; !slices.Equal(levels, want) {
		t.Errorf("%v, want %v", levels, want)
	}
}

func TestDoctorReadsCertificates(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"cattle.example"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(90 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pair := config.TLS{CertFile: filepath.Join(t.TempDir(), "cert"), KeyFile: filepath.Join(t.TempDir(), "key")}
	for file, block := range map[string]*pem.Block{
		pair.CertFile: {Type: "CERTIFICATE", Bytes: der}, pair.KeyFile: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for days, want := range map[int]Level{-1: LevelFail, 0: LevelOK, 80: LevelWarn, 91: LevelFail} {
		f := tlsFinding("http", config.Config{HTTP: config.HTTP{Listen: "0.0.0.0:443", TLS: pair}}, now.Add(time.Duration(days)*24*time.Hour))
		if f.Level != want || !strings.Contains(f.Found, "cattle.example") {
			t.Errorf("after %d days: %+v, want %s", days, f, want)
		}
	}
}
