package systemd

import (
	"bytes"
	"io"
	"log/slog"
	"os"

	"github.com/coreos/go-systemd/v22/journal"
)

// ToJournal reports whether w is standard error and the journal reads it
// (JOURNAL_STREAM, systemd.exec(5)).
func ToJournal(w *os.File) bool {
	if w == nil || w.Fd() != os.Stderr.Fd() {
		return false
	}
	is, err := journal.StderrIsJournalStream()
	return err == nil && is
}

// priorities are syslog's, by the level that begins a line of slog's handlers.
var priorities = []struct{ text, json, prefix string }{
	{"level=DEBUG", `{"level":"DEBUG`, "<7>"},
	{"level=INFO", `{"level":"INFO`, "<6>"},
	{"level=WARN", `{"level":"WARN`, "<4>"},
	{"level=ERROR", `{"level":"ERROR`, "<3>"},
}

// JournalHandler brings slog's handlers into the journal's form: no time, which
// the journal has of its own, and the level as a priority before the line. It
// returns the writer and the options to make the handler with.
func JournalHandler(w io.Writer, o slog.HandlerOptions) (io.Writer, *slog.HandlerOptions) {
	o.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	return lines{w}, &o
}

// lines puts the priority before each line; slog's handlers write a line at a
// time.
type lines struct{ w io.Writer }

// Write implements io.Writer.
func (l lines) Write(b []byte) (int, error) {
	for _, p := range priorities {
		if bytes.HasPrefix(b, []byte(p.text)) || bytes.HasPrefix(b, []byte(p.json)) {
			if _, err := l.w.Write(append([]byte(p.prefix), b...)); err != nil {
				return 0, err
			}
			return len(b), nil
		}
	}
	return l.w.Write(b)
}
