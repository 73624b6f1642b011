package detr

import (
	"math"
	"testing"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/video"
)

// unit is the normalisation that does not change the bytes.
var unit = normalisation{scale: [3]float32{1, 1, 1}}

// gradient is a frame whose blue is x, green is y and red is x+y.
func gradient(width, height int) *video.Frame {
	f := &video.Frame{}
	f.Resize(width, height)
	for y := range height {
		for x := range width {
			o := (y*width + x) * 3
			f.Pix[o], f.Pix[o+1], f.Pix[o+2] = byte(x), byte(y), byte(x+y)
		}
	}
	return f
}

func TestCopy(t *testing.T) {
	p := newPreparer(normalisation{scale: [3]float32{2, 1, 1}, shift: [3]float32{0, 0, 0.5}}, bilinear)
	f := gradient(40, 30)
	dst := make([]float32, 3*16*16)
	p.fill(dst, detect.Region{Frame: f, X: 30, Y: 20, Width: 16, Height: 16}, 16, 16)
	for y := range 16 {
		for x := range 16 {
			want := [3]float32{0, 0, 0.5} // outside is black
			if 30+x < 40 && 20+y < 30 {
				want = [3]float32{2 * float32(50+x+y), float32(20 + y), float32(30+x) + 0.5}
			}
			for c := range 3 {
				if got := dst[c*256+y*16+x]; got != want[c] {
					t.Fatalf("channel %d of %d,%d is %v, want %v", c, x, y, got, want[c])
				}
			}
		}
	}
}

// TestResizePreservesGradients checks that a linear ramp stays linear at any scale, except at its ends.
func TestResizePreservesGradients(t *testing.T) {
	f := gradient(100, 80)
	for _, filter := range []resampling{bilinear, bicubic, lanczos} {
		for _, size := range [][2]int{{50, 40}, {37, 23}, {200, 160}, {100, 40}} {
			w, h := size[0], size[1]
			p := newPreparer(unit, filter)
			dst := make([]float32, 3*w*h)
			p.fill(dst, whole(f), w, h)
			for y := h / 4; y < h*3/4; y++ {
				for x := w / 4; x < w*3/4; x++ {
					wantX := (float64(x)+0.5)*100/float64(w) - 0.5
					wantY := (float64(y)+0.5)*80/float64(h) - 0.5
					got := [3]float64{float64(dst[y*w+x]), float64(dst[w*h+y*w+x]), float64(dst[2*w*h+y*w+x])}
					for c, want := range [3]float64{wantX + wantY, wantY, wantX} {
						if math.Abs(got[c]-want) > 0.3 {
							t.Fatalf("filter %d to %v: channel %d of %d,%d is %v, want %v", filter, size, c, x, y, got[c], want)
						}
					}
				}
			}
		}
	}
}

func TestNearest(t *testing.T) {
	f := gradient(4, 4)
	p := newPreparer(unit, nearest)
	dst := make([]float32, 3*8*8)
	p.fill(dst, whole(f), 8, 8)
	for x := range 8 {
		if got := dst[2*64+x]; got != float32(x/2) {
			t.Errorf("pixel %d is %v", x, got)
		}
	}
}

func TestResizePadsWithBlack(t *testing.T) {
	f := paint(10, 10, 255, 255, 255)
	p := newPreparer(unit, bilinear)
	dst := make([]float32, 3*10*10)
	p.fill(dst, detect.Region{Frame: f, Width: 20, Height: 20}, 10, 10)
	if dst[0] != 255 || dst[9] != 0 || dst[9*10] != 0 || dst[2*100+4*10+3] < 200 {
		t.Errorf("corners %v %v %v", dst[0], dst[9], dst[9*10])
	}
}

func TestTapsSumToOne(t *testing.T) {
	for _, filter := range []resampling{nearest, lanczos, bilinear, bicubic} {
		for _, size := range [][2]int{{1, 1}, {1, 9}, {9, 1}, {3, 1000}, {1000, 3}, {7, 7}, {1920, 416}} {
			k := newTaps(size[0], size[1], filter)
			for i := range size[1] {
				sum := float32(0)
				for _, w := range k.weight[i*k.width : (i+1)*k.width] {
					sum += w
				}
				if math.Abs(float64(sum-1)) > 1e-4 || k.first[i] < 0 || k.first[i]+k.width > size[0] {
					t.Fatalf("filter %d, %v, pixel %d: sum %v, from %d on %d", filter, size, i, sum, k.first[i], k.width)
				}
			}
		}
	}
}

func TestFillDoesNotAllocate(t *testing.T) {
	p := newPreparer(unit, bilinear)
	f := gradient(200, 200)
	dst := make([]float32, 3*64*64)
	p.fill(dst, whole(f), 64, 64)
	if n := testing.AllocsPerRun(10, func() {
		p.fill(dst, whole(f), 64, 64)
		p.fill(dst, detect.Region{Frame: f, X: 3, Y: 3, Width: 64, Height: 64}, 64, 64)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCopyTile(b *testing.B) {
	p := newPreparer(unit, bilinear)
	f := gradient(1920, 1080)
	dst := make([]float32, 3*416*416)
	for b.Loop() {
		p.fill(dst, detect.Region{Frame: f, X: 300, Y: 300, Width: 416, Height: 416}, 416, 416)
	}
}

func BenchmarkResizeTile(b *testing.B) {
	p := newPreparer(unit, bilinear)
	f := gradient(1920, 1080)
	dst := make([]float32, 3*416*416)
	for b.Loop() {
		p.fill(dst, detect.Region{Frame: f, X: 300, Y: 300, Width: 600, Height: 600}, 416, 416)
	}
}
