package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"cattlecounter/edge/doctor"
	"cattlecounter/shared/version"
)

type doctorCmd struct {
	source
	JSON bool    `help:"Print the report as a JSON document."`
	NTP  *string `placeholder:"HOST" help:"Time server to compare the clock with. Default: those of clock.ntp, else pool.ntp.org. Empty: none."`
}

// Run checks the station. A configuration that cannot be read is a finding too.
func (c *doctorCmd) Run(ctx context.Context, s streams) error {
	p := doctor.System()
	show := func(f doctor.Finding) {
		if !c.JSON {
			_ = doctor.WriteFinding(s.out, f) // a closed pipe must not stop the checks
		}
	}
	var r doctor.Report
	if cfg, err := c.load(s.environ); err != nil {
		r = doctor.Invalid(version.String(), p, err)
		show(r.Findings[0])
	} else {
		limitMemory()
		r = doctor.Run(ctx, doctor.Options{Config: cfg, Version: version.String(), NTP: c.servers(cfg.Clock.NTP), Probes: p},
			show)
	}
	if c.JSON {
		enc := json.NewEncoder(s.out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	if n := r.Count(doctor.Fail); n > 0 {
		return fmt.Errorf("doctor: %d of %d findings are faults", n, len(r.Findings))
	}
	return nil
}

// servers are the time servers to ask: the named one, or those of the configuration.
func (c *doctorCmd) servers(configured []string) []string {
	switch {
	case c.NTP != nil && *c.NTP == "":
		return nil
	case c.NTP != nil:
		return []string{*c.NTP}
	case len(configured) > 0:
		return configured
	}
	return []string{"pool.ntp.org"}
}

// stationConfig is where the package and the install script put the configuration.
const stationConfig = "/etc/cattlecounter/edge-agent.yaml"

// configFile returns the station's own file when none is named and it exists, so that
// an installer types "edge-agent status" without options.
func configFile(named, station string) string {
	if named != "" {
		return named
	}
	if _, err := os.Stat(station); err != nil {
		return ""
	}
	return station
}
