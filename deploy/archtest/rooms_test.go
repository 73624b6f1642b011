package archtest

import (
	"strings"
	"testing"
)

// below says which rooms of the cloud a room may import besides itself and shared. No room imports one that stands above
// it: the way of a piece of footage reads from top to bottom.
var below = map[string][]string{
	"cloud/cmd":       {"cloud/server", "cloud/worker", "cloud/count", "cloud/store", "cloud/model", "cloud/config", "cloud/synthetic"},
	"cloud/server":    {"cloud/store", "cloud/config"},
	"cloud/worker":    {"cloud/count", "cloud/store", "cloud/model", "cloud/config"},
	"cloud/count":     {"cloud/model"},
	"cloud/synthetic": {"cloud/count"},
	"cloud/store":     {"cloud/config"},
	"cloud/model":     {},
	"cloud/config":    {},
}

// belowEdge says the same for the packages of the edge. Those that import nothing of the edge are not listed.
var belowEdge = map[string][]string{
	"edge/cmd/edge-agent": {"edge/agent", "edge/doctor", "edge/config", "edge/spool"},
	"edge/doctor":         {"edge/agent", "edge/clock", "edge/config", "edge/proxy", "edge/uplink", "edge/vitals"},
	"edge/agent": {"edge/beacon", "edge/clock", "edge/command", "edge/config", "edge/follow", "edge/ingest", "edge/original", "edge/spool", "edge/systemd",
		"edge/uplink", "edge/vitals", "edge/watch"},
	"edge/command": {"edge/clock", "edge/spool"},
	"edge/beacon":  {"edge/spool"},
	"edge/ingest":  {"edge/spool", "edge/thumbnail", "edge/watch"},
	"edge/uplink":  {"edge/proxy", "edge/schedule", "edge/spool"},
	"edge/clock":   {"edge/spool"},
	"edge/vitals":  {"edge/clock"},
	"edge/config":  {"edge/proxy", "edge/schedule", "edge/systemd"},
}

func room(path string) string {
	parts := strings.SplitN(path, "/", 3)
	return strings.Join(parts[:min(len(parts), 2)], "/")
}

func TestRoomsImportDownwards(t *testing.T) {
	for _, p := range packages(t) {
		for _, imp := range p.Imports {
			in, ours := strings.CutPrefix(imp, module)
			if !ours || under(in, "shared") {
				continue
			}
			from := p.ImportPath
			switch {
			case under(from, "cloud") && room(in) != room(from):
				if allowed, known := below[room(from)]; !known || !under(in, allowed...) {
					t.Errorf("%s imports %s: the room %s may import %v", from, in, room(from), allowed)
				}
			case under(from, "edge") && !under(in, from):
				if !under(in, belowEdge[from]...) {
					t.Errorf("%s imports %s: it may import %v", from, in, belowEdge[from])
				}
			}
		}
	}
}
