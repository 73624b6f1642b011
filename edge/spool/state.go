package spool

import (
	"errors"

	"cattlecounter/shared/lifecycle"
)

// State is how far one piece of footage is on this device.
type State string

// States of a piece of footage.
const (
	Captured    State = "captured"    // seen on the card, finished, not read yet
	Spooling    State = "spooling"    // being read; some chunks are durable
	Spooled     State = "spooled"     // every chunk and the manifest are durable
	Uploading   State = "uploading"   // the cloud has a part of it, or is about to
	Uploaded    State = "uploaded"    // the cloud has every byte; its digest is not compared yet
	Confirmed   State = "confirmed"   // the cloud's digest and size equal the manifest's
	Reclaimed   State = "reclaimed"   // confirmed, and its chunks are deleted from the spool
	Duplicate   State = "duplicate"   // the spool has the same content under another id
	Quarantined State = "quarantined" // stopped until a person orders a retry; Record.Reason says why
)

// Event is what happens to a piece of footage.
type Event string

// Events of a piece of footage.
const (
	Read        Event = "read"        // reading from the card begins or restarts
	Discard     Event = "discard"     // the file changed during reading; what was read is discarded
	Commit      Event = "commit"      // chunks and manifest are durable
	Deduplicate Event = "deduplicate" // the content is known under another id
	Upload      Event = "upload"      // the upload begins or continues
	Accept      Event = "accept"      // the cloud has every byte
	Confirm     Event = "confirm"     // the cloud's digest is right
	Reclaim     Event = "reclaim"     // the chunks are deleted
	Quarantine  Event = "quarantine"  // a person must decide
	Resend      Event = "resend"      // out of quarantine, or lost by the cloud, with all chunks in the spool
	Reread      Event = "reread"      // out of quarantine, damaged, or lost by the cloud: read from the card again
)

// ErrTransition marks a move that the table does not have.
var ErrTransition = errors.New("transition not allowed")

type row = lifecycle.Row[State, Event]

// table is the whole life of a piece of footage: from, event, to.
var table = lifecycle.Table[State, Event]{Subject: "footage", Refused: ErrTransition, Rows: []row{
	{Captured, Read, Spooling},
	{Captured, Discard, Captured},
	{Captured, Quarantine, Quarantined},
	{Spooling, Read, Spooling}, // after a crash
	{Spooling, Discard, Captured},
	{Spooling, Commit, Spooled},
	{Spooling, Deduplicate, Duplicate},
	{Spooling, Quarantine, Quarantined},
	{Spooled, Upload, Uploading},
	{Spooled, Quarantine, Quarantined},
	{Spooled, Reread, Captured},
	{Uploading, Upload, Uploading}, // after an interruption
	{Uploading, Accept, Uploaded},
	{Uploading, Confirm, Confirmed}, // the cloud had the content already
	{Uploading, Quarantine, Quarantined},
	{Uploading, Reread, Captured},
	{Uploaded, Upload, Uploading}, // the cloud does not know the upload
	{Uploaded, Confirm, Confirmed},
	{Uploaded, Quarantine, Quarantined},
	{Uploaded, Reread, Captured},
	{Confirmed, Reclaim, Reclaimed},
	{Confirmed, Resend, Spooled},           // the cloud lost it
	{Reclaimed, Reread, Captured},          // the cloud lost it, the card has it
	{Quarantined, Quarantine, Quarantined}, // the reason changed
	{Quarantined, Resend, Spooled},
	{Quarantined, Reread, Captured},
}}

// Next returns the state that follows from an event. The error wraps ErrTransition.
func Next(from State, e Event) (State, error) { return table.Next(from, e) }

// States returns every state, in the order of a life.
func States() []State {
	return []State{Captured, Spooling, Spooled, Uploading, Uploaded, Confirmed, Reclaimed, Duplicate, Quarantined}
}

// Ended reports whether nothing is left to do on this device, unless the cloud loses what it
// confirmed.
func (s State) Ended() bool { return s == Reclaimed || s == Duplicate }

// HasContent reports whether every chunk must be in the spool.
func (s State) HasContent() bool {
	return s == Spooled || s == Uploading || s == Uploaded || s == Confirmed
}

// stage orders the states as subscribers see them.
func (s State) stage() int {
	switch s {
	case Captured, Spooling:
		return 0
	case Spooled:
		return 1
	case Uploading, Uploaded:
		return 2
	}
	return 3
}

// restarts reports whether a record goes back to an earlier stage than old, or lost its upload.
func (r *Record) restarts(old *Record) bool {
	return r.State.stage() < old.State.stage() || old.Video.URL != "" && r.Video.URL != old.Video.URL
}
