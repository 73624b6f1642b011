// Package capturetime finds out when a recording was made. A camera whose clock was reset dates its files 1980, 2107
// or years ahead. Such a date is not used: the container, the flight log or the file name may know better.
package capturetime

import (
	"bytes"
	"io"
	"os"
	"time"

	"cattlecounter/shared/footage"
)

// logHead is how many bytes of a flight log are searched for a date. The first entry has it.
const logHead = 4096

// Options configure Find. Now is required.
type Options struct {
	Now     time.Time      // time of this machine
	Trusted bool           // this machine's clock is synchronized
	Zone    *time.Location // zone of local times in names and flight logs; nil: the zone of this machine
}

// Recording is what is known about one recording. Only Name is required.
type Recording struct {
	Name    string    // base name of the video
	ModTime time.Time // modification time on the card
	Video   io.ReaderAt
	Size    int64  // bytes of Video
	LogPath string // flight log on the card, "" without one
}

// Find returns the capture time and its source: the first plausible one of the file's time, the container's, the
// flight log's and the name's. When none is plausible the time is zero and the source is footage.FromNothing. It reads
// a few kilobytes and ignores read errors: a time that cannot be read is not known.
func Find(r Recording, o Options) (time.Time, footage.TimeSource) {
	if o.Zone == nil {
		o.Zone = time.Local
	}
	for _, c := range []struct {
		source footage.TimeSource
		find   func() (time.Time, bool)
	}{
		{footage.FromFile, func() (time.Time, bool) { return r.ModTime, true }},
		{footage.FromContainer, func() (time.Time, bool) { return inContainer(r.Video, r.Size) }},
		{footage.FromFlightLog, func() (time.Time, bool) { return inLog(r.LogPath, o.Zone) }},
		{footage.FromName, func() (time.Time, bool) { return footage.TimeInName(r.Name, o.Zone) }},
	} {
		if t, ok := c.find(); ok && footage.IsPlausible(t, o.Now, o.Trusted) {
			return t.UTC(), c.source
		}
	}
	return time.Time{}, footage.FromNothing
}

// inContainer reads the creation time of an ISO media or Matroska file.
func inContainer(r io.ReaderAt, size int64) (time.Time, bool) {
	if r == nil {
		return time.Time{}, false
	}
	head := make([]byte, footage.SniffLen)
	n, err := r.ReadAt(head, 0)
	if n == 0 && err != nil {
		return time.Time{}, false
	}
	switch kind, _ := footage.Sniff(head[:n]); kind {
	case footage.MP4:
		return inISO(r, size)
	case footage.MKV:
		return inMatroska(r, size)
	case footage.AVI, footage.TS: // both have no date in a common place
	}
	return time.Time{}, false
}

// inLog reads the first date of a flight log.
func inLog(path string, zone *time.Location) (time.Time, bool) {
	if path == "" {
		return time.Time{}, false
	}
	f, err := os.Open(path)
	if err != nil {
		return time.Time{}, false
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, logHead))
	if err != nil {
		return time.Time{}, false
	}
	return footage.TimeInLog(bytes.ToValidUTF8(head, nil), zone)
}
