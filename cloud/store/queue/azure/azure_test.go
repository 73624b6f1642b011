package azure

import (
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/store/azstorage"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue"
	"cattlecounter/deploy/testkit/azurite"
	"cattlecounter/deploy/testkit/postgres"
	"cattlecounter/deploy/testkit/queuetest"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/secret"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// The parallel tests wait for the service's clock and need little of the processor.
	if err := flag.Set("test.parallel", "12"); err != nil {
		panic(err)
	}
	os.Exit(postgres.Tests(azurite.Tests(m)).Run())
}

func name() string { return "q" + strings.ToLower(string(footage.NewID(time.Now()))) }

// open opens a queue as another process does.
func open(t testing.TB, path, name string, now func() time.Time) *Queue {
	t.Helper()
	return openWithClient(t, path, name, now, nil)
}

func openWithClient(t testing.TB, path, name string, now func() time.Time, client *http.Client) *Queue {
	t.Helper()
	q, err := New(t.Context(), Options{Account: azstorage.Account{ConnectionString: azurite.Get(t).ConnectionString()},
		Name: name, DB: openLedger(t, path).DB(), Now: now, Client: client})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// openLedger opens the ledger of a place until the end of the test.
func openLedger(t testing.TB, path string) *ledger.Ledger {
	t.Helper()
	var l *ledger.Ledger
	var err error
	if strings.HasPrefix(path, "postgres:") {
		l, err = ledger.OpenPostgres(t.Context(), secret.New(path), ledger.Options{})
	} else {
		l, err = ledger.Open(t.Context(), path, ledger.Options{})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestQueue(t *testing.T) {
	t.Parallel() // this suite and the next wait for the service's clock
	azurite.Get(t)
	queuetest.Run(t, fixture(func(t *testing.T) string { return filepath.Join(t.TempDir(), "ledger.db") }))
}

func TestQueueWithTicketsOnPostgres(t *testing.T) {
	t.Parallel()
	azurite.Get(t)
	s := postgres.Get(t)
	queuetest.Run(t, fixture(func(t *testing.T) string { return s.Database(t).Reveal() }))
}

func fixture(somewhere func(*testing.T) string) func(*testing.T) queuetest.Fixture {
	return func(t *testing.T) queuetest.Fixture {
		path, name := somewhere(t), name()
		return queuetest.Fixture{
			Queue:   open(t, path, name, nil),
			Advance: func(d time.Duration) { <-time.After(d) }, // the service has its own clock
			Ledger:  func() *ledger.Ledger { return openLedger(t, path) },
			Reopen:  func() queue.Queue { return open(t, path, name, nil) },
		}
	}
}
