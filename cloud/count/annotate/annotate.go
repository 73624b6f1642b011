// Package annotate draws counted animals into a frame.
package annotate

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"io"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/video"
)

// Mark is one box with a short text at its corner.
type Mark struct {
	Box  detect.Box
	Text string
}

var (
	boxColour     = color.RGBA{255, 196, 0, 255}
	outlineColour = color.RGBA{0, 0, 0, 255}
	barColour     = color.RGBA{0, 0, 0, 190}
)

const (
	barHeight   = 22
	textMargin  = 6
	jpegQuality = 88
)

// Still writes the frame as a JPEG with the marks and a bar of text at the bottom.
func Still(w io.Writer, f *video.Frame, marks []Mark, foot string) error {
	img := f.Image()
	for _, m := range marks {
		drawMark(img, m)
	}
	bar := image.Rect(0, f.Height-barHeight, f.Width, f.Height)
	draw.Draw(img, bar, image.NewUniform(barColour), image.Point{}, draw.Over)
	drawText(img, textMargin, f.Height-textMargin-1, foot, color.White)
	if err := jpeg.Encode(w, img, &jpeg.Options{Quality: jpegQuality}); err != nil {
		return fmt.Errorf("write still of frame %d: %w", f.Index, err)
	}
	return nil
}

func drawMark(img *image.RGBA, m Mark) {
	r := image.Rect(int(m.Box.X1), int(m.Box.Y1), int(m.Box.X2), int(m.Box.Y2))
	drawOutline(img, r.Inset(-1), outlineColour)
	drawOutline(img, r, boxColour)
	drawOutline(img, r.Inset(1), boxColour)
	drawOutline(img, r.Inset(2), outlineColour)
	if m.Text == "" {
		return
	}
	face := basicfont.Face7x13
	width := font.MeasureString(face, m.Text).Ceil()
	x, y := max(0, min(r.Min.X, img.Rect.Max.X-width)), max(face.Height, r.Min.Y-2)
	plate := image.Rect(x-1, y-face.Ascent, x+width+1, y+face.Descent)
	draw.Draw(img, plate, image.NewUniform(barColour), image.Point{}, draw.Over)
	drawText(img, x, y, m.Text, boxColour)
}

func drawOutline(img *image.RGBA, r image.Rectangle, c color.RGBA) {
	for x := r.Min.X; x <= r.Max.X; x++ {
		img.SetRGBA(x, r.Min.Y, c)
		img.SetRGBA(x, r.Max.Y, c)
	}
	for y := r.Min.Y; y <= r.Max.Y; y++ {
		img.SetRGBA(r.Min.X, y, c)
		img.SetRGBA(r.Max.X, y, c)
	}
}

func drawText(img *image.RGBA, x, y int, s string, c color.Color) {
	d := font.Drawer{Dst: img, Src: image.NewUniform(c), Face: basicfont.Face7x13, Dot: fixed.P(x, y)}
	d.DrawString(s)
}
