package uplink

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cattlecounter/deploy/testkit/fakecloud"
	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// addWithThumbnail spools footage with a camera's picture.
func (st *station) addWithThumbnail(name string, size int) spool.Record {
	st.t.Helper()
	r, err := st.spool.Captures.Add(spool.Source{Path: "/card/" + name, Size: int64(size)}, nil)
	if err != nil {
		st.t.Fatal(err)
	}
	small := st.put(r.ID, spool.Thumbnail, name+".jpg", 9000)
	m := footage.Manifest{Version: footage.ManifestVersion, Footage: r.ID, Video: st.put(r.ID, spool.Video, name, size),
		Thumbnail: &small}
	if r, err = st.spool.Captures.Commit(m); err != nil {
		st.t.Fatal(err)
	}
	return r
}

func onlyThumbnails(metered *bool) func(*CloudOptions, *Options) {
	return func(co *CloudOptions, o *Options) {
		b, err := NewBudget(BudgetOptions{Store: o.Spool.Link.(*spool.Link), Metered: *metered})
		if err != nil {
			panic(err)
		}
		co.Budget, o.Thumbnails = b, true
	}
}

func (st *station) changes() []string {
	st.cloud.Lock()
	defer st.cloud.Unlock()
	return slices.Clone(st.cloud.Order)
}

// Over a metered link thumbnails are sent and videos wait. When the link is no longer metered
// the videos are sent, and no thumbnail is sent twice.
func TestThumbnailsOnlyWhenMetered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		metered := true
		st := newBubble(t, onlyThumbnails(&metered))
		plain := st.add("plain.mp4", 1000, true)
		shown := st.addWithThumbnail("shown.mp4", 5<<20)
		st.run()
		after(time.Hour)
		if got, want := st.changes(), []string{"POST thumbnail", "DONE thumbnail"}; !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
		for _, id := range []footage.ID{plain.ID, shown.ID} {
			if r := st.record(id); r.State != spool.Spooled || r.Waiting != ErrThumbnails.Error() || r.Video.URL != "" {
				t.Errorf("got record %+v", r)
			}
		}
		if r := st.up.Report(); !r.ThumbnailsOnly || !r.Metered {
			t.Errorf("got record %+v", r)
		}
		if err := st.up.SetMetered(false); err != nil {
			t.Fatal(err)
		}
		after(time.Hour)
		if st.record(plain.ID).State != spool.Reclaimed || st.record(shown.ID).State != spool.Reclaimed {
			t.Errorf("got plain footage %+v, footage with a picture %+v", st.record(plain.ID), st.record(shown.ID))
		}
		if n := strings.Count(strings.Join(st.changes(), ","), "POST thumbnail"); n != 1 {
			t.Errorf("got requests %v", st.changes())
		}
		if r := st.up.Report(); r.ThumbnailsOnly {
			t.Errorf("got record %+v", r)
		}
	})
}

// A link that becomes metered stops the running video.
func TestMeteredStopsRunningVideo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		metered := false
		st := newBubble(t, onlyThumbnails(&metered), func(_ *CloudOptions, o *Options) { o.RateLimit = 64 << 10 })
		r := st.addWithThumbnail("long.mp4", 8<<20)
		st.run()
		after(30 * time.Second)
		if rec := st.record(r.ID); rec.State != spool.Uploading || !rec.Thumbnail.Done || rec.Video.Offset == 0 {
			t.Fatalf("got record %+v", rec)
		}
		if err := st.up.SetMetered(true); err != nil {
			t.Fatal(err)
		}
		after(time.Second)
		sent := st.received()
		after(time.Hour)
		if rec := st.record(r.ID); st.received() != sent || rec.Waiting != ErrThumbnails.Error() {
			t.Errorf("%d then %d bytes, %+v", sent, st.received(), rec)
		}
		if err := st.up.SetMetered(false); err != nil {
			t.Fatal(err)
		}
		after(time.Hour)
		if rec := st.record(r.ID); rec.State != spool.Reclaimed {
			t.Errorf("got record %+v", rec)
		}
	})
}

// A refused or damaged thumbnail is skipped.
func TestThumbnailIsSkipped(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		st := newStation(t)
		st.cloud.Before = func(w http.ResponseWriter, r *http.Request) bool {
			bad := r.Method == http.MethodPost && strings.Contains(r.Header.Get("Upload-Metadata"), "dGh1bWJuYWls")
			if bad {
				fakecloud.Problem(w, wire.SlugBadMetadata, "no such kind")
			}
			return bad
		}
		r := st.addWithThumbnail("a.mp4", 1000)
		st.run()
		st.waitFor("sent", r.ID, reclaimed)
	})
	t.Run("damaged", func(t *testing.T) {
		st := newStation(t)
		r := st.addWithThumbnail("a.mp4", 1000)
		m, err := st.spool.Content.Manifest(r.ID)
		if err != nil {
			t.Fatal(err)
		}
		b := []byte("something else")
		if err := st.spool.Content.PutChunk(r.ID, spool.Thumbnail, footage.Chunk{Size: int64(len(b)), SHA256: footage.Sum(b)},
			b); err != nil {
			t.Fatal(err)
		}
		if _, err := st.spool.Content.Chunk(r.ID, spool.Thumbnail, m.Thumbnail.Chunks[0], nil); !errors.Is(err,
			spool.ErrDamaged) {
			t.Fatal(err)
		}
		if f, err := st.spool.Content.Check(t.Context(), r.ID); f != nil || err != nil {
			t.Errorf("the video is right: %+v %v", f, err)
		}
		st.run()
		st.waitFor("sent", r.ID, reclaimed)
		if slices.Contains(st.changes(), "DONE thumbnail") {
			t.Error(st.changes())
		}
	})
}
