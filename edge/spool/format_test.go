package spool

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
)

// storedRecord is a record as earlier versions wrote it. A station's spool must open after an
// update, so its keys do not change.
const storedRecord = `{"id":"01JDB3Q6Y0000000000000000A","seq":7,"state":"quarantined","priority":3,"name":"a.mp4",` +
	`"source":{"path":"/card/a.mp4","size":300,"mod_time":"2026-11-24T12:00:00Z"},` +
	`"telemetry":{"path":"/card/k` + "\uFFFD" + `.srt","raw":"L2NhcmQva/wuc3J0","size":20,"mod_time":"2026-11-24T12:00:01Z"},` +
	`"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",` +
	`"video":{"url":"http://cloud/files/1","offset":7,"done":false},"sidecar":{"offset":20,"done":true},` +
	`"thumbnail":{"offset":9,"done":true},"has_thumbnail":true,"duplicate_of":"01JDB3Q6Y0000000000000000B",` +
	`"reason":"refused","stale":true,"uploaded_as":"01JDB3Q6Y0000000000000000C","ids_taken":1,"attempt":2,"told":5,"hash_faults":1,"count":{"unique":12,"low":10,"high":14},` +
	`"updated":"2026-11-24T12:00:02Z"}`

func TestStoredRecordStaysReadable(t *testing.T) {
	var r Record
	must.Do(t, json.Unmarshal([]byte(storedRecord), &r))
	if r.Telemetry == nil || r.Telemetry.Path != "/card/k\xfc.srt" {
		t.Errorf("telemetry is %+v, want the path that is not UTF-8", r.Telemetry)
	}
	if got := string(must.Get(json.Marshal(r))(t)); got != storedRecord {
		t.Errorf("the record is written as\n%s\nwant\n%s", got, storedRecord)
	}
}

func TestStoredSettingsStayReadable(t *testing.T) {
	at, metered := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), true
	for want, v := range map[string]any{
		`{"day":"2026-11-24","month":"2026-11","day_bytes":1,"month_bytes":2}`:        DataUse{"2026-11-24", "2026-11", 1, 2},
		`{"limit":4096,"metered":true}`:                                               LinkOrders{4096, &metered},
		`{"synced":"2026-11-24T12:00:00Z","gnss":"2026-11-24T12:00:00Z"}`:             KnownTime{at, at},
		`{"id":"c","name":"pause","state":"finished","why":"done","seq":3}`:           Reply{"c", "pause", "finished", "done", 3},
		`{"source":{"path":"p","size":1,"mod_time":"2026-11-24T12:00:00Z"},"id":"f"}`: knownSource{Source: Source{Path: "p", Size: 1, ModTime: at}, ID: "f"},
	} {
		if got := string(must.Get(json.Marshal(v))(t)); got != want {
			t.Errorf("%T is written as %s, want %s", v, got, want)
		}
	}
}

func TestKeysOfTheStore(t *testing.T) {
	const id = footage.ID("01JDB3Q6Y0000000000000000A")
	for want, key := range map[string][]byte{
		"f/01JDB3Q6Y0000000000000000A":           recordKey(id),
		"m/01JDB3Q6Y0000000000000000A":           manifestKey(id),
		"c/01JDB3Q6Y0000000000000000A/v00000010": chunkKey(id, Video, 16),
		"c/01JDB3Q6Y0000000000000000A/t00000000": chunkKey(id, Telemetry, 0),
		"c/01JDB3Q6Y0000000000000000A/i00000000": chunkKey(id, Thumbnail, 0),
		"r/c":                                    replyKey("c"),
		"o/k":                                    messageKey("k"),
		"x/session":                              sessionKey,
		"x/paused":                               pausedKey,
		"x/data":                                 dataUseKey,
		"x/link":                                 linkOrdersKey,
		"x/clock":                                knownTimeKey,
		"x/newest-order":                         newestKey,
		"x/order-key":                            orderPinKey,
		"h/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855": digestKey(footage.Sum(nil)),
		"s/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855": sourceKey(""),
	} {
		if string(key) != want {
			t.Errorf("key is %s, want %s", key, want)
		}
		if kind := string(key[:2]); !slices.Contains(keyKinds, kind) {
			t.Errorf("a salvage would leave out keys with %s", kind)
		}
	}
	if got := chunkFootage(chunkKey(id, Video, 16)); got != id {
		t.Errorf("footage of a chunk's key is %s, want %s", got, id)
	}
}
