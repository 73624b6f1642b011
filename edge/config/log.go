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
// form where the journal reads w, and the level, which may be changed at any
// time. Log must be valid.
func (l Log) Logger(w *os.File) (*slog.Logger, *slog.LevelVar) {
	level, err := l.level()
	if err != nil {
		level = slog.LevelInfo
	}
	now := new(slog.LevelVar)
	now.Set(level)
	o, out := &slog.HandlerOptions{Level: now}, io.Writer(w)
	if systemd.ToJournal(w) {
		out, o = systemd.JournalHandler(w, *o)
	}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(out, o)), now
	}
	return slog.New(slog.NewTextHandler(out, o)), now
}
