package stations

import (
	"fmt"
	"strings"
	"testing"

	"cattlecounter/shared/topic"
)

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ topic, payload, want string }{
		"no JSON":         {dock.Status(), "online", "invalid character"},
		"other version":   {dock.Status(), `{"v":2}`, "version 2, want 1"},
		"other footage":   {dock.Footage("a"), `{"v":1,"footage":"b","state":"spooled"}`, `"b" on the topic of "a"`},
		"unknown state":   {dock.Footage("a"), `{"v":1,"footage":"a","state":"lost"}`, "unknown state"},
		"negative size":   {dock.Footage("a"), `{"v":1,"footage":"a","state":"spooled","size":-1}`, "offset 0 of -1"},
		"odd duplicate":   {dock.Footage("a"), `{"v":1,"footage":"a","state":"spooled","duplicate_of":"../x"}`, "character"},
		"huge disk":       {dock.Vitals(), `{"v":1,"disk_free":9223372036854775807}`, "disk_free is"},
		"other command":   {dock.CommandReply("a"), `{"v":1,"id":"b","state":"done"}`, "on the topic of command"},
		"unknown answer":  {dock.CommandReply("a"), `{"v":1,"id":"a","state":"maybe"}`, "unknown state"},
		"too long":        {dock.Status(), `{"v":1,"version":"` + strings.Repeat("x", maxPayload) + `"}`, "at most 65536"},
		"topic of a job":  {dock.Job("a"), `{"v":1}`, "not one of a station"},
		"too many alarms": {dock.Vitals(), `{"v":1,"alarms":{` + alarms(17) + `}}`, "17 alarms"},
	} {
		if _, err := parse(c.topic, []byte(c.payload)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A text of a station cannot hide what a person reads.
func TestTextsAreCleaned(t *testing.T) {
	for text, want := range map[string]string{
		"flight\u202e4pm.exe": "flight\uFFFD4pm.exe", "a\x1b[2Jb\n": "a\uFFFD[2Jb\uFFFD",
		"Weide Süd 牛.MP4": "Weide Süd 牛.MP4", strings.Repeat("ü", 200): strings.Repeat("ü", 128),
	} {
		if got := clip(text, maxName); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	b := newTable(t)
	b.vitals(topic.Vitals{Alarms: map[string]string{"cloud": "x\u2067y"}})
	b.send(dock.Footage("a"), false, topic.Footage{Header: b.header(1), Footage: "a", State: topic.Spooled,
		Name: "\x07.mp4"})
	if v := b.get(); v.Warnings[0].Text != "x\uFFFDy" || v.Footage[0].Name != "\uFFFD.mp4" {
		t.Errorf("got %+v", v.Station)
	}
}

func alarms(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`"a%d":"x"`, i))
	}
	return strings.Join(all, ",")
}
