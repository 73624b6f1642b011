// Package store opens the ledger, the blobs and the queue that the configuration
// names, for cloud-api and worker alike.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"golang.org/x/sys/unix"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/store/azstorage"
	"cattlecounter/cloud/store/blob"
	blobazure "cattlecounter/cloud/store/blob/azure"
	"cattlecounter/cloud/store/blob/disk"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue"
	queueazure "cattlecounter/cloud/store/queue/azure"
	"cattlecounter/cloud/store/queue/embedded"
	"cattlecounter/cloud/store/vault"
	"cattlecounter/shared/settings"
)

// Blobs stores whole blobs, and blobs that grow in pieces.
type Blobs interface {
	blob.Store
	blob.Stager
}

// Stores are the opened back ends. None of them needs to be closed. The queue is usable as
// long as its ledger is open.
type Stores struct {
	Blobs Blobs
	Queue queue.Queue
	// Ready returns an error when blobs cannot be written. It wraps ErrLowDisk when the disk is nearly full.
	Ready func(context.Context) error
	// Free returns the free bytes of the disk; nil for a store without a bound.
	Free func() (int64, error)
}

// OpenLedger opens the ledger that cfg names, for programs that need none of its secrets. The data folder must exist.
func OpenLedger(ctx context.Context, cfg config.Config) (*ledger.Ledger, error) {
	return OpenLedgerWith(ctx, cfg, nil)
}

// OpenLedgerWith is OpenLedger with the keys of its secrets, nil for none.
func OpenLedgerWith(ctx context.Context, cfg config.Config, keys *vault.Keys) (*ledger.Ledger, error) {
	o := ledger.Options{Keys: keys}
	if cfg.Ledger.URL.IsZero() {
		return ledger.Open(ctx, cfg.LedgerPath(), o)
	}
	if cfg.Ledger.Identity {
		var err error
		if o.Password, err = azstorage.DatabaseToken(); err != nil {
			return nil, fmt.Errorf("ledger.identity: %w", err)
		}
	}
	return ledger.OpenPostgres(ctx, cfg.Ledger.URL, o)
}

// Open opens the blob store and the queue that cfg names. l is the ledger of the same
// configuration.
func Open(ctx context.Context, cfg config.Config, l *ledger.Ledger, log *slog.Logger) (Stores, error) {
	if cfg.Store == config.StoreAzure {
		return azure(ctx, cfg, l, log)
	}
	blobs, err := disk.New(cfg.BlobDir())
	if err != nil {
		return Stores{}, err
	}
	q, err := embedded.New(ctx, l.DB(), nil)
	if err != nil {
		return Stores{}, err
	}
	return Stores{Blobs: blobs, Queue: q, Free: func() (int64, error) { return freeBytes(cfg.BlobDir()) },
		Ready: func(context.Context) error { return checkFolder(cfg.BlobDir(), cfg.Intake.MinFree) }}, nil
}

func azure(ctx context.Context, cfg config.Config, l *ledger.Ledger, log *slog.Logger) (Stores, error) {
	a := cfg.Azure
	blobs, err := blobazure.New(ctx, blobazure.Options{Account: azstorage.Account{ConnectionString: a.ConnectionString,
		URL: a.BlobURL}, Container: a.Container, Log: log})
	if err != nil {
		return Stores{}, err
	}
	q, err := queueazure.New(ctx, queueazure.Options{Account: azstorage.Account{ConnectionString: a.ConnectionString,
		URL: a.QueueURL}, Name: a.Queue, DB: l.DB(), Log: log})
	if err != nil {
		return Stores{}, err
	}
	return Stores{Blobs: blobs, Queue: q, Ready: func(ctx context.Context) error {
		if _, err := blobs.Stat(ctx, "ready"); !errors.Is(err, blob.ErrNotFound) {
			return err
		}
		return nil
	}}, nil
}

// ErrLowDisk marks a disk with less free space than intake.min_free.
var ErrLowDisk = errors.New("not enough free space; delete files or lower intake.min_free")

// freeBytes returns how many bytes a program may still write to the disk of a folder.
func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("blob folder: %w", err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// checkFolder checks that the folder is writable and has free space.
func checkFolder(dir string, minFree settings.ByteSize) error {
	f, err := os.CreateTemp(dir, ".ready-*")
	if err != nil {
		return fmt.Errorf("cannot write to the blob folder: %w", err)
	}
	if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
		return fmt.Errorf("blob folder: %w", err)
	}
	n, err := freeBytes(dir)
	if err != nil {
		return err
	}
	if free := settings.ByteSize(n); free < minFree {
		return fmt.Errorf("%d MiB are free, intake.min_free is %s: %w", free>>20, minFree, ErrLowDisk)
	}
	return nil
}
