package certificate

import (
	"context"
	"log/slog"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// bridgeLog returns a logger for the ACME library. Its errors become warnings, because a certificate is in use or will be
// got again; the rest is for debugging.
func bridgeLog(log *slog.Logger) *zap.Logger { return zap.New(&core{log: log}) }

// core implements zapcore.Core.
type core struct {
	log    *slog.Logger
	fields []zapcore.Field
}

// Enabled implements zapcore.Core.
func (c *core) Enabled(l zapcore.Level) bool { return c.log.Enabled(context.Background(), levelOf(l)) }

// With implements zapcore.Core.
func (c *core) With(more []zapcore.Field) zapcore.Core {
	return &core{log: c.log, fields: append(append([]zapcore.Field{}, c.fields...), more...)}
}

// Check implements zapcore.Core.
func (c *core) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return checked.AddCore(e, c)
	}
	return checked
}

// Write implements zapcore.Core.
func (c *core) Write(e zapcore.Entry, more []zapcore.Field) error {
	values := zapcore.NewMapObjectEncoder()
	for _, f := range append(append([]zapcore.Field{}, c.fields...), more...) {
		f.AddTo(values)
	}
	var attrs []slog.Attr
	for name, key := range map[string]string{"identifier": "domain", "issuer": "issuer", "error": "err", "retrying_in": "retrying_in",
		"attempt": "attempt", "challenge_type": "challenge"} {
		if v, ok := values.Fields[name]; ok {
			attrs = append(attrs, slog.Any(key, v))
		}
	}
	c.log.LogAttrs(context.Background(), levelOf(e.Level), "acme: "+e.Message, attrs...)
	return nil
}

// Sync implements zapcore.Core.
func (*core) Sync() error { return nil }

func levelOf(l zapcore.Level) slog.Level {
	if l >= zapcore.ErrorLevel {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}
