package spool

import (
	"fmt"

	"cattlecounter/shared/footage"
)

// sweep finishes deletions that a crash interrupted, and deletes chunks that no footage needs.
func (s *Spool) sweep() error {
	chunks, err := s.store.keys([]byte(chunksPrefix))
	if err != nil {
		return err
	}
	manifests, err := s.footageWithManifest()
	if err != nil {
		return err
	}
	var orphans [][]byte
	for _, k := range chunks {
		if id := chunkFootage(k); !s.needsChunks(id, manifests[id]) {
			orphans = append(orphans, k)
		}
	}
	if len(orphans) > 0 {
		s.store.o.Log.Info("chunks without footage deleted", "chunks", len(orphans))
		if err := s.store.deleteKeys(orphans); err != nil {
			return fmt.Errorf("delete chunks without footage: %w", err)
		}
		s.store.requestCollection()
	}
	for _, r := range s.Records.All() {
		if r.State == Confirmed && (!s.store.o.KeepConfirmed || !manifests[r.ID]) {
			if err := s.Disk.Reclaim(r.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// needsChunks reports whether the chunks of a piece of footage must stay.
func (s *Spool) needsChunks(id footage.ID, manifest bool) bool {
	r, ok := s.Records.Get(id)
	switch {
	case !ok: // a record that was lost: a salvage makes it again from the manifest
		return manifest
	case r.State.Ended():
		return false
	case r.State == Captured: // with a manifest it is damaged footage that is read again
		return manifest
	}
	return true
}

// footageWithManifest returns the footage that has a manifest, in any state.
func (s *Spool) footageWithManifest() (map[footage.ID]bool, error) {
	keys, err := s.store.keys([]byte(manifestPrefix))
	if err != nil {
		return nil, err
	}
	found := map[footage.ID]bool{}
	for _, k := range keys {
		found[footage.ID(k[len(manifestPrefix):])] = true
	}
	return found, nil
}
