// Package detect finds animals in frames: the contract of a detector, the tiling of large frames, the merge of the
// boxes of several tiles, and the pipeline that runs decoding, preparation and inference in parallel. It is pure Go;
// the detectors are in the packages below it.
package detect

import (
	"context"

	"cattlecounter/cloud/count/video"
)

// Box is one detection. X1 < X2 and Y1 < Y2 are pixels of the frame from its top left corner, within the frame.
type Box struct {
	X1, Y1, X2, Y2 float32
	Score          float32 // 0..1
	Class          int     // index in the class map of the model
	Label          string  // name in the class map
	Other          bool    // an animal of another kind, which is listed and not counted
}

// Width is the width of the box in pixels.
func (b Box) Width() float32 { return b.X2 - b.X1 }

// Height is the height of the box in pixels.
func (b Box) Height() float32 { return b.Y2 - b.Y1 }

// Area is the area of the box in square pixels, 0 for an empty or inverted box.
func (b Box) Area() float32 { return max(0, b.X2-b.X1) * max(0, b.Y2-b.Y1) }

// Detector finds animals.
type Detector interface {
	// Detect returns one list of boxes per frame, in the order of frames, each sorted by falling score. It does not
	// retain or change the frames. It is safe for concurrent use and ends early when ctx is done.
	Detect(ctx context.Context, frames []*video.Frame) ([][]Box, error)
}
