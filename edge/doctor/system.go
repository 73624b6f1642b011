package doctor

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"cattlecounter/edge/clock"
	"cattlecounter/edge/local"
	"cattlecounter/edge/vitals"
	"cattlecounter/edge/watch"
	"cattlecounter/shared/mqttlink"
)

// System returns the probes of this machine.
func System() Probes {
	return Probes{Now: time.Now, Clock: vitals.Clock, NTP: clock.AskNTP, GPSD: clock.AskGPSD, Broker: mqttlink.Probe,
		Agent: local.Status, FileSystem: fileSystem,
		Entries: entries, Survey: watch.Survey, Rate: rate, Memory: memory, OpenFiles: openFiles, MayRead: mayRead}
}

// kinds names file systems by their magic number (statfs(2)).
var kinds = map[int64]string{
	unix.EXT4_SUPER_MAGIC: "ext4", unix.BTRFS_SUPER_MAGIC: "btrfs", unix.XFS_SUPER_MAGIC: "xfs",
	unix.F2FS_SUPER_MAGIC: "f2fs",
	unix.TMPFS_MAGIC:      "tmpfs", unix.RAMFS_MAGIC: "ramfs", unix.OVERLAYFS_SUPER_MAGIC: "overlay",
	unix.MSDOS_SUPER_MAGIC: "vfat",
	unix.EXFAT_SUPER_MAGIC: "exfat", unix.NFS_SUPER_MAGIC: "nfs", unix.CIFS_SUPER_MAGIC: "cifs",
	unix.FUSE_SUPER_MAGIC: "fuse",
	unix.SQUASHFS_MAGIC:   "squashfs",
}

func fileSystem(path string) (FileSystem, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return FileSystem{}, &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	own, err := stat(path)
	if err != nil {
		return FileSystem{}, err
	}
	above, err := stat(filepath.Dir(path))
	if err != nil {
		return FileSystem{}, err
	}
	block := int64(st.Bsize)        //nolint:unconvert // 32 bits on some boards
	magic := int64(uint32(st.Type)) // signed and 32 bits on some boards
	f := FileSystem{Total: int64(st.Blocks) * block, Free: int64(st.Bavail) * block, Kind: kinds[magic],
		ReadOnly: st.Flags&unix.ST_RDONLY != 0,
		Mount:    own.Dev != above.Dev || own.Ino == above.Ino, UID: own.Uid, GID: own.Gid}
	if f.Kind == "" {
		f.Kind = fmt.Sprintf("%#x", magic)
	}
	return f, nil
}

func stat(path string) (*syscall.Stat_t, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, fmt.Errorf("%s: owner and device are unknown", path)
	}
	return st, nil
}

// entries counts at most 10000 entries: a folder that is no card may hold millions.
func entries(dir string) (int, error) {
	const limit = 10_000
	f, err := os.Open(dir)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	names, err := f.Readdirnames(limit)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return len(names), err
}

// rate writes 16 MiB with a sync every 4 MiB, as the spool does. The file loses its
// name before the first write, so that a power cut leaves nothing behind.
func rate(ctx context.Context, dir string) (float64, error) {
	const piece, pieces = 4 << 20, 4
	b := make([]byte, piece)
	if _, err := rand.Read(b); err != nil { // zeros would be fast on a disk that compresses
		return 0, err
	}
	f, err := os.CreateTemp(dir, "doctor-*.tmp")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil {
		return 0, err
	}
	began := time.Now()
	for range pieces {
		if ctx.Err() != nil {
			return 0, fmt.Errorf("writing 16 MiB took too long: %w", context.Cause(ctx))
		}
		if _, err := f.Write(b); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
	}
	return piece * pieces / time.Since(began).Seconds(), nil
}

func memory() (total, available int64, err error) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, 0, err
	}
	return parseMemory(string(b))
}

// parseMemory reads /proc/meminfo (proc_meminfo(5)), in kB.
func parseMemory(text string) (total, available int64, err error) {
	want := map[string]*int64{"MemTotal": &total, "MemAvailable": &available}
	for line := range strings.Lines(text) {
		key, rest, _ := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		if at := want[key]; at != nil && len(fields) > 0 {
			kb, err := strconv.ParseInt(fields[0], 10, 42) // bytes fit into 63 bits
			if err != nil || kb < 0 {
				return 0, 0, fmt.Errorf("%s: %q is not a size", key, fields[0])
			}
			*at = kb << 10
			delete(want, key)
		}
	}
	if len(want) > 0 {
		return 0, 0, errors.New("/proc/meminfo: MemTotal or MemAvailable is missing")
	}
	return total, available, nil
}

func openFiles(pid int) (int, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return parseOpenFiles(f)
}

// parseOpenFiles reads the soft limit of /proc/PID/limits.
func parseOpenFiles(r io.Reader) (int, error) {
	const row = "Max open files"
	for s := bufio.NewScanner(r); s.Scan(); {
		rest, is := strings.CutPrefix(s.Text(), row)
		fields := strings.Fields(rest)
		if !is || len(fields) == 0 {
			continue
		}
		if fields[0] == "unlimited" {
			return int(^uint32(0) >> 1), nil
		}
		return strconv.Atoi(fields[0])
	}
	return 0, fmt.Errorf("limits of the process: no row %q", row)
}

// mayRead checks the mode bits of a path and of every folder above it for a user
// with one group. It does not check root and the caller's own user: a read shows
// whether they may.
func mayRead(path string, uid, gid uint32) error {
	const read, enter = 4, 1
	if uid == 0 || int(uid) == os.Geteuid() {
		return nil
	}
	for at, need := filepath.Clean(path), uint32(read); ; at, need = filepath.Dir(at), enter {
		st, err := stat(at)
		if err != nil {
			return err
		}
		bits := st.Mode
		switch {
		case st.Uid == uid:
			bits >>= 6
		case st.Gid == gid:
			bits >>= 3
		}
		if bits&need == 0 {
			return fmt.Errorf("mode %04o of %s, owner %d, group %d", st.Mode&0o7777, at, st.Uid, st.Gid)
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}
