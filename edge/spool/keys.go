package spool

import (
	"fmt"

	"cattlecounter/shared/footage"
)

// Keys of the store. They are short because every chunk has one. A new kind of key must also
// be in keyKinds, or a salvage would leave it out.
//
//	c/ID/PART+INDEX  chunk           h/DIGEST  footage with this digest    r/ID   reply to a command
//	f/ID             record          s/PATH    file or flight log on card  x/…    settings
//	m/ID             manifest        o/KEY     message for the broker      g/…    only while the store is flushed
const (
	recordPrefix   = "f/"
	manifestPrefix = "m/"
	chunksPrefix   = "c/"
	replyPrefix    = "r/"
	outboxPrefix   = "o/"
	flushPrefix    = "g/"
)

func recordKey(id footage.ID) []byte    { return []byte(recordPrefix + string(id)) }
func manifestKey(id footage.ID) []byte  { return []byte(manifestPrefix + string(id)) }
func chunkPrefix(id footage.ID) []byte  { return []byte(chunksPrefix + string(id) + "/") }
func replyKey(id string) []byte         { return []byte(replyPrefix + id) }
func messageKey(key string) []byte      { return []byte(outboxPrefix + key) }
func digestKey(d footage.Digest) []byte { return []byte("h/" + d.String()) }
func sourceKey(path string) []byte      { return []byte("s/" + footage.Sum([]byte(path)).String()) }

// logKey is the key of the link of a flight log beside a video. Two videos may share a log.
func logKey(video, log string) []byte { return sourceKey(video + "\x00" + log) }

func chunkKey(id footage.ID, p Part, index int) []byte {
	return fmt.Appendf(chunkPrefix(id), "%c%08x", p.keyLetter(), index)
}

// chunkFootage returns the footage that a chunk's key belongs to, "" for a key without one.
func chunkFootage(key []byte) footage.ID {
	const prefix, tail = len(chunksPrefix), len("/v00000000")
	if len(key) <= prefix+tail {
		return ""
	}
	return footage.ID(key[prefix : len(key)-tail])
}
