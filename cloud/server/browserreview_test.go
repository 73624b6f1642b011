package server

import (
	"bytes"
	"encoding/json"
	"image"
	"image/jpeg"
	"testing"
	"time"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/store"
	"cattlecounter/cloud/store/blob/disk"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
)

// storeCount records counted footage with a result document, contact sheets, a count sheet and a video.
func (r *running) storeCount(id string, animals int) {
	r.t.Helper()
	ctx := r.t.Context()
	l := must.Get(store.OpenLedger(ctx, r.cfg))(r.t)
	defer l.Close()
	blobs := must.Get(disk.New(r.cfg.BlobDir()))(r.t)
	put := func(ending string, content []byte) {
		must.Get(blobs.Put(ctx, "footage/"+id+"/result/abc"+ending, bytes.NewReader(content)))(r.t)
	}
	res := report.Result{Schema: report.Schema, Video: report.Video{Width: 640, Height: 360, FPS: 25, Frames: 75, Duration: 3},
		Count: report.Count{Unique: animals, Low: animals - 3, High: animals + 4}}
	for i := range animals {
		box := [4]float64{float64(i % 600), float64(i % 300), float64(i%600 + 30), float64(i%300 + 20)}
		res.Tracks = append(res.Tracks, report.Track{ID: i + 1, Label: "cow", LastFrame: 50, Detections: 9, Confidence: 0.8,
			Best: report.Best{Frame: 5, Box: box, Score: 0.9}, Way: []report.Waypoint{{Frame: 5, Seconds: 0.2, Box: &box}}})
	}
	put(".json", must.Get(json.Marshal(res))(r.t))
	var page bytes.Buffer
	img := image.NewGray(image.Rect(0, 0, 8*192, 34+10*196))
	for i := range img.Pix {
		img.Pix[i] = uint8(i/97 + i/1536)
	}
	must.Do(r.t, jpeg.Encode(&page, img, nil))
	for n := range (animals + 79) / 80 {
		put(".contact-"+string(rune('1'+n))+".jpg", page.Bytes())
	}
	put(".sheet.jpg", page.Bytes())
	put(".annotated.mp4", annotatedVideo())
	rec := must.Get(l.Footage.Record(ctx, ledger.Footage{ID: footage.ID(id), Site: "farm", Device: "dock-1", Name: id + ".MP4", Size: 1 << 20,
		SHA256: footage.Sum([]byte(id)), BlobKey: "footage/" + id + "/original.mp4", Captured: time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)}))(r.t)
	begun, _, err := l.Attempts.Begin(ctx, rec.Job.ID, "w")
	must.Do(r.t, err)
	must.Get(l.Attempts.Finish(ctx, rec.Job.ID, begun.Fence, ledger.Count{Unique: animals, Low: animals - 3, High: animals + 4,
		ByClass: map[string]int{"cow": animals}, Model: "default"}, "footage/"+id+"/result/abc.json"))(r.t)
}

// TestPageReviewsFast reviews 300 animals by the keyboard alone: no key is lost, and the page keeps up with a person who
// judges one animal a second, which is a flight of 300 animals in 5 minutes, also on a busy machine.
func TestPageReviewsFast(t *testing.T) {
	const animals = 300
	c := startChrome(t)
	source := axe(t)
	s := serve(t, func(cfg *config.Config) { cfg.HTTP.OpenReading = false })
	s.addDevice("dock-1", ledger.RoleDevice)
	first, second := s.addDevice("anna", ledger.RoleReviewer), s.addDevice("bert", ledger.RoleReviewer)
	s.storeCount("herd", animals)
	// review returns the times that a key without a meaning and a verdict take. The first one tells how busy the machine is.
	review := func(token string, wrong int) (idle, perKey time.Duration) {
		page := c.open(screen{width: 1280, height: 900})
		defer page.close()
		page.navigate(s.at.HTTP + "/footage/herd#token=" + token)
		page.until("document.querySelector('#review button')")
		page.focus("exact('#review button', 'Review this count')")
		page.press(enter)
		page.until("document.querySelectorAll('#review [data-track]').length === 300")
		eventually(t, "the page takes keys", func() bool { // a moment after it has drawn the list
			page.press("k") // the one before, or the first
			return value[bool](page, "!!document.querySelector('[data-track=\"1\"].picked')")
		})
		page.until("shown(document.querySelector('.crop.large'))")
		page.shot("review-300")
		if token == first { // the second reviewer sees the same list
			for _, fault := range page.axe(source) {
				t.Error(fault)
			}
		}
		begun := time.Now()
		for range animals {
			page.press("q") // means nothing
		}
		idle = time.Since(begun) / animals
		begun = time.Now()
		for i := 1; i <= animals; i++ {
			if i%wrong == 0 {
				page.press("x")
			} else {
				page.press("a")
			}
		}
		page.until("document.querySelector('[data-track=\"300\"].accepted, [data-track=\"300\"].rejected')")
		perKey = time.Since(begun) / animals
		if n := value[int](page, "document.querySelectorAll('#review .accepted, #review .rejected').length"); n != animals {
			t.Errorf("%d of %d verdicts arrived", n, animals)
		}
		page.press("s")
		page.until("having('#review .audits', '300 of 300 judged').some(shown)")
		return idle, perKey
	}
	idle, perKey := review(first, 50)
	t.Logf("the page takes %s for a verdict: %s for %d animals; %s for a key without a meaning", perKey, perKey*animals, animals, idle)
	if perKey > time.Second+10*idle {
		t.Errorf("the page takes %s for a verdict, and %s for a key without a meaning", perKey, idle)
	}
	review(second, 60)
	page := c.open(screen{width: 1280, height: 900})
	page.navigate(s.at.HTTP + "/footage/herd#token=" + second)
	page.until("having('#review', 'anna').some(shown) && having('#review', 'bert').some(shown) && having('#review', '291').some(shown)")
	page.shot("review-agreement")
}
