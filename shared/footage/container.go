package footage

import (
	"bytes"
	"fmt"
)

// Container is a video container format, named by its usual file extension.
type Container string

// Containers that the product accepts.
const (
	MP4 Container = "mp4" // ISO base media, QuickTime included
	MKV Container = "mkv" // Matroska and WebM
	AVI Container = "avi"
	TS  Container = "ts" // MPEG transport stream, 188-byte or 192-byte packets
)

// SniffLen is how many leading bytes Sniff needs; of a shorter file it needs all.
const SniffLen = 1024

// ErrNotVideo marks content that is not a video container known to Sniff.
var ErrNotVideo = fmt.Errorf("not a video: %w", ErrInvalid)

// isoBoxes are the box types that a QuickTime or ISO media file may begin with
// (ISO/IEC 14496-12 section 4.3; older QuickTime files have no ftyp).
var isoBoxes = []string{"ftyp", "moov", "mdat", "wide", "free", "skip", "pnot", "uuid", "styp", "moof", "junk"}

// Sniff recognises a container by the first bytes of a file, never by its name.
// It fails with an error that wraps ErrNotVideo.
func Sniff(head []byte) (Container, error) {
	if len(head) >= 8 {
		for _, b := range isoBoxes {
			if string(head[4:8]) == b {
				return MP4, nil
			}
		}
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1A, 0x45, 0xDF, 0xA3}):
		return MKV, nil
	case len(head) >= 12 && string(head[:4]) == "RIFF" && string(head[8:12]) == "AVI ":
		return AVI, nil
	case isTransportStream(head, 0, 188), isTransportStream(head, 4, 192):
		return TS, nil
	case len(head) == 0:
		return "", fmt.Errorf("file is empty: %w", ErrNotVideo)
	}
	return "", fmt.Errorf("begins with % x: %w", head[:min(len(head), 8)], ErrNotVideo)
}

// isTransportStream looks for the sync byte 0x47 at the start of each packet
// (ISO/IEC 13818-1 section 2.4.3.2). One packet alone could be any text that
// begins with 'G', so three are required.
func isTransportStream(head []byte, offset, packet int) bool {
	const want = 3
	n := 0
	for at := offset; at < len(head); at += packet {
		if head[at] != 0x47 {
			return false
		}
		n++
	}
	return n >= want
}
