package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"

	"cattlecounter/edge/agent"
	"cattlecounter/edge/config"
	"cattlecounter/edge/local"
	"cattlecounter/edge/status"
	"cattlecounter/shared/cli"
	"cattlecounter/shared/settings"
	"cattlecounter/shared/tracing"
	"cattlecounter/shared/version"
)

// Exit codes; description holds the same list for --help.
const (
	exitOK         = 0
	exitFailure    = 1
	exitUsage      = cli.ExitUsage
	exitNotRunning = 3
)

// errUsage marks arguments that are not valid.
var errUsage = errors.New("wrong use")

const description = `Watches a drone's card, stores its footage in a durable spool, uploads it to the cloud and shows the counts.

Exit codes: 0 done; 1 failed; 2 wrong use or configuration; 3 the agent is not running (status, ctl, probe).`

type commands struct {
	Run     runCmd     `cmd:"" help:"Run the agent until SIGTERM or Ctrl-C."`
	Status  statusCmd  `cmd:"" help:"Show the state of the running agent."`
	Probe   probeCmd   `cmd:"" help:"Check that the agent answers; for health checks."`
	Ctl     ctlCmd     `cmd:"" help:"Give the running agent an order and wait for the answer."`
	Fsck    fsckCmd    `cmd:"" help:"Check the spool while no agent runs on it, and repair it."`
	Doctor  doctorCmd  `cmd:"" help:"Check the station and show what to do: card, disk, link, clock, token, broker."`
	Enrol   enrolCmd   `cmd:"" aliases:"enroll" help:"Give this station its name, its token and the key of the cloud, with a one-time code."`
	Config  configCmd  `cmd:"" help:"Work with the configuration."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

type source struct {
	Config string `short:"c" placeholder:"FILE" env:"CATTLE_EDGE_CONFIG_FILE" help:"Configuration file (YAML). Default: /etc/cattlecounter/edge-agent.yaml, if it exists. CATTLE_EDGE_… variables override it."`
}

// streams are the environment and the output of a command.
type streams struct {
	environ []string
	out     *os.File
	err     *os.File
}

func run(ctx context.Context, args, environ []string, out, errs *os.File) int {
	var c commands
	p := cli.Parse(&c, cli.Program{Name: "edge-agent", Description: description, Stdout: out, Stderr: errs}, args,
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if p.Ended {
		return p.Code
	}
	p.Context.BindTo(ctx, (*context.Context)(nil))
	err := p.Context.Run(streams{environ: environ, out: out, err: errs})
	if err != nil {
		fmt.Fprintln(errs, "edge-agent:", err)
	}
	return exitCode(err)
}

func exitCode(err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, settings.ErrInvalid), errors.Is(err, errUsage):
		return exitUsage
	case errors.Is(err, local.ErrNotRunning):
		return exitNotRunning
	}
	return exitFailure
}

// load reads the configuration. CATTLE_EDGE_CONFIG_FILE is not one of its keys.
func (s source) load(environ []string) (config.Config, error) {
	var env []string
	for _, kv := range environ {
		if !strings.HasPrefix(kv, "CATTLE_EDGE_CONFIG_FILE=") {
			env = append(env, kv)
		}
	}
	return config.Load(configFile(s.Config, stationConfig), env)
}

type runCmd struct{ source }

func (c *runCmd) Run(ctx context.Context, s streams) error {
	cfg, err := c.load(s.environ)
	if err != nil {
		return err
	}
	limitMemory()
	log, level := config.Logger(cfg.Log, s.err)
	log, stop, err := tracing.Start(ctx, tracing.Options{Service: "edge-agent", Version: version.String(), Environ: s.environ, Log: log})
	if err != nil {
		return err
	}
	defer stop()
	return agent.Run(ctx, cfg, version.String(), log, level)
}

// limitMemory sets a soft limit that suits a board with 512 MiB. An operator's
// GOMEMLIMIT overrides it.
func limitMemory() {
	const soft = 128 << 20
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(soft)
	}
}

type statusCmd struct {
	source
	JSON bool `help:"Print the status document."`
}

func (c *statusCmd) Run(ctx context.Context, s streams) error {
	cfg, err := c.load(s.environ)
	if err != nil {
		return err
	}
	st, err := local.Status(ctx, cfg.Spool.Dir)
	if err != nil {
		return err
	}
	if !c.JSON {
		return status.WriteTable(s.out, st)
	}
	enc := json.NewEncoder(s.out)
	enc.SetIndent("", "  ")
	return enc.Encode(st)
}

type configCmd struct {
	Check checkCmd `cmd:"" help:"Check the configuration and list its faults."`
}

type checkCmd struct{ source }

func (c *checkCmd) Run(s streams) error {
	cfg, err := c.load(s.environ)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "ok: %s/%s, %d folders, spool %s, cloud %s\n", cfg.Site, cfg.Device, len(cfg.Watch.Folders),
		cfg.Spool.Dir, cfg.Cloud.URL)
	return nil
}

type versionCmd struct{}

func (versionCmd) Run(s streams) error {
	fmt.Fprintf(s.out, "edge-agent %s %s/%s %s\n", version.String(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	return nil
}
