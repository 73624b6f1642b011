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

// addWhole spools footage with telemetry and a camera's picture.
func (st *station) addWhole(name string, size int) spool.Record {
	st.t.Helper()
	r, err := st.spool.Captures.Add(spool.Source{Path: "/card/" + name, Size: int64(size)}, nil)
	if err != nil {
		st.t.Fatal(err)
	}
	srt, small := st.put(r.ID, spool.Telemetry, name+".srt", 200), st.put(r.ID, spool.Thumbnail, name+".jpg", 900)
	m := footage.Manifest{Version: footage.ManifestVersion, Footage: r.ID, Video: st.put(r.ID, spool.Video, name, size),
		Telemetry: &srt, Thumbnail: &small}
	if r, err = st.spool.Captures.Commit(m); err != nil {
		st.t.Fatal(err)
	}
	return r
}

// A station whose id belongs to another device sends video, telemetry and thumbnail under
// a new id, whenever the station learns of it.
func TestForeignIDIsReplaced(t *testing.T) {
	type moment func(r *http.Request, c *fakecloud.Cloud) bool
	done := func(kind wire.Kind) moment {
		return func(_ *http.Request, c *fakecloud.Cloud) bool { return slices.Contains(c.Order, "DONE "+string(kind)) }
	}
	began := func(kind wire.Kind) moment {
		return func(_ *http.Request, c *fakecloud.Cloud) bool { return slices.Contains(c.Order, "POST "+string(kind)) }
	}
	for name, when := range map[string]moment{
		"before the first request": func(*http.Request, *fakecloud.Cloud) bool { return true },
		"during the thumbnail":     began(wire.KindThumbnail),
		"after the thumbnail":      done(wire.KindThumbnail),
		"during the telemetry":     began(wire.KindTelemetry),
		"after the telemetry":      done(wire.KindTelemetry),
		"during the video":         began(wire.KindVideo),
	} {
		t.Run(name, func(t *testing.T) {
			st := newStation(t)
			r := st.addWhole("a.mp4", 5<<20)
			st.cloud.Before = func(_ http.ResponseWriter, req *http.Request) bool {
				st.cloud.Lock()
				defer st.cloud.Unlock()
				if when(req, st.cloud) {
					st.cloud.Foreign[r.ID] = true
				}
				return false
			}
			next := st.add("b.mp4", 1000, false)
			st.run()
			got := st.waitFor("sent", r.ID, reclaimed)
			st.waitFor("the next footage", next.ID, reclaimed)
			if got.UploadedAs == "" || got.UploadedAs == r.ID || got.CloudID() != got.UploadedAs || got.IDsTaken != 0 {
				t.Errorf("got result %+v", got)
			}
			st.cloud.Lock()
			defer st.cloud.Unlock()
			if f := st.cloud.Footage[got.UploadedAs]; f == nil || f.SHA256 != r.SHA256 || st.cloud.Footage[r.ID] != nil {
				t.Errorf("%+v under the new id, %+v under the old one", f, st.cloud.Footage[r.ID])
			}
			sent := map[wire.Kind]bool{}
			for _, u := range st.cloud.Uploads {
				if u.Meta.Footage == got.UploadedAs && u.Offset == u.Size {
					sent[u.Meta.Kind] = true
				}
			}
			if len(sent) != len(wire.Kinds()) {
				t.Errorf("under the new id were sent: %v", sent)
			}
		})
	}
}

// The id is in use for another file of this device, such as after the loss of a spool.
func TestIDOfOwnOtherFileIsReplaced(t *testing.T) {
	st := newStation(t)
	r := st.add("a.mp4", 5000, true)
	st.cloud.Footage[r.ID] = &wire.Footage{ID: r.ID, Size: 9, SHA256: footage.Sum([]byte("other"))}
	st.run()
	got := st.waitFor("sent", r.ID, reclaimed)
	st.cloud.Lock()
	defer st.cloud.Unlock()
	if f := st.cloud.Footage[got.UploadedAs]; f == nil || f.SHA256 != r.SHA256 ||
		st.cloud.Footage[r.ID].SHA256 == r.SHA256 {
		t.Errorf("got footage of the cloud %+v", st.cloud.Footage)
	}
}

// A cloud that refuses every id gets only a few of them, and other footage is sent.
func TestEveryIDIsRefused(t *testing.T) {
	st := newStation(t)
	refused := st.add("refused.mp4", 1000, false)
	var ids []footage.ID
	st.cloud.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		m, _ := wire.ParseMetadataHeader(r.Header.Get(wire.HeaderUploadMetadata))
		if !strings.HasPrefix(m[wire.MetaFilename], "refused") {
			return false
		}
		st.cloud.Lock()
		ids = append(ids, footage.ID(m[wire.MetaFootage]))
		st.cloud.Unlock()
		fakecloud.Problem(w, wire.SlugConflict, "the id is in use")
		return true
	}
	other := st.add("other.mp4", 1000, false)
	st.run()
	got := st.waitFor("quarantined", refused.ID, quarantined)
	st.waitFor("the other footage", other.ID, reclaimed)
	if !strings.Contains(got.Reason, "3 new ids") {
		t.Errorf("reason %q", got.Reason)
	}
	st.cloud.Lock()
	slices.Sort(ids)
	if n := len(slices.Compact(ids)); n != maxNewIDs+1 {
		t.Errorf("%d ids were tried, want %d", n, maxNewIDs+1)
	}
	st.cloud.Before = nil
	st.cloud.Unlock()
	if err := st.spool.Recovery.Retry(refused.ID); err != nil {
		t.Fatal(err)
	}
	st.up.Wake()
	if got = st.waitFor("sent after a retry", refused.ID, reclaimed); got.IDsTaken != 0 {
		t.Errorf("got result %+v", got)
	}
}

// A flight log that arrives after its video is sent under the video's id in the cloud.
func TestLateLogHasTheNewID(t *testing.T) {
	st := newStation(t)
	r := st.add("a.mp4", 5000, false)
	st.cloud.Foreign[r.ID] = true
	st.run()
	video := st.waitFor("sent", r.ID, reclaimed)
	late, err := st.spool.Captures.AddLog(r.Source, spool.Source{Path: "/card/a.srt", Size: 200})
	if err != nil {
		t.Fatal(err)
	}
	m := footage.Manifest{Version: footage.ManifestVersion, Footage: late.ID, TelemetryOf: r.ID,
		Video: st.put(late.ID, spool.Video, "a.srt", 200)}
	if _, err := st.spool.Captures.Commit(m); err != nil {
		t.Fatal(err)
	}
	st.up.Wake()
	st.waitFor("the log", late.ID, reclaimed)
	st.cloud.Lock()
	defer st.cloud.Unlock()
	for _, u := range st.cloud.Uploads {
		if u.Meta.Kind == wire.KindTelemetry && u.Meta.Footage == video.UploadedAs && u.Meta.SHA256 == m.Video.SHA256 {
			return
		}
	}
	t.Errorf("no log under %s: %+v", video.UploadedAs, st.cloud.Uploads)
}
