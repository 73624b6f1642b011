package spool

import (
	"context"
	"errors"
	"fmt"

	"cattlecounter/shared/footage"
)

// Fault is what is wrong with the content of one piece of footage.
type Fault struct {
	Footage footage.ID `json:"footage"`
	Name    string     `json:"name"`
	State   State      `json:"state"`
	Chunks  int        `json:"chunks"`  // that the manifest names, 0 when there is none
	Damaged int        `json:"damaged"` // of them missing or with another digest
	Detail  string     `json:"detail"`  // the first damage
}

// Faults compares every chunk of a piece of footage with its manifest; nil says
// that all is right, or that nothing has to be there yet.
func (s *Spool) Faults(ctx context.Context, id footage.ID) (*Fault, error) {
	r, ok := s.Record(id)
	if !ok {
		return nil, fmt.Errorf("footage %s: %w", id, ErrNotFound)
	}
	m, err := s.Manifest(id)
	if err != nil {
		if !r.State.HasContent() {
			return nil, nil
		}
		return &Fault{Footage: id, Name: r.Name, State: r.State, Detail: err.Error()}, nil
	}
	var buf []byte
	return checkChunks(ctx, &r, m, func(p Part, c footage.Chunk) (err error) {
		buf, err = s.Chunk(id, p, c, buf)
		return err
	})
}

// checkChunks asks right about every chunk of a manifest but the thumbnail's,
// for which nothing is read again: the video goes without it.
func checkChunks(ctx context.Context, r *Record, m footage.Manifest, right func(Part, footage.Chunk) error) (*Fault, error) {
	f := Fault{Footage: r.ID, Name: r.Name, State: r.State}
	for p, file := range map[Part]*footage.File{Video: &m.Video, Telemetry: m.Telemetry} {
		if file == nil {
			continue
		}
		f.Chunks += len(file.Chunks)
		for _, c := range file.Chunks {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			err := right(p, c)
			if err == nil {
				continue
			}
			if f.Damaged++; f.Detail == "" {
				f.Detail = err.Error()
			}
		}
	}
	if f.Damaged == 0 {
		return nil, nil
	}
	return &f, nil
}

// mend brings the records into agreement with what a salvage saved: content
// without a record gets one, and footage with damaged content is read again from
// the card; what is right of it stays and is not written twice.
func (s *Spool) mend(ctx context.Context, out *Salvaged) error {
	if err := s.adopt(); err != nil {
		return err
	}
	n, err := s.CheckAll(ctx)
	out.Reread = n
	return err
}

// adopt makes records for manifests that lost theirs.
func (s *Spool) adopt() error {
	keys, err := s.keys([]byte("m/"))
	if err != nil {
		return err
	}
	for _, k := range keys {
		id := footage.ID(k[len("m/"):])
		if _, ok := s.Record(id); ok {
			continue
		}
		m, err := s.Manifest(id)
		if errors.Is(err, ErrDamaged) {
			continue
		}
		if err != nil {
			return err
		}
		if n, err := s.keys(chunkPrefix(id)); err != nil || len(n) == 0 { // long sent: a deleted key has come back
			if err = errors.Join(err, s.dropContent(id)); err != nil {
				return err
			}
			continue
		}
		s.mu.Lock()
		s.seq++
		err = s.store(&Record{ID: id, Seq: s.seq, State: Spooled, Name: printable(m.Video.Name), SHA256: m.Video.SHA256,
			Source: Source{Size: m.Video.Size, ModTime: m.Captured}}, nil)
		s.mu.Unlock()
		if err != nil {
			return fmt.Errorf("footage %s: %w", id, err)
		}
		s.o.Log.Warn("footage found without its record", "footage", id, "name", m.Video.Name)
	}
	return nil
}
