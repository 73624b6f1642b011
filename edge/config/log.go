package config

import (
	"io"
	"log/slog"
	"os"

	"cattlecounter/edge/systemd"
	"cattlecounter/shared/logging"
)

// Logger returns the logger that l describes, writing to w, and its level, which
// may be changed at any time. Where the journal reads w, lines have its form.
func Logger(l logging.Config, w *os.File) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(l.Level.Level())
	o, out := &slog.HandlerOptions{Level: level}, io.Writer(w)
	if systemd.ToJournal(w) {
		out, o = systemd.JournalHandler(w, *o)
	}
	return slog.New(l.Format.Handler(out, o)), level
}
