package azure

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/azstorage"
	"cattlecounter/cloud/azurite"
	"cattlecounter/cloud/ledger"
	"cattlecounter/cloud/queue"
	"cattlecounter/cloud/queue/queuetest"
	"cattlecounter/shared/footage"
)

func TestMain(m *testing.M) { os.Exit(azurite.Main(m)) }

func name() string { return "q" + strings.ToLower(string(footage.NewID(time.Now()))) }

// open opens a queue as a process of its own would.
func open(t testing.TB, path, name string, now func() time.Time) *Queue {
	t.Helper()
	return openBy(t, path, name, now, nil)
}

func openBy(t testing.TB, path, name string, now func() time.Time, client *http.Client) *Queue {
	t.Helper()
	l, err := ledger.Open(t.Context(), path, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	q, err := New(t.Context(), Options{Account: azstorage.Account{ConnectionString: azurite.Get(t).ConnectionString()}, Name: name, DB: l.DB(), Now: now, Client: client})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestQueue(t *testing.T) {
	azurite.Get(t)
	queuetest.Run(t, func(t *testing.T) queuetest.Fixture {
		path, name := filepath.Join(t.TempDir(), "ledger.db"), name()
		return queuetest.Fixture{
			Queue:   open(t, path, name, nil),
			Advance: func(d time.Duration) { <-time.After(d) }, // the service has a clock of its own
			Again:   func() queue.Queue { return open(t, path, name, nil) },
		}
	})
}
