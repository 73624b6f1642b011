package spool

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

const memTable = 8 << 20

// openBadger opens the database and turns Badger's panics on broken files into errors.
func openBadger(dir string, o Options, unsynced *atomic.Int64) (db *badger.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, fmt.Errorf("%v", p)
		}
	}()
	// Sizes for a board with 512 MiB: two memtables and no caches. Values are not compressed,
	// so blocks are read through the page cache.
	return badger.Open(badger.DefaultOptions(dir).
		WithSyncWrites(true).
		WithVerifyValueChecksum(true).
		WithMemTableSize(memTable).
		WithNumMemtables(2).
		WithNumCompactors(2).
		WithNumLevelZeroTables(2).
		WithNumLevelZeroTablesStall(6).
		WithValueThreshold(valueThreshold).
		WithValueLogFileSize(o.LogFile).
		WithValueLogMaxEntries(logEntries).
		WithChecksumVerificationMode(options.OnTableAndBlockRead).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithNumGoroutines(1).
		WithMetricsEnabled(false).
		WithLogger(badgerLog{o.Log, unsynced}))
}

// badgerLog passes Badger's log on. Badger's level "info" becomes "debug", and its debug
// lines are dropped.
type badgerLog struct {
	log *slog.Logger
	// unsynced counts the syncs of the value log that failed. Badger logs such a failure and
	// continues as if the data were safe.
	unsynced *atomic.Int64
}

func (l badgerLog) Errorf(f string, a ...any) {
	if strings.Contains(f, "curlf sync") {
		l.unsynced.Add(1)
	}
	l.log.Error("spool store: " + fmt.Sprintf(f, a...))
}

func (l badgerLog) Warningf(f string, a ...any) { l.log.Warn("spool store: " + fmt.Sprintf(f, a...)) }
func (l badgerLog) Infof(f string, a ...any)    { l.log.Debug("spool store: " + fmt.Sprintf(f, a...)) }
func (l badgerLog) Debugf(string, ...any)       {}
