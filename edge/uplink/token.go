package uplink

import (
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"cattlecounter/shared/secret"
)

// Token is the device's token. One that lives in a file is read again when the
// file changes, so a renewed token needs no restart. It is safe for concurrent
// use.
type Token struct {
	path string // "" for a token that never changes
	log  *slog.Logger

	mu    sync.Mutex
	value secret.String
	stamp stamp
	fault string // of the last reading, said once
}

// stamp tells one content of a file from the next.
type stamp struct {
	at   time.Time
	size int64
}

// maxToken bounds a token file: what is larger is another file.
const maxToken = 4 << 10

// NewToken returns the token that was read from path, which may be "".
func NewToken(value secret.String, path string, log *slog.Logger) *Token {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Token{path: path, value: value, log: log}
}

// Current returns the newest token. While the file is away, empty or cannot be
// read, that is the last one.
func (t *Token) Current() secret.String {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.path == "" {
		return t.value
	}
	info, err := os.Stat(t.path)
	if err != nil {
		t.failed(err.Error())
		return t.value
	}
	if now := (stamp{info.ModTime(), info.Size()}); now != t.stamp && t.read() {
		t.stamp = now
	}
	return t.value
}

// renewed reads the file whatever its time says, and reports whether the token
// is another one than was.
func (t *Token) renewed(was secret.String) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.path != "" {
		t.read()
	}
	return t.value != was
}

// read reports whether the file held a token.
func (t *Token) read() bool {
	b, err := os.ReadFile(t.path)
	text := strings.TrimSpace(string(b))
	switch {
	case err != nil:
		t.failed(err.Error())
		return false
	case text == "" || len(text) > maxToken || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		t.failed("there is no token in it")
		return false
	}
	t.fault = ""
	if next := secret.New(text); next != t.value {
		t.value = next
		t.log.Info("token was renewed", "file", t.path)
	}
	return true
}

func (t *Token) failed(why string) {
	if why != t.fault {
		t.fault = why
		t.log.Warn("token file cannot be used, the last token stays", "file", t.path, "err", why)
	}
}
