// Package azstorage has what blobs, queue and ledger on Azure share: credentials,
// retries, the meaning of the service's errors, and the recreation of a container or
// queue that was deleted.
package azstorage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"cattlecounter/shared/interrupt"
	"cattlecounter/shared/secret"
)

// Retries is how often a request is repeated that the service refuses for now or that
// is lost on the way.
const Retries = 5

const (
	retryDelay = 300 * time.Millisecond
	retryLimit = 10 * time.Second
	// deletionTime is how long Ensure waits for a name that is being deleted. Azure's
	// documentation says half a minute.
	deletionTime = 90 * time.Second
	deletionPoll = time.Second
)

// Account is the address of a service in a storage account. Exactly one field is set.
type Account struct {
	// ConnectionString of the account, as Azure's portal shows it.
	ConnectionString secret.String
	// URL of the service. A managed identity, or another credential of azidentity's
	// default chain, gives access.
	URL string
}

// Connect makes a client with the field of the account that is set. Its errors never
// quote the connection string.
func Connect[C any](a Account, byKey func(connection string) (C, error),
	byIdentity func(url string, who azcore.TokenCredential) (C, error)) (C, error) {
	var none C
	if a.ConnectionString.IsZero() == (a.URL == "") {
		return none, errors.New("set either the connection string or the URL of the service")
	}
	if a.URL == "" {
		c, err := byKey(a.ConnectionString.Reveal())
		if err != nil { // the text of err may quote the string
			return none, errors.New("cannot parse the connection string; copy it from the portal again")
		}
		return c, nil
	}
	who, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return none, err
	}
	return byIdentity(a.URL, who)
}

// databaseScope is the scope of tokens for Azure Database for PostgreSQL.
const databaseScope = "https://ossrdbms-aad.database.windows.net/.default"

// DatabaseToken returns a function that returns a token, which replaces the password. It
// uses a managed identity or another credential of azidentity's default chain. The
// function is called for each new connection; azidentity caches the token while it is
// valid.
func DatabaseToken() (func(context.Context) (secret.String, error), error) {
	who, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (secret.String, error) {
		t, err := who.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{databaseScope}})
		if err != nil {
			return secret.String{}, err
		}
		return secret.New(t.Token), nil
	}, nil
}

// ClientOptions limits each attempt of a request to a time. client sends the requests;
// nil means the SDK's own client.
func ClientOptions(client *http.Client, attempt time.Duration) azcore.ClientOptions {
	o := azcore.ClientOptions{Retry: policy.RetryOptions{MaxRetries: Retries, RetryDelay: retryDelay,
		MaxRetryDelay: retryLimit, TryTimeout: attempt}}
	if client != nil {
		o.Transport = client
	}
	return o
}

// Kinds of resources. The service's error codes begin with them.
const (
	Container = "Container"
	Queue     = "Queue"
)

// Resource is a container or a queue.
type Resource struct {
	Kind   string // Container or Queue
	Name   string // for the log
	Create func(context.Context) error
	// OnLost, when not nil, is called before the resource is recreated, because all that
	// it held is lost. Every process that finds it missing calls OnLost, also when
	// another process has recreated it meanwhile.
	OnLost func(context.Context) error
	Log    *slog.Logger
}

// Ensure creates the resource if it is missing. While the service still deletes an older
// one with that name, Ensure waits.
func (r Resource) Ensure(ctx context.Context) error {
	for began := time.Now(); ; {
		err := r.Create(ctx)
		if err == nil || HasCode(err, r.Kind+"AlreadyExists") {
			return nil
		}
		if !HasCode(err, r.Kind+"BeingDeleted") || time.Since(began) > deletionTime {
			return err
		}
		if err := interrupt.Pause(ctx, deletionPoll); err != nil {
			return err
		}
	}
}

// Recreating runs f. When the resource is missing, it recreates the resource and runs f
// once more.
func (r Resource) Recreating(ctx context.Context, f func() error) error {
	err := f()
	if !HasCode(err, r.Kind+"NotFound", r.Kind+"BeingDeleted", r.Kind+"Disabled") {
		return err
	}
	kind := strings.ToLower(r.Kind)
	r.Log.Warn(kind+" missing; recreating", kind, r.Name, "err", Explain(ctx, err))
	if r.OnLost != nil {
		if err := r.OnLost(ctx); err != nil {
			return err
		}
	}
	if err := r.Ensure(ctx); err != nil {
		return err
	}
	return f()
}

// HasCode reports whether the service answered with one of the codes.
func HasCode(err error, codes ...string) bool {
	var response *azcore.ResponseError
	return errors.As(err, &response) && slices.Contains(codes, response.ErrorCode)
}

// HasStatus reports whether the service answered with a status. An answer to HEAD has no
// body and, from some services, no code.
func HasStatus(err error, status int) bool {
	var response *azcore.ResponseError
	return errors.As(err, &response) && response.StatusCode == status
}

// Unavailable reports whether the service was not reached or cannot work now.
func Unavailable(err error) bool {
	var response *azcore.ResponseError
	if errors.As(err, &response) {
		return response.StatusCode >= http.StatusInternalServerError || response.StatusCode == http.StatusTooManyRequests
	}
	var request *url.Error
	return errors.As(err, &request)
}

// Explain returns the cause of a canceled context, and shortens the service's errors to
// one line. The SDK's text contains the whole exchange.
func Explain(ctx context.Context, err error) error {
	var response *azcore.ResponseError
	var request *url.Error
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &response):
		return &answer{response}
	case errors.As(err, &request):
		return fmt.Errorf("cannot reach Azure: %w", request.Err) // the address may hold a signature
	}
	return err
}

type answer struct{ *azcore.ResponseError }

func (a *answer) Error() string {
	code := a.ErrorCode
	if code == "" {
		code = http.StatusText(a.StatusCode)
	}
	text := fmt.Sprintf("Azure answered %d %s", a.StatusCode, code)
	if a.StatusCode == http.StatusUnauthorized || a.StatusCode == http.StatusForbidden {
		text += ": check the connection string, or the identity's roles, and this machine's clock"
	}
	return text
}

func (a *answer) Unwrap() error { return a.ResponseError }
