package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"cattlecounter/shared/footage"
)

// Space is what the spool takes and what its disk has, in bytes.
type Space struct {
	Total, Free int64 // of the file system
	Used        int64 // by the spool
	Confirmed   int64 // of Used, what is kept although the cloud has it
	// Limit is what the spool may take: its quota, or less where the disk is full
	// otherwise.
	Limit int64
	// Full says why nothing more fits, nil when something does; it wraps ErrNoSpace.
	Full error
}

// Percent is how full the spool is with what the cloud has not confirmed, 100
// when it may not grow by a chunk any more.
func (sp Space) Percent() float64 {
	used := sp.Used - sp.Confirmed
	if used+footage.ChunkSize > sp.Limit {
		return 100
	}
	return 100 * float64(used) / float64(sp.Limit)
}

// usage measures the spool's folder. Badger's files are sparse, so blocks count,
// not lengths.
type usage struct {
	dir  string
	disk func(string) (total, free int64, err error)
}

func newUsage(dir string, disk func(string) (int64, int64, error)) *usage {
	return &usage{dir: dir, disk: disk}
}

func (u *usage) space() (Space, error) {
	total, free, err := u.disk(u.dir)
	if err != nil {
		return Space{}, fmt.Errorf("free space of %s: %w", u.dir, err)
	}
	sp := Space{Total: total, Free: free}
	err = filepath.WalkDir(u.dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // a file that Badger has just removed
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		sp.Used += onDisk(info)
		return nil
	})
	return sp, err
}

// onDisk is what a file takes on the disk, in bytes.
func onDisk(info fs.FileInfo) int64 {
	const block = 512 // of st_blocks, whatever the file system's own
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * block
	}
	return info.Size()
}

// diskSpace asks the kernel; free is what an unprivileged process may use.
func diskSpace(dir string) (total, free int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	size := int64(st.Bsize) //nolint:unconvert // 32 bits on some boards
	return int64(st.Blocks) * size, int64(st.Bavail) * size, nil
}

// Space measures disk and spool now.
func (s *Spool) Space() (Space, error) {
	sp, err := s.disk.space()
	sp.Limit = sp.Used + sp.Free - s.o.MinFree
	if s.o.Quota > 0 {
		sp.Limit = min(sp.Limit, s.o.Quota)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.records {
		if r.State == Confirmed {
			sp.Confirmed += r.Source.Size
		}
	}
	sp.Full = s.fits(sp, 0)
	return sp, err
}

// Room says whether n more bytes fit; the error wraps ErrNoSpace and says what
// is short.
func (s *Spool) Room(n int64) error {
	sp, err := s.disk.space()
	if err != nil {
		return err
	}
	return s.fits(sp, n)
}

func (s *Spool) fits(sp Space, n int64) error {
	if sp.Free-n < s.o.MinFree {
		return fmt.Errorf("%s free on the disk of the spool, %s must stay free (spool.min_free): %w", size(sp.Free), size(s.o.MinFree), ErrNoSpace)
	}
	if s.o.Quota > 0 && sp.Used+n > s.o.Quota {
		return fmt.Errorf("the spool takes %s of its quota of %s (spool.quota): %w", size(sp.Used), size(s.o.Quota), ErrNoSpace)
	}
	return nil
}

// CanHold says whether a file of n bytes fits into the spool when nothing else is
// in it, the store's own files allowed for. The error wraps ErrTooLarge.
func (s *Spool) CanHold(n int64) error {
	total, _, err := s.disk.disk(s.disk.dir)
	if err != nil {
		return fmt.Errorf("size of the disk of %s: %w", s.disk.dir, err)
	}
	const share = 50 // of the content: keys, tables and half-filled log files
	need := n + n/share + s.o.LogFile
	if q := s.o.Quota; q > 0 && need > q {
		return fmt.Errorf("it needs %s and the spool may take %s (spool.quota): %w", size(need), size(q), ErrTooLarge)
	}
	if most := total - s.o.MinFree; need > most {
		return fmt.Errorf("it needs %s and the disk of the spool has %s beside spool.min_free: %w", size(need), size(most), ErrTooLarge)
	}
	return nil
}

// MakeRoom is Room, and when there is none it evicts the oldest footage that the
// cloud has confirmed, if any is kept. Its room is free when the garbage is
// collected, so the caller tries again later.
func (s *Spool) MakeRoom(n int64) error {
	err := s.Room(n)
	if !errors.Is(err, ErrNoSpace) || s.collecting.Load() {
		return err
	}
	for _, r := range s.Records() {
		if r.State != Confirmed {
			continue
		}
		s.o.Log.Info("confirmed footage makes room", "footage", r.ID, "name", r.Name, "bytes", r.Source.Size)
		return errors.Join(err, s.Reclaim(r.ID))
	}
	return err
}

func size(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
