// Package azure keeps blobs in an Azure Blob Storage container.
//
// A staged upload is a block blob under a name that no key can have. Its blocks
// are sent as the bytes arrive, several at a time, and joined to the blob when an
// append ends; what a crash left behind unjoined the service still lists, and
// whoever comes next, on any replica, joins it. A commit is a copy within the
// account, which the service makes by itself.
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
	Client    *http.Client // carries the requests; nil means one of the SDK's
	Log       *slog.Logger // nil means no log
}

// Concurrency is how many blocks of one append are on their way at once. Memory is
// that and one more block, see blockSize.
const Concurrency = 4

const (
	// idleBuffers are kept for the next append: those of two.
	idleBuffers = 2 * (Concurrency + 1)
	// tryTimeout lets the largest block through a slow line.
	tryTimeout = 2 * time.Minute
)

// Store implements blob.Store and blob.Stager.
type Store struct {
	service *service.Client
	box     *container.Client
	holder  azstorage.Holder
	keyed   bool // by an account key, which signs links by itself

	mu     sync.Mutex
	stages map[string]*stage // what is known of staged uploads; bounded by maxStages
	leases map[string]string // of the blobs that are held, by name; one for each request at work
	signer delegation

	free chan []byte // of firstBlock bytes, for whoever comes next
}

// New opens a container and makes it when it is not there.
func New(ctx context.Context, o Options) (*Store, error) {
	if o.Container == "" {
		return nil, errors.New("blobs on azure: a container is needed")
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
		return nil, fmt.Errorf("blobs on azure: %w", err)
	}
	s := &Store{service: client, box: client.NewContainerClient(o.Container), keyed: o.Account.URL == "", stages: map[string]*stage{}, leases: map[string]string{},
		free: make(chan []byte, idleBuffers)}
	s.holder = azstorage.Holder{Kind: azstorage.Container, Log: o.Log, Create: func(ctx context.Context) error {
		_, err := s.box.Create(ctx, nil)
		return err
	}}
	if err := s.holder.Make(ctx); err != nil {
		return nil, fmt.Errorf("container %s: %w", o.Container, explain(ctx, err))
	}
	return s, nil
}

// explain maps the service's errors to the contract's.
func explain(ctx context.Context, err error) error {
	if taken(err) {
		return fmt.Errorf("%w: %w", blob.ErrTaken, err)
	}
	if ctx.Err() == nil && bloberror.HasCode(err, bloberror.BlobNotFound, bloberror.ContainerNotFound) {
		return blob.ErrNotFound
	}
	if ctx.Err() == nil && azstorage.Away(err) {
		return fmt.Errorf("%w: %w", blob.ErrUnreachable, azstorage.Explain(ctx, err))
	}
	return azstorage.Explain(ctx, err)
}
