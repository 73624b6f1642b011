package azure

import (
	"context"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	az "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/lease"
	"github.com/google/uuid"

	"cattlecounter/cloud/store/blob"
)

const (
	// endless is the duration of a lease without an end. The next holder breaks it.
	endless = -1
	// holdTries limits the attempts when other processes acquire the lease first.
	holdTries = 5
	// releaseTime limits the release of a lease.
	releaseTime = 5 * time.Second
)

// Hold implements blob.Holder with a lease on the staged blob. Every write carries the
// lease, and the service refuses the writes of a holder that lost it.
func (s *Store) Hold(ctx context.Context, id string) (release func(), err error) {
	name, err := staged(id)
	if err != nil {
		return nil, err
	}
	mine := uuid.NewString()
	client, err := lease.NewBlobClient(s.box.NewBlockBlobClient(name), &lease.BlobClientOptions{LeaseID: &mine})
	if err != nil {
		return nil, fmt.Errorf("hold %s: %w", name, err)
	}
	for try := 1; ; try++ {
		_, err = client.AcquireLease(ctx, endless, nil)
		if !bloberror.HasCode(err, bloberror.LeaseAlreadyPresent) || try == holdTries {
			break
		}
		_, err = client.BreakLease(ctx, &lease.BlobBreakOptions{BreakPeriod: to.Ptr(int32(0))})
		if err != nil && !bloberror.HasCode(err, bloberror.LeaseNotPresentWithLeaseOperation) {
			break
		}
	}
	switch {
	case bloberror.HasCode(err, bloberror.BlobNotFound, bloberror.ContainerNotFound):
		return func() {}, nil // nothing is staged
	case err != nil:
		return nil, fmt.Errorf("hold %s: %w", name, explain(ctx, err))
	}
	s.mu.Lock()
	s.leases[name] = mine
	s.mu.Unlock()
	return func() {
		s.mu.Lock()
		if s.leases[name] == mine {
			delete(s.leases, name)
		}
		s.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
		defer cancel()
		// The error does not matter: the lease may be lost or the blob deleted, and the
		// next holder breaks a lease that stays.
		_, _ = client.ReleaseLease(ctx, nil)
	}, nil
}

// leaseCondition returns the condition for writes to a blob, nil when it is not held.
func (s *Store) leaseCondition(name string) *az.LeaseAccessConditions {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id, ok := s.leases[name]; ok {
		return &az.LeaseAccessConditions{LeaseID: &id}
	}
	return nil
}

// leaseLost reports whether the service refused a write because another process holds
// the blob now.
func leaseLost(err error) bool {
	return bloberror.HasCode(err, bloberror.LeaseAlreadyPresent, bloberror.LeaseIDMissing, bloberror.LeaseLost,
		bloberror.LeaseIDMismatchWithBlobOperation,
		bloberror.LeaseNotPresentWithBlobOperation)
}

var _ blob.Holder = (*Store)(nil)
