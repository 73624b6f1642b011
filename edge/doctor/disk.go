package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"

	"cattlecounter/shared/settings"
)

// FileSystem describes the file system that holds a path.
type FileSystem struct {
	Total, Free int64  // bytes; free is what the agent may use
	Kind        string // ext4, vfat, …, or its magic number in hexadecimal
	ReadOnly    bool
	Mount       bool   // the path is its mount point
	UID, GID    uint32 // owner of the path
}

const (
	// slowDisk is below what a drone's card delivers over USB 2. A dock with a landing
	// every half hour fills a card of 64 GB faster than such a disk stores it.
	slowDisk = 10 << 20
	// nearlyFull times spool.min_free is the free space below which the doctor warns.
	nearlyFull = 4
)

const otherUser = "run the doctor as root or as the agent's user (runuser -u cattlecounter -- edge-agent doctor)"

// unfit gives the reason why a kind of file system cannot hold the spool safely.
var unfit = map[string]string{
	"tmpfs":   "it is in memory and loses its content in a power cut",
	"ramfs":   "it is in memory and loses its content in a power cut",
	"overlay": "it may be in memory, and an update of the system's image replaces it",
	"vfat":    "it has no journal, so a power cut damages it",
	"exfat":   "it has no journal, so a power cut damages it",
	"nfs":     "locks, memory maps and syncs are not reliable over a network",
	"cifs":    "locks, memory maps and syncs are not reliable over a network",
}

// cards are the file systems of drones' cards.
var cards = map[string]bool{"vfat": true, "exfat": true}

// spoolFolder describes the spool's folder, or the nearest existing one above it:
// the agent creates the rest when it starts.
func (v *inspection) spoolFolder() (dir string, f FileSystem, err error) {
	dir = v.Config.Spool.Dir
	f, err = v.Probes.FileSystem(dir)
	for errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		f, err = v.Probes.FileSystem(dir)
	}
	return dir, f, err
}

// agentMayRead checks for the owner of the spool, which is the agent's user.
func (v *inspection) agentMayRead(path string) error {
	_, own, err := v.spoolFolder()
	if err != nil {
		return nil // the check of the disk reports it
	}
	return v.Probes.MayRead(path, own.UID, own.GID)
}

// disk checks the spool's disk: kind, free space and speed.
func (v *inspection) disk(ctx context.Context) []Finding {
	dir, f, err := v.spoolFolder()
	there := dir == v.Config.Spool.Dir
	if errors.Is(err, fs.ErrPermission) {
		return []Finding{fail("disk", otherUser, "cannot examine %s: %v", v.Config.Spool.Dir, err)}
	}
	if err != nil {
		return []Finding{fail("disk", "check that the disk is connected and mounted (lsblk, mount), and who owns the folder",
			"%s: %v", v.Config.Spool.Dir, err)}
	}
	found := []Finding{v.freeSpace(f)}
	if why, bad := unfit[f.Kind]; bad {
		found = append(found,
			warn("disk", "move spool.dir to a separate disk with ext4 or another file system with a journal",
				"the spool is on %s: %s", f.Kind, why))
	}
	if f.ReadOnly {
		return append(found, fail("disk", "look for disk faults (dmesg), check the disk (fsck), mount it writable",
			"%s is mounted read-only", dir))
	}
	if found[0].Level == Fail {
		return found // a test write would use the space that must stay free
	}
	return append(found, v.speed(ctx, dir, there))
}

func (v *inspection) freeSpace(f FileSystem) Finding {
	least := int64(v.Config.Spool.MinFree)
	what := fmt.Sprintf("%s free of %s (%s)", inBytes(f.Free), inBytes(f.Total), f.Kind)
	const do = "below spool.min_free the agent reads nothing from the card: " +
		"wait for uploads, remove other files, or use a larger disk"
	switch {
	case f.Free < least:
		return fail("disk", do, "full: %s, %s must stay free (spool.min_free)", what, inBytes(least))
	case f.Free < nearlyFull*least:
		return warn("disk", do, "nearly full: %s, %s must stay free (spool.min_free)", what, inBytes(least))
	}
	return ok("disk", "%s", what)
}

func (v *inspection) speed(ctx context.Context, dir string, there bool) Finding {
	rate, err := within(ctx, &v.late, checkLimit, func(ctx context.Context) (float64,
		error) {
		return v.Probes.Rate(ctx, dir)
	})
	switch {
	case err != nil && !there:
		return warn("disk", "start the agent once, which creates the folder, and run the doctor again",
			"%s does not exist yet, and the speed cannot be measured above it: %v", v.Config.Spool.Dir, err)
	case errors.Is(err, fs.ErrPermission):
		return fail("disk", otherUser+"; if you did: chown -R cattlecounter: "+dir, "cannot write to %s: %v", dir, err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fail("disk", "free some space; check quotas and inodes too (df -i)", "%s is full: %v", dir, err)
	case err != nil:
		return fail("disk", "look for disk faults (dmesg, smartctl) and replace the disk; footage is not safe on it",
			"cannot write to %s: %v", dir, err)
	case rate < slowDisk:
		return warn("disk", "use an SSD, eMMC or a card of endurance grade; a worn or simple SD card is this slow",
			"slow: writes %s/s with a sync every 4 MiB; a card of 64 GB takes %.0f hours", inBytes(int64(rate)), 64e9/rate/3600)
	}
	return ok("disk", "writes %s/s with a sync every 4 MiB", inBytes(int64(rate)))
}

// folders checks the watched folders.
func (v *inspection) folders(ctx context.Context) []Finding {
	var found []Finding
	for _, dir := range v.Config.Watch.Folders {
		f := v.folder(ctx, dir)
		found = append(found, f)
		if f.Level != Fail {
			found = append(found, v.skipped(ctx, dir)...)
		}
	}
	return found
}

// readable is what to do about a folder that the agent's user cannot read.
const readable = "mount it so that the agent's user may read it, for FAT with the option uid=cattlecounter or umask=022"

func (v *inspection) folder(ctx context.Context, dir string) Finding {
	type content struct {
		n int
		f FileSystem
	}
	l, err := within(ctx, &v.late, checkLimit, func(context.Context) (content, error) {
		n, err := v.Probes.Entries(dir)
		if err != nil {
			return content{}, err
		}
		f, err := v.Probes.FileSystem(dir)
		return content{n, f}, err
	})
	what := fmt.Sprintf("%s, %d entries (%s)", dir, l.n, l.f.Kind)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return warn("folder",
			"insert the card, or mount it there; "+
				"correct watch.folders if the card is elsewhere (lsblk -o NAME,LABEL,MOUNTPOINT)",
			"%s does not exist", dir)
	case errors.Is(err, fs.ErrPermission):
		return fail("folder", readable, "cannot read %s: %v", dir, err)
	case err != nil:
		return fail("folder", "the card or its reader is faulty: insert the card again, look at dmesg, try another",
			"cannot read %s: %v", dir, err)
	}
	if err := v.agentMayRead(dir); err != nil {
		return warn("folder", readable, "%s; the agent's user cannot read it: %v", what, err)
	}
	switch {
	case l.n == 0 && !l.f.Mount:
		return warn("folder", "insert the card if this is its mount point; look at lsblk and dmesg",
			"%s is empty and nothing is mounted on it", dir)
	case v.Config.Watch.DeleteConfirmed && l.f.ReadOnly:
		return warn("folder", "mount it writable, or set watch.delete_confirmed to false",
			"%s is mounted read-only, but watch.delete_confirmed is on", what)
	case cards[l.f.Kind] && !l.f.ReadOnly && !v.Config.Watch.DeleteConfirmed:
		return warn("folder", "mount it with the option ro: the agent only reads, and a power cut cannot damage the card",
			"%s, mounted writable", what)
	}
	return ok("folder", "%s%s", what, map[bool]string{true: ", read-only"}[l.f.ReadOnly])
}

func inBytes(n int64) string { return settings.ByteSize(n).Short() }
