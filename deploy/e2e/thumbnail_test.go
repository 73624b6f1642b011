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

// On a metered link that allows only thumbnails, the picture of the camera is in the list of the page and the video stays
// at the station. An order uploads the video.
func TestOnlyThumbnailsOverAMeteredLink(t *testing.T) {
	t.Parallel()
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
	s.writeToCard(append([]byte("\x00\x00\x00\x20ftypisom"), make([]byte, 1<<20)...), "DJI_0001.MP4")
	s.startEdge()
	var waiting struct {
		Items []struct{ Footage, Name string }
	}
	s.eventually("the thumbnail has arrived", time.Minute, func() bool {
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
	s.eventually("the station reports what waits", time.Minute, func() bool {
		f := s.status().Footage
		return len(f) == 1 && f[0].Phase == "spooled" && f[0].Waiting != ""
	})
	if n := len(s.footage()) + len(s.uploads()); n != 0 {
		t.Errorf("%d videos were uploaded, want none", n)
	}
	if out, err := exec.Command(bin+"/edge-agent", "ctl", "-c", s.edgecfg, "metered", "link=no").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.awaitPhase("DJI_0001.MP4", "waiting", time.Minute)
	s.eventually("the list of waiting footage is empty", time.Minute, func() bool {
		return s.get("/api/v1/waiting", &waiting) == nil && len(waiting.Items) == 0
	})
}
