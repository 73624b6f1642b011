// Package azure stores blobs in a container of Azure Blob Storage.
//
// A staged upload is a block blob with a name that no key can have. Blocks are sent as
// the bytes arrive, several at a time, and are committed to the blob when an append
// ends. After a crash the service still lists the uncommitted blocks, and the next call
// on any replica commits them. Store.Commit is a copy within the account, which the
// service does itself.
package azure

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"cattlecounter/cloud/store/azstorage"
	"cattlecounter/cloud/store/blob"
)

// Options say where the blobs are. Account and Container are required.
type Options struct {
	Account   azstorage.Account
	Container string
	Client    *http.Client // sends the requests; nil means the SDK's
	Log       *slog.Logger // nil means no log
}

// Concurrency is the number of blocks of one append that are sent at once. An append
// uses the memory of one block more (blockSize).
const Concurrency = 4

const (
	// idleBuffers is the number of buffers that wait for the next append: those of two.
	idleBuffers = 2 * (Concurrency + 1)
	// tryTimeout is long enough for the largest block on a slow line.
	tryTimeout = 2 * time.Minute
)

// Store implements blob.Store and blob.Stager.
type Store struct {
	service  *service.Client
	box      *container.Client
	resource azstorage.Resource
	keyed    bool // the account's key signs links
	// mergeFrom is manyBlocks; a test has fewer.
	mergeFrom int

	mu     sync.Mutex
	stages map[string]*stage // cache of staged uploads by name; at most maxStages
	leases map[string]string // lease ids of held blobs by name; one for each running request
	signer delegation

	checksums checksums // of blocks

	free chan []byte // idle buffers of firstBlock bytes
}

// New opens a container and creates it if it is missing.
func New(ctx context.Context, o Options) (*Store, error) {
	if o.Container == "" {
		return nil, errors.New("blobs on Azure: set the name of the container")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	so := &service.ClientOptions{ClientOptions: azstorage.ClientOptions(o.Client, tryTimeout)}
	client, err := azstorage.Connect(o.Account,
		func(text string) (*service.Client, error) { return service.NewClientFromConnectionString(text, so) },
		func(url string, who azcore.TokenCredential) (*service.Client, error) {
			return service.NewClient(url, who, so)
		})
	if err != nil {
		return nil, fmt.Errorf("blobs on Azure: %w", err)
	}
	s := &Store{service: client, box: client.NewContainerClient(o.Container), keyed: o.Account.URL == "",
		mergeFrom: manyBlocks, stages: map[string]*stage{}, leases: map[string]string{},
		free: make(chan []byte, idleBuffers)}
	s.resource = azstorage.Resource{Kind: azstorage.Container, Name: o.Container, Log: o.Log,
		Create: func(ctx context.Context) error {
			_, err := s.box.Create(ctx, nil)
			return err
		}}
	if err := s.resource.Ensure(ctx); err != nil {
		return nil, fmt.Errorf("container %s: %w", o.Container, explain(ctx, err))
	}
	return s, nil
}

// explain maps the service's errors to the contract's.
func explain(ctx context.Context, err error) error {
	if leaseLost(err) {
		return fmt.Errorf("%w: %w", blob.ErrTaken, err)
	}
	if ctx.Err() == nil && bloberror.HasCode(err, bloberror.BlobNotFound, bloberror.ContainerNotFound) {
		return blob.ErrNotFound
	}
	if ctx.Err() == nil && azstorage.Unavailable(err) {
		return fmt.Errorf("%w: %w", blob.ErrUnreachable, azstorage.Explain(ctx, err))
	}
	return azstorage.Explain(ctx, err)
}
