package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/store"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/job"
	"cattlecounter/shared/mqttlink"
)

// Level is how bad a finding is.
type Level string

// Levels, from good to bad.
const (
	LevelOK   Level = "ok"
	LevelWarn Level = "warn" // the cloud works, but not well
	LevelFail Level = "fail" // uploads or counts do not work
)

// Finding is the outcome of one check of the doctor.
type Finding struct {
	Check string `json:"check"`
	Level Level  `json:"level"`
	Found string `json:"found"`
	Do    string `json:"do,omitempty"` // what to do, empty only when the level is ok
}

// DoctorOptions are how the doctor reaches what is not in the configuration. Both functions are required.
type DoctorOptions struct {
	Now func() time.Time
	// Offset asks a time server for its time minus this machine's; nil asks none.
	Offset func(ctx context.Context) (time.Duration, error)
}

const (
	certificateSoon = 21 * 24 * time.Hour
	clockWarn       = 2 * time.Second
	clockFail       = time.Minute // tokens of Azure and certificates are refused then
	doctorTime      = 20 * time.Second
)

// Doctor checks a whole cloud: ledger, blobs, queue, jobs, broker, the running server, certificates and the clock. It
// may run beside cloud-api and changes nothing but that a ledger of an earlier version is migrated, as at every start.
// Each finding is passed to show as soon as it is known.
func Doctor(ctx context.Context, cfg config.Config, o DoctorOptions, show func(Finding)) {
	ctx, cancel := context.WithTimeout(ctx, doctorTime)
	defer cancel()
	doctorStores(ctx, cfg, show)
	if err := Probe(ctx, cfg); err != nil {
		show(Finding{"server", LevelFail, err.Error(), "start cloud-api with the same configuration, or read its log"})
	} else {
		show(Finding{"server", LevelOK, "cloud-api answers and is ready", ""})
	}
	if cfg.MQTT.URL != "" {
		show(brokerFinding(ctx, cfg))
	}
	show(tlsFinding("http", cfg, o.Now()))
	if o.Offset != nil {
		show(clockFinding(ctx, o))
	}
}

// doctorStores checks the ledger and what is opened with it.
func doctorStores(ctx context.Context, cfg config.Config, show func(Finding)) {
	const check = "ledger"
	if cfg.Ledger.URL.IsZero() {
		if _, err := os.Stat(cfg.LedgerPath()); errors.Is(err, fs.ErrNotExist) {
			show(Finding{check, LevelFail, "there is no ledger at " + cfg.LedgerPath(),
				"start cloud-api once, or set data to the folder that it uses"})
			return
		}
	}
	l, err := OpenLedger(ctx, cfg)
	if err != nil {
		show(Finding{check, LevelFail, err.Error(), "check the database, its address in ledger.url, and the rights on the data folder"})
		return
	}
	defer func() {
		if err := l.Close(); err != nil {
			show(Finding{check, LevelWarn, "close: " + err.Error(), "check the disk of the ledger"})
		}
	}()
	show(Finding{check, LevelOK, "opened: " + l.DB().Name(), ""})
	show(secretsFinding(ctx, cfg, l))
	st, err := store.Open(ctx, cfg, l, slog.New(slog.DiscardHandler))
	if err != nil {
		show(Finding{"blobs", LevelFail, err.Error(), "check the account or the folder of store, and the identity's roles"})
		return
	}
	if err := st.Ready(ctx); err != nil {
		show(Finding{"blobs", LevelFail, err.Error(), "make room, or check the storage account and the rights on it"})
	} else {
		show(Finding{"blobs", LevelOK, "blobs can be written", ""})
	}
	n, err := st.Queue.Len(ctx)
	if err != nil {
		show(Finding{"queue", LevelFail, err.Error(), "check the queue and the identity's roles"})
		return
	}
	show(Finding{"queue", LevelOK, fmt.Sprintf("%d messages", n), ""})
	show(jobsFinding(ctx, l))
}

// jobsFinding tells jobs that wait for a worker from jobs that move.
func jobsFinding(ctx context.Context, l *ledger.Ledger) Finding {
	stats, err := l.Totals.Stats(ctx)
	if err != nil {
		return Finding{"workers", LevelFail, err.Error(), "check the ledger"}
	}
	counts := stats.Jobs
	waiting, busy, given := counts[job.Queued], counts[job.Leased]+counts[job.Processing], counts[job.Poisoned]
	found := fmt.Sprintf("%d jobs wait, %d are in work, %d were given up", waiting, busy, given)
	switch {
	case waiting > 0 && busy == 0:
		return Finding{"workers", LevelWarn, found, "no worker has a job; start one: worker run, with the same configuration"}
	case given > 0:
		return Finding{"workers", LevelWarn, found, "cloud-api job list --state poisoned shows them, job show the reasons"}
	}
	return Finding{"workers", LevelOK, found, ""}
}

func brokerFinding(ctx context.Context, cfg config.Config) Finding {
	const check = "broker"
	o := mqttlink.Options{URL: cfg.MQTT.URL, ClientID: "cloud-api-doctor", Username: cfg.MQTT.Username, Password: cfg.MQTT.Password}
	var err error
	if o.TLS, err = trust(cfg.MQTT.CAFile); err == nil {
		err = mqttlink.Probe(ctx, o, "")
	}
	switch {
	case errors.Is(err, mqttlink.ErrCredentials):
		return Finding{check, LevelFail, err.Error(), "set mqtt.username and mqtt.password to the account at the broker"}
	case err != nil:
		return Finding{check, LevelFail, err.Error(), "check mqtt.url, the broker and its certificate; uploads and counts go on"}
	}
	return Finding{check, LevelOK, "the broker at " + cfg.MQTT.URL + " accepts the account", ""}
}

// tlsFinding reads the certificate of a listener.
func tlsFinding(check string, cfg config.Config, now time.Time) Finding {
	check += " tls"
	listen, t, insecure := cfg.HTTP.Listen, cfg.HTTP.TLS, cfg.HTTP.Insecure
	switch {
	case !t.On() && config.Loopback(listen):
		return Finding{check, LevelOK, listen + " is reached from this machine only", ""}
	case !t.On() && insecure:
		return Finding{check, LevelWarn, listen + " is reached from other machines in the clear",
			"make sure that a TLS proxy stands in front, and that only the proxy reaches the address"}
	}
	certFile, keyFile := files(cfg, t)
	renew := "renew the certificate; the files are read again by themselves"
	if t.ACME.On() {
		renew = "cloud-api renews it by itself; read in its log why that failed: the name must lead to this server"
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if errors.Is(err, fs.ErrNotExist) && t.ACME.On() {
		return Finding{check, LevelFail, fmt.Sprintf("there is no certificate for %s yet", t.ACME.Domains[0]), renew}
	}
	if err != nil {
		return Finding{check, LevelFail, err.Error(), "check the files in tls.cert_file and tls.key_file, and the rights on them"}
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return Finding{check, LevelFail, certFile + ": " + err.Error(), "put the certificate of the server first into the file"}
	}
	left := leaf.NotAfter.Sub(now)
	found := fmt.Sprintf("the certificate for %v ends on %s", leaf.DNSNames, leaf.NotAfter.Format(time.DateOnly))
	switch {
	case left <= 0 || now.Before(leaf.NotBefore):
		return Finding{check, LevelFail, found, renew + "; check this machine's clock too"}
	case left < certificateSoon:
		return Finding{check, LevelWarn, found, renew}
	}
	return Finding{check, LevelOK, found, ""}
}

func clockFinding(ctx context.Context, o DoctorOptions) Finding {
	const check = "clock"
	off, err := o.Offset(ctx)
	if err != nil {
		return Finding{check, LevelWarn, "no time server answers: " + err.Error(), "name one with --ntp, or --ntp= for none"}
	}
	found := fmt.Sprintf("this machine's clock is off by %s", off.Abs().Round(time.Millisecond))
	switch {
	case off.Abs() > clockFail:
		return Finding{check, LevelFail, found, "set the clock: leases, tokens and certificates depend on it"}
	case off.Abs() > clockWarn:
		return Finding{check, LevelWarn, found, "let the system sync its clock by NTP"}
	}
	return Finding{check, LevelOK, found, ""}
}
