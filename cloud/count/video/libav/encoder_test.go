package libav_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"image"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"cattlecounter/cloud/count/video/libav"
)

func TestCreateRefuses(t *testing.T) {
	dir := t.TempDir()
	good := libav.EncoderConfig{Width: 64, Height: 48, Rate: 6, BytesPerMinute: 1 << 20}
	for name, c := range map[string]struct {
		path   string
		change func(*libav.EncoderConfig)
	}{
		"odd":       {filepath.Join(dir, "a.mp4"), func(c *libav.EncoderConfig) { c.Width = 63 }},
		"rate":      {filepath.Join(dir, "a.mp4"), func(c *libav.EncoderConfig) { c.Rate = math.NaN() }},
		"bytes":     {filepath.Join(dir, "a.mp4"), func(c *libav.EncoderConfig) { c.BytesPerMinute = 0 }},
		"no folder": {filepath.Join(dir, "none", "a.mp4"), func(*libav.EncoderConfig) {}},
	} {
		k := good
		c.change(&k)
		if _, err := libav.Create(c.path, k); !errors.Is(err, libav.ErrEncode) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// noise fills a picture with the worst that an encoder can get.
func noise(f *image.RGBA, r *rand.Rand) {
	for i := range f.Pix {
		f.Pix[i] = byte(r.UintN(256))
	}
}

// TestEncoderPlays writes pictures at uneven times and reads the file with ffprobe.
func TestEncoderPlays(t *testing.T) {
	if _, err := exec.LookPath("ffprobe"); err != nil {
		t.Skip("ffprobe is not installed")
	}
	path := filepath.Join(t.TempDir(), "a b%d.mp4")
	const most = 3 << 20
	e, err := libav.Create(path, libav.EncoderConfig{Width: 320, Height: 180, Rate: 6, BytesPerMinute: most})
	if err != nil {
		t.Fatal(err)
	}
	f := image.NewRGBA(image.Rect(0, 0, 320, 180))
	r := rand.New(rand.NewPCG(1, 2))
	const pictures, gap = 180, 3 * time.Second
	at := func(i int) time.Duration {
		d := time.Duration(i) * time.Second / 6
		if i >= 90 {
			d += gap
		}
		return d
	}
	for i := range pictures {
		noise(f, r)
		if err := e.Write(f, at(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Write(f, at(pictures-1)); !errors.Is(err, libav.ErrEncode) {
		t.Errorf("the same time twice: %v", err)
	}
	if err := errors.Join(e.Close(), e.Close()); err != nil {
		t.Fatal(err)
	}
	checkPlays(t, path, pictures, at)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	minutes := (at(pictures)).Minutes()
	if size := float64(info.Size()); size > 1.25*most*minutes {
		t.Errorf("%v bytes in %.2f minutes, at most %d a minute are allowed", size, minutes, most)
	}
}

func checkPlays(t *testing.T, path string, pictures int, at func(int) time.Duration) {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-show_frames", "-show_streams", "-show_entries",
		"stream=codec_name,pix_fmt,duration:frame=pts_time,key_frame", "-of", "json", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var p struct {
		Streams []struct {
			Codec    string `json:"codec_name"`
			Pixels   string `json:"pix_fmt"`
			Duration string `json:"duration"`
		} `json:"streams"`
		Frames []struct {
			Time string `json:"pts_time"`
			Key  int    `json:"key_frame"`
		} `json:"frames"`
	}
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if len(p.Streams) != 1 || p.Streams[0].Codec != "h264" || p.Streams[0].Pixels != "yuv420p" {
		t.Errorf("streams %+v", p.Streams)
	}
	want := at(pictures).Seconds()
	if d, _ := strconv.ParseFloat(p.Streams[0].Duration, 64); math.Abs(d-want) > 0.05 {
		t.Errorf("%v seconds, want %v", d, want)
	}
	if len(p.Frames) != pictures {
		t.Fatalf("%d pictures, want %d", len(p.Frames), pictures)
	}
	key := 0.0
	for i, f := range p.Frames {
		s, _ := strconv.ParseFloat(f.Time, 64)
		if math.Abs(s-at(i).Seconds()) > 0.002 {
			t.Fatalf("picture %d at %v, want %v", i, s, at(i).Seconds())
		}
		if f.Key == 1 {
			key = s
		} else if s-key > 5.1 { // 2 seconds, and the gap
			t.Fatalf("no key frame between %v and %v", key, s)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if moov, mdat := bytes.Index(b, []byte("moov")), bytes.Index(b, []byte("mdat")); moov < 0 || mdat < moov {
		t.Errorf("the index is at %d, behind the pictures at %d", moov, mdat)
	}
}
