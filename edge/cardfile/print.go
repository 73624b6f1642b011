// Package cardfile knows single files on a card: their identity, their writers and their digest. It reads a digest
// slowly, so that the card stays free for others.
package cardfile

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"os"

	"cattlecounter/shared/footage"
)

// Sizes of a fingerprint. A fingerprint reads at most about 1 MiB, which a card reader delivers within a tenth of a
// second.
const (
	printVersion = "cattlecounter fingerprint 1\n"
	wholeSize    = 512 << 10 // a file up to this size is read whole
	endSize      = 64 << 10  // read at the head and the tail
	placeSize    = 8 << 10   // read at each place between
	places       = 16        // spread evenly; more at doubling distances from both ends
	maxBoxes     = 64        // top-level boxes of an ISO media file that are looked at
	indexSize    = 128 << 10 // read of the box with the index (moov)
)

// Print returns the fingerprint of a file: a digest of its size, head, tail and places between. Of an ISO media file
// it also covers the index and both ends of each box with content, because a file that is padded to a fixed size has
// its recording in a small part. Files with different fingerprints differ. Files with the same fingerprint are the
// same recording in practice, which is good enough to skip reading one, and not good enough to delete one.
func Print(r io.ReaderAt, size int64) (footage.Digest, error) {
	p := printer{r: r, sum: sha256.New(), size: size, buf: make([]byte, indexSize)}
	p.sum.Write(binary.BigEndian.AppendUint64([]byte(printVersion), uint64(max(size, 0))))
	if size <= wholeSize {
		p.add(0, size)
	} else {
		p.add(0, endSize)
		p.add(size-endSize, endSize)
		for i := range int64(places) {
			p.add(size/(places+1)*(i+1), placeSize)
		}
		for at := int64(endSize); at < size/2; at *= 2 {
			p.add(at, placeSize)
			p.add(size-at, placeSize)
		}
		p.addBoxes()
	}
	if p.err != nil {
		return footage.Digest{}, p.err
	}
	return footage.Digest(p.sum.Sum(nil)), nil
}

// PrintOf returns the fingerprint of the file at a path. head is its first bytes, at most footage.SniffLen.
func PrintOf(path string) (sum footage.Digest, head []byte, err error) {
	f, err := openRegular(path)
	if err != nil {
		return footage.Digest{}, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return footage.Digest{}, nil, err
	}
	head = make([]byte, min(footage.SniffLen, info.Size()))
	if _, err := f.ReadAt(head, 0); err != nil {
		return footage.Digest{}, nil, fmt.Errorf("read the head of %s: %w", footage.SafePath(path), err)
	}
	sum, err = Print(f, info.Size())
	if err != nil {
		return footage.Digest{}, nil, fmt.Errorf("fingerprint of %s: %w", footage.SafePath(path), err)
	}
	return sum, head, nil
}

// Head returns the first bytes of a regular file, at most n.
func Head(path string, n int64) ([]byte, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, n))
}

type printer struct {
	r    io.ReaderAt
	sum  hash.Hash
	size int64
	buf  []byte
	err  error
}

// add reads a part of the file into the digest, with its place.
func (p *printer) add(at, n int64) {
	n = min(n, p.size-at)
	if p.err != nil || n <= 0 {
		return
	}
	var place [16]byte
	binary.BigEndian.PutUint64(place[:8], uint64(at))
	binary.BigEndian.PutUint64(place[8:], uint64(n))
	p.sum.Write(place[:])
	_, p.err = io.CopyBuffer(writerOnly{p.sum}, io.NewSectionReader(p.r, at, n), p.buf)
}

// writerOnly hides methods of a hash that would bypass the buffer.
type writerOnly struct{ io.Writer }

// addBoxes adds the index and both ends of each top-level box with content.
func (p *printer) addBoxes() {
	for at, n := int64(0), 0; at <= p.size-8 && n < maxBoxes && p.err == nil; n++ {
		kind, size, ok := p.box(at)
		if !ok {
			return // no ISO media file, or cut off
		}
		switch kind {
		case "free", "skip", "wide":
		case "moov":
			p.add(at, min(size, indexSize))
			p.add(at+max(0, size-placeSize), placeSize)
		default:
			p.add(at, min(size, placeSize))
			p.add(at+size/2, min(size-size/2, placeSize))
			p.add(at+max(0, size-placeSize), min(size, placeSize))
		}
		at += size
	}
}

// box reads the header of a top-level box. ok is false for bytes that are none.
func (p *printer) box(at int64) (kind string, size int64, ok bool) {
	var h [16]byte
	n, err := p.r.ReadAt(h[:min(int64(len(h)), p.size-at)], at)
	if n < 8 {
		if err != nil && p.err == nil && !errors.Is(err, io.EOF) {
			p.err = err
		}
		return "", 0, false
	}
	length := uint64(binary.BigEndian.Uint32(h[:4]))
	switch length {
	case 0:
		length = uint64(p.size - at)
	case 1:
		if n < len(h) {
			return "", 0, false
		}
		length = binary.BigEndian.Uint64(h[8:])
	}
	if length < 8 || length > math.MaxInt64 || int64(length) > p.size-at {
		return "", 0, false
	}
	return string(h[4:8]), int64(length), true
}

// openRegular opens a file for reading, without waiting for a FIFO and without following a link.
func openRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &os.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
