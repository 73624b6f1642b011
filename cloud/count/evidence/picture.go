package evidence

import (
	"bytes"
	"fmt"
	"image"
	"image/draw"
	"image/jpeg"

	xdraw "golang.org/x/image/draw"

	"cattlecounter/cloud/count/video"
)

// sizeWithin is the size of a w x h picture with a longer side of at most side, both even and at least 2.
func sizeWithin(w, h, side int) (int, int) {
	if long := max(w, h); long > side {
		w, h = w*side/long, h*side/long
	}
	return max(2, w&^1), max(2, h&^1)
}

// shrink draws a frame into img, which has at most its size. Reduction by 2 and more averages; below that it
// interpolates.
func shrink(img *image.RGBA, f *video.Frame) {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	switch {
	case f.Width == 3*w && f.Height == 3*h: // 4K
		shrinkThird(img, f)
		return
	case 2*f.Width == 3*w && 2*f.Height == 3*h: // 1080p
		shrinkTwoThirds(img, f)
		return
	case f.Width >= 2*w || f.Height >= 2*h:
		shrinkMean(img, f)
		return
	}
	const one = 1 << 8
	type tap struct{ at, next, part int }
	taps := func(n, from int) []tap {
		t := make([]tap, n)
		for i := range t {
			p := max(0, ((2*i+1)*from*one/n-one)/2) // centre of the pixel, in parts of a source pixel
			t[i] = tap{at: min(p/one, from-1), next: min(p/one+1, from-1), part: p % one}
		}
		return t
	}
	columns, rows := taps(w, f.Width), taps(h, f.Height)
	for y, r := range rows {
		upper, lower := f.Pix[r.at*f.Width*3:(r.at+1)*f.Width*3], f.Pix[r.next*f.Width*3:(r.next+1)*f.Width*3]
		out := img.Pix[y*img.Stride : y*img.Stride+4*w]
		down, up := uint32(r.part), uint32(one-r.part)
		for x, c := range columns {
			ul, ur := (*[3]byte)(upper[3*c.at:]), (*[3]byte)(upper[3*c.next:])
			ll, lr := (*[3]byte)(lower[3*c.at:]), (*[3]byte)(lower[3*c.next:])
			right, left := uint32(c.part), uint32(one-c.part)
			a, b, d, e := up*left, up*right, down*left, down*right
			o := (*[4]byte)(out[4*x:])
			o[0] = byte((a*uint32(ul[2]) + b*uint32(ur[2]) + d*uint32(ll[2]) + e*uint32(lr[2])) >> 16)
			o[1] = byte((a*uint32(ul[1]) + b*uint32(ur[1]) + d*uint32(ll[1]) + e*uint32(lr[1])) >> 16)
			o[2] = byte((a*uint32(ul[0]) + b*uint32(ur[0]) + d*uint32(ll[0]) + e*uint32(lr[0])) >> 16)
			o[3] = 255
		}
	}
}

// shrinkThird is shrinkMean for a third of each side, in a third of the time.
func shrinkThird(img *image.RGBA, f *video.Frame) {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	stride := 3 * f.Width
	for y := range h {
		top := f.Pix[3*y*stride : (3*y+1)*stride]
		middle := f.Pix[(3*y+1)*stride : (3*y+2)*stride]
		low := f.Pix[(3*y+2)*stride : (3*y+3)*stride]
		out := img.Pix[y*img.Stride : y*img.Stride+4*w]
		for x := range w {
			a, b, c := (*[9]byte)(top[9*x:]), (*[9]byte)(middle[9*x:]), (*[9]byte)(low[9*x:])
			o := (*[4]byte)(out[4*x:])
			for k := range 3 {
				sum := uint32(a[k]) + uint32(a[k+3]) + uint32(a[k+6]) + uint32(b[k]) + uint32(b[k+3]) + uint32(b[k+6]) +
					uint32(c[k]) + uint32(c[k+3]) + uint32(c[k+6])
				o[2-k] = byte(sum / 9)
			}
			o[3] = 255
		}
	}
}

// shrinkTwoThirds makes 2 x 2 pixels of each 3 x 3 pixels of the frame: each is the mean of the area that it covers, with
// weights of 4, 2, 2 and 1 ninths.
func shrinkTwoThirds(img *image.RGBA, f *video.Frame) {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	stride := 3 * f.Width
	for y := 0; y < h; y += 2 {
		from := f.Pix[y/2*3*stride:]
		top, middle, low := from[:stride], from[stride:2*stride], from[2*stride:3*stride]
		upper, lower := img.Pix[y*img.Stride:][:4*w], img.Pix[(y+1)*img.Stride:][:4*w]
		for x := 0; x+2 <= w; x += 2 {
			a, b, c := (*[9]byte)(top[x/2*9:]), (*[9]byte)(middle[x/2*9:]), (*[9]byte)(low[x/2*9:])
			u, l := (*[8]byte)(upper[4*x:]), (*[8]byte)(lower[4*x:])
			for k := range 3 {
				m0, m1, m2 := uint32(b[k]), uint32(b[k+3]), uint32(b[k+6])
				t0, t1, t2 := 2*uint32(a[k])+m0, 2*uint32(a[k+3])+m1, 2*uint32(a[k+6])+m2
				l0, l1, l2 := 2*uint32(c[k])+m0, 2*uint32(c[k+3])+m1, 2*uint32(c[k+6])+m2
				// 7282 / 65536 is a ninth, and stays below 256 for white.
				u[2-k], u[6-k] = byte((2*t0+t1)*7282>>16), byte((2*t2+t1)*7282>>16)
				l[2-k], l[6-k] = byte((2*l0+l1)*7282>>16), byte((2*l2+l1)*7282>>16)
			}
			u[3], u[7], l[3], l[7] = 255, 255, 255, 255
		}
	}
}

// shrinkMean gives each pixel the mean of the pixels of the frame that it stands for.
func shrinkMean(img *image.RGBA, f *video.Frame) {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	ends := make([]int, w+1)
	for x := range ends {
		ends[x] = x * f.Width / w
	}
	sums := make([]uint32, 3*w)
	for y := range h {
		clear(sums)
		y1, y2 := y*f.Height/h, max(y*f.Height/h+1, (y+1)*f.Height/h)
		for sy := y1; sy < y2; sy++ {
			row := f.Pix[sy*f.Width*3 : (sy+1)*f.Width*3]
			for x := range w {
				var b, g, r uint32
				for p := row[3*ends[x] : 3*max(ends[x]+1, ends[x+1])]; len(p) >= 3; p = p[3:] {
					b, g, r = b+uint32(p[0]), g+uint32(p[1]), r+uint32(p[2])
				}
				sums[3*x], sums[3*x+1], sums[3*x+2] = sums[3*x]+b, sums[3*x+1]+g, sums[3*x+2]+r
			}
		}
		out := img.Pix[y*img.Stride : y*img.Stride+4*w]
		for x := range w {
			n := uint32(max(1, ends[x+1]-ends[x]) * (y2 - y1))
			out[4*x], out[4*x+1], out[4*x+2], out[4*x+3] = byte(sums[3*x+2]/n), byte(sums[3*x+1]/n), byte(sums[3*x]/n), 255
		}
	}
}

// cut copies a part of a frame. The part must lie within the frame.
func cut(f *video.Frame, r image.Rectangle) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, r.Dx(), r.Dy()))
	for y := range r.Dy() {
		row := f.Pix[((r.Min.Y+y)*f.Width+r.Min.X)*3:]
		out := img.Pix[y*img.Stride:]
		for x := range r.Dx() {
			out[4*x], out[4*x+1], out[4*x+2], out[4*x+3] = row[3*x+2], row[3*x+1], row[3*x], 255
		}
	}
	return img
}

// resized is img with a longer side of at most side.
func resized(img *image.RGBA, side int) *image.RGBA {
	if max(img.Rect.Dx(), img.Rect.Dy()) <= side {
		return img
	}
	w, h := sizeWithin(img.Rect.Dx(), img.Rect.Dy(), side)
	small := image.NewRGBA(image.Rect(0, 0, w, h))
	xdraw.ApproxBiLinear.Scale(small, small.Rect, img, img.Rect, draw.Src, nil)
	return small
}

func encode(img image.Image, quality int) ([]byte, error) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: quality}); err != nil {
		return nil, fmt.Errorf("write a picture of the evidence: %w", err)
	}
	return b.Bytes(), nil
}

// decode reads a picture that encode has written.
func decode(b []byte) (*image.RGBA, error) {
	src, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("read a picture of the evidence: %w", err)
	}
	img := image.NewRGBA(image.Rect(0, 0, src.Bounds().Dx(), src.Bounds().Dy()))
	draw.Draw(img, img.Rect, src, src.Bounds().Min, draw.Src)
	return img, nil
}
