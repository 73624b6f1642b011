package doctor

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"cattlecounter/edge/agent"
	"cattlecounter/edge/uplink"
)

const (
	holdBudget = "budget" // uplink.Hold.Reason
	alarmClock = "clock"  // of agent.Status

	leastMemory = 128 << 20 // for the agent beside what runs already
	leastFiles  = 1024      // the spool keeps a file per spool.value_log open
)

// agent asks whether it runs and what it has to complain about.
func (v *visit) agent(ctx context.Context) []Finding {
	s, err := v.Probes.Agent(ctx, v.Config.Spool.Dir)
	if errors.Is(err, agent.ErrNotRunning) {
		return []Finding{warn("agent", "start it: systemctl enable --now edge-agent; why it stopped: journalctl -u edge-agent", "it does not run")}
	}
	if err != nil {
		return []Finding{warn("agent", otherUser+"; if it is, restart the agent: systemctl restart edge-agent", "it cannot be asked: %v", err)}
	}
	v.status = &s
	found := []Finding{ok("agent", "version %s runs for %s", s.Agent.Version, (time.Duration(s.Agent.Uptime) * time.Second).String())}
	say := func(do, format string, a ...any) { found = append(found, warn("agent", do, format, a...)) }
	if s.Agent.Version != v.Version {
		say("restart it: systemctl restart edge-agent", "the program that runs is %s, this one is %s", s.Agent.Version, v.Version)
	}
	if s.Agent.Paused {
		say("when it may go on: edge-agent ctl resume", "an operator paused the upload")
	}
	if h := s.Uplink.Hold; h != nil && h.Reason == holdBudget {
		say("wait for the next day or month, or raise uplink.budget.day and uplink.budget.month; if this link costs nothing: edge-agent ctl metered link=no", "the data budget is used up: %s", h.Detail)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Alarms)) {
		if name == alarmClock {
			say("see the line on the clock", "alarm %s: %s", name, s.Alarms[name])
			continue
		}
		say("edge-agent status shows each piece of footage with its reason, edge-agent ctl retry footage=all tries again; see the line on the disk as well",
			"alarm %s: %s", name, s.Alarms[name])
	}
	if s.Link.State == uplink.LinkDown || s.Link.State == uplink.LinkRefused {
		say("see the lines on link and token", "its link is %s: %s", s.Link.State, s.Link.Detail)
	}
	if s.Broker.Enabled && !s.Broker.Up {
		say("see the line on the broker", "its broker is down, %d messages wait: %s", s.Broker.Waiting, s.Broker.Detail)
	}
	return found
}

// board looks at memory and limits.
func (v *visit) board(context.Context) []Finding {
	total, available, err := v.Probes.Memory()
	if err != nil {
		return []Finding{warn("board", "check that /proc is mounted", "memory cannot be read: %v", err)}
	}
	found := []Finding{ok("board", "%s of memory, %s can be had", inBytes(total), inBytes(available))}
	if available < leastMemory && v.status == nil {
		found[0] = warn("board", "stop what else runs, or take a board with 512 MiB", "%s of memory, only %s can be had", inBytes(total), inBytes(available))
	}
	if v.status == nil {
		return found
	}
	if n, err := v.Probes.OpenFiles(v.status.Agent.PID); err == nil && n < leastFiles {
		found = append(found, warn("board", "run it by its unit, or raise the limit (ulimit -n)", "the agent may open %d files; a long spool needs %d", n, leastFiles))
	}
	return found
}
