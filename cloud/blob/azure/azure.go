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
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"cattlecounter/cloud/blob"
	"cattlecounter/shared/secret"
)

// Options say where the blobs are. Container and one of ConnectionString and URL
// are required.
type Options struct {
	// ConnectionString of the account, as the portal shows it.
	ConnectionString secret.String
	// URL of the account's blob service; whoever runs this proves to be allowed
	// by a managed identity, or another way of azidentity's default chain.
	URL       string
	Container string
	// Client carries the requests; nil means one of the SDK's.
	Client *http.Client
}

// Concurrency is how many blocks of one append are on their way at once. Memory is
// that and one more block, see blockSize.
const Concurrency = 4

// idleBuffers are kept for the next append: those of two.
const idleBuffers = 2 * (Concurrency + 1)

// The waits of a request that the service puts off or that is lost on the way.
const (
	retries    = 5
	retryDelay = 300 * time.Millisecond
	retryLimit = 10 * time.Second
	tryTimeout = 2 * time.Minute
)

// Store implements blob.Store and blob.Stager.
type Store struct {
	service *service.Client
	box     *container.Client
	keyed   bool // by an account key, which signs links by itself

	mu     sync.Mutex
	stages map[string]*stage // what is known of staged uploads; bounded by maxStages
	signer delegation

	free chan []byte // of firstBlock bytes, for whoever comes next
}

// New opens a container and makes it when it is not there.
func New(ctx context.Context, o Options) (*Store, error) {
	if o.Container == "" || o.ConnectionString.IsZero() == (o.URL == "") {
		return nil, errors.New("blobs on azure: a container and either a connection string or the account's URL are needed")
	}
	so := &service.ClientOptions{ClientOptions: azcore.ClientOptions{Retry: policy.RetryOptions{
		MaxRetries: retries, RetryDelay: retryDelay, MaxRetryDelay: retryLimit, TryTimeout: tryTimeout,
	}}}
	if o.Client != nil {
		so.Transport = o.Client
	}
	s := &Store{stages: map[string]*stage{}, keyed: o.URL == "", free: make(chan []byte, idleBuffers)}
	var err error
	if s.keyed {
		s.service, err = service.NewClientFromConnectionString(o.ConnectionString.Reveal(), so)
	} else {
		var who *azidentity.DefaultAzureCredential
		if who, err = azidentity.NewDefaultAzureCredential(nil); err == nil {
			s.service, err = service.NewClient(o.URL, who, so)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("blobs on azure: %w", hide(err, o.ConnectionString))
	}
	s.box = s.service.NewContainerClient(o.Container)
	if err := s.create(ctx); err != nil {
		return nil, fmt.Errorf("container %s: %w", o.Container, explain(ctx, err))
	}
	return s, nil
}

// hide keeps a connection string out of an error that quotes it.
func hide(err error, s secret.String) error {
	if text := s.Reveal(); text != "" && strings.Contains(err.Error(), text) {
		return errors.New("the connection string cannot be read")
	}
	return err
}

// create makes the container. One that is being deleted has its name taken for
// some time, at most a minute by the documentation.
func (s *Store) create(ctx context.Context) error {
	const patience, pause = 90 * time.Second, time.Second
	for began := time.Now(); ; {
		_, err := s.box.Create(ctx, nil)
		if err == nil || bloberror.HasCode(err, bloberror.ContainerAlreadyExists) {
			return nil
		}
		if !bloberror.HasCode(err, bloberror.ContainerBeingDeleted) || time.Since(began) > patience {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// heal runs f, and once more after making a container that somebody has deleted.
func (s *Store) heal(ctx context.Context, f func() error) error {
	err := f()
	if bloberror.HasCode(err, bloberror.ContainerNotFound, bloberror.ContainerBeingDeleted, bloberror.ContainerDisabled) {
		if made := s.create(ctx); made != nil {
			return made
		}
		err = f()
	}
	return err
}

// explain maps the service's errors to the contract's.
func explain(ctx context.Context, err error) error {
	var said *azcore.ResponseError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case bloberror.HasCode(err, bloberror.BlobNotFound), bloberror.HasCode(err, bloberror.ContainerNotFound):
		return blob.ErrNotFound
	case errors.As(err, &said):
		code := said.ErrorCode
		if code == "" {
			code = http.StatusText(said.StatusCode)
		}
		return &answer{status: said.StatusCode, code: code, err: err}
	}
	return err
}

// answer is what the service said, in one line: the SDK's own text has the whole
// exchange in it.
type answer struct {
	status int
	code   string
	err    error
}

func (a *answer) Error() string { return fmt.Sprintf("azure says %d %s", a.status, a.code) }

func (a *answer) Unwrap() error { return a.err }
