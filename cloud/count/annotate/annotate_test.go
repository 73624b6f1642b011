package annotate

import (
	"bytes"
	"image/jpeg"
	"testing"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/video"
)

func TestStill(t *testing.T) {
	f := &video.Frame{}
	f.Resize(320, 200)
	for i := range f.Pix {
		f.Pix[i] = 90
	}
	var b bytes.Buffer
	marks := []Mark{
		{Box: detect.Box{X1: 100, Y1: 60, X2: 160, Y2: 100}, Text: "7"},
		{Box: detect.Box{X1: -5, Y1: -5, X2: 400, Y2: 300}, Text: "a box beyond the frame"},
	}
	if err := Still(&b, f, marks, "frame 1"); err != nil {
		t.Fatal(err)
	}
	img, err := jpeg.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	if img.Bounds().Dx() != 320 || img.Bounds().Dy() != 200 {
		t.Fatalf("size %v", img.Bounds())
	}
	bright := func(x, y int) bool {
		r, g, _, _ := img.At(x, y).RGBA()
		return r>>8 > 150 && g>>8 > 110
	}
	if !bright(130, 61) && !bright(130, 60) {
		t.Error("the upper side of the box is not drawn")
	}
	if bright(130, 80) {
		t.Error("the middle of the box is painted over")
	}
}
