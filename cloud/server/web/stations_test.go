package web

import (
	"encoding/json"
	"strings"
	"testing"

	"cattlecounter/cloud/server/progress"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/wire"
)

// A station hears of itself only, and a reader of everything of all stations.
func TestStationEvents(t *testing.T) {
	s := open(t, nil)
	own, _ := s.twoDevices()
	for token, want := range map[string]string{own: "device2", s.tokens[ledger.RoleReader]: "device1"} {
		l := s.listenAs(token, "")
		l.until("ready")
		for _, name := range []string{"device1", "device2"} {
			s.o.Hub.Send(progress.Change{Station: &wire.Station{Device: name, Site: "farm", State: wire.StationOnline}})
		}
		var v wire.Station
		e := l.until("station")
		if err := json.Unmarshal([]byte(e.data), &v); err != nil || v.Device != want || e.id != "" {
			t.Errorf("got event %+v, error %v; want one of %s", e, err, want)
		}
		l.close()
	}
}

// The overview, the queue, the history and the stations of somebody with a site have nothing of another one.
func TestSitesLimitTheOverview(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading = false })
	s.finish(s.record("one", "content one").Job)
	s.failJob(s.record("two", "content two").Job, "cut off")
	south := s.person("south-eye", ledger.RoleViewer, "south")
	both := s.person("both", ledger.RoleViewer, "south", "farm")
	for path, shown := range map[string]string{"/overview": `"unique":7`, "/queue": "cut off", "/stations": "device1"} {
		if r := s.do("GET", "/api/v1"+path, "", south...); r.status != 200 || strings.Contains(string(r.body), "farm") ||
			strings.Contains(string(r.body), shown) {
			t.Errorf("%s shows another site: %d %s", path, r.status, r.body)
		}
		if r := s.do("GET", "/api/v1"+path, "", both...); r.status != 200 || !strings.Contains(string(r.body), shown) {
			t.Errorf("%s hides an own site: %d %s", path, r.status, r.body)
		}
	}
	for _, path := range []string{"/history?site=farm&days=3660", "/history?format=csv&days=3660"} {
		if r := s.do("GET", "/api/v1"+path, "", south...); r.status != 200 || strings.Contains(string(r.body), "farm") {
			t.Errorf("%s shows another site: %d %s", path, r.status, r.body)
		}
	}
}
