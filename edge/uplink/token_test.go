package uplink

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/secret"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestTokenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, "cc_one\n")
	var log bytes.Buffer
	tok := NewToken(secret.New("cc_one"), path, slog.New(slog.NewTextHandler(&log, nil)))
	before := tok.Current()
	if before.Reveal() != "cc_one" || tok.renewed(before) {
		t.Error(before.Reveal())
	}
	for _, bad := range []string{"", " \n", "two words", strings.Repeat("x", maxToken+1), "\x00"} {
		write(t, path, bad)
		for range 2 {
			if got := tok.Current(); got.Reveal() != "cc_one" {
				t.Errorf("%.10q counts as a token", bad)
			}
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if tok.Current().Reveal() != "cc_one" {
		t.Error("the token is lost with its file")
	}
	write(t, path, "cc_two\n")
	if tok.Current().Reveal() != "cc_two" || !tok.renewed(before) {
		t.Error("the new token is not read")
	}
	// A file with the same size and time, as on a card with times of two seconds, is read
	// only after a refusal.
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	before = tok.Current()
	write(t, path, "cc_six\n")
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if !tok.renewed(before) || tok.Current().Reveal() != "cc_six" {
		t.Error("not read after a refusal")
	}
	if strings.Contains(log.String(), "cc_") || strings.Count(log.String(), "level=WARN") > 3 {
		t.Errorf("log:\n%s", log.String())
	}
}

// The cloud refuses the old token in the middle of a file. With the new token in its file the
// same upload resumes, without a restart.
func TestTokenRenewedMidFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "token")
		write(t, path, token)
		st := newBubble(t, func(co *CloudOptions, _ *Options) { co.Token = NewToken(secret.New(token), path, nil) })
		st.cloud.CutAfter = 3 << 20
		st.cloud.Cut = func(http.ResponseWriter) {
			st.cloud.Lock()
			st.cloud.Token, st.cloud.CutAfter = "cc_next", 0
			st.cloud.Unlock()
			panic(http.ErrAbortHandler)
		}
		r := st.add("renew.mp4", 8<<20, false)
		st.run()
		after(20 * time.Second)
		rec := st.record(r.ID)
		if l := st.up.Link(); l.State != LinkRefused || !strings.Contains(rec.Waiting, "token refused") {
			t.Errorf("%+v, waiting %q", l, rec.Waiting)
		}
		write(t, path, "cc_next")
		after(11 * time.Second)
		if rec := st.record(r.ID); rec.State != spool.Reclaimed {
			t.Errorf("got record %+v", rec)
		}
		if st.received() != 8<<20 || len(st.cloud.Uploads) != 1 {
			t.Errorf("%d bytes in %d uploads", st.received(), len(st.cloud.Uploads))
		}
	})
}

// A token that was renewed between request and answer is used at once.
func TestTokenRenewedBeforeTheAnswer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, token)
	st := newStation(t, func(co *CloudOptions, _ *Options) { co.Token = NewToken(secret.New(token), path, nil) })
	st.cloud.Token = "cc_next"
	st.cloud.Before = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			_ = os.WriteFile(path, []byte("cc_next"), 0o600)
		}
		return false
	}
	r := st.add("t.mp4", 1000, false)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := st.up.transfer(ctx, r); err == nil {
		t.Fatal("the old token was accepted")
	} else if pause := st.up.handleResult(ctx, r, err); pause != 0 {
		t.Errorf("waits %s although the new token is there", pause)
	}
	if err := st.up.transfer(ctx, st.record(r.ID)); err != nil {
		t.Error(err)
	}
}

// A station without footage also learns that its token is refused, and that a new one is accepted.
func TestRefusedTokenWithoutFootage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "token")
		write(t, path, token)
		st := newBubble(t, func(co *CloudOptions, _ *Options) { co.Token = NewToken(secret.New(token), path, nil) })
		st.run()
		after(time.Second)
		if l := st.up.Link(); l.State != LinkUp {
			t.Fatalf("%+v", l)
		}
		st.cloud.Lock()
		st.cloud.Token = "cc_next"
		st.cloud.Unlock()
		after(2 * probeEvery)
		if l := st.up.Link(); l.State != LinkRefused || !strings.Contains(l.Detail, "HTTP 401") {
			t.Errorf("%+v", l)
		}
		write(t, path, "cc_next")
		after(2 * probeEvery)
		if l := st.up.Link(); l.State != LinkUp {
			t.Errorf("%+v", l)
		}
	})
}
