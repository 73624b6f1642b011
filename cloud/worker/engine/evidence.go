package engine

import (
	"os"

	"cattlecounter/cloud/count/evidence"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/video/libav"
)

// bytesPerMinute bounds the annotated video: a flight of 20 minutes takes at most 300 MiB.
const bytesPerMinute = 15 << 20

// VideoFile writes the annotated video of a clip into the file path, for evidence.Options.
func VideoFile(path string) func(width, height int, rate float64) (evidence.VideoWriter, error) {
	return func(width, height int, rate float64) (evidence.VideoWriter, error) {
		return libav.Create(path, libav.EncoderConfig{
			Width: width, Height: height, Rate: rate, BytesPerMinute: bytesPerMinute,
		})
	}
}

// MeasureVideo writes the size of the file of the annotated video into the result. A result whose file is gone no
// longer lists it.
func MeasureVideo(r *report.Result, path string) {
	if r.Evidence == nil || r.Evidence.Video == nil {
		return
	}
	info, err := os.Stat(path)
	if err != nil {
		r.Evidence.Video = nil
		return
	}
	r.Evidence.Video.Bytes = info.Size()
}
