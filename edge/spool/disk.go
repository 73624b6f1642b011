package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"cattlecounter/shared/footage"
)

// Disk is the space that the spool uses and frees.
type Disk struct {
	store   *store
	records *Records
	usage   *usage
}

// Space is what the spool uses and what its disk has, in bytes.
type Space struct {
	Total, Free int64 // of the file system
	Used        int64 // by the spool
	Confirmed   int64 // of Used: footage that the cloud has as well
	// Limit is what the spool may use: its quota, or less where other files fill the disk.
	Limit int64
	// Full is why nothing more fits, nil when something does. It wraps ErrNoSpace.
	Full error
}

// Percent is how full the spool is with footage that the cloud has not confirmed. It is 100
// when the spool may not grow by another chunk.
func (sp Space) Percent() float64 {
	used := sp.Used - sp.Confirmed
	if used+footage.ChunkSize > sp.Limit {
		return 100
	}
	return 100 * float64(used) / float64(sp.Limit)
}

// Space measures disk and spool now.
func (d *Disk) Space() (Space, error) {
	o := d.store.o
	sp, err := d.usage.space()
	sp.Limit = sp.Used + sp.Free - o.MinFree
	if o.Quota > 0 {
		sp.Limit = min(sp.Limit, o.Quota)
	}
	for _, r := range d.records.All() {
		if r.State == Confirmed {
			sp.Confirmed += r.Source.Size
		}
	}
	sp.Full = o.fits(sp, 0)
	return sp, err
}

// Fits returns nil when n more bytes fit. Otherwise the error wraps ErrNoSpace and names the
// limit that is reached.
func (d *Disk) Fits(n int64) error {
	sp, err := d.usage.space()
	if err != nil {
		return err
	}
	return d.store.o.fits(sp, n)
}

func (o Options) fits(sp Space, n int64) error {
	if sp.Free-n < o.MinFree {
		return fmt.Errorf("%s free on the disk of the spool, %s must stay free (spool.min_free): %w",
			size(sp.Free), size(o.MinFree), ErrNoSpace)
	}
	if o.Quota > 0 && sp.Used+n > o.Quota {
		return fmt.Errorf("the spool uses %s of its quota of %s (spool.quota): %w", size(sp.Used), size(o.Quota), ErrNoSpace)
	}
	return nil
}

// CanHold returns nil when a file of n bytes fits into an otherwise empty spool, with the
// store's own files. Otherwise the error wraps ErrTooLarge.
func (d *Disk) CanHold(n int64) error {
	o := d.store.o
	total, _, err := o.Disk(d.usage.dir)
	if err != nil {
		return fmt.Errorf("measure the disk of %s: %w", d.usage.dir, err)
	}
	const share = 50 // of the content: keys, tables and half-filled log files
	need := n + n/share + o.LogFile
	if q := o.Quota; q > 0 && need > q {
		return fmt.Errorf("the file needs %s and the spool may use %s (spool.quota): %w", size(need), size(q), ErrTooLarge)
	}
	if most := total - o.MinFree; need > most {
		return fmt.Errorf("the file needs %s and the disk of the spool has %s beside spool.min_free: %w",
			size(need), size(most), ErrTooLarge)
	}
	return nil
}

// MakeRoom is Fits. When n bytes do not fit, it also evicts the oldest confirmed footage, if
// any is kept. The space is free after the next garbage collection, so the caller tries
// again later.
func (d *Disk) MakeRoom(n int64) error {
	err := d.Fits(n)
	if !errors.Is(err, ErrNoSpace) || d.store.collecting.Load() {
		return err
	}
	for _, r := range d.records.All() {
		if r.State != Confirmed {
			continue
		}
		d.store.o.Log.Info("confirmed footage evicted to make room", "footage", r.ID, "name", r.Name, "bytes", r.Source.Size)
		return errors.Join(err, d.Reclaim(r.ID))
	}
	return err
}

// Reclaim deletes the content of confirmed footage; the record stays. The error wraps
// ErrTransition for footage that is not confirmed.
func (d *Disk) Reclaim(id footage.ID) error {
	if r, ok := d.records.Get(id); !ok || r.State != Confirmed {
		return fmt.Errorf("reclaim %s in state %q: %w", id, r.State, ErrTransition)
	}
	if err := d.store.deleteContent(id); err != nil {
		return err
	}
	if _, err := d.records.applyEvent(id, Reclaim, nil, nil); err != nil {
		return err
	}
	return d.records.prune()
}

// Collect gives the space of deleted chunks back to the disk, except 4 MiB and files of the
// value log that also hold live content.
func (d *Disk) Collect(ctx context.Context) error { return d.store.collect(ctx) }

// usage measures the spool's folder. Badger's files are sparse, so usage counts blocks, not lengths.
type usage struct {
	dir  string
	disk func(string) (total, free int64, err error)
}

func (u *usage) space() (Space, error) {
	total, free, err := u.disk(u.dir)
	if err != nil {
		return Space{}, fmt.Errorf("measure the free space of %s: %w", u.dir, err)
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

// onDisk is what a file uses on the disk, in bytes.
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

func size(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
