package intake

import (
	"context"
	"fmt"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/wire"
)

// reserved sums up what clients have announced and not sent yet.
type reserved interface {
	Reserved(ctx context.Context, device string) (all, own int64, err error)
}

// reserve refuses an upload of size bytes for which there is no room besides what others were promised, and one that takes
// its device over its share.
func (in *Intake) reserve(ctx context.Context, device string, size int64) error {
	all, own, err := in.reserved.Reserved(ctx, device)
	if err != nil {
		return err
	}
	if in.o.MaxDeviceBytes > 0 && own+size > in.o.MaxDeviceBytes {
		return noRoom("This device has announced %s that it has not sent yet, and %s more would be over %s. Finish or end "+
			"some of its uploads, or raise intake.max_device_bytes.", bytesText(own), bytesText(size), bytesText(in.o.MaxDeviceBytes))
	}
	free, err := in.free()
	if err != nil || free < 0 {
		return err
	}
	if all+size > free-in.o.MinFree {
		return noRoom("The disk of the server is too full: %s are free, of which %s are reserved for uploads and %s must "+
			"stay free (intake.min_free). %s more do not fit. Remove old videos (retention.videos) or add disk space, then "+
			"send it again.", bytesText(free), bytesText(all), bytesText(in.o.MinFree), bytesText(size))
	}
	return nil
}

// mayAppend refuses bytes while less than MinFree is free.
func (in *Intake) mayAppend() error {
	free, err := in.free()
	if err != nil || free < 0 || free >= in.o.MinFree {
		return err
	}
	return noRoom("The disk of the server is too full: %s are free, and %s must stay free (intake.min_free). Remove old "+
		"videos (retention.videos) or add disk space; the upload then continues.", bytesText(free), bytesText(in.o.MinFree))
}

// free is the room of the storage in bytes, below 0 where it has no bound.
func (in *Intake) free() (int64, error) {
	if in.o.Free == nil {
		return -1, nil
	}
	n, err := in.o.Free()
	if err != nil {
		return 0, fmt.Errorf("free space: %w", err)
	}
	return n, nil
}

func noRoom(format string, args ...any) error { return problem.New(wire.SlugNoSpace, format, args...) }

func bytesText(n int64) string {
	const mega = 1 << 20
	return fmt.Sprintf("%d MiB", (n+mega-1)/mega)
}

var _ reserved = (*ledger.Uploads)(nil)
