package interrupt

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var errStopped = errors.New("stopped")

func TestReaderEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	r := Reader(ctx, strings.NewReader("abc"))
	b := make([]byte, 2)
	if n, err := r.Read(b); n != 2 || err != nil {
		t.Fatalf("before the end: %d bytes, error %v", n, err)
	}
	cancel(errStopped)
	if n, err := r.Read(b); n != 0 || !errors.Is(err, errStopped) {
		t.Fatalf("after the end: %d bytes, error %v, want %v", n, err, errStopped)
	}
}

func TestReaderGivesAllBytes(t *testing.T) {
	if b, err := io.ReadAll(Reader(t.Context(), strings.NewReader("abc"))); string(b) != "abc" || err != nil {
		t.Fatalf("read %q, error %v", b, err)
	}
}

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := Pause(t.Context(), time.Minute); err != nil || time.Since(began) != time.Minute {
			t.Errorf("the pause took %s, error %v", time.Since(began), err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errStopped) })
		began = time.Now()
		if err := Pause(ctx, time.Hour); !errors.Is(err, errStopped) || time.Since(began) != time.Second {
			t.Errorf("the interrupted pause took %s, error %v", time.Since(began), err)
		}
	})
}
