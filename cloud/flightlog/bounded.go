package flightlog

import (
	"fmt"
	"io"
)

// bounded is a reader for decoders that hold what they are reading in memory, however long it is. It fails when one
// piece, which begins with a call of piece, has more bytes than allowed. It is not safe for concurrent use.
type bounded struct {
	in   io.Reader
	most int // bytes of a piece
	left int
	what string // a piece, for errors
}

// piece begins the next piece of at most so many bytes.
func (b *bounded) piece(what string, most int) { b.what, b.most, b.left = what, most, most }

// Read reads up to the limit of the piece.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("%s is longer than %d bytes", b.what, b.most)
	}
	n, err := b.in.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
