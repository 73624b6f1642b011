// Package logging is the log section of a program's configuration, and the logger
// that it describes.
package logging

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"cattlecounter/shared/footage"
)

// Level is a slog.Level that a configuration spells debug, info, warn or error.
// The zero value is info.
type Level slog.Level

// UnmarshalText implements encoding.TextUnmarshaler. Case does not matter; an
// offset such as info+2 is allowed.
func (l *Level) UnmarshalText(text []byte) error {
	var v slog.Level
	if err := v.UnmarshalText(text); err != nil {
		return fmt.Errorf("%q is not debug, info, warn or error", text)
	}
	*l = Level(v)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (l Level) MarshalText() ([]byte, error) {
	return []byte(strings.ToLower(slog.Level(l).String())), nil
}

// Level implements slog.Leveler.
func (l Level) Level() slog.Level { return slog.Level(l) }

// Format is the form of a log line.
type Format string

// Formats.
const (
	Text Format = "text" // key=value
	JSON Format = "json" // one object a line
)

// Validate returns an error for a Format that is neither Text nor JSON.
func (f Format) Validate() error {
	if f != Text && f != JSON {
		return fmt.Errorf("%q is neither %s nor %s", string(f), Text, JSON)
	}
	return nil
}

// Config is the log section.
type Config struct {
	Level  Level  `yaml:"level"`
	Format Format `yaml:"format"`
}

// Default is level info in text.
func Default() Config { return Config{Level: Level(slog.LevelInfo), Format: Text} }

// Logger returns a logger of this level and format that writes whole lines to w.
func (c Config) Logger(w io.Writer) *slog.Logger {
	return slog.New(c.Format.Handler(w, &slog.HandlerOptions{Level: c.Level}))
}

// Handler returns a handler that writes whole lines of this format to w. A format that is not valid gives text. Texts and
// errors may contain the names of files: bytes that are not UTF-8, and control, bidirectional and invisible characters,
// are written as escapes (footage.SafeText).
func (f Format) Handler(w io.Writer, o *slog.HandlerOptions) slog.Handler {
	safe, replace := *o, o.ReplaceAttr
	safe.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if replace != nil {
			a = replace(groups, a)
		}
		return safeAttr(a)
	}
	if f == JSON {
		return slog.NewJSONHandler(w, &safe)
	}
	return slog.NewTextHandler(w, &safe)
}

// safeAttr escapes a text or an error.
func safeAttr(a slog.Attr) slog.Attr {
	text := ""
	switch a.Value.Kind() {
	case slog.KindString:
		text = a.Value.String()
	case slog.KindAny:
		err, ok := a.Value.Any().(error)
		if !ok || err == nil {
			return a
		}
		text = fmt.Sprint(err) // survives an error that is a nil pointer
	default:
		return a
	}
	return slog.String(a.Key, footage.SafeText(text))
}
