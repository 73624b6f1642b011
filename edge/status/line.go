package status

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Line is a status in one line, for `systemctl status`.
func Line(s Status) string {
	toSend := s.Totals[PhaseCaptured] + s.Totals[PhaseSpooling] + s.Totals[PhaseSpooled] + s.Totals[PhaseUploading]
	parts := []string{fmt.Sprintf("%d to send", toSend), "link " + string(s.Link.State), inBytes(s.Disk.Free) + " free"}
	if s.Broker.Enabled {
		parts = append(parts, "broker "+ifElse(s.Broker.Up, "up", "down"))
	}
	if n := s.Totals[PhaseQuarantined]; n > 0 {
		parts = append(parts, fmt.Sprintf("%d quarantined", n))
	}
	if s.Agent.Paused {
		parts = append(parts, "paused by an operator")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Alarms)) {
		parts = append(parts, "ALARM "+name+": "+escaped(s.Alarms[name]))
	}
	return strings.Join(parts, ", ")
}
