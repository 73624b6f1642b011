package uplink

import (
	"io"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
)

// chunkReader streams a file from the spool. It holds one chunk in memory.
type chunkReader struct {
	spool  content
	id     footage.ID
	part   spool.Part
	file   *footage.File
	at     int64           // offset of the next byte
	most   func() int      // how many bytes to read at once
	wait   func(int) error // until that many bytes may be sent, or the transfer ends
	budget *Budget
	moved  func(at int64)
	index  int // of the chunk in chunk, -1 for none
	chunk  []byte
	buffer []byte
}

// Read implements io.Reader.
func (r *chunkReader) Read(b []byte) (int, error) {
	if r.at >= r.file.Size {
		return 0, io.EOF
	}
	if i := int(r.at / footage.ChunkSize); i != r.index {
		c, err := r.spool.Chunk(r.id, r.part, r.file.Chunks[i], r.buffer)
		if err != nil {
			return 0, err
		}
		r.chunk, r.buffer, r.index = c, c, i
	}
	rest := r.chunk[r.at%footage.ChunkSize:]
	n, err := r.budget.body(min(len(b), len(rest), r.most()))
	if err != nil {
		return 0, err
	}
	if err := r.wait(n); err != nil {
		return 0, err
	}
	copy(b, rest[:n])
	r.at += int64(n)
	r.moved(r.at)
	return n, nil
}
