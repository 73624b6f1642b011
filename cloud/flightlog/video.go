package flightlog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"golang.org/x/text/encoding/unicode"

	"cattlecounter/cloud/flightlog/tracks"
)

// trackForm is one form of log in a track of an MP4 file.
type trackForm struct {
	is   func(*tracks.Track) bool
	read func(*tracks.Track) (*Log, error)
}

// trackForms are the forms, the one that says most first.
var trackForms = []trackForm{
	{withFormat("djmd"), readDJMD},
	{withFormat("mett"), readParrot},
	{withFormat("gpmd"), readGPMF},
	{withFormat("camm"), readCAMM},
	{isSubtitles, readSubtitles},
}

func withFormat(format string) func(*tracks.Track) bool {
	return func(t *tracks.Track) bool { return t.Format == format }
}

// errNoSamples is of a track without samples, as in a video that was cut.
var errNoSamples = fmt.Errorf("%w: it is empty", ErrNoLog)

// readMP4 reads the log of the first track that has one. A track without a position gives way to the next.
func readMP4(r io.ReaderAt, size int64) (*Log, error) {
	all, err := tracks.Find(r, size)
	if err != nil && len(all) == 0 {
		return nil, fmt.Errorf("%w: %w", ErrNoLog, err)
	}
	var first error
	var names []string
	for _, t := range all {
		names = append(names, fmt.Sprintf("%q", t.Format))
	}
	for _, f := range trackForms {
		for _, t := range all {
			if !f.is(t) {
				continue
			}
			l, err := (*Log)(nil), errNoSamples
			if !t.Empty() {
				l, err = f.read(t)
			}
			if err == nil {
				l.OfVideo = true
				return l, nil
			}
			if first == nil {
				first = fmt.Errorf("track %s inside the video: %w", t.Format, err)
			}
		}
	}
	switch {
	case first != nil:
		return nil, first
	case len(names) > 0:
		return nil, fmt.Errorf("%w: the video has none; its tracks of data are %s", ErrNoLog, strings.Join(names, ", "))
	}
	return nil, fmt.Errorf("%w: the video has only pictures and sound", ErrNoLog)
}

// eachSample calls do for the samples of a track. What breaks the track is a fault of the log.
func eachSample(t *tracks.Track, r *recorder, do func(tracks.Sample) error) {
	if err := t.Each(do); err != nil {
		r.fault(0, r.l.End, "it ends early: %v", err)
	}
}

func isSubtitles(t *tracks.Track) bool {
	switch t.Format {
	case "tx3g", "text":
		return true
	}
	return t.Handler == "sbtl" || t.Handler == "subt"
}

// readSubtitles reads a track of subtitles (3GPP TS 26.245; QuickTime text): samples of a length and a text, which is
// that of a cue of a .SRT.
func readSubtitles(t *tracks.Track) (*Log, error) {
	p := newSubtitles()
	p.ofTrack = true
	eachSample(t, p.recorder, func(s tracks.Sample) error {
		if len(s.Data) < 2 {
			return nil
		}
		text := s.Data[2:min(len(s.Data), 2+int(binary.BigEndian.Uint16(s.Data)))]
		if len(text) == 0 {
			return nil // a pause
		}
		if bytes.HasPrefix(text, []byte("\xfe\xff")) || bytes.HasPrefix(text, []byte("\xff\xfe")) {
			text, _ = unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewDecoder().Bytes(text)
		}
		p.cue(s.At)
		for rest := text; len(rest) > 0; {
			n, line, _ := lines(rest, true)
			rest = rest[n:]
			if !cueTime.Match(line) {
				p.words(strings.TrimSpace(plainText.Replace(string(line))))
			}
		}
		return nil
	})
	p.end()
	l, err := p.finish()
	if err == nil {
		l.Dialect = strings.Replace(l.Dialect, "-srt", "-subtitles", 1)
	}
	return l, err
}
