package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/beevik/ntp"

	"cattlecounter/cloud/server"
	"cattlecounter/shared/version"
)

type doctorCmd struct {
	JSON bool   `help:"Print the findings as a JSON document."`
	NTP  string `placeholder:"HOST" default:"pool.ntp.org" help:"Time server to compare the clock with. Empty: none."`
}

// Run checks the cloud. A configuration that cannot be read is a finding too.
func (d *doctorCmd) Run(ctx context.Context, e *env) error {
	var all []server.Finding
	show := func(f server.Finding) {
		all = append(all, f)
		if d.JSON {
			return
		}
		fmt.Fprintf(e.stdout, "%-4s  %-8s  %s\n", f.Level, f.Check, strings.ReplaceAll(f.Found, "\n", " "))
		if f.Do != "" {
			fmt.Fprintf(e.stdout, "      %-8s  -> %s\n", "", f.Do)
		}
	}
	c, err := e.config()
	if err != nil {
		show(server.Finding{Check: "config", Level: server.LevelFail, Found: err.Error(),
			Do: "correct the file or the variables; cloud-api config sample has every key"})
	} else {
		show(server.Finding{Check: "config", Level: server.LevelOK, Found: "cloud-api " + version.String() + ", data in " + c.Data})
		server.Doctor(ctx, c, server.DoctorOptions{Now: time.Now, Offset: d.offset()}, show)
	}
	if d.JSON {
		enc := json.NewEncoder(e.stdout)
		enc.SetIndent("", "  ")
		if err := enc.Encode(map[string]any{"v": 1, "version": version.String(), "findings": all}); err != nil {
			return err
		}
	}
	failed := 0
	for _, f := range all {
		if f.Level == server.LevelFail {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("doctor: %d of %d findings are faults", failed, len(all))
	}
	return nil
}

// offset asks the time server, nil without one.
func (d *doctorCmd) offset() func(context.Context) (time.Duration, error) {
	if d.NTP == "" {
		return nil
	}
	const patience = 5 * time.Second
	return func(context.Context) (time.Duration, error) {
		r, err := ntp.QueryWithOptions(d.NTP, ntp.QueryOptions{Timeout: patience})
		if err != nil {
			return 0, err
		}
		return r.ClockOffset, r.Validate()
	}
}
