package azure

import (
	"encoding/base64"
	"encoding/binary"
)

// Sizes of blocks. A blob has at most 50,000 blocks, so the blocks grow with the blob:
// 4 MiB up to 40 GiB, 8 MiB up to 120 GiB and 16 MiB beyond. A blob of 200 GB has 24,721
// blocks. The largest possible blob has 581 GiB.
const (
	firstBlock = 4 << 20
	maxBlocks  = 50_000
	// manyBlocks is the number of blocks from which an append merges small ones.
	manyBlocks = 2000
)

var growth = []struct{ below, size int64 }{{40 << 30, firstBlock}, {120 << 30, 2 * firstBlock},
	{1 << 62, 4 * firstBlock}}

// blockSize returns the size of the block that begins at an offset.
func blockSize(offset int64) int64 {
	for _, g := range growth {
		if offset < g.below {
			return g.size
		}
	}
	panic("offset larger than any blob")
}

// block is a part of a staged upload; offset and length are bytes.
type block struct{ offset, length int64 }

func (b block) end() int64 { return b.offset + b.length }

// id names a block by its offset and length. The same part of an upload has the same
// name whenever and by whomever it is sent.
func (b block) id() string { return blockID(uint64(b.offset), uint64(b.length)) }

// blockID makes a name of two numbers. All names of one blob must have the same length.
func blockID(a, b uint64) string {
	raw := binary.BigEndian.AppendUint64(nil, a)
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(raw, b))
}

// parseBlock reads a name that id made. ok is false for any other name.
func parseBlock(id string, length int64) (b block, ok bool) {
	raw, err := base64.StdEncoding.DecodeString(id)
	if err != nil || len(raw) != 16 {
		return block{}, false
	}
	b = block{int64(binary.BigEndian.Uint64(raw[:8])), int64(binary.BigEndian.Uint64(raw[8:]))}
	return b, b.offset >= 0 && b.length > 0 && b.length == length && b.end() > b.offset
}

// contiguousFrom returns the blocks that follow an offset without a gap. Of several
// blocks with the same offset it takes the longest.
func contiguousFrom(from int64, blocks []block) []block {
	longest := map[int64]block{}
	for _, b := range blocks {
		if b.length > longest[b.offset].length {
			longest[b.offset] = b
		}
	}
	var out []block
	for b, ok := longest[from]; ok; b, ok = longest[from] {
		out = append(out, b)
		from = b.end()
	}
	return out
}

func ids(blocks []block) []string {
	out := make([]string, len(blocks))
	for i, b := range blocks {
		out[i] = b.id()
	}
	return out
}

func size(blocks []block) int64 {
	if len(blocks) == 0 {
		return 0
	}
	return blocks[len(blocks)-1].end()
}

// mergeableTail limits the number of blocks. It returns the blocks to keep and the offset
// from which an append sends the content again: the small blocks at the end, which
// together are smaller than one block. It merges when there are at least many blocks.
func mergeableTail(blocks []block, many int) (keep []block, from int64) {
	end := size(blocks)
	if len(blocks) < many {
		return blocks, end
	}
	keep, from = blocks, end
	for n := len(keep); n > 0; n = len(keep) {
		if last := keep[n-1]; end-last.offset >= blockSize(last.offset) {
			break
		} else {
			keep, from = keep[:n-1], last.offset
		}
	}
	return keep, from
}
