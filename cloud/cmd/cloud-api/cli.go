package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/server"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/cli"
	"cattlecounter/shared/job"
	"cattlecounter/shared/settings"
	"cattlecounter/shared/tracing"
	"cattlecounter/shared/version"
)

// Exit codes.
const (
	exitOK       = 0
	exitFailed   = 1
	exitUsage    = cli.ExitUsage
	exitNotFound = 3
)

const description = `Receives footage, serves the page and the API, and publishes progress over MQTT.

Settings come from the file given with --config and from the environment. The environment wins: CATTLE_CLOUD_HTTP_LISTEN overrides http.listen. "cloud-api config sample" prints a file with every key at its default.

Exit codes: 0 done; 1 failed; 2 wrong use or an invalid configuration; 3 no such device, person or job.`

type commands struct {
	Config string `help:"Configuration file (YAML)." type:"path" placeholder:"FILE" env:"CATTLE_CONFIG"`

	Serve  serveCmd  `cmd:"" help:"Run the API, the page, the intake and, unless configured otherwise, an MQTT broker."`
	Broker brokerCmd `cmd:"" help:"Run the MQTT broker alone, beside a cloud-api whose mqtt.url points to it."`
	Probe  probeCmd  `cmd:"" help:"Ask the cloud-api that runs with the same configuration whether it is ready; for health checks."`
	Doctor doctorCmd `cmd:"" help:"Check the whole cloud and show what to do: ledger, blobs, queue, workers, server, broker, TLS, clock."`
	Device struct {
		Add    deviceAdd    `cmd:"" help:"Add a device or a person. Prints the token; it cannot be shown again."`
		List   deviceList   `cmd:"" help:"List devices and people."`
		Renew  deviceRenew  `cmd:"" help:"Issue a new token. The old one is revoked when the new one is first used."`
		Enrol  deviceEnrol  `cmd:"" aliases:"enroll" help:"Print a one-time code with which a station gets its token: edge-agent enrol URL CODE."`
		Sites  deviceSites  `cmd:"" help:"Change where a token of a program or a person may read and act. Ends its connections."`
		Revoke deviceRevoke `cmd:"" help:"Revoke a token."`

		OrderKey deviceOrderKey `cmd:"" help:"Print the public key with which orders to stations are signed."`
	} `cmd:"" help:"Tokens of devices and programs."`
	Orders ordersCommands `cmd:"" help:"The key that signs orders to stations."`
	User   userCommands   `cmd:"" help:"People who log in with a password."`
	Job    struct {
		List    jobList    `cmd:"" help:"List jobs, newest first."`
		Show    jobShow    `cmd:"" help:"Show a job and its attempts."`
		Retry   jobRetry   `cmd:"" aliases:"replay" help:"Queue a failed, poisoned or canceled job again."`
		Count   jobCount   `cmd:"" help:"Count footage of a flight of which another file is counted."`
		Recount jobRecount `cmd:"" help:"Count footage with a count again, such as after a change of its lines."`
		Cancel  jobCancel  `cmd:"" help:"Cancel an unfinished job. A worker that counts it stops within seconds."`
	} `cmd:"" help:"Counting jobs."`
	Lines struct {
		Show   linesShow   `cmd:"" help:"Print lines and zones as JSON."`
		Set    linesSet    `cmd:"" help:"Set lines and zones in the place of earlier ones."`
		Remove linesRemove `cmd:"" help:"Remove lines and zones."`
	} `cmd:"" help:"Lines and zones of devices and footage."`
	Audit  auditCmd `cmd:"" help:"List who did what: log-ins, changes of people and tokens, retried and canceled jobs, removed videos."`
	Ledger struct {
		CountOn ledgerCountOn `cmd:"" help:"Continue after PostgreSQL's own tools restored an earlier ledger: the next sequence number is one that no client has seen. Stop cloud-api and the workers first."`
		Backup  ledgerBackup  `cmd:"" help:"Copy the ledger to a new file while cloud-api runs. Copy the footage after it."`
		Restore ledgerRestore `cmd:"" help:"Restore the ledger from a backup. Stop cloud-api and the workers first. The previous ledger is kept beside it."`
	} `cmd:"" help:"Backup of the ledger."`
	Secrets secretsCommands `cmd:"" help:"Encryption of the ledger's secrets: keys of second factors, webhooks and orders to stations."`

	Settings struct {
		Check  configCheck  `cmd:"" help:"Check the configuration and print it, secrets hidden."`
		Sample configSample `cmd:"" help:"Print a commented file with every key at its default."`
	} `cmd:"" name:"config" help:"The configuration."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

// env is what every command receives.
type env struct {
	config         func() (config.Config, error)
	stdout, stderr io.Writer
}

// run is the whole program: arguments and environment in, exit code out.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	var c commands
	p := cli.Parse(&c, cli.Program{Name: "cloud-api", Description: description, Stdout: stdout, Stderr: stderr}, args)
	if p.Ended {
		return p.Code
	}
	e := &env{stdout: stdout, stderr: stderr,
		config: func() (config.Config, error) { return config.Load(c.Config, environ) }}
	p.Context.BindTo(ctx, (*context.Context)(nil))
	if err := p.Context.Run(e); err != nil {
		fmt.Fprintln(stderr, "cloud-api:", err)
		return exitCode(err)
	}
	return exitOK
}

func exitCode(err error) int {
	switch {
	case errors.Is(err, settings.ErrInvalid), errors.Is(err, server.ErrNoAccount), errors.Is(err, errUsage), errors.Is(err, ledger.ErrInvalid):
		return exitUsage
	case errors.Is(err, ledger.ErrNotFound):
		return exitNotFound
	}
	return exitFailed
}

var errUsage = errors.New("wrong use")

type serveCmd struct {
	AddressFile string `help:"Write the addresses to this file once everything listens." type:"path" placeholder:"FILE"`
}

func (s *serveCmd) Run(ctx context.Context, e *env) error {
	c, err := e.config()
	if err != nil {
		return err
	}
	log, stop, err := tracing.Start(ctx, tracing.Options{Service: "cloud-api", Version: version.String(), Environ: os.Environ(),
		Log: c.Log.Logger(e.stderr)})
	if err != nil {
		return err
	}
	defer stop()
	return server.Serve(ctx, c, server.Options{Log: log, Ready: func(at server.Addresses) {
		fmt.Fprintf(e.stderr, "cloud-api: page and API at %s\n", at.HTTP)
		if !at.SetupCode.IsZero() {
			fmt.Fprintf(e.stderr, "cloud-api: no user can log in yet. Open the page within 15 minutes and enter this code once: %s\n"+
				"cloud-api: or run: cloud-api user add NAME --role admin --site '*'\n", at.SetupCode.Reveal())
		}
		writeAddresses(e.stderr, s.AddressFile, at)
	}})
}

type brokerCmd struct {
	AddressFile string `help:"Write the address to this file once the broker listens." type:"path" placeholder:"FILE"`
}

func (b *brokerCmd) Run(ctx context.Context, e *env) error {
	c, err := e.config()
	if err != nil {
		return err
	}
	return server.ServeBroker(ctx, c, server.Options{Log: c.Log.Logger(e.stderr), Ready: func(at server.Addresses) {
		writeAddresses(e.stderr, b.AddressFile, at)
	}})
}

// writeAddresses writes the addresses to a file, for scripts that use port 0.
func writeAddresses(stderr io.Writer, path string, at server.Addresses) {
	if path == "" {
		return
	}
	tmp := path + ".tmp"
	err := os.WriteFile(tmp, fmt.Appendf(nil, "http=%s\nmqtt=%s\nmetrics=%s\n", at.HTTP, at.Broker, at.Metrics), 0o600)
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		fmt.Fprintln(stderr, "cloud-api: address file:", err)
	}
}

type configCheck struct{}

func (configCheck) Run(e *env) error {
	c, err := e.config()
	if err != nil {
		return err
	}
	fmt.Fprintln(e.stderr, "The configuration is valid.")
	return config.Write(e.stdout, c)
}

type configSample struct{}

func (configSample) Run(e *env) error {
	_, err := io.WriteString(e.stdout, config.Sample)
	return err
}

type versionCmd struct{}

func (versionCmd) Run(e *env) error {
	_, err := fmt.Fprintln(e.stdout, "cloud-api", version.String())
	return err
}

func states() []string {
	var s []string
	for _, st := range job.States() {
		s = append(s, string(st))
	}
	return s
}
