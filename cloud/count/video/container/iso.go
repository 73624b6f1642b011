package container

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"time"

	"cattlecounter/cloud/count/video"
	"cattlecounter/shared/footage"
)

// Bounds of a file: a fragmented one has some boxes per second, and the index of a day of footage has some MiB.
const (
	maxBoxes = 1 << 20
	maxMoov  = 64 << 20
)

// box is one box of an ISO media file (ISO/IEC 14496-12 section 4.2).
type box struct {
	kind   string
	at     uint64 // first byte of the content
	length uint64 // announced bytes of the content
}

// checkISO checks the boxes at the top level of an MP4 or QuickTime file.
func checkISO(r io.ReaderAt, size int64) (Report, error) {
	rep := Report{Container: footage.MP4}
	var moov, moof, mdat bool
	var media uint64
	at := uint64(0)
	for n := 0; at+8 <= uint64(size) && n < maxBoxes; n++ {
		b, err := readBox(r, at, uint64(size))
		if err != nil {
			if moov { // other bytes after a complete file are harmless
				break
			}
			return rep, err
		}
		end := b.at + b.length
		switch b.kind {
		case "moov":
			if end > uint64(size) {
				return rep, cut("the index (moov)", b.at, b.length, size)
			}
			moov = true
			if err := readMoov(&rep, r, b); err != nil {
				return rep, err
			}
		case "moof":
			moof = true
		case "mdat":
			mdat = true
			if end > uint64(size) {
				return rep, cut("the pictures (mdat)", b.at, b.length, size)
			}
			media += b.length
		}
		if end < at || end > uint64(size) {
			break
		}
		at = end
	}
	switch {
	case moov || moof:
		return rep, nil
	case mdat:
		return rep, fmt.Errorf("the index (moov) is missing, so the %d bytes of pictures cannot be decoded; a camera writes the index last; "+
			"the recording was interrupted, and a repair program for the camera may help: %w", media, video.ErrTruncated)
	}
	return rep, fmt.Errorf("neither an index (moov) nor pictures (mdat) within %d bytes: %w", size, video.ErrTruncated)
}

// readBox reads the header at a position within size.
func readBox(r io.ReaderAt, at, size uint64) (box, error) {
	var h [16]byte
	if err := readAt(r, h[:8], int64(at)); err != nil {
		return box{}, err
	}
	b := box{kind: string(h[4:8]), at: at + 8}
	total := uint64(binary.BigEndian.Uint32(h[:4]))
	switch {
	case total == 0: // to the end of the file
		b.length = size - b.at
		return b, nil
	case total == 1:
		if err := readAt(r, h[8:16], int64(at+8)); err != nil {
			return box{}, err
		}
		total = binary.BigEndian.Uint64(h[8:16])
		b.at += 8
	}
	if total < b.at-at || total > math.MaxInt64-b.at {
		return box{}, fmt.Errorf("box %q at byte %d announces %d bytes: %w", b.kind, at, total, video.ErrDecode)
	}
	b.length = total - (b.at - at)
	return b, nil
}

// readMoov reads the index.
func readMoov(rep *Report, r io.ReaderAt, b box) error {
	if b.length > maxMoov {
		return nil // larger than that of any camera; the decoder may still read it
	}
	content := make([]byte, b.length)
	if err := readAt(r, content, int64(b.at)); err != nil {
		return err
	}
	scale := uint32(0)
	for kind, c := range children(content) {
		switch kind {
		case "mvhd":
			scale, _ = timescaleAndDuration(c)
			rep.Started = creationTime(c)
		case "trak":
			readTrack(rep, c, scale)
		}
	}
	return nil
}

// readTrack fills the report from the first video track. tkhd precedes mdia; its duration is in the time scale of the
// movie and includes the edit list.
func readTrack(rep *Report, trak []byte, scale uint32) {
	duration := uint64(0)
	width, height := 0, 0
	for kind, c := range children(trak) {
		switch kind {
		case "tkhd":
			duration = trackDuration(c)
			width, height = trackSize(c)
		case "mdia":
			frames, codec, ok := readMedia(c)
			if !ok || rep.Codec != "" {
				continue
			}
			rep.Frames, rep.Codec = frames, codec
			rep.Width, rep.Height = width, height
			if seconds := float64(duration) / float64(max(scale, 1)); scale > 0 && seconds < maxSeconds {
				rep.Duration = time.Duration(seconds * float64(time.Second))
			}
		}
	}
}

// maxSeconds is the longest plausible duration. An unknown duration, with all bits set, would be centuries.
const maxSeconds = 30 * 24 * 3600

// readMedia returns the number of samples and the codec. ok is false for other media than video.
func readMedia(mdia []byte) (frames int, codec string, ok bool) {
	for kind, c := range children(mdia) {
		switch kind {
		case "hdlr":
			ok = len(c) >= 12 && string(c[8:12]) == "vide"
		case "minf":
			for kind, c := range children(c) {
				if kind == "stbl" {
					frames, codec = readSampleTable(c)
				}
			}
		}
	}
	return frames, codec, ok
}

func readSampleTable(stbl []byte) (frames int, codec string) {
	for kind, c := range children(stbl) {
		switch {
		case kind == "stsd" && len(c) >= 16:
			codec = string(c[12:16])
		case (kind == "stsz" || kind == "stz2") && len(c) >= 12:
			frames = int(binary.BigEndian.Uint32(c[8:12]))
		}
	}
	return frames, codec
}

// timescaleAndDuration reads mvhd (section 8.2.2).
func timescaleAndDuration(c []byte) (uint32, uint64) {
	switch {
	case len(c) >= 20 && c[0] == 0:
		return binary.BigEndian.Uint32(c[12:]), uint64(binary.BigEndian.Uint32(c[16:]))
	case len(c) >= 32 && c[0] == 1:
		return binary.BigEndian.Uint32(c[20:]), binary.BigEndian.Uint64(c[24:])
	}
	return 0, 0
}

// creationTime reads the time in mvhd: seconds since 1904, UTC. Zero stands for unknown.
func creationTime(c []byte) time.Time {
	seconds := uint64(0)
	switch {
	case len(c) >= 8 && c[0] == 0:
		seconds = uint64(binary.BigEndian.Uint32(c[4:]))
	case len(c) >= 12 && c[0] == 1:
		seconds = binary.BigEndian.Uint64(c[4:])
	}
	const until1970, until2100 = 2_082_844_800, 6_185_289_600 // seconds since 1904
	if seconds == 0 || seconds >= until2100 {
		return time.Time{}
	}
	return time.Unix(int64(seconds)-until1970, 0).UTC()
}

// trackSize reads the width and the height at the end of tkhd: numbers with 16 bits behind the point.
func trackSize(c []byte) (width, height int) {
	length := 0
	switch {
	case len(c) >= 84 && c[0] == 0:
		length = 84
	case len(c) >= 96 && c[0] == 1:
		length = 96
	default:
		return 0, 0
	}
	return int(binary.BigEndian.Uint32(c[length-8:]) >> 16), int(binary.BigEndian.Uint32(c[length-4:]) >> 16)
}

// trackDuration reads tkhd (section 8.3.2).
func trackDuration(c []byte) uint64 {
	switch {
	case len(c) >= 24 && c[0] == 0:
		return uint64(binary.BigEndian.Uint32(c[20:]))
	case len(c) >= 36 && c[0] == 1:
		return binary.BigEndian.Uint64(c[28:])
	}
	return 0
}

// children yields the boxes inside a box, until the end of the content or the first invalid box.
func children(c []byte) func(yield func(string, []byte) bool) {
	return func(yield func(string, []byte) bool) {
		for len(c) >= 8 {
			total, head := uint64(binary.BigEndian.Uint32(c)), uint64(8)
			if total == 1 && len(c) >= 16 {
				total, head = binary.BigEndian.Uint64(c[8:]), 16
			}
			if total < head || total > uint64(len(c)) || !yield(string(c[4:8]), c[head:total]) {
				return
			}
			c = c[total:]
		}
	}
}
