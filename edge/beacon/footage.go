package beacon

import (
	"time"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/topic"
)

// publishChanges publishes what is due: vitals, and the footage that changed. A new state
// is published at once, a new offset at most once a second.
func (b *Beacon) publishChanges() {
	b.mu.Lock()
	ids := b.dirty
	b.dirty = map[footage.ID]bool{}
	ended := b.ended
	b.ended = map[footage.ID]spool.Record{}
	republish, vitalsDue := b.republish, b.vitalsDue
	b.republish, b.vitalsDue = false, false
	b.mu.Unlock()
	if republish || vitalsDue {
		b.publishVitals()
	}
	if republish {
		b.addAll(ids)
	}
	if len(ids) > 0 {
		b.addDuplicates(ids)
	}
	for id, force := range ids {
		r, ok := b.o.Records.Get(id)
		if !ok {
			if r, ok = ended[id]; ok {
				b.publishFootage(r, force)
			}
			delete(b.published, id)
			continue
		}
		if b.publishFootage(r, force) {
			continue
		}
		b.mu.Lock()
		b.dirty[id] = b.dirty[id] || force
		b.mu.Unlock()
	}
}

// addAll adds the footage that has not ended and the newest footage that has.
func (b *Beacon) addAll(ids map[footage.ID]bool) {
	for id := range b.published {
		if _, ok := b.o.Records.Get(id); !ok {
			delete(b.published, id)
		}
	}
	records, ended := b.o.Records.All(), 0
	for i := len(records) - 1; i >= 0; i-- {
		if records[i].LogOf != "" {
			continue // a flight log is no footage of its own
		}
		if records[i].State.Ended() {
			if ended++; ended > republishEnded {
				continue
			}
		}
		ids[records[i].ID] = true
	}
}

// addDuplicates adds the duplicates of the footage in ids: a duplicate is published with
// the state of its original.
func (b *Beacon) addDuplicates(ids map[footage.ID]bool) {
	for _, r := range b.o.Records.All() {
		if _, changed := ids[r.DuplicateOf]; r.State == spool.Duplicate && changed {
			if _, ok := ids[r.ID]; !ok {
				ids[r.ID] = false
			}
		}
	}
}

// publishFootage publishes the state of a piece of footage, unless subscribers have it and
// force is false. It returns false when it is too early, so that the caller retries.
func (b *Beacon) publishFootage(r spool.Record, force bool) bool {
	m, before := b.payload(r), b.published[r.ID]
	if !b.raiseOffset(&m, r, before) || !force && m == before.message {
		return true
	}
	sameProgress := m
	sameProgress.Offset, sameProgress.Rate = before.message.Offset, before.message.Rate
	if !force && sameProgress == before.message && time.Since(before.at) < offsetEvery {
		return false
	}
	b.published[r.ID] = published{message: m, at: time.Now()}
	m.Header = b.header()
	b.publish(durable(message(b.o.Address.Footage(r.ID), true, m)))
	return true
}

// publishedStep is how far the stored limit of published offsets runs ahead of the offset.
// A larger step writes less often to the disk.
const publishedStep = 8 << 20

// raiseOffset keeps the published offset from falling within an attempt. Bytes that were
// lost on the way are sent again, but m then keeps the offset of before.
//
// After a restart only the spool knows how far earlier messages may have gone.
// raiseOffset returns false while the upload is below that: m must not be published then.
func (b *Beacon) raiseOffset(m *topic.Footage, r spool.Record, before published) bool {
	if m.State != topic.Uploading {
		return true
	}
	original := r.State != spool.Duplicate // only the record of the original stores Published
	if before.message.Attempt == m.Attempt && before.message.State == topic.Uploading {
		m.Offset = max(m.Offset, before.message.Offset)
	} else if original && m.Offset < r.Published {
		return false
	}
	if original && m.Offset > r.Published {
		if err := b.o.Records.SetPublished(r.ID, min(m.Offset+publishedStep, m.Size)); err != nil {
			b.o.Log.Warn("cannot save the published offset; after a restart the progress may fall",
				"footage", r.ID, "err", err)
		}
	}
	return true
}

// states maps the spool's states to those of the MQTT contract.
var states = map[spool.State]topic.FootageState{
	spool.Captured:    topic.Captured,
	spool.Spooling:    topic.Captured,
	spool.Spooled:     topic.Spooled,
	spool.Uploading:   topic.Uploading,
	spool.Uploaded:    topic.Uploading, // the digest is not compared yet
	spool.Confirmed:   topic.Uploaded,
	spool.Reclaimed:   topic.Uploaded,
	spool.Duplicate:   topic.Uploaded, // used when the record of the original is deleted
	spool.Quarantined: topic.Quarantined,
}

// payload returns the message about a piece of footage, without its Header.
func (b *Beacon) payload(r spool.Record) topic.Footage {
	m := topic.Footage{Footage: r.ID, State: states[r.State], Name: r.Name, Size: r.Source.Size,
		Offset: r.Video.Offset, Rate: r.Rate, SHA256: r.SHA256, DuplicateOf: r.DuplicateOf, Reason: r.Reason,
		Attempt: r.Attempt}
	if r.HasUpload() { // before, another device that reads the message could take the new id
		m.UploadedAs = r.UploadedAs
	}
	if m.Reason == "" {
		m.Reason = r.Waiting
	}
	if r.State == spool.Duplicate {
		m.Offset = m.Size
		if original, ok := b.o.Records.Get(r.DuplicateOf); ok {
			m.State, m.Offset, m.Rate = states[original.State], original.Video.Offset, original.Rate
			m.Attempt = original.Attempt
		}
	}
	return m
}

// savePublished stores the offsets that were published. The next start then need not wait
// until the upload has passed the limit, which runs ahead of them.
func (b *Beacon) savePublished() {
	for id, p := range b.published {
		r, ok := b.o.Records.Get(id)
		if !ok || r.State != spool.Uploading || r.Attempt != p.message.Attempt || r.Published <= p.message.Offset {
			continue
		}
		if err := b.o.Records.SetPublished(id, p.message.Offset); err != nil {
			b.o.Log.Debug("cannot save the published offset; the next start publishes it later",
				"footage", id, "err", err)
		}
	}
}
