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

// FileSystem is what a path lies on.
type FileSystem struct {
	Total, Free int64  // bytes; free is what the agent may use
	Kind        string // ext4, vfat, … or a number in hexadecimal
	ReadOnly    bool
	Mount       bool   // the path is where it is mounted
	UID, GID    uint32 // owner of the path
}

const (
	// slowDisk is below what a drone's card delivers over USB 2; a dock that lands
	// every half hour fills 64 GB of card faster than such a disk takes it.
	slowDisk = 10 << 20
	// nearlyFull times spool.min_free is when to warn.
	nearlyFull = 4
)

const otherUser = "run the doctor as root or as the agent's user (runuser -u cattlecounter -- edge-agent doctor)"

// unfit says why a kind of file system is no place for the spool.
var unfit = map[string]string{
	"tmpfs":   "it is in memory and empty after a power cut",
	"ramfs":   "it is in memory and empty after a power cut",
	"overlay": "it may be in memory, and is replaced with the system's image",
	"vfat":    "it has no journal: a power cut spoils it",
	"exfat":   "it has no journal: a power cut spoils it",
	"nfs":     "locks, maps and syncs over a network do not hold what the spool needs",
	"cifs":    "locks, maps and syncs over a network do not hold what the spool needs",
}

// cards are the kinds that drones write.
var cards = map[string]bool{"vfat": true, "exfat": true}

// spoolFolder describes the spool's folder, or the nearest one above it that is
// there: the service manager makes one for the agent's user, the agent the rest.
func (v *visit) spoolFolder() (dir string, f FileSystem, err error) {
	dir = v.Config.Spool.Dir
	f, err = v.Probes.FileSystem(dir)
	for errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		f, err = v.Probes.FileSystem(dir)
	}
	return dir, f, err
}

// agentMayRead judges by the owner of the spool, who the agent runs as.
func (v *visit) agentMayRead(path string) error {
	_, own, err := v.spoolFolder()
	if err != nil {
		return nil // the disk's check says so
	}
	return v.Probes.MayRead(path, own.UID, own.GID)
}

// disk looks at the disk of the spool: kind, room, speed.
func (v *visit) disk(ctx context.Context) []Finding {
	dir, f, err := v.spoolFolder()
	there := dir == v.Config.Spool.Dir
	if errors.Is(err, fs.ErrPermission) {
		return []Finding{fail("disk", otherUser, "%s cannot be looked at: %v", v.Config.Spool.Dir, err)}
	}
	if err != nil {
		return []Finding{fail("disk", "check that the disk is there and mounted (lsblk, mount), and who owns the folder", "%s: %v", v.Config.Spool.Dir, err)}
	}
	found := []Finding{v.room(f)}
	if why, bad := unfit[f.Kind]; bad {
		found = append(found, warn("disk", "put spool.dir on a disk of its own with ext4 or another file system with a journal",
			"the spool lies on %s: %s", f.Kind, why))
	}
	if f.ReadOnly {
		return append(found, fail("disk", "look for faults of the disk (dmesg), check it (fsck), mount it writable", "%s is mounted read-only", dir))
	}
	if found[0].Level == Fail {
		return found // writing would take what must stay free
	}
	return append(found, v.speed(ctx, dir, there))
}

func (v *visit) room(f FileSystem) Finding {
	least := int64(v.Config.Spool.MinFree)
	what := fmt.Sprintf("%s free of %s (%s)", inBytes(f.Free), inBytes(f.Total), f.Kind)
	const do = "nothing is taken in from the card below spool.min_free: let what is spooled be uploaded, remove what else fills the disk, or take a larger one"
	switch {
	case f.Free < least:
		return fail("disk", do, "full: %s, %s must stay free (spool.min_free)", what, inBytes(least))
	case f.Free < nearlyFull*least:
		return warn("disk", do, "nearly full: %s, %s must stay free (spool.min_free)", what, inBytes(least))
	}
	return ok("disk", "%s", what)
}

func (v *visit) speed(ctx context.Context, dir string, there bool) Finding {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	rate, err := within(ctx, checkLimit, func() (float64, error) { return v.Probes.Rate(ctx, dir) })
	switch {
	case err != nil && !there:
		return warn("disk", "start the agent once, which makes it, and ask again", "%s is not there yet, and its speed cannot be measured above it: %v", v.Config.Spool.Dir, err)
	case errors.Is(err, fs.ErrPermission):
		return fail("disk", otherUser+"; if it is that user: chown -R cattlecounter: "+dir, "%s cannot be written: %v", dir, err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fail("disk", "free some space; also look for a quota and for inodes (df -i)", "%s is full: %v", dir, err)
	case err != nil:
		return fail("disk", "look for faults of the disk (dmesg, smartctl) and replace it; footage is not safe on it", "%s cannot be written: %v", dir, err)
	case rate < slowDisk:
		return warn("disk", "a worn or simple SD card is like that: use an SSD, eMMC or a card of endurance grade",
			"slow: %s/s with a sync every 4 MiB; a card of 64 GB takes %.0f hours", inBytes(int64(rate)), 64e9/rate/3600)
	}
	return ok("disk", "writes %s/s with a sync every 4 MiB", inBytes(int64(rate)))
}

// folders looks at where the cards are.
func (v *visit) folders(ctx context.Context) []Finding {
	var found []Finding
	for _, dir := range v.Config.Watch.Folders {
		found = append(found, v.folder(ctx, dir))
	}
	return found
}

func (v *visit) folder(ctx context.Context, dir string) Finding {
	type look struct {
		n int
		f FileSystem
	}
	l, err := within(ctx, checkLimit, func() (look, error) {
		n, err := v.Probes.Entries(dir)
		if err != nil {
			return look{}, err
		}
		f, err := v.Probes.FileSystem(dir)
		return look{n, f}, err
	})
	what := fmt.Sprintf("%s, %d entries (%s)", dir, l.n, l.f.Kind)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return warn("folder", "put the card in, or mount it there; correct watch.folders if it is elsewhere (lsblk -o NAME,LABEL,MOUNTPOINT)", "%s is not there", dir)
	case errors.Is(err, fs.ErrPermission):
		return fail("folder", "mount it so that the agent's user may read it, for FAT with the option uid=cattlecounter or umask=022", "%s cannot be read: %v", dir, err)
	case err != nil:
		return fail("folder", "the reader or the card is faulty: pull it out and in, look at dmesg, try another", "%s cannot be read: %v", dir, err)
	}
	if err := v.agentMayRead(dir); err != nil {
		return warn("folder", "mount it so that the agent's user may read it, for FAT with the option uid=cattlecounter or umask=022",
			"%s; the agent's user seems not to be allowed to read it: %v", what, err)
	}
	switch {
	case l.n == 0 && !l.f.Mount:
		return warn("folder", "if this is where a card is mounted, there is none: put it in, look at lsblk and dmesg", "%s is empty and nothing is mounted on it", dir)
	case v.Config.Watch.DeleteConfirmed && l.f.ReadOnly:
		return warn("folder", "mount it writable, or set watch.delete_confirmed to false", "%s is mounted read-only, but confirmed footage is to be deleted from it", what)
	case cards[l.f.Kind] && !l.f.ReadOnly && !v.Config.Watch.DeleteConfirmed:
		return warn("folder", "mount it with the option ro: the agent only reads, and a power cut cannot spoil it", "%s, mounted writable", what)
	}
	return ok("folder", "%s%s", what, map[bool]string{true: ", read-only"}[l.f.ReadOnly])
}

func inBytes(n int64) string { return settings.ByteSize(n).Short() }
