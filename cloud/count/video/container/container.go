// Package container checks the outer structure of video files without decoding: the kind of container, the contents of
// its headers, and whether the file is shorter than they announce. It reports a fault only when the format makes it
// certain.
package container

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"cattlecounter/cloud/count/video"
	"cattlecounter/shared/footage"
)

// Report holds the contents of the headers. Zero values are unknown.
type Report struct {
	Container footage.Container
	// Frames is the number of pictures that the index of the container lists.
	Frames int
	// Duration is the playing time of the pictures, with the edits of the file.
	Duration time.Duration
	Codec    string // FourCC of the video track, as stored
	// Started is the time that the container records for its creation, UTC. Cameras without a set clock write any time.
	Started time.Time
	// Width and Height are the pixels of the video track as shown, before a rotation.
	Width, Height int
}

// Check checks a file of size bytes. The error wraps video.ErrEmpty, video.ErrNotVideo, video.ErrTruncated or
// video.ErrDecode and describes the fault. With video.ErrTruncated the report has the headers before the end.
func Check(r io.ReaderAt, size int64) (Report, error) {
	if size == 0 {
		return Report{}, fmt.Errorf("0 bytes: %w", video.ErrEmpty)
	}
	head := make([]byte, min(size, footage.SniffLen))
	if err := readAt(r, head, 0); err != nil {
		return Report{}, err
	}
	kind, err := footage.Sniff(head)
	if err != nil {
		return Report{}, fmt.Errorf("the content is not MP4, MOV, MKV, AVI or TS; it begins with %q: %w",
			head[:min(len(head), 12)], video.ErrNotVideo)
	}
	switch kind {
	case footage.MP4:
		return checkISO(r, size)
	case footage.MKV:
		return checkMatroska(r, size)
	case footage.AVI:
		return checkAVI(r, size)
	}
	return checkTS(head, size)
}

// longestTail is the largest tail in bytes. The index of hours of video has a few million bytes.
const longestTail = 64 << 20

// Tail reports whether a decoder can begin with an incomplete MP4 or MOV. Besides the start of the file the decoder
// needs the bytes from tail on: they follow the pictures and hold the index. tail is size when nothing follows the
// pictures. Tail reads only the headers before the pictures.
func Tail(r io.ReaderAt, size int64) (tail int64, ok bool) {
	head := make([]byte, min(size, footage.SniffLen))
	if readAt(r, head, 0) != nil {
		return 0, false
	}
	if kind, err := footage.Sniff(head); err != nil || kind != footage.MP4 {
		return 0, false
	}
	indexed := false
	for at, n := uint64(0), 0; at+8 <= uint64(size) && n < maxBoxes; n++ {
		b, err := readBox(r, at, uint64(size))
		if err != nil {
			return 0, false
		}
		at = b.at + b.length
		switch b.kind {
		case "moov":
			indexed = true
		case "mdat":
			tail = int64(at)
			return tail, tail <= size && (indexed || tail < size) && size-tail <= longestTail
		}
	}
	return 0, false
}

// CheckFile is Check for a file. For a file that cannot be opened it returns the error of os.Open.
func CheckFile(path string) (Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return Report{}, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return Report{}, err
	}
	if !st.Mode().IsRegular() {
		return Report{}, fmt.Errorf("not a regular file (%s): %w", st.Mode().Type(), video.ErrNotVideo)
	}
	return Check(f, st.Size())
}

// readAt fills b. A file that has become shorter counts as truncated.
func readAt(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	switch {
	case n == len(b):
		return nil
	case errors.Is(err, io.EOF):
		return fmt.Errorf("ends at byte %d: %w", at+int64(n), video.ErrTruncated)
	}
	return fmt.Errorf("read at byte %d: %w", at, err)
}

// cut is the error for a part that reaches beyond the end of the file.
func cut(what string, at, length uint64, size int64) error {
	return fmt.Errorf("%d of %d bytes of %s exist; the rest of the file is missing: %w", uint64(size)-at, length,
		what, video.ErrTruncated)
}
