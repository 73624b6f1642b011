// Package spool is the station's durable buffer. It is the only package of the edge that
// knows Badger. Open returns a Spool, which hands out one part for each purpose:
//
//   - Records: what is known about every piece of footage; list, look up, note.
//   - Captures: the way of a file from the card into the spool.
//   - Content: the chunks and manifests.
//   - Uploads: the way from the spool to the cloud.
//   - Recovery: quarantine, reading again, sending again, the check of everything.
//   - Disk: the space that the spool uses and frees.
//   - Link, Clock, Replies, Outbox: what the uplink, the clock, the commands and the MQTT
//     client must remember across a power cut.
//
// # Order of durability
//
// A chunk is synced before the next one is read. The manifest is written after the last
// chunk, in one transaction with the state "spooled": a manifest proves that everything it
// names is in the spool. Footage is "confirmed" before its chunks are deleted, and
// "reclaimed" after. So a crash at any write leaves one of three cases: footage to be read
// from the card again, whole footage to be sent, or confirmed footage whose chunks are still
// to be deleted. Open deletes chunks that belong to none of these.
//
// A flight log that arrives after its video has a record, a manifest and chunks like footage. Record.LogOf names the
// footage of the video. The log takes the same way through the same states.
//
// The record of reclaimed footage stays for two reasons. Badger has brought deleted keys
// back before (badger issue 2286). And the digest of what was sent is needed to recognize
// the same footage on the next card.
package spool
