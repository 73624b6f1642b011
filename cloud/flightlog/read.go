package flightlog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// startLen is how many bytes of a file its form is recognised by: the names of the columns of a table are long.
const startLen = 1 << 16

// form is one form of flight log in a text. is gets the first startLen bytes, as UTF-8 without byte order mark.
type form struct {
	is   func(start []byte) bool
	read func(io.Reader) (*Log, error)
}

// forms are the text forms, in the order in which they are tried. A text that is none of them is read as subtitles,
// which have no mark of their own.
var forms = []form{
	{isXML("gpx"), readGPX},
	{isXML("kml"), readKML},
	{isASS, readASS},
	{isTable, readTable},
}

// Read reads a flight log that stands in a file of its own, in any form that the package knows. The form is
// recognised by the content; name, the name of the file or "", only makes errors clearer. UTF-8 and UTF-16 with a
// byte order mark are read alike. Its error wraps ErrNoLog where the bytes are no flight log or have no position,
// and says what they are instead.
func Read(name string, r io.Reader) (*Log, error) {
	b := bufio.NewReaderSize(r, startLen)
	start, err := b.Peek(startLen)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("flight log: %w", err)
	}
	if what := foreign(name, start); what != "" {
		return nil, fmt.Errorf("%w: %s", ErrNoLog, what)
	}
	b = bufio.NewReaderSize(transform.NewReader(b, unicode.BOMOverride(transform.Nop)), startLen)
	start, err = b.Peek(startLen)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("flight log: %w", err)
	}
	for _, f := range forms {
		if f.is(start) {
			return f.read(b)
		}
	}
	return ReadSRT(b)
}

// foreigners are files that are sent in place of a flight log, by their first bytes.
var foreigners = []struct{ start, what string }{
	{"\xff\xd8\xff", "it is a photograph (JPEG)"},
	{"\x89PNG", "it is a picture (PNG)"},
	{"II*\x00", "it is a picture (TIFF)"}, {"MM\x00*", "it is a picture (TIFF)"},
	{"%PDF", "it is a document (PDF)"},
	{"PK\x03\x04", "it is a ZIP archive; unpack it first"},
	{"\x1f\x8b", "it is compressed (gzip); unpack it first"},
	{"\x1aE\xdf\xa3", "it is a video (Matroska)"},
	{"{\\rtf", "it is a document (RTF)"},
}

// foreign says what a file of that name is that starts so and is no text; "" for text.
func foreign(name string, start []byte) string {
	for _, f := range foreigners {
		if bytes.HasPrefix(start, []byte(f.start)) {
			return f.what
		}
	}
	if len(start) >= 8 && isBox(start) {
		return "it is a video (MP4)"
	}
	if isStream(start) {
		return "it is a video (MPEG transport stream)"
	}
	if bytes.HasPrefix(start, []byte("\xff\xfe")) || bytes.HasPrefix(start, []byte("\xfe\xff")) {
		return "" // UTF-16
	}
	// Bytes of no text: a cut card leaves blocks of zeros inside of a text, so zeros alone do not tell.
	odd := 0
	for rest := start; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if r == utf8.RuneError && n <= 1 && len(rest) >= utf8.UTFMax || r < ' ' && r != 0 && r != '\t' &&
			r != '\n' && r != '\r' {
			odd++
		}
		rest = rest[n:]
	}
	if odd*10 <= len(start) {
		return ""
	}
	if ext := strings.ToLower(path.Ext(name)); ext == ".txt" || ext == ".dat" {
		return "it is a flight record of a drone's app or memory, in binary; convert it to CSV first"
	}
	return "it is binary data, not text"
}

// isBox reports whether a file starts with a box of an ISO base media file.
func isBox(start []byte) bool {
	switch string(start[4:8]) {
	case "ftyp", "moov", "mdat", "wide", "free", "skip", "moof":
		return true
	}
	return false
}

// ReadVideo reads the flight log that a drone stored inside a video. size is the length of r in bytes. It seeks to
// the log and does not read the pictures. Its error wraps ErrNoLog where the video has no log of a known form, or
// has one without any position.
func ReadVideo(r io.ReaderAt, size int64) (*Log, error) {
	start := make([]byte, min(size, startLen))
	n, err := r.ReadAt(start, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("flight log inside a video: %w", err)
	}
	for _, c := range containers {
		if c.is(start[:n]) {
			return c.read(r, size)
		}
	}
	return nil, fmt.Errorf("%w: it is no video in a container whose flight log can be read", ErrNoLog)
}

// container is one kind of video file.
type container struct {
	is   func(start []byte) bool
	read func(r io.ReaderAt, size int64) (*Log, error)
}

var containers = []container{
	{func(start []byte) bool { return len(start) >= 8 && isBox(start) }, readMP4},
	{isStream, readTransport},
}
