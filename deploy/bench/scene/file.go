package scene

import (
	"context"
	"errors"
	"io"

	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/count/video/opencv"
)

// WriteFile renders the frames of a film that are left into the video file path. Truth is complete afterwards. The error
// wraps opencv.ErrEncode for a file that cannot be written.
func WriteFile(ctx context.Context, film Film, path string) error {
	info := film.Info()
	enc, err := opencv.Create(path, info.Width, info.Height, info.FPS)
	if err != nil {
		return err
	}
	defer enc.Close()
	var f video.Frame
	for {
		err := film.Render(ctx, &f)
		if errors.Is(err, io.EOF) {
			return enc.Close()
		}
		if err != nil {
			return err
		}
		if err := enc.Write(&f); err != nil {
			return err
		}
	}
}
