package libav

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"cattlecounter/cloud/count/video"
	"cattlecounter/shared/footage"
)

// TestIsolation lets a child attempt what a captured decoder would attempt. Each attempt works in this process, so that
// only the sandbox can be the reason for a refusal.
func TestIsolation(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret.mp4")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if b, err := os.ReadFile(secret); err != nil || len(b) == 0 {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	for name, content := range map[string]io.ReaderAt{"file": nil, "stream": strings.NewReader("secret")} {
		file, err := os.Open(secret)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if content != nil {
			file = nil
		}
		_, port, _ := net.SplitHostPort(l.Addr().String())
		ch, err := start(Config{}.complete(), footage.MP4, file, content, 6, secret, port)
		if err != nil {
			t.Fatal(err)
		}
		e, err := ch.events.next(func() error { return nil })
		if err := errors.Join(err, ch.close()); err != nil {
			t.Fatal(err)
		}
		var attempts map[string]syscall.Errno
		if err := json.Unmarshal(e.content, &attempts); err != nil {
			t.Fatalf("%q: %v", e.content, err)
		}
		for _, attempt := range []string{"open", "create", "stat", "readlink", "socket", "connect", "unix", "execve", "fork",
			"kill", "ptrace", "executable", "truncate", "io_uring"} {
			if errno, made := attempts[attempt]; !made || errno != syscall.EPERM && errno != syscall.ENOSYS {
				t.Errorf("%s: the attempt %s ended with %v (made: %v)", name, attempt, errno, made)
			}
		}
	}
}

// playlist is a manifest that makes FFmpeg open another address.
func playlist(address string) string {
	return fmt.Sprintf(`<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT4S"
	profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period><AdaptationSet contentType="video"><Representation id="1"
	bandwidth="1" width="64" height="48"><BaseURL>%s</BaseURL></Representation></AdaptationSet></Period></MPD>`, address)
}

// dress puts content behind first bytes that look like a container. For a stream it has a sync byte in every packet.
func dress(kind footage.Container, content string) []byte {
	switch kind {
	case footage.MP4:
		head := "\x00\x00\x00\x10ftypisom\x00\x00\x02\x00"
		return append([]byte(head+"\x00\x00\x20\x00free"), content...)
	case footage.MKV:
		return append([]byte("\x1A\x45\xDF\xA3\x80"), content...)
	case footage.AVI:
		return append([]byte("RIFF\x00\x10\x00\x00AVI "), content...)
	}
	const packet = 192
	b := []byte(content)
	for len(b)%packet != 0 || len(b) < 8*packet {
		b = append(b, ' ')
	}
	var out []byte
	for i := 0; i+packet-1 <= len(b); i += packet - 1 { // the sync byte goes between the characters of a comment
		part := b[i : i+packet-1]
		out = append(append(append(out, part[:4]...), 'G'), part[4:]...)
	}
	return out
}

// TestManifests checks that a playlist that is dressed as a video opens nothing else.
func TestManifests(t *testing.T) {
	opened := make(chan struct{}, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
			opened <- struct{}{}
		}
	}()
	defer l.Close()
	other := clip(t, 25)
	for _, address := range []string{"http://" + l.Addr().String() + "/a.mp4", "file://" + other, other} {
		for _, content := range []string{
			playlist(address),
			strings.Repeat(" ", 5) + playlist(address),
			"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n" + address + "\n#EXT-X-ENDLIST\n",
			"ffconcat version 1.0\nfile '" + address + "'\n",
		} {
			for _, kind := range []footage.Container{footage.MP4, footage.MKV, footage.AVI, footage.TS} {
				path := filepath.Join(t.TempDir(), "a."+string(kind))
				if err := os.WriteFile(path, dress(kind, content), 0o600); err != nil {
					t.Fatal(err)
				}
				_, indices, _, err := decode(t, path, 1)
				if err == nil || len(indices) > 0 || !isFault(err) {
					t.Errorf("%s as %s: %d frames, %v", content[:12], kind, len(indices), err)
				}
			}
		}
	}
	select {
	case <-opened:
		t.Error("the decoder connected to an address")
	default:
	}
	if _, indices, _, err := decode(t, other, 1); err != nil || len(indices) != 25 {
		t.Fatalf("the other video itself: %d frames, %v", len(indices), err)
	}
}

// isFault reports whether an error is exactly one class of faults of footage.
func isFault(err error) bool {
	n := 0
	for _, class := range []error{video.ErrEmpty, video.ErrNotVideo, video.ErrTruncated, video.ErrDecode, video.ErrLimit} {
		if errors.Is(err, class) {
			n++
		}
	}
	return n == 1
}
