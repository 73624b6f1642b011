package process

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestStopEndsProgramAndTailReadsLog(t *testing.T) {
	c, err := Start("talker", t.TempDir(), []string{"GREETING=moo"}, "/bin/sh", "-c", `echo "$GREETING"; trap 'exit 0' TERM; while :; do sleep 0.05; done`)
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.After(time.Minute)
	for !strings.Contains(c.Tail(100), "moo") {
		select {
		case <-deadline:
			t.Fatal("the log stayed empty for a minute")
		case <-time.After(10 * time.Millisecond):
		}
	}
	if err := c.Stop(time.Minute); err != nil || c.Err() != nil {
		t.Errorf("stop: %v, exit: %v", err, c.Err())
	}
}

func TestProgramThatIgnoresSigtermIsKilled(t *testing.T) {
	c, err := Start("stubborn", t.TempDir(), nil, "/bin/sh", "-c", `trap '' TERM; echo ready; while :; do sleep 0.05; done`)
	if err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(c.Tail(100), "ready") {
		<-time.After(time.Millisecond)
	}
	if err := c.Stop(50 * time.Millisecond); err == nil || !strings.Contains(err.Error(), "stubborn") {
		t.Errorf("error %v", err)
	}
}

func TestCPUOfABusyProgram(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc, which needs Linux")
	}
	c, err := Start("busy", t.TempDir(), nil, "/bin/sh", "-c", "while :; do :; done")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Kill()
	for end := time.Now().Add(time.Minute); ; {
		switch used, err := c.CPU(); {
		case err != nil:
			t.Fatal(err)
		case used >= 50*time.Millisecond:
			return
		case time.Now().After(end):
			t.Fatalf("%s of processor time after a minute of work", used)
		}
		<-time.After(time.Millisecond)
	}
}

func TestWaitHTTPReportsLogOfEndedProgram(t *testing.T) {
	c, err := Start("failing", t.TempDir(), nil, "/bin/sh", "-c", "echo no such model; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.WaitHTTP(ctx, "http://127.0.0.1:1/"); !errors.Is(err, ErrEnded) || !strings.Contains(err.Error(), "no such model") {
		t.Errorf("error %v", err)
	}
}
