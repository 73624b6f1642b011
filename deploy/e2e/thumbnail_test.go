package e2e

import (
	"bytes"
	"image"
	"image/jpeg"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"
)

// On a metered link that lets only thumbnails through, the picture that the camera
// left is on the page's list and the video stays at the station; an order brings
// it in.
func TestOnlyThumbnailsOverAMeteredLink(t *testing.T) {
	s := newStage(t)
	s.edgeMore = "uplink: {metered: true, when_metered: thumbnails}\n"
	s.startAPI()
	var picture bytes.Buffer
	if err := jpeg.Encode(&picture, image.NewGray(image.Rect(0, 0, 160, 90)), nil); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(s.path("card", "MISC", "THM", "100"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path("card", "MISC", "THM", "100", "DJI_0001.THM"), picture.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	s.dropBytes(append([]byte("\x00\x00\x00\x20ftypisom"), make([]byte, 1<<20)...), "DJI_0001.MP4")
	s.startEdge()
	var waiting struct {
		Items []struct{ Footage, Name string }
	}
	s.eventually("the thumbnail is there", time.Minute, func() bool {
		return s.get("/api/v1/waiting", &waiting) == nil && len(waiting.Items) == 1
	})
	if w := waiting.Items[0]; w.Name != "DJI_0001.MP4" {
		t.Errorf("%+v", w)
	}
	resp, err := http.Get(s.url("/api/v1/footage/" + waiting.Items[0].Footage + "/thumbnail"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := jpeg.DecodeConfig(resp.Body); err != nil || got.Width != 160 {
		t.Errorf("%s %+v %v", resp.Status, got, err)
	}
	s.eventually("the station says what waits", 20*time.Second, func() bool {
		f := s.status().Footage
		return len(f) == 1 && f[0].Phase == "spooled" && f[0].Waiting != ""
	})
	if n := len(s.footage()) + len(s.uploads()); n != 0 {
		t.Errorf("%d videos are there or on their way", n)
	}
	if out, err := exec.Command(bin+"/edge-agent", "ctl", "-c", s.edgecfg, "metered", "link=no").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.phase("DJI_0001.MP4", "waiting", time.Minute)
	s.eventually("nothing waits any more", 20*time.Second, func() bool {
		return s.get("/api/v1/waiting", &waiting) == nil && len(waiting.Items) == 0
	})
}
