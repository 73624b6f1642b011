package logging

import (
	"log/slog"
	"os"
	"strings"
	"testing"
)

func TestLevelText(t *testing.T) {
	for text, want := range map[string]slog.Level{"debug": slog.LevelDebug, "INFO": slog.LevelInfo, "Warn": slog.LevelWarn, "error": slog.LevelError, "info+2": 2} {
		var l Level
		if err := l.UnmarshalText([]byte(text)); err != nil || l.Level() != want {
			t.Errorf("%s: %v, %v", text, l, err)
		}
		if back, err := l.MarshalText(); err != nil || string(back) != strings.ToLower(text) {
			t.Errorf("%s comes back as %q, %v", text, back, err)
		}
	}
	l := Level(slog.LevelWarn)
	if err := l.UnmarshalText([]byte("loud")); err == nil || !strings.Contains(err.Error(), `"loud" is not debug, info, warn or error`) {
		t.Error(err)
	}
	if l.Level() != slog.LevelWarn {
		t.Errorf("a refused text changed the level to %v", l)
	}
}

func TestFormatIsChecked(t *testing.T) {
	for f, want := range map[Format]string{Text: "", JSON: "", "xml": `"xml" is neither text nor json`, "": `"" is neither`} {
		if err := f.Validate(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", f, err)
		}
	}
}

func TestLoggerHasLevelAndFormat(t *testing.T) {
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Default(), "level=INFO msg=shown n=1\n"},
		{Config{Level: Level(slog.LevelDebug), Format: JSON}, `"level":"INFO","msg":"shown","n":1}` + "\n"},
		{Config{Level: Level(slog.LevelError), Format: Text}, ""},
	} {
		var out strings.Builder
		log := c.config.Logger(&out)
		log.Info("shown", "n", 1)
		if got := out.String(); !strings.HasSuffix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%+v: %q, want ...%q", c.config, got, c.want)
		}
		if log.Enabled(t.Context(), slog.LevelDebug) != (c.config.Level.Level() == slog.LevelDebug) {
			t.Errorf("%+v: wrong level", c.config)
		}
	}
}

// A file name that turns the direction of text, or that is not UTF-8, cannot disguise a log line.
func TestNamesInLogLines(t *testing.T) {
	var none *os.PathError
	for _, f := range []Format{Text, JSON} {
		var out strings.Builder
		log := slog.New(f.Handler(&out, &slog.HandlerOptions{}))
		log.Info("read", "path", "/card/k\xfche\u202e.mp4", "err", &os.PathError{Op: "open", Path: "\u2066\xe4", Err: os.ErrNotExist},
			"none", none, "lines", "a\nb")
		got := strings.ReplaceAll(out.String(), `\\`, `\`) // both formats quote a backslash in quotes
		for _, want := range []string{`k\xfche\u202e.mp4`, `open \u2066\xe4: file does not exist`, `a\nb`} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q is missing in %s", f, want, got)
			}
		}
	}
}
