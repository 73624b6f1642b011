package spool

import (
	"errors"

	"cattlecounter/shared/lifecycle"
)

// State is where one piece of footage stands on this device.
type State string

// States of a piece of footage.
const (
	Captured    State = "captured"    // seen on the card, finished, not read yet
	Spooling    State = "spooling"    // being read; some chunks are durable
	Spooled     State = "spooled"     // every chunk and the manifest are durable
	Uploading   State = "uploading"   // the cloud has a part of it
	Uploaded    State = "uploaded"    // the cloud took every byte; its digest is not compared yet
	Confirmed   State = "confirmed"   // the cloud's digest and size are the manifest's
	Reclaimed   State = "reclaimed"   // confirmed, and its chunks are gone from the spool
	Duplicate   State = "duplicate"   // the same content is here under another id
	Quarantined State = "quarantined" // cannot go on by itself; Reason says why
)

// Event is what happens to a piece of footage.
type Event string

// Events of a piece of footage.
const (
	Read       Event = "read"       // reading from the card begins, or begins again
	Lose       Event = "lose"       // the file changed under the reader: what was read is void
	Manifest   Event = "manifest"   // chunks and manifest are durable
	Repeat     Event = "repeat"     // the content is known under another id
	Upload     Event = "upload"     // the upload begins, or begins again
	Accept     Event = "accept"     // the cloud took every byte
	Confirm    Event = "confirm"    // the cloud's digest is right
	Reclaim    Event = "reclaim"    // the chunks are deleted
	Quarantine Event = "quarantine" // it cannot go on by itself
	Resend     Event = "resend"     // out of quarantine, or lost by the cloud, with all chunks here
	Reread     Event = "reread"     // out of quarantine, damaged, or lost by the cloud: read from the card again
)

// ErrTransition marks a move that the table does not have.
var ErrTransition = errors.New("transition not allowed")

// table is the whole life of a piece of footage: from, event, to.
var table = lifecycle.Table[State, Event]{Subject: "footage", Refused: ErrTransition, Rows: []lifecycle.Row[State, Event]{
	{Captured, Read, Spooling},
	{Captured, Lose, Captured},
	{Captured, Quarantine, Quarantined},
	{Spooling, Read, Spooling}, // after a crash
	{Spooling, Lose, Captured},
	{Spooling, Manifest, Spooled},
	{Spooling, Repeat, Duplicate},
	{Spooling, Quarantine, Quarantined},
	{Spooled, Upload, Uploading},
	{Spooled, Quarantine, Quarantined},
	{Spooled, Reread, Captured},
	{Uploading, Upload, Uploading}, // after a cut or a crash
	{Uploading, Accept, Uploaded},
	{Uploading, Confirm, Confirmed}, // the cloud had it already
	{Uploading, Quarantine, Quarantined},
	{Uploading, Reread, Captured},
	{Uploaded, Upload, Uploading}, // the cloud does not know it after all
	{Uploaded, Confirm, Confirmed},
	{Uploaded, Quarantine, Quarantined},
	{Uploaded, Reread, Captured},
	{Confirmed, Reclaim, Reclaimed},
	{Confirmed, Resend, Spooled},           // the cloud lost it
	{Reclaimed, Reread, Captured},          // the cloud lost it, the card still has it
	{Quarantined, Quarantine, Quarantined}, // the reason changed
	{Quarantined, Resend, Spooled},
	{Quarantined, Reread, Captured},
}}

// Next returns the state that follows. The error wraps ErrTransition.
func Next(from State, e Event) (State, error) { return table.Next(from, e) }

// States returns every state, in the order of a life.
func States() []State {
	return []State{Captured, Spooling, Spooled, Uploading, Uploaded, Confirmed, Reclaimed, Duplicate, Quarantined}
}

// Ended reports whether nothing is left to do on this device, unless the cloud
// loses what it confirmed.
func (s State) Ended() bool { return s == Reclaimed || s == Duplicate }

// HasContent reports whether every chunk is in the spool.
func (s State) HasContent() bool {
	return s == Spooled || s == Uploading || s == Uploaded || s == Confirmed
}

// stage orders the states as others see them.
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

// beginsAnew reports whether a record goes back behind what it was, or its upload
// was lost and begins again.
func (r *Record) beginsAnew(old *Record) bool {
	return r.State.stage() < old.State.stage() || old.Video.URL != "" && r.Video.URL != old.Video.URL
}
