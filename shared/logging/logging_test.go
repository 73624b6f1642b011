package logging

import (
	"log/slog"
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
