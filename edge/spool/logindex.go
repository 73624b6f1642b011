package spool

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// place is where a store's logs have the newest version of a key.
type place struct {
	file    string // base name
	offset  int64
	length  int
	version uint64
	deleted bool
}

// logIndex is the content of a store's logs, read without its tables: the newest version of
// every key, and the parts that could not be read.
type logIndex struct {
	dir    string
	keys   map[string]place
	damage map[string][]span // by base name
	files  []string          // value logs, oldest first
}

// logFiles lists the files of a store with a suffix, by number.
func logFiles(dir, suffix string) ([]string, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range list {
		if strings.HasSuffix(e.Name(), suffix) && e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// indexLogs reads every log of a store and changes nothing. It knows only deletions that are
// still in a write-ahead log. So a key that was deleted long ago may appear, and a record
// counts more than a chunk.
func indexLogs(dir string) (*logIndex, error) {
	x := &logIndex{dir: dir, keys: map[string]place{}, damage: map[string][]span{}}
	values, err := logFiles(dir, ".vlog")
	if err != nil {
		return nil, err
	}
	ahead, err := logFiles(dir, ".mem")
	if err != nil {
		return nil, err
	}
	x.files = values
	for _, name := range slices.Concat(ahead, values) {
		err := x.add(name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	return x, nil
}

func (x *logIndex) add(name string) error {
	damage, err := scanLog(filepath.Join(x.dir, name), func(e entry) error {
		if e.Key[0] == '!' || e.Pointer {
			return nil
		}
		old, known := x.keys[string(e.Key)]
		if !known || e.Version >= old.version {
			x.keys[string(e.Key)] = place{file: name, offset: e.Offset, length: e.Length, version: e.Version, deleted: e.Deleted}
		}
		return nil
	})
	if len(damage) > 0 {
		x.damage[name] = damage
	}
	return err
}

// damagedParts returns how many parts of the logs are damaged, and their bytes.
func (x *logIndex) damagedParts() (parts int, bytes int64) {
	for _, spans := range x.damage {
		parts += len(spans)
		for _, s := range spans {
			bytes += s.To - s.From
		}
	}
	return parts, bytes
}

// liveKeys returns the keys that are not deleted, by file, in the order of the file.
func (x *logIndex) liveKeys() map[string][]string {
	by := map[string][]string{}
	for key, p := range x.keys {
		if !p.deleted {
			by[p.file] = append(by[p.file], key)
		}
	}
	for _, keys := range by {
		slices.SortFunc(keys, func(a, b string) int { return int(x.keys[a].offset - x.keys[b].offset) })
	}
	return by
}

// readValue reads the newest version of a key. It fails with ErrNotFound when there is none.
func (x *logIndex) readValue(key []byte) ([]byte, error) {
	p, ok := x.keys[string(key)]
	if !ok || p.deleted {
		return nil, ErrNotFound
	}
	f, err := os.Open(filepath.Join(x.dir, p.file))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	e, err := readEntry(f, p.offset, p.length)
	return e.Value, err
}
