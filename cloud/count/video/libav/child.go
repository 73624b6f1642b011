// Package libav decodes video with FFmpeg's libraries in a child process that has no files, no network and bounded
// memory: footage comes from outside, and decoders of video have faults. The child is this same program under another
// name; it turns into the decoder before Go begins (child.c). ADR 23 has the reasons. The package also encodes the annotated
// video, in this process: an Encoder reads only pictures that the program has made.
package libav

// #cgo CFLAGS: -std=gnu11 -O2 -Wall
// #cgo pkg-config: libavformat libavcodec libavutil libswscale libseccomp
import "C"

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"cattlecounter/cloud/count/video"
	"cattlecounter/shared/footage"
)

// childName is the name of a process that is a decoder. child.c has the same.
const childName = "cattlecounter-decoder"

// formats are the demuxers of FFmpeg for the containers.
var formats = map[footage.Container]string{
	footage.MP4: "mov", footage.MKV: "matroska", footage.AVI: "avi", footage.TS: "mpegts",
}

// child is a running decoder. It belongs to one goroutine.
type child struct {
	cmd     *exec.Cmd
	events  *eventReader
	orders  *os.File
	memory  *os.File // holds the picture
	picture []byte   // memory, mapped after size
	answers *answers // nil for a file
	stderr  bytes.Buffer
	ended   bool
	exit    error
}

// start starts a decoder of one clip. file is the open clip, nil when content answers its reads.
func start(c Config, kind footage.Container, file *os.File, content io.ReaderAt, size int64,
	more ...string) (*child, error) {
	ours, theirs, err := openPipes(file == nil)
	if err != nil {
		return nil, fmt.Errorf("start the decoder: %w", err)
	}
	defer closeAll(theirs...)
	ch := &child{events: newEventReader(ours[0]), orders: ours[1], memory: ours[2]}
	input := file
	if file == nil {
		input = theirs[3]
		ch.answers = answer(ours[3], content, size)
	}
	ch.cmd = &exec.Cmd{
		Path: "/proc/self/exe",
		Args: append([]string{childName, formats[kind], strconv.FormatInt(size, 10), boolean(file == nil),
			strconv.Itoa(c.Threads), strconv.FormatInt(c.Limits.Pixels, 10), strconv.FormatInt(int64(c.Limits.Memory), 10),
			strconv.FormatInt(int64(c.Limits.CPU.Seconds()), 10), c.Hardware, c.Device, boolean(!c.Relaxed)}, more...),
		Env: libraryPath(), Dir: "/",
		ExtraFiles:  []*os.File{theirs[0], theirs[1], ours[2], input},
		Stderr:      &limited{b: &ch.stderr},
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true}, // an interrupt of the terminal is for the worker
	}
	if err := ch.cmd.Start(); err != nil {
		ch.ended = true
		return nil, errors.Join(fmt.Errorf("start the decoder: %w", err), ch.close())
	}
	return ch, nil
}

// libraryPath is the environment of a child: only where its libraries are, when the parent knows.
func libraryPath() []string {
	const name = "LD_LIBRARY_PATH"
	if path := os.Getenv(name); path != "" {
		return []string{name + "=" + path}
	}
	return []string{} // nil would be the environment of the parent
}

func boolean(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// openPipes opens the files between parent and child: events, orders, memory of the picture and, when asked, a socket
// for reads. theirs are for the child.
func openPipes(socket bool) (ours, theirs []*os.File, err error) {
	defer func() {
		if err != nil {
			closeAll(append(ours, theirs...)...)
		}
	}()
	eventsR, eventsW, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	ours, theirs = append(ours, eventsR), append(theirs, eventsW)
	ordersR, ordersW, err := os.Pipe()
	if err != nil {
		return ours, theirs, err
	}
	ours, theirs = append(ours, ordersW), append(theirs, ordersR)
	fd, err := unix.MemfdCreate("picture", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return ours, theirs, err
	}
	ours, theirs = append(ours, os.NewFile(uintptr(fd), "picture")), append(theirs, nil)
	if !socket {
		return ours, theirs, nil
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return ours, theirs, err
	}
	if err := unix.SetNonblock(pair[0], true); err != nil {
		return ours, theirs, err
	}
	return append(ours, os.NewFile(uintptr(pair[0]), "reads")), append(theirs, os.NewFile(uintptr(pair[1]), "reads")), nil
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close() // nothing was written
		}
	}
}

// picturePadding is how many bytes the memory of the picture is larger than the picture (child.h).
const picturePadding = 256

// size makes the picture as large as w x h pixels, maps it, and takes the right to change its size from the child: a
// file that shrinks below a mapping would kill this process.
func (ch *child) size(w, h int) error {
	n := w * h * 3
	if err := ch.memory.Truncate(int64(n + picturePadding)); err != nil {
		return fmt.Errorf("memory for a picture of %dx%d pixels: %w", w, h, err)
	}
	seals := unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(ch.memory.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return fmt.Errorf("seal the picture: %w", err)
	}
	b, err := unix.Mmap(int(ch.memory.Fd()), 0, n, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map a picture of %dx%d pixels: %w", w, h, err)
	}
	ch.picture = b
	return nil
}

// order asks for the picture n frames further on.
func (ch *child) order(n int) error {
	b := [4]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}
	_, err := ch.orders.Write(b[:])
	return err
}

// wait waits for the end of the process, which must be certain, and returns how it ended.
func (ch *child) wait() error {
	if !ch.ended {
		ch.ended = true
		ch.exit = ch.cmd.Wait()
	}
	return ch.exit
}

// kill ends the process.
func (ch *child) kill() {
	if !ch.ended {
		_ = ch.cmd.Process.Kill() // it fails only for a process that has ended
		_ = ch.wait()
	}
}

// close ends the process and frees everything.
func (ch *child) close() error {
	ch.kill()
	var err error
	if ch.picture != nil {
		err = unix.Munmap(ch.picture)
		ch.picture = nil
	}
	closeAll(ch.events.file, ch.orders, ch.memory)
	if ch.answers != nil {
		ch.answers.close()
	}
	return err
}

// death describes how the process ended without a last event.
func (ch *child) death() error {
	var exit *exec.ExitError
	if err := ch.wait(); errors.As(err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			switch status.Signal() {
			case syscall.SIGXCPU:
				return fmt.Errorf("decoding takes more processor time than the limit: %w", video.ErrLimit)
			case syscall.SIGKILL:
				return fmt.Errorf("the decoder was killed, probably because the machine has no memory left: %w", video.ErrLimit)
			}
			return fmt.Errorf("the decoder crashed (%v); the file is damaged or crafted: %w", status.Signal(), video.ErrDecode)
		}
	}
	return fmt.Errorf("the decoder ended without a result (%s) %s: %w", fmt.Sprint(ch.exit), printable(ch.stderr.String()),
		video.ErrDecode)
}

// limited keeps the first bytes of the child's messages.
type limited struct{ b *bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	const most = 4 << 10
	l.b.Write(p[:min(len(p), max(0, most-l.b.Len()))])
	return len(p), nil
}
