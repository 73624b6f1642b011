package libav

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// mutants is how many damaged copies of each container are decoded. MUTANTS in the environment changes it.
func mutants(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("MUTANTS"))
	if err != nil && os.Getenv("MUTANTS") != "" {
		t.Fatal(err)
	}
	if n == 0 {
		n = 100
	}
	return n
}

// mutate damages a copy of b: bits, bytes, lengths, a hole, a part twice, or an early end.
func mutate(r *rand.Rand, b []byte) []byte {
	b = append([]byte{}, b...)
	for range 1 + r.IntN(8) {
		at := r.IntN(len(b))
		if r.IntN(2) == 0 {
			at = r.IntN(min(len(b), 2048)) // headers are there
		}
		n := min(len(b)-at, 1+r.IntN(64))
		switch r.IntN(7) {
		case 0:
			b[at] ^= 1 << r.IntN(8)
		case 1:
			b[at] = byte(r.IntN(256))
		case 2:
			for i := range min(4, len(b)-at) {
				b[at+i] = []byte{0, 0xFF, 0x7F, 0x80}[r.IntN(4)]
			}
		case 3:
			clear(b[at : at+n])
		case 4:
			b = append(b[:at], append(append([]byte{}, b[at:at+n]...), b[at:]...)...)
		case 5:
			b = append(b[:at], b[at+n:]...)
		case 6:
			if r.IntN(4) == 0 {
				b = b[:max(64, at)]
			}
		}
		if len(b) < 64 {
			break
		}
	}
	return b
}

// TestMutants decodes damaged copies of each container. A copy either decodes, or fails with one class of faults of
// footage; the decoder neither hangs nor takes memory beyond its limit, and this process survives.
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("decodes hundreds of clips")
	}
	limits := DefaultLimits()
	limits.Memory, limits.CPU, limits.Stall, limits.Pixels = 512<<20, 30*time.Second, 30*time.Second, 4e6
	source := []string{"-f", "lavfi", "-i", "testsrc=size=96x64:rate=30:duration=1", "-pix_fmt", "yuv420p", "-g", "10"}
	for name, codec := range map[string][]string{
		"h264.mp4": {"-c:v", "libx264"}, "hevc.mov": {"-c:v", "libx265", "-x265-params", "log-level=none"},
		"frag.mp4": {"-c:v", "libx264", "-movflags", "frag_keyframe+empty_moov"},
		"h264.mkv": {"-c:v", "libx264"}, "mpeg4.avi": {"-c:v", "mpeg4"}, "h264.ts": {"-c:v", "libx264"},
	} {
		whole, err := os.ReadFile(ffmpeg(t, name, append(append([]string{}, source...), codec...)...))
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			decoded, refused := 0, map[string]int{}
			for i := range mutants(t) {
				r := rand.New(rand.NewPCG(uint64(i), 7))
				path := filepath.Join(t.TempDir(), fmt.Sprintf("%d%s", i, filepath.Ext(name)))
				if err := os.WriteFile(path, mutate(r, whole), 0o600); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				_, err := decodeWith(t, Config{Limits: limits, Threads: 2}, path)
				if took := time.Since(began); took > 40*time.Second {
					t.Errorf("mutant %d took %v", i, took)
				}
				switch {
				case err == nil:
					decoded++
				case isFault(err):
					refused[fmt.Sprint(err)]++
				default:
					t.Errorf("mutant %d: %v", i, err)
				}
			}
			t.Logf("%d decoded; refused: %v", decoded, refused)
			if decoded == 0 || len(refused) == 0 {
				t.Error("the mutants are too much damaged or too little")
			}
		})
	}
}
