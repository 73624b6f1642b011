package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

// The cloud shows a real station with its vitals and its footage, gives it orders, and notices when it is killed.
func TestCloudKnowsTheStation(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	boss := s.addDevice("boss", "operator")
	s.startBroker()
	s.startAPI()
	s.startEdge()
	await := func(what string, fits func(wire.Station) bool) wire.Station {
		t.Helper()
		var v wire.Station
		s.eventually(what, time.Minute, func() bool {
			var list wire.Page[wire.Station]
			if err := s.get("/api/v1/stations", &list); err != nil || len(list.Items) != 1 {
				return false
			}
			v = list.Items[0]
			return fits(v)
		})
		return v
	}
	v := await("the station is online with its vitals", func(v wire.Station) bool {
		return v.State == wire.StationOnline && v.Vitals != nil
	})
	if v.Device != device || v.Site != site || v.Version != version || v.Vitals.DiskTotal == 0 || v.Vitals.EverySeconds == 0 {
		t.Errorf("got %+v", v)
	}
	if r := s.order(boss, `{"command":"pause"}`); r.State != topic.Finished || r.Text != "upload paused" {
		t.Errorf("got %+v", r)
	}
	if r := s.order(boss, `{"command":"retry","args":{"footage":"unknown"}}`); r.State != topic.Refused || r.Text == "" {
		t.Errorf("got %+v", r)
	}
	s.writeToCard([]byte(strings.Repeat("not quite a video ", 1000)), "DJI_0001.MP4")
	await("the footage waits at the paused station", func(v wire.Station) bool {
		return len(v.Footage) == 1 && v.Footage[0].Name == "DJI_0001.MP4" && (v.Waiting == 1 ||
			v.Footage[0].State == topic.Quarantined)
	})
	s.edge.Kill()
	await("the last will arrives", func(v wire.Station) bool { return v.State == wire.StationOffline && v.Since != nil })
}

// order sends a command to the station over REST and returns its answer.
func (s *stage) order(token, body string) wire.StationReply {
	s.t.Helper()
	req := must.Get(http.NewRequestWithContext(s.t.Context(), http.MethodPost,
		s.url("/api/v1/stations/"+device+"/commands"), strings.NewReader(body)))(s.t)
	req.Header.Set("Authorization", "Bearer "+token)
	resp := must.Get(http.DefaultClient.Do(req))(s.t)
	defer resp.Body.Close()
	var r wire.StationReply
	must.Do(s.t, json.NewDecoder(resp.Body).Decode(&r))
	if resp.StatusCode != http.StatusOK {
		s.t.Fatalf("order %s: status %d", body, resp.StatusCode)
	}
	return r
}
