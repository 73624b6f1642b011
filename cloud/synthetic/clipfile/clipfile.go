// Package clipfile renders a clip of a simulated herd into an MP4 file and writes its exact truth beside it as JSON.
package clipfile

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"cattlecounter/cloud/count/video/opencv"
	"cattlecounter/cloud/synthetic"
)

// Write renders the clip of a configuration into the file path and its truth into TruthPath(path), and returns the
// truth. Both files are complete or absent at the end. The error wraps synthetic.ErrConfig for a configuration that is
// not valid, opencv.ErrEncode for a file that cannot be written, or is the cause of ctx.
func Write(ctx context.Context, path string, c synthetic.Config) (synthetic.Truth, error) {
	return WriteLogged(ctx, path, c, Log{})
}

// WriteLogged is Write with a flight log beside the clip at LogPath(path). The truth then has the place of every animal.
func WriteLogged(ctx context.Context, path string, c synthetic.Config, log Log) (synthetic.Truth, error) {
	clip, err := synthetic.New(c)
	if err != nil {
		return synthetic.Truth{}, err
	}
	k := clip.Config()
	if k.Width%2 != 0 || k.Height%2 != 0 {
		return synthetic.Truth{}, fmt.Errorf("%dx%d pixels, want even numbers: %w", k.Width, k.Height, synthetic.ErrConfig)
	}
	if err := log.validate(k); err != nil {
		return synthetic.Truth{}, err
	}
	part := strings.TrimSuffix(path, filepath.Ext(path)) + ".part.mp4" // the encoder chooses the container by this name
	defer os.Remove(part)
	if err := opencv.Encode(ctx, part, k.Width, k.Height, k.FPS, clip.Next); err != nil {
		return synthetic.Truth{}, err
	}
	truth := clip.Truth()
	if log.Dialect != "" {
		log.place(&truth)
		if err := log.write(LogPath(path), k, truth); err != nil {
			return synthetic.Truth{}, err
		}
	}
	if err := writeJSON(TruthPath(path), truth); err != nil {
		return synthetic.Truth{}, err
	}
	if err := os.Rename(part, path); err != nil {
		return synthetic.Truth{}, fmt.Errorf("clip: %w", err)
	}
	return truth, nil
}

// TruthPath is the path of the truth of a clip: NAME.json beside NAME.mp4.
func TruthPath(clip string) string { return strings.TrimSuffix(clip, filepath.Ext(clip)) + ".json" }

func writeJSON(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("truth: %w", err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("truth: %w", err)
	}
	return nil
}
