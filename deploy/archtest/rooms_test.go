package archtest

import (
	"slices"
	"strings"
	"testing"
)

// below says which rooms of the cloud a room may import besides itself and shared. No room imports one that stands above
// it: the way of a piece of footage reads from top to bottom.
var below = map[string][]string{
	"cloud/cmd":       {"cloud/server", "cloud/worker", "cloud/count", "cloud/store", "cloud/model", "cloud/config", "cloud/synthetic", "cloud/flightlog", "cloud/place"},
	"cloud/server":    {"cloud/store", "cloud/config", "cloud/flightlog", "cloud/place", "cloud/count/review"},
	"cloud/worker":    {"cloud/count", "cloud/store", "cloud/model", "cloud/config", "cloud/flightlog", "cloud/place"},
	"cloud/count":     {"cloud/model"},
	"cloud/synthetic": {"cloud/count"},
	"cloud/store":     {"cloud/config"},
	"cloud/model":     {},
	"cloud/config":    {},
	"cloud/flightlog": {},
	"cloud/place":     {"cloud/count", "cloud/flightlog"},
}

// edgeFloors are the packages of the edge, from top to bottom. A package imports only packages of lower floors.
var edgeFloors = [][]string{
	{"edge/cmd/edge-agent"},
	{"edge/agent", "edge/doctor", "edge/enrol"},
	{"edge/local", "edge/orders"},
	{"edge/alarm", "edge/command", "edge/results", "edge/status", "edge/vitals"},
	{"edge/beacon", "edge/clock", "edge/config", "edge/ingest", "edge/originals", "edge/uplink"},
	{"edge/capturetime", "edge/proxy", "edge/schedule", "edge/spool", "edge/systemd", "edge/thumbnail", "edge/watch"},
	{"edge/cardfile"},
}

func edgeFloor(path string) int {
	return slices.IndexFunc(edgeFloors, func(floor []string) bool { return slices.Contains(floor, path) })
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
			case under(from, "edge"):
				above, lower := edgeFloor(from), edgeFloor(in)
				if above < 0 || lower < 0 {
					t.Errorf("%s imports %s: give both a floor in edgeFloors", from, in)
				} else if above >= lower {
					t.Errorf("%s imports %s, which is not on a lower floor", from, in)
				}
			}
		}
	}
}
