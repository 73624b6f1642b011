package libav

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/video"
)

// The cases are copies of one clip, rewritten as cameras, editors and broken cards rewrite footage. The clip is a camera
// that pans over a ground of noise with discs of one color, which a simple detector finds without a fault. So every
// case has an exact right count.
const (
	viewW, viewH   = 320, 240
	pixelsPerFrame = 2
	clipFrames     = 241
	discs          = 18
)

// makeBase writes the clip as H.264 with a key frame each second.
func makeBase(t *testing.T, dir string) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, 4))
	const groundW, block = viewW + clipFrames*pixelsPerFrame, 6
	ground := make([]byte, groundW*viewH*3)
	for y := 0; y < viewH; y += block {
		for x := 0; x < groundW; x += block {
			v := byte(60 + rng.IntN(130))
			for dy := range block {
				for dx := range block {
					if x+dx < groundW {
						i := ((y+dy)*groundW + x + dx) * 3
						ground[i], ground[i+1], ground[i+2] = v, v, v
					}
				}
			}
		}
	}
	for n := range discs {
		cx, cy := 30+n*42, 40+(n*67)%170
		for y := cy - 11; y <= cy+11; y++ {
			for x := cx - 11; x <= cx+11; x++ {
				if (x-cx)*(x-cx)+(y-cy)*(y-cy) <= 121 {
					i := (y*groundW + x) * 3
					ground[i], ground[i+1], ground[i+2] = 220, 20, 220
				}
			}
		}
	}
	var raw bytes.Buffer
	for f := range clipFrames {
		for y := range viewH {
			i := (y*groundW + f*pixelsPerFrame) * 3
			raw.Write(ground[i : i+viewW*3])
		}
	}
	path := filepath.Join(dir, "base.mp4")
	runFFmpeg(t, &raw, "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", fmt.Sprintf("%dx%d", viewW, viewH), "-r", "30", "-i", "-",
		"-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-g", "30", "-pix_fmt", "yuv420p", path)
	return path
}

// runFFmpeg runs Debian's tool. Without the tool the test is skipped, and in CI it fails.
func runFFmpeg(t *testing.T, stdin *bytes.Buffer, args ...string) {
	t.Helper()
	tool, err := exec.LookPath("ffmpeg")
	if err != nil {
		if ci, _ := strconv.ParseBool(os.Getenv("CI")); ci {
			t.Fatal("ffmpeg is not installed")
		}
		t.Skip("ffmpeg is not installed")
	}
	c := exec.CommandContext(t.Context(), tool, append([]string{"-v", "error", "-y"}, args...)...)
	if stdin != nil {
		c.Stdin = stdin
	}
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %v: %v: %s", args, err, out)
	}
}

// colors finds the discs.
type colors struct{}

func (colors) Look(_ context.Context, tiles []detect.Region) ([]detect.Box, error) {
	f := tiles[0].Frame
	var boxes []detect.Box
	seen := make([]bool, f.Width*f.Height)
	for at := range seen {
		x1, y1, x2, y2, n := flood(f, seen, at)
		if least := f.Width * f.Height / 400; n >= least {
			boxes = append(boxes, detect.Box{
				X1: float32(x1), Y1: float32(y1), X2: float32(x2 + 1), Y2: float32(y2 + 1), Score: 0.9, Label: "cow"})
		}
	}
	return boxes, nil
}

// flood finds the pixels of one disc around a place.
func flood(f *video.Frame, seen []bool, at int) (x1, y1, x2, y2, n int) {
	isDisc := func(i int) bool {
		b, g, r := int(f.Pix[i*3]), int(f.Pix[i*3+1]), int(f.Pix[i*3+2])
		return b-g > 50 && r-g > 50
	}
	stack := []int{at}
	x1, y1 = f.Width, f.Height
	for len(stack) > 0 {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[i] || !isDisc(i) {
			continue
		}
		seen[i] = true
		n++
		x, y := i%f.Width, i/f.Width
		x1, y1, x2, y2 = min(x1, x), min(y1, y), max(x2, x), max(y2, y)
		if x > 0 {
			stack = append(stack, i-1)
		}
		if x+1 < f.Width {
			stack = append(stack, i+1)
		}
		if y > 0 {
			stack = append(stack, i-f.Width)
		}
		if y+1 < f.Height {
			stack = append(stack, i+f.Width)
		}
	}
	return x1, y1, x2, y2, n
}

func countClip(t *testing.T, path string) (report.Result, error) {
	t.Helper()
	c := count.New(count.Options{
		Open: func(ctx context.Context, s count.Source) (count.Decoder, error) {
			return Open(ctx, Config{}, s.Path)
		},
		Detector: colors{}, Model: report.Model{Name: "colors", Threshold: 0.25}, SampleFPS: 3,
	})
	out, err := c.Count(t.Context(), count.Source{Path: path, Name: filepath.Base(path)}, nil)
	return out.Result, err
}

// box is one box of an MP4 with its header.
type box struct {
	kind string
	all  []byte
}

func boxesOf(b []byte) []box {
	var all []box
	for len(b) >= 8 {
		n := int(binary.BigEndian.Uint32(b))
		all = append(all, box{string(b[4:8]), b[:n]})
		b = b[n:]
	}
	return all
}

func join(boxes []box) []byte {
	var b []byte
	for _, x := range boxes {
		b = append(b, x.all...)
	}
	return b
}

// metadataFirst moves the metadata before the tracks of a clip whose index is last.
func metadataFirst(file []byte) []byte {
	top := boxesOf(file)
	for i, b := range top {
		if b.kind != "moov" {
			continue
		}
		inner := boxesOf(b.all[8:])
		slices.SortStableFunc(inner, func(a, b box) int {
			order := map[string]int{"mvhd": 1, "udta": 2, "trak": 3}
			return order[a.kind] - order[b.kind]
		})
		top[i].all = append(slices.Clone(b.all[:8]), join(inner)...)
	}
	return join(top)
}

// spoil overwrites a share of the pictures from the middle on.
func spoil(file []byte, share float64, with func(i int) byte) []byte {
	file = slices.Clone(file)
	from, to := 0, len(file)
	at := 0
	for _, b := range boxesOf(file) {
		if b.kind == "mdat" {
			from, to = at+8, at+len(b.all)
		}
		at += len(b.all)
	}
	start := from + (to-from)/2
	for i := range int(share * float64(to-from)) {
		file[start+i] = with(i)
	}
	return file
}

// rewrite changes a file.
func rewrite(change func([]byte) []byte) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, change(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func zeros(int) byte   { return 0 }
func ones(int) byte    { return 0xFF }
func noise(i int) byte { return byte(i*i*31 + i*7 + 3) }

// footageCase is one copy. Its commands get the paths of the base and of the copy.
type footageCase struct {
	name   string
	make   [][]string // arguments of ffmpeg; $BASE, $OUT and $DIR are replaced; several are run in order
	change func(*testing.T, string)
	join   []string // files in $DIR that make up the copy
	want   int      // animals; 0: all
	slack  int
	frames int // decoded; 0: all
	warns  []string
}

func jumps(by, fps int) []string {
	return []string{"-i", "$BASE", "-vf", fmt.Sprintf("fps=%d,setpts=PTS+gte(N\\,%d)*%d/TB", fps, 4*fps, by), "-fps_mode",
		"passthrough", "-c:v", "libx264", "-preset", "veryfast", "$OUT"}
}

func halves(second ...string) [][]string {
	return [][]string{
		{"-i", "$BASE", "-t", "4", "-c:v", "libx264", "-preset", "veryfast", "-f", "mpegts", "$DIR/1.ts"},
		append(append([]string{"-ss", "4", "-i", "$BASE"}, second...), "-c:v", "libx264", "-preset", "veryfast", "-f", "mpegts", "$DIR/2.ts"),
	}
}

var hevc = []string{"-i", "$BASE", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "keyint=30:log-level=none", "$OUT"}

func as(args ...string) [][]string {
	return [][]string{append(append([]string{"-i", "$BASE"}, args...), "$OUT")}
}

var footageCases = []footageCase{
	{name: "plain.mp4", make: as("-c", "copy")},
	// A picture beside the video.
	{name: "cover last.mp4", make: [][]string{{"-i", "$BASE", "-frames:v", "1", "$DIR/c.jpg"}, {"-i", "$BASE", "-i", "$DIR/c.jpg", "-map", "0:v", "-map", "1:v", "-c", "copy", "-disposition:v:1", "attached_pic", "$OUT"}}},
	{name: "cover first.mp4", make: [][]string{{"-i", "$BASE", "-frames:v", "1", "$DIR/c.jpg"}, {"-i", "$BASE", "-i", "$DIR/c.jpg", "-map", "0:v", "-map", "1:v", "-c", "copy", "-disposition:v:1", "attached_pic", "$OUT"}}, change: rewrite(metadataFirst)},
	{name: "large picture first.mp4", make: [][]string{{"-i", "$BASE", "-frames:v", "1", "-vf", "scale=1280:960", "$DIR/c.jpg"}, {"-i", "$DIR/c.jpg", "-i", "$BASE", "-map", "0:v", "-map", "1:v", "-c:v", "copy", "$OUT"}}},
	{name: "large picture first.mkv", make: [][]string{{"-i", "$BASE", "-frames:v", "1", "-vf", "scale=1280:960", "$DIR/c.jpg"}, {"-i", "$DIR/c.jpg", "-i", "$BASE", "-map", "0:v", "-map", "1:v", "-c:v", "copy", "$OUT"}}},
	{name: "cover above the limit.mp4", make: [][]string{{"-i", "$BASE", "-frames:v", "1", "-vf", "scale=8000:7000", "$DIR/c.jpg"}, {"-i", "$BASE", "-i", "$DIR/c.jpg", "-map", "0:v", "-map", "1:v", "-c", "copy", "-disposition:v:1", "attached_pic", "$OUT"}}},
	{name: "png first.mov", make: [][]string{{"-i", "$BASE", "-frames:v", "1", "$DIR/c.png"}, {"-i", "$DIR/c.png", "-i", "$BASE", "-map", "0:v", "-map", "1:v", "-c:v", "copy", "$OUT"}}},
	{name: "preview track first.mp4", make: as("-map", "0:v", "-map", "0:v", "-c:v:0", "mjpeg", "-filter:v:0", "scale=160:120", "-c:v:1", "copy")},
	{name: "small track first.mp4", make: as("-map", "0:v", "-map", "0:v", "-c:v:0", "libx264", "-preset:v:0", "veryfast", "-filter:v:0", "scale=160:120", "-c:v:1", "copy")},
	{name: "sound, time code and data.mov", make: [][]string{{"-i", "$BASE", "-f", "lavfi", "-i", "sine=duration=8", "-map", "1:a", "-map", "0:v", "-c:v", "copy", "-c:a", "aac", "-timecode", "01:00:00:00", "$OUT"}}},
	// Damage.
	{name: "zeros.mp4", make: as("-c", "copy"), change: rewrite(func(b []byte) []byte { return spoil(b, 0.06, zeros) }), warns: []string{report.Damaged}, slack: 1},
	{name: "ones.mp4", make: as("-c", "copy"), change: rewrite(func(b []byte) []byte { return spoil(b, 0.06, ones) }), warns: []string{report.Damaged}, slack: 1, frames: -1},
	{name: "noise.mp4", make: as("-c", "copy"), change: rewrite(func(b []byte) []byte { return spoil(b, 0.06, noise) }), warns: []string{report.Damaged}, slack: 1, frames: -1},
	{name: "few zeros.mp4", make: as("-c", "copy"), change: rewrite(func(b []byte) []byte { return spoil(b, 0.001, zeros) }), warns: []string{report.Damaged}, slack: 1},
	{name: "zeros h265.mp4", make: [][]string{hevc}, change: rewrite(func(b []byte) []byte { return spoil(b, 0.06, zeros) }), warns: []string{report.Damaged}, slack: 1, frames: -1},
	{name: "noise h265.mp4", make: [][]string{hevc}, change: rewrite(func(b []byte) []byte { return spoil(b, 0.06, noise) }), warns: []string{report.Damaged}, slack: 1, frames: -1},
	{name: "few zeros h265.mp4", make: [][]string{hevc}, change: rewrite(func(b []byte) []byte { return spoil(b, 0.001, zeros) }), warns: []string{report.Damaged}, slack: 1, frames: -1},
	{name: "zeros.mkv", make: as("-c", "copy"), change: rewrite(func(b []byte) []byte { return fill(b, 0.06, zeros) }), warns: []string{report.Damaged}, slack: 1, frames: -1},
	{name: "zeros.ts", make: as("-c", "copy"), change: rewrite(func(b []byte) []byte { return fill(b, 0.06, zeros) }), warns: []string{report.Damaged}, slack: 1, frames: -1},
	// Time stamps.
	{name: "jump 2s.mp4", make: [][]string{jumps(2, 30)}, warns: []string{report.TimeJump}},
	{name: "jump 10s.mp4", make: [][]string{jumps(10, 30)}, warns: []string{report.TimeJump}},
	{name: "jump 60s.mkv", make: [][]string{jumps(60, 30)}, warns: []string{report.TimeJump}},
	{name: "jump 2h.mp4", make: [][]string{jumps(8520, 30)}, warns: []string{report.TimeJump}},
	{name: "jump 2s at 6 fps.mp4", make: [][]string{jumps(2, 6)}, warns: []string{report.TimeJump}, frames: 48},
	{name: "jump 2h at 6 fps.mp4", make: [][]string{jumps(8520, 6)}, warns: []string{report.TimeJump}, frames: 48},
	{name: "clock restarts.ts", make: halves(), join: []string{"1.ts", "2.ts"}, warns: []string{report.TimeJump}},
	{name: "clock jumps 6h.ts", make: halves("-output_ts_offset", "21600"), join: []string{"1.ts", "2.ts"}, warns: []string{report.TimeJump}},
	{name: "variable.mkv", make: as("-vf", "select='lt(n,120)+not(mod(n,3))'", "-fps_mode", "vfr", "-c:v", "libx264", "-preset", "veryfast"), frames: 161},
	{name: "variable.mp4", make: as("-vf", "select='lt(n,120)+not(mod(n,3))'", "-fps_mode", "vfr", "-c:v", "libx264", "-preset", "veryfast"), frames: 161},
	// Changes in the middle.
	{name: "size changes.ts", make: halves("-vf", "scale=240:180"), join: []string{"1.ts", "2.ts"}, warns: []string{report.SizeChange}},
	{name: "pixel format changes.ts", make: halves("-pix_fmt", "yuv422p"), join: []string{"1.ts", "2.ts"}},
	{name: "codec parameters change.ts", make: halves("-profile:v", "baseline", "-refs", "1"), join: []string{"1.ts", "2.ts"}},
	// Containers, codecs and marks.
	{name: "edit list.mp4", make: [][]string{{"-i", "$BASE", "-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "300", "$DIR/l.mp4"}, {"-ss", "4", "-i", "$DIR/l.mp4", "-c", "copy", "-avoid_negative_ts", "disabled", "$OUT"}}, want: -1, frames: 121},
	{name: "rotated.mp4", make: as("-c", "copy", "-metadata:s:v", "rotate=90")},
	{name: "ten bit.mov", make: as("-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", "-tag:v", "hvc1")},
	{name: "fragmented.mp4", make: as("-c", "copy", "-movflags", "frag_keyframe+empty_moov")},
	{name: "index first.mp4", make: as("-c", "copy", "-movflags", "+faststart")},
	{name: "m2ts.m2ts", make: as("-c", "copy", "-mpegts_m2ts_mode", "1", "-f", "mpegts")},
	{name: "mpeg2.ts", make: as("-c:v", "mpeg2video", "-q:v", "3")},
	{name: "motion jpeg.avi", make: as("-c:v", "mjpeg", "-q:v", "3")},
	{name: "h264.avi", make: as("-c:v", "libx264", "-preset", "veryfast", "-bf", "0")},
	{name: "vp9.webm", make: as("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "4M")},
	{name: "prores.mov", make: as("-c:v", "prores_ks", "-profile:v", "0")},
	{name: "interlaced.ts", make: as("-c:v", "libx264", "-preset", "veryfast", "-flags", "+ilme+ildct", "-x264opts", "tff=1")},
	{name: "full range.mp4", make: as("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuvj420p")},
	{name: "phone.3gp", make: as("-c:v", "mpeg4", "-q:v", "2")},
}

// fill is spoil for a file of any format, far from its head.
func fill(file []byte, share float64, with func(i int) byte) []byte {
	file = slices.Clone(file)
	for i := range int(share * float64(len(file))) {
		file[len(file)/2+i] = with(i)
	}
	return file
}

func (c footageCase) build(t *testing.T, base string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, c.name)
	r := strings.NewReplacer("$BASE", base, "$OUT", path, "$DIR", dir)
	for _, args := range c.make {
		var replaced []string
		for _, a := range args {
			replaced = append(replaced, r.Replace(a))
		}
		runFFmpeg(t, nil, replaced...)
	}
	var joined []byte
	for _, name := range c.join {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		joined = append(joined, b...)
	}
	if joined != nil {
		if err := os.WriteFile(path, joined, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if c.change != nil {
		c.change(t, path)
	}
	return path
}

// TestFootage counts every copy of the clip.
func TestFootage(t *testing.T) {
	base := makeBase(t, t.TempDir())
	for _, c := range footageCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, err := countClip(t, c.build(t, base))
			if err != nil {
				t.Fatal(err)
			}
			want := c.want
			if want == 0 {
				want = discs
			}
			if d := r.Count.Unique - want; want > 0 && (d > c.slack || -d > c.slack) {
				t.Errorf("%d animals, want %d", r.Count.Unique, want)
			}
			frames := c.frames
			if frames == 0 {
				frames = clipFrames
			}
			if d := r.Reading.Decoded - frames; frames > 0 && (d > 1 || d < -1) || r.Video.Frames != r.Reading.Decoded {
				t.Errorf("%d frames decoded, %d reported, want %d", r.Reading.Decoded, r.Video.Frames, frames)
			}
			var got []string
			for _, w := range r.Warnings {
				if w.Code == report.Damaged || w.Code == report.TimeJump || w.Code == report.SizeChange {
					got = append(got, w.Code)
				}
			}
			for _, code := range c.warns {
				if !slices.Contains(got, code) {
					t.Errorf("no warning %s: %+v", code, r.Warnings)
				}
			}
			if len(c.warns) == 0 && len(c.join) == 0 && len(got) > 0 {
				t.Errorf("needless warnings: %+v", r.Warnings)
			}
			if most := 40; r.Video.Analysed > most {
				t.Errorf("%d frames analysed, want at most %d", r.Video.Analysed, most)
			}
			for _, g := range r.Reading.Missing {
				if g.From < 2.5 || g.To > 6.5 {
					t.Errorf("seconds %v to %v are reported as missing; the damage is from 4 on", g.From, g.To)
				}
			}
			t.Logf("%d animals, %.1f s, %d of %d frames, %v", r.Count.Unique, r.Video.Duration, r.Video.Analysed, r.Reading.Decoded, got)
		})
	}
}

// TestUnfinishedRecording checks a recording that a power failure has ended: pictures without an index.
func TestUnfinishedRecording(t *testing.T) {
	dir := t.TempDir()
	b, err := os.ReadFile(makeBase(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	var open []byte
	for _, x := range boxesOf(b) {
		if x.kind == "mdat" {
			open = append(open, x.all[:len(x.all)*6/10]...)
			break
		}
		open = append(open, x.all...)
	}
	path := filepath.Join(dir, "open.mp4")
	if err := os.WriteFile(path, append(open, make([]byte, 4096)...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := countClip(t, path); !errors.Is(err, video.ErrTruncated) {
		t.Errorf("got %v", err)
	}
}
