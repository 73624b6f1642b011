package beacon

import (
	"time"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/topic"
)

// publishFootage tells what changed: states at once, offsets once a second.
func (b *Beacon) publishFootage() {
	b.mu.Lock()
	ids := b.dirty
	b.dirty = map[footage.ID]bool{}
	ended := b.ended
	b.ended = map[footage.ID]spool.Record{}
	again, vital := b.again, b.vital
	b.again, b.vital = false, false
	b.mu.Unlock()
	if again || vital {
		b.publishVitals()
	}
	if again {
		b.addEverything(ids)
	}
	if len(ids) > 0 {
		b.addDuplicates(ids)
	}
	for id, force := range ids {
		r, ok := b.o.Records.Get(id)
		if !ok {
			if r, ok = ended[id]; ok {
				b.publishOne(r, force)
			}
			delete(b.told, id)
			continue
		}
		if b.publishOne(r, force) {
			continue
		}
		b.mu.Lock() // too early: look again at the next tick
		b.dirty[id] = b.dirty[id] || force
		b.mu.Unlock()
	}
}

func (b *Beacon) addEverything(ids map[footage.ID]bool) {
	for id := range b.told {
		if _, there := b.o.Records.Get(id); !there {
			delete(b.told, id) // forgotten by the spool
		}
	}
	records, ended := b.o.Records.All(), 0
	for i := len(records) - 1; i >= 0; i-- {
		if records[i].State.Ended() {
			if ended++; ended > recent {
				continue
			}
		}
		ids[records[i].ID] = true
	}
}

// addDuplicates adds what shows the state of another one that changed.
func (b *Beacon) addDuplicates(ids map[footage.ID]bool) {
	for _, r := range b.o.Records.All() {
		if _, changed := ids[r.DuplicateOf]; r.State == spool.Duplicate && changed {
			if _, there := ids[r.ID]; !there {
				ids[r.ID] = false
			}
		}
	}
}

// publishOne reports whether subscribers now know all there is to know.
func (b *Beacon) publishOne(r spool.Record, force bool) bool {
	m, before := b.payload(r), b.told[r.ID]
	if !b.forward(&m, r, before) || !force && m == before.m {
		return true
	}
	still := m
	still.Offset, still.Rate = before.m.Offset, before.m.Rate
	if !force && still == before.m && time.Since(before.at) < offsetEvery {
		return false
	}
	b.told[r.ID] = told{m: m, at: time.Now()}
	m.Header = b.header()
	b.publish(durable(message(b.o.Address.Footage(r.ID), true, m)))
	return true
}

// toldStep is how far ahead the spool notes which offsets may have been told, and so
// how often it writes.
const toldStep = 8 << 20

// forward keeps an offset from going back within an attempt: bytes that were lost on
// the way are sent again unseen. After a restart only the spool knows how much was
// told before; until the upload is beyond that there is nothing to say, and forward
// is false.
func (b *Beacon) forward(m *topic.Footage, r spool.Record, before told) bool {
	if m.State != topic.Uploading {
		return true
	}
	own := r.State != spool.Duplicate // another one's upload is noted there
	if before.m.Attempt == m.Attempt && before.m.State == topic.Uploading {
		m.Offset = max(m.Offset, before.m.Offset)
	} else if own && m.Offset < r.Published {
		return false
	}
	if own && m.Offset > r.Published {
		if err := b.o.Records.SetPublished(r.ID, min(m.Offset+toldStep, m.Size)); err != nil {
			b.o.Log.Warn("progress may seem to go back after a power cut", "footage", r.ID, "err", err)
		}
	}
	return true
}

// states maps the spool's states to the contract's.
var states = map[spool.State]topic.FootageState{
	spool.Captured:    topic.Captured,
	spool.Spooling:    topic.Captured,
	spool.Spooled:     topic.Spooled,
	spool.Uploading:   topic.Uploading,
	spool.Uploaded:    topic.Uploading, // not compared yet
	spool.Confirmed:   topic.Uploaded,
	spool.Reclaimed:   topic.Uploaded,
	spool.Duplicate:   topic.Uploaded, // when the first one is forgotten
	spool.Quarantined: topic.Quarantined,
}

func (b *Beacon) payload(r spool.Record) topic.Footage {
	m := topic.Footage{Footage: r.ID, State: states[r.State], Name: r.Name, Size: r.Source.Size, Offset: r.Video.Offset, Rate: r.Rate,
		SHA256: r.SHA256, DuplicateOf: r.DuplicateOf, Reason: r.Reason, Attempt: r.Attempt}
	if m.Reason == "" {
		m.Reason = r.Waiting
	}
	if r.State == spool.Duplicate {
		m.Offset = m.Size
		if first, ok := b.o.Records.Get(r.DuplicateOf); ok {
			m.State, m.Offset, m.Rate, m.Attempt = states[first.State], first.Video.Offset, first.Rate, first.Attempt
		}
	}
	return m
}

// settle notes at a stop what was told in truth, so that the next start has not to
// wait until the upload is beyond what might have been.
func (b *Beacon) settle() {
	for id, t := range b.told {
		r, there := b.o.Records.Get(id)
		if !there || r.State != spool.Uploading || r.Attempt != t.m.Attempt || r.Published <= t.m.Offset {
			continue
		}
		if err := b.o.Records.SetPublished(id, t.m.Offset); err != nil {
			b.o.Log.Debug("how much was told is not noted", "footage", id, "err", err)
		}
	}
}
