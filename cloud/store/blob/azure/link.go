package azure

import (
	"context"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"cattlecounter/cloud/store/blob"
)

const (
	// clockSlack is how much the clocks of the service and of this machine may differ.
	clockSlack = 5 * time.Minute
	// delegated is the requested lifetime of a key of the identity.
	delegated = 6 * time.Hour
)

// delegation is a key with which an identity signs links. Store.mu guards it.
type delegation struct {
	key   *service.UserDelegationCredential
	until time.Time
}

var _ blob.Linker = (*Store)(nil)

// Link implements blob.Linker. The account's key signs the link or, with a managed
// identity, a key of that identity.
func (s *Store) Link(ctx context.Context, key string, valid time.Duration) (string, error) {
	if err := blob.CheckKey(key); err != nil {
		return "", err
	}
	if _, err := s.Stat(ctx, key); err != nil {
		return "", err
	}
	u, err := s.link(ctx, key, valid)
	if err != nil {
		return "", fmt.Errorf("link to blob %s: %w", key, err)
	}
	return u, nil
}

func (s *Store) link(ctx context.Context, name string, valid time.Duration) (string, error) {
	client := s.box.NewBlobClient(name)
	now := time.Now().UTC()
	if s.keyed {
		return client.GetSASURL(sas.BlobPermissions{Read: true}, now.Add(valid), nil)
	}
	key, err := s.delegation(ctx, now, valid)
	if err != nil {
		return "", err
	}
	parts, err := sas.ParseURL(client.URL())
	if err != nil {
		return "", err
	}
	signed, err := sas.BlobSignatureValues{Protocol: sas.ProtocolHTTPS, StartTime: now.Add(-clockSlack),
		ExpiryTime:  now.Add(valid),
		Permissions: to.Ptr(sas.BlobPermissions{Read: true}).String(), ContainerName: parts.ContainerName,
		BlobName: name}.SignWithUserDelegation(key)
	if err != nil {
		return "", err
	}
	return client.URL() + "?" + signed.Encode(), nil
}

// delegation returns a key that is valid for a link with that lifetime.
func (s *Store) delegation(ctx context.Context, now time.Time,
	valid time.Duration) (*service.UserDelegationCredential, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.signer.key != nil && now.Add(valid).Before(s.signer.until) {
		return s.signer.key, nil
	}
	until := now.Add(delegated + valid)
	key, err := s.service.GetUserDelegationCredential(ctx, service.KeyInfo{
		Start: to.Ptr(now.Add(-clockSlack).Format(sas.TimeFormat)), Expiry: to.Ptr(until.Format(sas.TimeFormat))}, nil)
	if err != nil {
		return nil, explain(ctx, err)
	}
	s.signer = delegation{key: key, until: until}
	return key, nil
}
