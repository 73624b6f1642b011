package web

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/server/ground"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// telemetry stores a flight log as an upload does.
func (s *site) telemetry(id, text string) {
	s.t.Helper()
	key := wire.TelemetryKey(footage.ID(id))
	must.Get(s.blobs.Put(s.t.Context(), key, strings.NewReader(text)))(s.t)
	must.Do(s.t, s.ledger.Footage.SetTelemetry(s.t.Context(), footage.ID(id), key))
	s.place()
}

// place works out all ground that is due.
func (s *site) place() {
	s.t.Helper()
	p := ground.Placer{Grounds: s.ledger.Grounds, Logs: ground.Logs{Blobs: s.blobs, Footage: s.ledger.Footage}, Borders: s.ledger.Borders, Now: time.Now,
		Log: slog.New(slog.DiscardHandler)}
	must.Get(p.Round(context.WithoutCancel(s.t.Context())))(s.t)
}

func TestTelemetry(t *testing.T) {
	s := open(t, nil)
	s.record("one", "content one")
	s.record("copy", "content one")
	view := func(id string) wire.Footage {
		t.Helper()
		var v wire.Footage
		s.do("GET", "/api/v1/footage/"+id, "").decode(t, &v)
		return v
	}
	if v := view("one"); v.FlightLog != nil {
		t.Errorf("not looked for yet: %+v", v.FlightLog)
	}
	s.place()
	if v := view("one"); v.FlightLog.State != "missing" || v.FlightLog.Why == "" || v.CapturedFrom != "station" {
		t.Errorf("without a log: %+v", v)
	}
	s.telemetry("one", "<!DOCTYPE html>\n<html>")
	if v := view("one"); v.FlightLog.State != "unreadable" || !strings.Contains(v.FlightLog.Why, "line 1") || !v.Telemetry {
		t.Errorf("a page: %+v", v.FlightLog)
	}
	r := s.do("GET", "/api/v1/footage/one/telemetry", "")
	if r.status != 200 || string(r.body) != "<!DOCTYPE html>\n<html>" || r.header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("as stored: %d %v %q", r.status, r.header, r.body)
	}
	s.do("GET", "/api/v1/footage/one/telemetry?format=json", "").wantProblem(t, 404, "not-found")

	s.telemetry("one", flownLog())
	for _, id := range []string{"one", "copy"} {
		v := view(id)
		if v.FlightLog.State != "ok" || v.FlightLog.Fixes != 12 || v.FlightLog.Dialect == "" {
			t.Errorf("%s: %+v", id, v.FlightLog)
		}
		r := s.do("GET", "/api/v1/footage/"+id+"/telemetry?format=json", "")
		var doc struct {
			Fixes   int
			Samples []struct {
				Seconds   float64
				Latitude  *float64
				CameraYaw *float64 `json:"camera_yaw"`
				Zoom      *float64
			}
		}
		if err := json.Unmarshal(r.body, &doc); err != nil || doc.Fixes != 12 || *doc.Samples[0].Latitude != -31.7 ||
			doc.Samples[2].Seconds != 2 || *doc.Samples[0].CameraYaw != 0 || doc.Samples[0].Zoom != nil {
			t.Errorf("%s: %v %s", id, err, r.body)
		}
		if r := s.do("GET", "/api/v1/footage/"+id+"/telemetry?format=json", "", "If-None-Match", r.header.Get("ETag")); r.status != 304 {
			t.Errorf("with its entity tag: %d", r.status)
		}
	}
	for format, want := range map[string]string{"csv": "0.000,,-31.7000000,24.3000000,30.00", "gpx": `<trkpt lat="-31.7000000"`} {
		if r := s.do("GET", "/api/v1/footage/one/telemetry?format="+format, ""); !strings.Contains(string(r.body), want) {
			t.Errorf("%s: %d %s", format, r.status, r.body)
		}
	}
	s.do("GET", "/api/v1/footage/one/telemetry?format=srt", "").wantProblem(t, 400, "bad-request")
	s.do("GET", "/api/v1/footage/none/telemetry", "").wantProblem(t, 404, "not-found")
}
