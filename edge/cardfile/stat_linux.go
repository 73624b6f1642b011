package cardfile

import (
	"io/fs"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Stat is what a file system knows of one file. While two Stats of one path are equal, nothing wrote to the file in
// between.
type Stat struct {
	Device, Inode uint64
	Size          int64
	ModTime       time.Time
	Changed       time.Time // last change of content, name or mode (ctime)
}

// StatOf returns the Stat of a file.
func StatOf(info fs.FileInfo) Stat {
	s := Stat{Size: info.Size(), ModTime: info.ModTime()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.Device, s.Inode = uint64(st.Dev), st.Ino //nolint:unconvert // 32 bits on some boards
		s.Changed = time.Unix(st.Ctim.Unix())
	}
	return s
}

// Equal reports whether both describe the same file in the same condition.
func (s Stat) Equal(o Stat) bool {
	return s.Device == o.Device && s.Inode == o.Inode && s.Size == o.Size && s.ModTime.Equal(o.ModTime) &&
		s.Changed.Equal(o.Changed)
}

// Volume describes the file system below a folder.
type Volume struct {
	// Mount names this mount: a card that is inserted again has another one. 0 where the kernel cannot tell.
	Mount uint64
	// Inodes is false for file systems whose inode numbers change while a file stays the same (FAT, exFAT, FUSE).
	Inodes bool
}

// changingInodes are the file systems that give a file another number after the kernel dropped it from its cache.
var changingInodes = []int64{unix.MSDOS_SUPER_MAGIC, unix.EXFAT_SUPER_MAGIC, unix.FUSE_SUPER_MAGIC}

// VolumeOf returns the volume that holds a folder.
func VolumeOf(folder string) (Volume, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(folder, &st); err != nil {
		return Volume{}, &fs.PathError{Op: "statfs", Path: folder, Err: err}
	}
	v := Volume{Inodes: !slices.Contains(changingInodes, int64(st.Type))} //nolint:unconvert // 32 bits on some boards
	var x unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, folder, 0, unix.STATX_MNT_ID_UNIQUE, &x); err == nil &&
		x.Mask&unix.STATX_MNT_ID_UNIQUE != 0 {
		v.Mount = x.Mnt_id
	}
	return v, nil
}
