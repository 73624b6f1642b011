package scene

import (
	"context"

	"cattlecounter/cloud/count/video/opencv"
)

// WriteFile renders the frames of a film that are left into the video file path. Truth is complete afterwards. The error
// wraps opencv.ErrEncode for a file that cannot be written.
func WriteFile(ctx context.Context, film Film, path string) error {
	info := film.Info()
	return opencv.Encode(ctx, path, info.Width, info.Height, info.FPS, film.Render)
}
