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

// priorities maps the beginning of a line of slog's handlers to a syslog priority.
var priorities = []struct{ text, json, prefix string }{
	{"level=DEBUG", `{"level":"DEBUG`, "<7>"},
	{"level=INFO", `{"level":"INFO`, "<6>"},
	{"level=WARN", `{"level":"WARN`, "<4>"},
	{"level=ERROR", `{"level":"ERROR`, "<3>"},
}

// JournalHandler returns the writer and the options that give a slog handler the
// journal's form: a priority before each line, and no time, because the journal
// records its own.
func JournalHandler(w io.Writer, o slog.HandlerOptions) (io.Writer, *slog.HandlerOptions) {
	o.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	return prefixer{w}, &o
}

// prefixer writes the priority before each line. slog's handlers write one line
// per call.
type prefixer struct{ w io.Writer }

// Write implements io.Writer.
func (p prefixer) Write(b []byte) (int, error) {
	for _, q := range priorities {
		if bytes.HasPrefix(b, []byte(q.text)) || bytes.HasPrefix(b, []byte(q.json)) {
			if _, err := p.w.Write(append([]byte(q.prefix), b...)); err != nil {
				return 0, err
			}
			return len(b), nil
		}
	}
	return p.w.Write(b)
}
