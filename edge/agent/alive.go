package agent

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// alive is the agent's answer to the service manager's watchdog, in one line:
// the spool answers a read, and every part that has a say in the status gives
// it, so none holds a lock for good. A card or a link that hangs is no reason to
// be restarted: it has limits of its own, and what still works goes on.
func (a *Agent) alive() (string, error) {
	if _, err := a.spool.Link.Paused(); err != nil {
		return "", err
	}
	return statusLine(a.Status()), nil
}

// statusLine is a status for `systemctl status`.
func statusLine(s Status) string {
	toSend := s.Totals[PhaseCaptured] + s.Totals[PhaseSpooling] + s.Totals[PhaseSpooled] + s.Totals[PhaseUploading]
	parts := []string{fmt.Sprintf("%d to send", toSend), "link " + string(s.Link.State), inBytes(s.Disk.Free) + " free"}
	if s.Broker.Enabled {
		parts = append(parts, "broker "+when(s.Broker.Up, "up", "down"))
	}
	if n := s.Totals[PhaseQuarantined]; n > 0 {
		parts = append(parts, fmt.Sprintf("%d quarantined", n))
	}
	if s.Agent.Paused {
		parts = append(parts, "paused by an operator")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Alarms)) {
		parts = append(parts, "ALARM "+name+": "+clean(s.Alarms[name]))
	}
	return strings.Join(parts, ", ")
}
