// Package doctor checks a station: its configuration, its parts and what it connects to. Each check returns findings
// with what to do about them. The doctor changes nothing, may run beside the agent, and moves a few kilobytes over the
// link.
package doctor

import (
	"context"
	"fmt"
	"time"

	"cattlecounter/edge/clock"
	"cattlecounter/edge/config"
	"cattlecounter/edge/status"
	"cattlecounter/edge/uplink"
	"cattlecounter/edge/watch"
	"cattlecounter/shared/mqttlink"
	"cattlecounter/shared/topic"
)

// ReportVersion is the version of the Report document.
const ReportVersion = 1

// Level is how bad a finding is.
type Level string

// Levels, from good to bad.
const (
	OK   Level = "ok"
	Warn Level = "warn" // the station works, but not well
	Fail Level = "fail" // footage does not reach the cloud
)

// Finding is the outcome of a check.
type Finding struct {
	Check string `json:"check"`
	Level Level  `json:"level"`
	Found string `json:"found"`
	Do    string `json:"do,omitempty"` // what to do, empty only when the level is ok
}

// Report is what `edge-agent doctor --json` prints. Fields are only ever added.
type Report struct {
	V        int         `json:"v"`
	At       time.Time   `json:"at"` // by this device's clock
	Clock    topic.Clock `json:"clock"`
	Site     string      `json:"site"`
	Device   string      `json:"device"`
	Version  string      `json:"version"`
	Level    Level       `json:"level"` // the worst of the findings
	Findings []Finding   `json:"findings"`
}

// Probes are how the doctor reaches the machine and the network. System returns
// the real ones.
type Probes struct {
	Now   func() time.Time
	Clock func() topic.Clock
	// NTP asks a time server for the time, GPSD the daemon of a GNSS receiver.
	NTP    func(ctx context.Context, server string) (clock.Hint, error)
	GPSD   func(ctx context.Context, address string) (clock.Hint, error)
	Broker func(ctx context.Context, o mqttlink.Options, filter string) error
	Agent  func(ctx context.Context, spoolDir string) (status.Status, error)
	// FileSystem describes the file system that holds a path.
	FileSystem func(path string) (FileSystem, error)
	// Entries counts the entries of a folder.
	Entries func(dir string) (int, error)
	// Survey lists what a folder holds and the agent does not take (watch.Survey).
	Survey func(ctx context.Context, dir string) (videos int, skipped []watch.Skipped, err error)
	// Rate writes and syncs a file of some MiB in a folder, leaves nothing
	// behind, and returns bytes per second.
	Rate func(ctx context.Context, dir string) (float64, error)
	// Memory returns the bytes of memory in total and those available.
	Memory func() (total, available int64, err error)
	// OpenFiles is how many files a process may have open.
	OpenFiles func(pid int) (int, error)
	// MayRead returns nil when a user and a group may read a path, else the reason.
	MayRead func(path string, uid, gid uint32) error
}

// Options configure Run. All but NTP are required.
type Options struct {
	Config  config.Config
	Version string
	NTP     []string // time servers, asked in this order until one answers
	Probes  Probes
}

const (
	// checkLimit bounds a check of something that may hang: a card, a link, a disk.
	checkLimit = 20 * time.Second
	// lateWait is how long Run waits in the end for probes that did not answer in time.
	lateWait = time.Second
)

// Run makes every check, passes each finding to show as soon as it is known, and
// returns them all. It waits for the probes that it started. A probe that the
// kernel does not release, such as a read of a dead card, is left behind.
func Run(ctx context.Context, o Options, show func(Finding)) Report {
	v := &inspection{Options: o, hints: clock.NewHints(o.Probes.Now, nil)}
	defer v.late.wait(lateWait)
	r := Report{V: ReportVersion, At: o.Probes.Now().UTC(), Clock: o.Probes.Clock(), Site: o.Config.Site,
		Device:  o.Config.Device,
		Version: o.Version, Level: OK}
	// Later checks use the answers of agent and link.
	for _, check := range []func(context.Context) []Finding{v.configuration, v.agent, v.folders, v.disk, v.link, v.clock,
		v.token, v.broker, v.board} {
		for _, f := range check(ctx) {
			r.add(f)
			show(f)
		}
	}
	return r
}

// Invalid is the report of a station whose configuration cannot be read, which
// rules out every other check.
func Invalid(version string, p Probes, err error) Report {
	r := Report{V: ReportVersion, At: p.Now().UTC(), Clock: p.Clock(), Version: version, Level: OK}
	r.add(fail("config", "correct the file; edge-agent config check lists each fault on its own line", "%v", err))
	return r
}

func (r *Report) add(f Finding) {
	f.Found, f.Do = uplink.OneLine(f.Found), uplink.OneLine(f.Do)
	r.Findings = append(r.Findings, f)
	if f.Level == Fail || f.Level == Warn && r.Level == OK {
		r.Level = f.Level
	}
}

// Count is the number of findings of a level.
func (r *Report) Count(l Level) int {
	n := 0
	for _, f := range r.Findings {
		if f.Level == l {
			n++
		}
	}
	return n
}

// inspection is one run of the doctor. It holds what a check leaves for later ones.
type inspection struct {
	Options
	status  *status.Status // nil when no agent runs
	linked  bool           // the cloud's API answered
	hints   *clock.Hints
	dateBad bool // a certificate is not valid at this device's time
	late    lateCalls
}

func ok(check, format string, a ...any) Finding {
	return Finding{Check: check, Level: OK, Found: fmt.Sprintf(format, a...)}
}

func warn(check, do, format string, a ...any) Finding {
	return Finding{Check: check, Level: Warn, Found: fmt.Sprintf(format, a...), Do: do}
}

func fail(check, do, format string, a ...any) Finding {
	return Finding{Check: check, Level: Fail, Found: fmt.Sprintf(format, a...), Do: do}
}

func (v *inspection) configuration(context.Context) []Finding {
	c := v.Config
	found := []Finding{ok("config", "%s/%s, %d folders, spool %s", c.Site, c.Device, len(c.Watch.Folders), c.Spool.Dir)}
	if c.TokenFile == "" {
		return found
	}
	if why := c.Exposed(); why != "" {
		return []Finding{fail("config", "chmod 640 "+c.TokenFile+", then renew the token: cloud-api device renew "+c.Device, "%s", why)}
	}
	if err := v.agentMayRead(c.TokenFile); err != nil {
		return append(found, fail("config",
			"let the agent's group read it: chgrp cattlecounter "+c.TokenFile+" && chmod 640 "+c.TokenFile,
			"the agent's user cannot read the token: %v", err))
	}
	return found
}
