// Package spool is the edge's durable buffer: the chunks of footage, their
// manifests, the state of every piece of footage, the messages that wait for the
// broker, and the few numbers that must outlive a power cut. It is the only package of the edge that knows Badger.
//
// # Order of durability
//
// A chunk is synced before the next one is read. The manifest is written after
// the last chunk, in one transaction with the state "spooled": a manifest says
// that everything it names is there. A piece of footage is "confirmed" before
// its chunks are deleted, and "reclaimed" after. So a crash at any write leaves
// either a piece to be read again from the card, a whole piece to be sent, or a
// confirmed piece to be deleted again; chunks of none of these are swept out
// when the spool is opened.
//
// "Reclaimed" is a state that stays: a key that Badger deleted has come back
// before (badger issue 2286), and the digest of what was sent is needed to
// recognise the same footage on the next card.
package spool
