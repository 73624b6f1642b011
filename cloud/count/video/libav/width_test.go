package libav

import "testing"

// TestNarrowPictures decodes pictures whose rows end between the steps of FFmpeg's conversion and whose last row ends
// at the end of a page of memory.
func TestNarrowPictures(t *testing.T) {
	for _, size := range []string{"90x4096", "34x2048", "2x2048", "330x2048"} {
		path := ffmpeg(t, "narrow.mp4", "-f", "lavfi", "-i", "testsrc2=size="+size+":rate=10:duration=1", "-c:v", "libx264", "-preset",
			"ultrafast", "-pix_fmt", "yuv420p")
		if n, err := decodeWith(t, Config{}, path); n != 10 || err != nil {
			t.Errorf("%s: %d frames, %v", size, n, err)
		}
	}
}
