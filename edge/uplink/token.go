package uplink

import (
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"cattlecounter/shared/secret"
)

// Token is the device's token. A token in a file is read again when the file changes, so a
// renewed token needs no restart. It is safe for concurrent use.
type Token struct {
	path string // "" for a token that never changes
	log  *slog.Logger

	mu    sync.Mutex
	value secret.String
	stamp stamp
	fault string // of the last read, logged once
}

// stamp identifies one content of a file.
type stamp struct {
	at   time.Time
	size int64
}

// maxToken bounds a token file. A larger file holds no token.
const maxToken = 4 << 10

// NewToken returns a token with the value that was read from path, which may be "".
func NewToken(value secret.String, path string, log *slog.Logger) *Token {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Token{path: path, value: value, log: log}
}

// Current returns the newest token: the last one while the file is missing, empty or not
// readable.
func (t *Token) Current() secret.String {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.path == "" {
		return t.value
	}
	info, err := os.Stat(t.path)
	if err != nil {
		t.logFault(err.Error())
		return t.value
	}
	if now := (stamp{info.ModTime(), info.Size()}); now != t.stamp && t.read() {
		t.stamp = now
	}
	return t.value
}

// renewed reads the file, even with an unchanged time, and reports whether the token differs
// from before.
func (t *Token) renewed(before secret.String) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.path != "" {
		t.read()
	}
	return t.value != before
}

// read reads the file and reports whether it holds a token.
func (t *Token) read() bool {
	b, err := os.ReadFile(t.path)
	text := strings.TrimSpace(string(b))
	switch {
	case err != nil:
		t.logFault(err.Error())
		return false
	case text == "" || len(text) > maxToken || strings.ContainsFunc(text,
		func(r rune) bool { return r <= ' ' || r > '~' }):
		t.logFault("the file holds no token")
		return false
	}
	t.fault = ""
	if next := secret.New(text); next != t.value {
		t.value = next
		t.log.Info("token renewed", "file", t.path)
	}
	return true
}

func (t *Token) logFault(why string) {
	if why != t.fault {
		t.fault = why
		t.log.Warn("cannot use the token file; the last token stays in use", "file", t.path, "err", why)
	}
}
