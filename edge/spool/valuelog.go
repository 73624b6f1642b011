package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"slices"
)

// Badger's log files, the value log and the write-ahead logs of its memtables,
// hold one entry after the other behind a header of 20 bytes:
//
//	meta 1 | user meta 1 | key length, value length, expiry: uvarint | key | value | CRC-32C, big endian
//
// The last eight bytes of a key are math.MaxUint64 minus its version. Badger itself stops
// reading at the first damaged entry. This reader continues behind it, so that one bad
// sector does not hide the rest of a file.
const (
	logHeader   = 20
	metaDeleted = 1 << 0 // bitDelete
	metaPointer = 1 << 1 // bitValuePointer
	versionLen  = 8
	crcLen      = 4
	// longestKey bounds the keys of this package, so that a key's length is one byte.
	longestKey = 127
	// longestEntry bounds an entry of this package: a chunk, or the manifest of a file of 250 GB.
	longestEntry = 8 << 20
	shortestHead = 5
)

// keyKinds are the first two bytes of the keys of this package and of Badger's own.
var keyKinds = []string{"c/", "f/", "g/", "h/", "m/", "o/", "r/", "s/", "x/", "!b"}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// entry is one entry of a log. Key and Value are valid until the next one.
type entry struct {
	Key     []byte // without its version
	Version uint64
	Value   []byte
	Deleted bool
	Pointer bool // the value is a place in the value log
	Offset  int64
	Length  int
}

// span is a part of a file without a readable entry where one was expected.
type span struct{ From, To int64 }

// scanLog calls visit for every entry of a log whose checksum is right, in the order of the
// file. It returns the damaged parts between the entries. Zeroes before an entry, as a power
// cut leaves them, are damage; the zeroes that Badger keeps behind the last entry are not.
// Memory is bounded by two entries of the largest size.
func scanLog(path string, visit func(entry) error) ([]span, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	damage, err := scanEntries(&window{r: f, at: logHeader}, visit)
	if err != nil {
		return damage, fmt.Errorf("%s: %w", path, err)
	}
	return damage, nil
}

func scanEntries(w *window, visit func(entry) error) ([]span, error) {
	var damage []span
	// bad is where the damage began; dirty is the end of its last byte that is not zero.
	bad, dirty := int64(-1), int64(-1)
	for {
		b, err := w.peek(longestEntry)
		if err != nil {
			return damage, err
		}
		if len(b) == 0 {
			if bad >= 0 && dirty > bad {
				damage = append(damage, span{From: bad, To: dirty})
			}
			return damage, nil
		}
		e, n := parseEntry(b)
		if n == 0 {
			if bad < 0 {
				bad = w.at
			}
			n = nextCandidate(b)
			if used := bytes.TrimRight(b[:n], "\x00"); len(used) > 0 {
				dirty = w.at + int64(len(used))
			}
			w.skip(n)
			continue
		}
		if bad >= 0 {
			damage, bad = append(damage, span{From: bad, To: w.at}), -1
		}
		e.Offset, e.Length = w.at, n
		if err := visit(e); err != nil {
			return damage, err
		}
		w.skip(n)
	}
}

// nextCandidate returns the distance to the next place where an entry may begin.
func nextCandidate(b []byte) int {
	for i := 1; i+shortestHead < len(b); i++ {
		if klen := b[i+2]; klen > versionLen && klen <= longestKey && b[i]&^metaBits == 0 {
			return i
		}
	}
	return max(1, len(b)-shortestHead)
}

// metaBits are the bits that Badger may set in an entry's meta byte.
const metaBits = 1<<0 | 1<<1 | 1<<2 | 1<<3 | 1<<4 | 1<<6 | 1<<7

// parseEntry reads the entry at the beginning of b and returns its length. The length is 0
// when there is no entry or its checksum is wrong.
func parseEntry(b []byte) (entry, int) {
	if len(b) < shortestHead || b[0]&^metaBits != 0 {
		return entry{}, 0
	}
	at := 2
	var field [3]uint64
	for i := range field {
		v, n := binary.Uvarint(b[at:])
		if n <= 0 {
			return entry{}, 0
		}
		field[i], at = v, at+n
	}
	klen, vlen := field[0], field[1]
	if klen <= versionLen || klen > longestKey || vlen > longestEntry {
		return entry{}, 0
	}
	end := at + int(klen) + int(vlen)
	// The key is compared before the checksum, because a checksum takes long and a damaged
	// part is tried at every byte.
	if end+crcLen > len(b) || !slices.Contains(keyKinds, string(b[at:at+2])) ||
		crc32.Checksum(b[:end], castagnoli) != binary.BigEndian.Uint32(b[end:]) {
		return entry{}, 0
	}
	key := b[at : at+int(klen)]
	name := key[:len(key)-versionLen]
	return entry{
		Key:     name,
		Version: math.MaxUint64 - binary.BigEndian.Uint64(key[len(name):]),
		Value:   b[at+int(klen) : end],
		Deleted: b[0]&metaDeleted != 0,
		Pointer: b[0]&metaPointer != 0,
	}, end + crcLen
}

// window is a moving view of a file.
type window struct {
	r    io.ReaderAt
	at   int64 // offset of the first byte of buf[from:to]
	buf  []byte
	from int
	to   int
	end  bool
}

// peek returns the next n bytes, fewer at the end of the file.
func (w *window) peek(n int) ([]byte, error) {
	if w.to-w.from < n && !w.end {
		if w.buf == nil {
			w.buf = make([]byte, 2*n)
		}
		copy(w.buf, w.buf[w.from:w.to])
		w.from, w.to = 0, w.to-w.from
		got, err := w.r.ReadAt(w.buf[w.to:], w.at+int64(w.to))
		w.to += got
		if errors.Is(err, io.EOF) {
			w.end = true
		} else if err != nil {
			return nil, err
		}
	}
	return w.buf[w.from:w.to], nil
}

func (w *window) skip(n int) { w.from, w.at = w.from+n, w.at+int64(n) }

// readEntry reads a known entry again. The error wraps ErrDamaged when the entry changed.
func readEntry(f io.ReaderAt, offset int64, length int) (entry, error) {
	b := make([]byte, length)
	if _, err := f.ReadAt(b, offset); err != nil && !errors.Is(err, io.EOF) {
		return entry{}, err
	}
	e, n := parseEntry(b)
	if n != length {
		return entry{}, fmt.Errorf("entry at byte %d: %w", offset, ErrDamaged)
	}
	e.Offset, e.Length = offset, n
	return e, nil
}
