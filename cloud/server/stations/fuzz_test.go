package stations

import (
	"encoding/json"
	"errors"
	"testing"

	"cattlecounter/shared/mqttlink"
	"cattlecounter/shared/topic"
)

// FuzzMessage checks that no message of a station breaks the table or its documents.
func FuzzMessage(f *testing.F) {
	for name, payload := range map[string]string{
		dock.Status():          `{"v":1,"seq":4294967297,"clock":"synced","session":1,"online":true}`,
		dock.Vitals():          `{"v":1,"seq":2,"alarms":{"clock":"x"},"clock_offset_seconds":-1e308,"clock_source":"ntp"}`,
		dock.Footage("a"):      `{"v":1,"seq":3,"footage":"a","state":"uploading","size":9,"offset":10}`,
		dock.CommandReply("a"): `{"v":1,"id":"a","state":"done","why":"\ud800"}`,
		"cattle/v1/n/counts/a": `{}`,
	} {
		f.Add(name, []byte(payload), true)
		f.Add(name, []byte(payload), false)
	}
	f.Fuzz(func(t *testing.T, name string, payload []byte, retained bool) {
		_, err := parse(name, payload)
		if err != nil && !errors.Is(err, errPayload) && !errors.Is(err, topic.ErrTopic) {
			t.Fatalf("error without a class: %v", err)
		}
		b := newTable(t)
		b.receive(mqttlink.Message{Topic: name, Payload: payload, Retain: retained})
		if _, err := json.Marshal(b.get()); err != nil {
			t.Fatal(err)
		}
		if v := b.get(); v.Waiting < 0 || v.WaitingBytes < 0 || len(v.Footage) > 1 {
			t.Fatalf("got %+v", v)
		}
	})
}
