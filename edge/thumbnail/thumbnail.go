// Package thumbnail finds the small picture that a camera leaves of a recording:
// beside it, where the card keeps such pictures, or inside the recording itself.
// It decodes no video.
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

// ErrNone says that a recording has no thumbnail.
var ErrNone = errors.New("no thumbnail")

// maxSide bounds both sides of a picture, in pixels.
const maxSide = 4096

// Picture is a JPEG of at most footage.MaxThumbnail bytes.
type Picture struct {
	JPEG []byte
	From string // where it was found, for the log
}

// Find returns the thumbnail of a recording; the first one counts that is a JPEG
// of a sane size. The error wraps ErrNone when there is none, and is another one
// when the recording cannot be read.
func Find(video string) (Picture, error) {
	for _, name := range beside(video) {
		b, err := small(name)
		if err == nil && check(b) == nil {
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

// beside names where a thumbnail may lie: under the recording's own name, and in
// DJI's index, MISC/THM/100/DJI_0001.SCR or .THM for DCIM/100MEDIA/DJI_0001.MP4.
func beside(video string) []string {
	folder, stem := filepath.Dir(video), strings.TrimSuffix(filepath.Base(video), filepath.Ext(video))
	var names []string
	if media := filepath.Dir(folder); strings.EqualFold(filepath.Base(media), "DCIM") {
		if n := digits(filepath.Base(folder)); n != "" {
			index := filepath.Join(filepath.Dir(media), "MISC", "THM", n, stem)
			names = append(names, index+".SCR", index+".THM")
		}
	}
	own := filepath.Join(folder, stem)
	return append(names, own+".THM", own+".thm")
}

// digits returns those a name begins with.
func digits(name string) string {
	if i := strings.IndexFunc(name, func(r rune) bool { return !unicode.IsDigit(r) }); i >= 0 {
		return name[:i]
	}
	return name
}

// small reads a regular file that is no larger than a thumbnail may be.
func small(name string) ([]byte, error) {
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

// check reports what is wrong with a thumbnail.
func check(b []byte) error {
	c, err := jpeg.DecodeConfig(bytes.NewReader(b))
	if err == nil && (c.Width > maxSide || c.Height > maxSide || c.Width < 1 || c.Height < 1) {
		err = fmt.Errorf("%d by %d pixels", c.Width, c.Height)
	}
	return err
}
