package uplink

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"cattlecounter/deploy/testkit/fakecloud"
	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// addLog spools a flight log that arrived after its video.
func (st *station) addLog(video spool.Record, size int) spool.Record {
	st.t.Helper()
	r, err := st.spool.Captures.AddLog(video.Source, spool.Source{Path: video.Source.Path + ".srt", Size: int64(size)})
	if err != nil {
		st.t.Fatal(err)
	}
	m := footage.Manifest{Version: footage.ManifestVersion, Footage: r.ID, TelemetryOf: video.ID,
		Video: st.put(r.ID, spool.Video, r.Name, size)}
	if r, err = st.spool.Captures.Commit(m); err != nil {
		st.t.Fatal(err)
	}
	return r
}

// A late flight log is sent after its video, whatever the order: the video brings an older log, which must not replace it.
func TestLateLogIsSentAfterItsVideo(t *testing.T) {
	for _, order := range []Order{Oldest, Newest} {
		st := newStation(t, func(_ *CloudOptions, o *Options) { o.Order = order })
		v := st.add("a.mp4", 5000, true)
		older, l := st.addLog(v, 200), st.addLog(v, 300)
		st.run()
		st.waitFor("log sent", l.ID, reclaimed)
		if got := st.record(older.ID); got.State != spool.Reclaimed {
			t.Errorf("%s first: the newest log is sent before an older one, which is %s", order, got.State)
		}
		st.cloud.Lock()
		want := []string{"DONE video", "POST telemetry", "DONE telemetry", "POST telemetry", "DONE telemetry"}
		if got := st.cloud.Order[len(st.cloud.Order)-len(want):]; !slices.Equal(got, want) {
			t.Errorf("%s first: sent %v", order, st.cloud.Order)
		}
		for _, u := range st.cloud.Uploads {
			if u.Meta.Footage != v.ID || u.Meta.Kind == wire.KindTelemetry && u.Meta.Filetype != "application/x-subrip" {
				t.Errorf("%s first: upload of %+v", order, u.Meta)
			}
		}
		st.cloud.Unlock()
	}
}

// A log goes to the id under which the cloud knows its video, also over a link that breaks.
func TestLateLogOfFootageWithANewID(t *testing.T) {
	st := newStation(t)
	v := st.add("a.mp4", 5000, false)
	l := st.addLog(v, 2<<20)
	st.cloud.Foreign[v.ID] = true
	st.cloud.CutAfter = 1 << 20
	st.run()
	st.waitFor("log sent", l.ID, reclaimed)
	v = st.record(v.ID)
	st.cloud.Lock()
	defer st.cloud.Unlock()
	for _, u := range st.cloud.Uploads {
		if u.Meta.Kind == wire.KindTelemetry && (u.Meta.Footage != v.UploadedAs || u.Offset != 2<<20) {
			t.Errorf("log of %s: %+v, %d bytes", v.UploadedAs, u.Meta, u.Offset)
		}
	}
}

// A cloud of an earlier release refuses a log after its video. The reason says so, and other footage is sent.
func TestLateLogThatTheCloudRefuses(t *testing.T) {
	st := newStation(t)
	v := st.add("a.mp4", 5000, false)
	l := st.addLog(v, 300)
	next := st.add("b.mp4", 5000, false)
	st.cloud.Before = func(w http.ResponseWriter, r *http.Request) bool {
		raw, _ := wire.ParseMetadataHeader(r.Header.Get(wire.HeaderUploadMetadata))
		if r.Method != http.MethodPost || raw[wire.MetaKind] != string(wire.KindTelemetry) {
			return false
		}
		fakecloud.Problem(w, wire.SlugConflict, "telemetry must be uploaded before its video")
		return true
	}
	st.run()
	got := st.waitFor("refused", l.ID, quarantined)
	if !strings.Contains(got.Reason, "flight log of footage "+string(v.ID)) || !strings.Contains(got.Reason, "older release") {
		t.Errorf("reason %q", got.Reason)
	}
	st.waitFor("other footage", next.ID, reclaimed)
}

// When the cloud has lost footage, its late log is sent again as well.
func TestLateLogOfLostFootage(t *testing.T) {
	st := newStation(t, func(_ *CloudOptions, o *Options) { o.OnCard = func(spool.Source) bool { return true } })
	v := st.add("a.mp4", 5000, false)
	l := st.addLog(v, 300)
	st.run()
	st.waitFor("log sent", l.ID, reclaimed)
	if err := st.up.recoverLogs(v.ID); err != nil {
		t.Fatal(err)
	}
	if got := st.record(l.ID); got.State != spool.Captured {
		t.Errorf("got %+v, want it to be read from the card", got)
	}
}
