package topic

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestEntities(t *testing.T) {
	d := Device{Site: "north", Name: "dock_1"}
	list := append(StationEntities("ha", "v1", d), PaddockEntity("ha", "v1", "north", "Süd/Ost +#"))
	want := []struct{ topic, state, value, availability string }{
		{"ha/binary_sensor/north/station_dock_1_online/config", d.Status(), "value_json.online", ""},
		{"ha/sensor/north/station_dock_1_disk/config", d.Vitals(), "value_json.disk_free", d.Status()},
		{"ha/sensor/north/station_dock_1_spool/config", d.Vitals(), "value_json.spool_percent", d.Status()},
		{"ha/sensor/north/station_dock_1_count/config", NewestOf("north", "dock_1"), "value_json.unique", ""},
		{"ha/sensor/north/paddock_s-d-ost-23a4967b/config", PaddockOf("north", "Süd/Ost +#"), "value_json.animals", ""},
	}
	if len(list) != len(want) {
		t.Fatalf("%d entities", len(list))
	}
	ids := map[string]bool{}
	for i, e := range list {
		w := want[i]
		if e.Topic != w.topic || e.StateTopic != w.state || e.AvailabilityTopic != w.availability ||
			!strings.Contains(e.ValueTemplate, w.value) {
			t.Errorf("%s: %+v, want %+v", e.Topic, e.Discovery, w)
		}
		if (e.AvailabilityTopic == "") != (e.AvailabilityTemplate == "") || e.Origin.Name == "" || e.Origin.Version != "v1" ||
			len(e.Device.Identifiers) != 1 || e.Name == "" || e.QoS != 1 {
			t.Errorf("%s: %+v", e.Topic, e.Discovery)
		}
		if site, err := ParseDiscovery("ha", e.Topic); err != nil || site != "north" {
			t.Errorf("%s: %q %v", e.Topic, site, err)
		}
		ids[e.UniqueID] = true
		// The field that the template reads is one of the payload.
		field, _, _ := strings.Cut(strings.TrimPrefix(w.value, "value_json."), " ")
		if !payloadHas(t, e.StateTopic, field) {
			t.Errorf("%s reads %s, which %s does not have", e.Topic, field, e.StateTopic)
		}
	}
	if len(ids) != len(list) {
		t.Errorf("unique ids: %v", ids)
	}
}

func payloadHas(t *testing.T, name, field string) bool {
	t.Helper()
	at, err := Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(payloads[at.Kind])
	var has map[string]any
	if err := errors.Join(err, json.Unmarshal(text, &has)); err != nil {
		t.Fatal(err)
	}
	_, ok := has[field]
	return ok
}

func TestDiscoveryPrefixes(t *testing.T) {
	for prefix, ok := range map[string]bool{"homeassistant": true, "ha_2": true, "": false, "cattle": false, "a/b": false,
		"+": false, "#": false, "$SYS": false, "$share": false, strings.Repeat("x", 65): false} {
		if _, err := ParseDiscoveryPrefix(prefix); (err == nil) != ok || err != nil && !errors.Is(err, ErrTopic) {
			t.Errorf("%q: %v", prefix, err)
		}
	}
}

func FuzzParseDiscovery(f *testing.F) {
	f.Add("ha/sensor/north/station_dock-1_disk/config")
	f.Add("ha/binary_sensor/+/#/config")
	f.Fuzz(func(t *testing.T, name string) {
		site, err := ParseDiscovery("ha", name)
		if err != nil {
			if !errors.Is(err, ErrTopic) {
				t.Fatal(err)
			}
			return
		}
		if parts := strings.Split(name, "/"); len(parts) != 5 || parts[2] != site || strings.ContainsAny(name, "+#$ \x00") {
			t.Fatalf("%q is a topic of %q", name, site)
		}
	})
}
