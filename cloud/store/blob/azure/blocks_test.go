package azure

import (
	"slices"
	"testing"
)

func TestBlockIDs(t *testing.T) {
	for _, b := range []block{{0, 1}, {firstBlock, firstBlock}, {200 << 30, 4 * firstBlock}} {
		if got, ok := parseBlock(b.id(), b.length); !ok || got != b || len(b.id()) != len(block{}.id()) {
			t.Errorf("%+v became %+v %t", b, got, ok)
		}
		if _, ok := parseBlock(b.id(), b.length+1); ok {
			t.Errorf("%+v has another length on the service and is accepted", b)
		}
	}
	for _, id := range []string{"", "AAAA", "!", block{-5, 3}.id(), block{0, 0}.id()} {
		if _, ok := parseBlock(id, 3); ok {
			t.Errorf("%q is accepted", id)
		}
	}
}

func FuzzParseBlock(f *testing.F) {
	f.Add(block{7, 9}.id(), int64(9))
	f.Fuzz(func(t *testing.T, id string, length int64) {
		if b, ok := parseBlock(id, length); ok && (b.length != length || b.offset < 0 || b.end() <= b.offset) {
			t.Errorf("%q: %+v", id, b)
		}
	})
}

func TestContiguousFrom(t *testing.T) {
	loose := []block{{10, 5}, {0, 4}, {0, 10}, {15, 1}, {17, 9}, {12, 4}}
	if got, want := contiguousFrom(0, loose), []block{{0, 10}, {10, 5}, {15, 1}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := contiguousFrom(3, loose); got != nil {
		t.Errorf("%v", got)
	}
}

// A file of 200 GB has room in a blob, with full blocks and also when the file arrived in
// millions of pieces.
func TestNumberOfBlocks(t *testing.T) {
	const large = 200_000_000_000
	n := 0
	for at := int64(0); at < large; at += blockSize(at) {
		n++
	}
	if n != 24_721 {
		t.Errorf("%d blocks", n)
	}
	var blocks []block
	most := 0
	for at := int64(0); at < large; {
		keep, from := mergeableTail(blocks, manyBlocks)
		next := at + 5_000_000
		for blocks = keep; from < next; {
			b := block{from, min(blockSize(from), next-from)}
			blocks, from = append(blocks, b), b.end()
		}
		at, most = next, max(most, len(blocks))
	}
	if most > 30_000 || size(blocks) != large {
		t.Errorf("%d blocks, %d bytes", most, size(blocks))
	}
	t.Logf("%d blocks at most", most)
}
