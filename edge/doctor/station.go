package doctor

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"cattlecounter/edge/alarm"
	"cattlecounter/edge/local"
	"cattlecounter/edge/uplink"
)

const (
	holdBudget = "budget" // uplink.Hold.Reason

	leastMemory = 128 << 20 // for the agent
	leastFiles  = 1024      // the spool keeps one file open per spool.value_log
)

// agent asks the running agent for its status and reports its alarms.
func (v *inspection) agent(ctx context.Context) []Finding {
	s, err := v.Probes.Agent(ctx, v.Config.Spool.Dir)
	if errors.Is(err, local.ErrNotRunning) {
		return []Finding{warn("agent",
			"start it: systemctl enable --now edge-agent; see why it stopped: journalctl -u edge-agent",
			"the agent is not running")}
	}
	if err != nil {
		return []Finding{warn("agent", otherUser+"; if you did, restart the agent: systemctl restart edge-agent",
			"the agent does not answer: %v", err)}
	}
	v.status = &s
	found := []Finding{ok("agent", "version %s, running for %s", s.Agent.Version,
		(time.Duration(s.Agent.Uptime) * time.Second).String())}
	add := func(do, format string, a ...any) { found = append(found, warn("agent", do, format, a...)) }
	if s.Agent.Version != v.Version {
		add("restart it: systemctl restart edge-agent", "the running agent has version %s, this program has version %s",
			s.Agent.Version, v.Version)
	}
	if s.Agent.Paused {
		add("resume the upload: edge-agent ctl resume", "an operator paused the upload")
	}
	if h := s.Uplink.Hold; h != nil && h.Reason == holdBudget {
		add("wait for the next day or month, or raise uplink.budget.day and uplink.budget.month; "+
			"if this link is free of charge: edge-agent ctl metered link=no",
			"the data budget is used up: %s", h.Detail)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Alarms)) {
		if name == alarm.Clock {
			add("see the finding on the clock", "alarm %s: %s", name, s.Alarms[name])
			continue
		}
		add("see the reason of each piece of footage: edge-agent status; retry: edge-agent ctl retry footage=all; "+
			"see also the finding on the disk",
			"alarm %s: %s", name, s.Alarms[name])
	}
	if s.Link.State == uplink.LinkDown || s.Link.State == uplink.LinkRefused {
		add("see the findings on link and token", "the agent's link is %s: %s", s.Link.State, s.Link.Detail)
	}
	if s.Broker.Enabled && !s.Broker.Up {
		add("see the finding on the broker", "the agent's broker is down, %d messages are queued: %s", s.Broker.Waiting,
			s.Broker.Detail)
	}
	return found
}

// board checks memory and limits.
func (v *inspection) board(context.Context) []Finding {
	total, available, err := v.Probes.Memory()
	if err != nil {
		return []Finding{warn("board", "check that /proc is mounted", "cannot read the memory's size: %v", err)}
	}
	found := []Finding{ok("board", "%s of memory, %s available", inBytes(total), inBytes(available))}
	if available < leastMemory && v.status == nil {
		found[0] = warn("board", "stop other programs, or use a board with 512 MiB", "%s of memory, only %s available",
			inBytes(total), inBytes(available))
	}
	if v.status == nil {
		return found
	}
	if n, err := v.Probes.OpenFiles(v.status.Agent.PID); err == nil && n < leastFiles {
		found = append(found, warn("board", "start the agent by its systemd unit, or raise the limit (ulimit -n)",
			"the agent may open %d files; a full spool needs %d", n, leastFiles))
	}
	return found
}
