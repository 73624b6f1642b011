// Package azstorage is what blobs, queue and ledger on Azure have in common: who asks,
// how often, what the answers mean, and that a container or a queue which somebody
// deletes is made again.
package azstorage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"cattlecounter/shared/interrupt"
	"cattlecounter/shared/secret"
)

// Retries is how often a request is sent again that the service puts off or that is
// lost on the way.
const Retries = 5

const (
	retryDelay = 300 * time.Millisecond
	retryLimit = 10 * time.Second
	// patience is how long the name of what is being deleted is waited for: half a
	// minute by the documentation.
	patience = 90 * time.Second
	pause    = time.Second
)

// Account is where a service of a storage account is: one of the two is set.
type Account struct {
	// ConnectionString of the account, as the portal shows it.
	ConnectionString secret.String
	// URL of the service; whoever runs this proves to be allowed by a managed
	// identity, or another way of azidentity's default chain.
	URL string
}

// Connect makes a client by whichever of the two is set. An error never quotes the
// connection string.
func Connect[C any](a Account, byKey func(connection string) (C, error), byIdentity func(url string, who azcore.TokenCredential) (C, error)) (C, error) {
	var none C
	if a.ConnectionString.IsZero() == (a.URL == "") {
		return none, errors.New("either a connection string or the service's URL is needed")
	}
	if a.URL == "" {
		c, err := byKey(a.ConnectionString.Reveal())
		if err != nil { // its text may quote the string
			return none, errors.New("the connection string cannot be read")
		}
		return c, nil
	}
	who, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return none, err
	}
	return byIdentity(a.URL, who)
}

// databaseScope is what a token of Azure Database for PostgreSQL is for.
const databaseScope = "https://ossrdbms-aad.database.windows.net/.default"

// DatabaseToken returns what gives a token in the place of a password, by a managed
// identity or another way of azidentity's default chain. A token is asked for when a
// connection is made; azidentity keeps it while it is good.
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

// ClientOptions bound each try of a request; carry is nil for the SDK's own client.
func ClientOptions(carry *http.Client, try time.Duration) azcore.ClientOptions {
	o := azcore.ClientOptions{Retry: policy.RetryOptions{MaxRetries: Retries, RetryDelay: retryDelay, MaxRetryDelay: retryLimit, TryTimeout: try}}
	if carry != nil {
		o.Transport = carry
	}
	return o
}

// Kinds of things with a name that hold others.
const (
	Container = "Container"
	Queue     = "Queue"
)

// Holder is a container or a queue.
type Holder struct {
	Kind   string // Container or Queue, with which the service's codes begin
	Create func(context.Context) error
	// Emptied is told, when not nil, that all it held is lost, before it is made again.
	// Everybody who misses it says so, also when others have begun to fill it again.
	Emptied func(context.Context) error
	Log     *slog.Logger
}

// Make makes it, if it is not there. Where its name is still taken by one that is
// being deleted, it waits.
func (h Holder) Make(ctx context.Context) error {
	for began := time.Now(); ; {
		err := h.Create(ctx)
		if err == nil || HasCode(err, h.Kind+"AlreadyExists") {
			return nil
		}
		if !HasCode(err, h.Kind+"BeingDeleted") || time.Since(began) > patience {
			return err
		}
		if err := interrupt.Pause(ctx, pause); err != nil {
			return err
		}
	}
}

// Heal runs f, and once more after making it anew when somebody has deleted it.
func (h Holder) Heal(ctx context.Context, f func() error) error {
	err := f()
	if !HasCode(err, h.Kind+"NotFound", h.Kind+"BeingDeleted", h.Kind+"Disabled") {
		return err
	}
	h.Log.Warn("it is gone, it is made again", "kind", h.Kind, "err", Explain(ctx, err))
	if h.Emptied != nil {
		if err := h.Emptied(ctx); err != nil {
			return err
		}
	}
	if err := h.Make(ctx); err != nil {
		return err
	}
	return f()
}

// HasCode reports whether the service answered with one of the codes.
func HasCode(err error, codes ...string) bool {
	var said *azcore.ResponseError
	return errors.As(err, &said) && slices.Contains(codes, said.ErrorCode)
}

// HasStatus reports whether the service answered with a status. An answer to HEAD
// has no body and so, from some services, no code.
func HasStatus(err error, status int) bool {
	var said *azcore.ResponseError
	return errors.As(err, &said) && said.StatusCode == status
}

// Away reports whether the service was not reached or cannot do its work now.
func Away(err error) bool {
	var said *azcore.ResponseError
	if errors.As(err, &said) {
		return said.StatusCode >= http.StatusInternalServerError || said.StatusCode == http.StatusTooManyRequests
	}
	var asked *url.Error
	return errors.As(err, &asked)
}

// Explain gives a canceled context's cause, and the service's errors in one line:
// the SDK's text has the whole exchange in it.
func Explain(ctx context.Context, err error) error {
	var said *azcore.ResponseError
	var asked *url.Error
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &said):
		return &answer{said}
	case errors.As(err, &asked):
		return fmt.Errorf("azure is not reached: %w", asked.Err) // the address may hold a signature
	}
	return err
}

type answer struct{ *azcore.ResponseError }

func (a *answer) Error() string {
	code := a.ErrorCode
	if code == "" {
		code = http.StatusText(a.StatusCode)
	}
	text := fmt.Sprintf("azure says %d %s", a.StatusCode, code)
	if a.StatusCode == http.StatusUnauthorized || a.StatusCode == http.StatusForbidden {
		text += ": check the connection string, or the identity's roles, and this machine's clock"
	}
	return text
}

func (a *answer) Unwrap() error { return a.ResponseError }
