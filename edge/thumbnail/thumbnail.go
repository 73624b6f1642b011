// Package thumbnail finds the small picture that a camera makes of a recording. The picture
// is a file on the card, or inside the recording itself. The package decodes no video.
package thumbnail

import (
	"bytes"
	"errors"
	"fmt"
	"image/jpeg"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"cattlecounter/shared/footage"
)

// ErrNone marks a recording without a thumbnail.
var ErrNone = errors.New("no thumbnail")

// maxSide bounds both sides of a picture, in pixels.
const maxSide = 4096

// Picture is a JPEG of at most footage.MaxThumbnail bytes.
type Picture struct {
	JPEG []byte
	From string // where it was found, for the log
}

// Find returns the thumbnail of a recording: the first JPEG of a valid size. The error wraps
// ErrNone when there is none; any other error means that the recording cannot be read.
func Find(video string) (Picture, error) {
	for _, name := range candidates(video) {
		b, err := readSmall(name)
		if err == nil && checkJPEG(b) == nil {
			return Picture{JPEG: b, From: name}, nil
		}
	}
	f, err := os.Open(video)
	if err != nil {
		return Picture{}, fmt.Errorf("thumbnail: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Picture{}, fmt.Errorf("thumbnail: %w", err)
	}
	b, box, err := embedded(f, info.Size())
	if err != nil {
		return Picture{}, fmt.Errorf("thumbnail: %w", err)
	}
	return Picture{JPEG: b, From: "box " + box}, nil
}

// candidates returns the paths where a thumbnail may be: in DJI's index, for example
// MISC/THM/100/DJI_0001.SCR or .THM for DCIM/100MEDIA/DJI_0001.MP4, and beside the recording.
func candidates(video string) []string {
	folder, stem := filepath.Dir(video), strings.TrimSuffix(filepath.Base(video), filepath.Ext(video))
	var names []string
	if media := filepath.Dir(folder); strings.EqualFold(filepath.Base(media), "DCIM") {
		if n := leadingDigits(filepath.Base(folder)); n != "" {
			index := filepath.Join(filepath.Dir(media), "MISC", "THM", n, stem)
			names = append(names, index+".SCR", index+".THM")
		}
	}
	own := filepath.Join(folder, stem)
	return append(names, own+".THM", own+".thm")
}

// leadingDigits returns the digits at the beginning of a name.
func leadingDigits(name string) string {
	if i := strings.IndexFunc(name, func(r rune) bool { return !unicode.IsDigit(r) }); i >= 0 {
		return name[:i]
	}
	return name
}

// readSmall reads a regular file of at most footage.MaxThumbnail bytes.
func readSmall(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > footage.MaxThumbnail {
		return nil, fs.ErrInvalid
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, footage.MaxThumbnail))
}

// checkJPEG returns nil for a JPEG of a valid size.
func checkJPEG(b []byte) error {
	c, err := jpeg.DecodeConfig(bytes.NewReader(b))
	if err == nil && (c.Width > maxSide || c.Height > maxSide || c.Width < 1 || c.Height < 1) {
		err = fmt.Errorf("%d by %d pixels", c.Width, c.Height)
	}
	return err
}
