package container

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"time"

	"cattlecounter/cloud/count/video"
	"cattlecounter/shared/footage"
)

// checkMatroska compares the size of the segment, if known, with the file (RFC 8794 sections 5 and 6: ID and size are
// variable-length integers).
func checkMatroska(r io.ReaderAt, size int64) (Report, error) {
	rep := Report{Container: footage.MKV}
	const segment = 0x18538067
	at := uint64(0)
	for range 16 { // header, Void and CRC elements, segment
		var h [16]byte
		n := min(uint64(len(h)), uint64(size)-at)
		if err := readAt(r, h[:n], int64(at)); err != nil {
			return rep, err
		}
		id, idLen := vint(h[:n], true)
		length, lengthLen := vint(h[min(idLen, int(n)):n], false)
		if idLen == 0 || lengthLen == 0 {
			return rep, fmt.Errorf("ends within its header, at byte %d: %w", size, video.ErrTruncated)
		}
		content := at + uint64(idLen+lengthLen)
		unknown := length == 1<<(7*lengthLen)-1 // an unfinished live recording
		if id == segment && unknown {
			return rep, nil
		}
		if unknown || length > uint64(size) || content+length > uint64(size) {
			return rep, cut("the video", content, length, size)
		}
		if id == segment {
			return rep, nil
		}
		at = content + length
		if at >= uint64(size) {
			break
		}
	}
	return rep, fmt.Errorf("no segment within %d bytes: %w", size, video.ErrTruncated)
}

// vint reads a variable-length integer and its length, 0 when b is too short. The length marker is a part of an ID.
func vint(b []byte, marker bool) (uint64, int) {
	if len(b) == 0 || b[0] == 0 {
		return 0, 0
	}
	n := bits.LeadingZeros8(b[0]) + 1
	if len(b) < n {
		return 0, 0
	}
	v := uint64(b[0])
	if !marker {
		v &= 1<<(8-n) - 1
	}
	for _, c := range b[1:n] {
		v = v<<8 | uint64(c)
	}
	return v, n
}

// checkAVI compares the sizes of the RIFF chunks with the file. Files above 1 GiB have several chunks (OpenDML). An
// interrupted recording has size 0.
func checkAVI(r io.ReaderAt, size int64) (Report, error) {
	rep := Report{Container: footage.AVI}
	var h [88]byte
	if n := min(int64(len(h)), size); n < int64(len(h)) {
		return rep, fmt.Errorf("ends within its header, at byte %d: %w", size, video.ErrTruncated)
	}
	if err := readAt(r, h[:], 0); err != nil {
		return rep, err
	}
	if string(h[12:16]) == "LIST" && string(h[20:28]) == "hdrlavih" {
		perFrame, frames := binary.LittleEndian.Uint32(h[32:]), binary.LittleEndian.Uint32(h[48:])
		rep.Frames = int(frames)
		width, height := binary.LittleEndian.Uint32(h[64:]), binary.LittleEndian.Uint32(h[68:])
		if width <= maxSide && height <= maxSide {
			rep.Width, rep.Height = int(width), int(height)
		}
		if d := float64(perFrame) * float64(frames) / 1e6; d < maxSeconds {
			rep.Duration = time.Duration(d * float64(time.Second))
		}
	}
	at := uint64(0)
	for n := 0; at+8 <= uint64(size) && n < maxBoxes; n++ {
		if err := readAt(r, h[:8], int64(at)); err != nil {
			return rep, err
		}
		length := uint64(binary.LittleEndian.Uint32(h[4:]))
		if string(h[:4]) != "RIFF" || length == 0 {
			break
		}
		if at+8+length > uint64(size) {
			return rep, cut("the video", at+8, length, size)
		}
		at += 8 + length + length&1
	}
	return rep, nil
}

// maxSide is the largest plausible side of a picture in pixels.
const maxSide = 1 << 16

// checkTS checks that the last packet is complete.
func checkTS(head []byte, size int64) (Report, error) {
	packet := int64(188)
	if head[0] != 0x47 {
		packet = 192
	}
	if rest := size % packet; rest != 0 {
		return Report{Container: footage.TS}, fmt.Errorf("ends in the middle of a packet, at byte %d: %w", size,
			video.ErrTruncated)
	}
	return Report{Container: footage.TS}, nil
}
