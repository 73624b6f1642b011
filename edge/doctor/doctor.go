// Package doctor looks over a station: configuration, card, disk, link, clock,
// token, broker, agent and board. Each check ends in findings that say what was
// found and what to do about it. It changes nothing, may run beside the agent,
// and moves a few kilobytes over the link.
package doctor

import (
	"context"
	"fmt"
	"time"

	"cattlecounter/edge/agent"
	"cattlecounter/edge/clock"
	"cattlecounter/edge/config"
	"cattlecounter/edge/uplink"
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
	Warn Level = "warn" // it works, or will, but not well
	Fail Level = "fail" // footage does not get through
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

// Probes are the doctor's eyes and hands. System returns the real ones.
type Probes struct {
	Now   func() time.Time
	Clock func() topic.Clock
	// NTP asks a time server, GPSD a GNSS receiver's, what time it is.
	NTP    func(ctx context.Context, server string) (clock.Hint, error)
	GPSD   func(ctx context.Context, address string) (clock.Hint, error)
	Broker func(ctx context.Context, o mqttlink.Options, filter string) error
	Agent  func(ctx context.Context, spoolDir string) (agent.Status, error)
	// FileSystem describes what a path lies on.
	FileSystem func(path string) (FileSystem, error)
	// Entries counts what lies in a folder.
	Entries func(dir string) (int, error)
	// Rate writes and syncs a file of some MiB in a folder, leaves nothing
	// behind, and returns bytes per second.
	Rate func(ctx context.Context, dir string) (float64, error)
	// Memory returns the bytes of memory that there are and that can be had.
	Memory func() (total, available int64, err error)
	// OpenFiles is how many files a process may have open.
	OpenFiles func(pid int) (int, error)
	// MayRead says why a user and his group may not read a path, nil when they may.
	MayRead func(path string, uid, gid uint32) error
}

// Options configure Run. All but NTP are required.
type Options struct {
	Config  config.Config
	Version string
	NTP     []string // time servers that are asked for a hint, until one answers
	Probes  Probes
}

// checkLimit bounds a check of something that may hang: a card, a link, a disk.
const checkLimit = 20 * time.Second

// Run looks at everything, tells each finding as soon as it is there, and
// returns them all.
func Run(ctx context.Context, o Options, tell func(Finding)) Report {
	v := &visit{Options: o, hints: clock.NewHints(o.Probes.Now, nil)}
	r := Report{V: ReportVersion, At: o.Probes.Now().UTC(), Clock: o.Probes.Clock(), Site: o.Config.Site, Device: o.Config.Device,
		Version: o.Version, Level: OK}
	// The agent comes first because others look at its answer, the link before
	// clock and token for the same reason.
	for _, check := range []func(context.Context) []Finding{v.configuration, v.agent, v.folders, v.disk, v.link, v.clock, v.token, v.broker, v.board} {
		for _, f := range check(ctx) {
			r.add(f)
			tell(f)
		}
	}
	return r
}

// Invalid is the report of a station whose configuration cannot be read: there
// is nothing else to look at.
func Invalid(version string, p Probes, err error) Report {
	r := Report{V: ReportVersion, At: p.Now().UTC(), Clock: p.Clock(), Version: version, Level: OK}
	r.add(fail("config", "correct it; edge-agent config check shows each fault on a line of its own", "%v", err))
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

// visit is one run; its checks leave what later ones need.
type visit struct {
	Options
	status  *agent.Status // nil: no agent runs
	linked  bool          // the cloud's API answered
	hints   *clock.Hints
	dateBad bool // a certificate is not valid at this device's time
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

func (v *visit) configuration(context.Context) []Finding {
	c := v.Config
	found := []Finding{ok("config", "%s/%s, %d folders, spool %s", c.Site, c.Device, len(c.Watch.Folders), c.Spool.Dir)}
	if c.TokenFile == "" {
		return found
	}
	if err := v.agentMayRead(c.TokenFile); err != nil {
		return append(found, fail("config", "give it to the agent's group: chgrp cattlecounter "+c.TokenFile+" && chmod 640 "+c.TokenFile,
			"the agent's user seems not to be allowed to read the token: %v", err))
	}
	return found
}

// within bounds a call that may block for good, as reading a dead card does.
// When it gives up, the call's goroutine stays until the kernel lets it go.
func within[T any](ctx context.Context, limit time.Duration, call func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		v, err := call()
		done <- result{v, err}
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	var none T
	select {
	case r := <-done:
		return r.v, r.err
	case <-timer.C:
		return none, fmt.Errorf("no answer within %s", limit)
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}
