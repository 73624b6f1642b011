package config

import (
	"io"
	"log/slog"
	"os"

	"cattlecounter/edge/systemd"
)

func (l Log) level() (slog.Level, error) {
	var v slog.Level
	err := v.UnmarshalText([]byte(l.Level))
	return v, err
}

// Logger returns the logger that Log describes, writing to w, in the journal's
// form where the journal reads w. Log must be valid.
func (l Log) Logger(w *os.File) *slog.Logger {
	level, err := l.level()
	if err != nil {
		level = slog.LevelInfo
	}
	o, out := &slog.HandlerOptions{Level: level}, io.Writer(w)
	if systemd.ToJournal(w) {
		out, o = systemd.JournalHandler(w, *o)
	}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(out, o))
	}
	return slog.New(slog.NewTextHandler(out, o))
}
