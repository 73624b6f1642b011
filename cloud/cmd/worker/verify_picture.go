package main

import (
	"bytes"
	_ "embed" // the stored picture
	"fmt"

	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/count/video/still"
)

// verifyPicture is a rendered herd from above, 22 pixels per metre. TestVerifyPictureIsRendered makes it.
//
//go:embed verify.jpg
var verifyPicture []byte

// verifyFrame returns a frame of the stored picture: a part of it, or the picture repeated until it fills the frame.
// Animals keep their size in pixels.
func verifyFrame(width, height int) (*video.Frame, error) {
	var stored video.Frame
	if err := still.Decode("verify.jpg", bytes.NewReader(verifyPicture), &stored); err != nil {
		return nil, fmt.Errorf("stored picture of model verify: %w", err)
	}
	f := new(video.Frame)
	f.Resize(width, height)
	for y := range height {
		row := stored.Pix[3*stored.Width*(y%stored.Height):][:3*stored.Width]
		for out := f.Pix[3*width*y:][:3*width]; len(out) > 0; {
			out = out[copy(out, row):]
		}
	}
	return f, nil
}
