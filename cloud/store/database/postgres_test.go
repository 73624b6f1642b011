package database

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/deploy/testkit/postgres"
	"cattlecounter/deploy/testkit/testserver"
	"cattlecounter/shared/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(postgres.Tests(m)) }

var tables = fstest.MapFS{"00001_note.sql": {Data: []byte(
	"-- +goose Up\nCREATE TABLE note (n BIGINT NOT NULL PRIMARY KEY, word TEXT NOT NULL);\n")}}

func connect(t *testing.T, address secret.String, busy time.Duration) *DB {
	t.Helper()
	db, err := OpenPostgres(t.Context(), address, nil, busy)
	if err == nil {
		t.Cleanup(func() { _ = db.Close() })
		err = db.Migrate(t.Context(), tables, "note_version")
	}
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func note(ctx context.Context, db *DB, n int, word string) error {
	return db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO note (n, word) VALUES ($1, $2)`, n, word)
		return err
	})
}

func notes(t *testing.T, db *DB) (n int) {
	t.Helper()
	if err := db.Read().QueryRowContext(t.Context(), `SELECT COUNT(*) FROM note`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func wantClass(t *testing.T, err, class error) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Errorf("got %v, want %v", err, class)
	}
	if err != nil && strings.Contains(err.Error(), postgres.Password) {
		t.Errorf("the error shows the password: %v", err)
	}
}

func TestOpenPostgresRefuses(t *testing.T) {
	s := postgres.Get(t)
	good := s.Database(t).Reveal()
	for name, c := range map[string]struct {
		address string
		class   error
	}{
		"no address":     {"postgres://cattle:" + postgres.Password + "@:not-a-port/x", ErrInvalid},
		"no server":      {strings.Replace(good, s.Addr(), "127.0.0.1:1", 1), ErrUnreachable},
		"wrong password": {strings.Replace(good, postgres.Password, "wrong", 1), ErrUnreachable},
		"no database":    {strings.Replace(good, "/test", "/nothing", 1), ErrUnwritable},
	} {
		t.Run(name, func(t *testing.T) {
			db, err := OpenPostgres(t.Context(), secret.New(c.address), nil, time.Second)
			wantClass(t, err, c.class)
			if err == nil {
				_ = db.Close()
			}
		})
	}
}

// Each new connection asks for a token, so that an expired token does no harm.
func TestPasswordPerConnection(t *testing.T) {
	s := postgres.Get(t)
	bare := secret.New(strings.Replace(s.Database(t).Reveal(), ":"+postgres.Password, "", 1))
	asked, valid := 0, true
	token := func(context.Context) (secret.String, error) {
		asked++
		if !valid {
			return secret.New("ended"), nil
		}
		return secret.New(postgres.Password), nil
	}
	db, err := OpenPostgres(t.Context(), bare, token, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil || asked != 1 {
		t.Errorf("the password was requested %d times, error %v", asked, err)
	}
	valid = false
	_, err = OpenPostgres(t.Context(), bare, token, time.Second)
	wantClass(t, err, ErrUnreachable)
	_, err = OpenPostgres(t.Context(), bare, func(context.Context) (secret.String, error) {
		return secret.String{}, errors.New("no identity here")
	}, time.Second)
	wantClass(t, err, ErrUnreachable)
	if err == nil || !strings.Contains(err.Error(), "no identity here") {
		t.Errorf("the error lacks the reason: %v", err)
	}
}

// Each session sets what the server's defaults could set differently.
func TestSession(t *testing.T) {
	s := postgres.Get(t)
	db := connect(t, s.Database(t), 2*time.Second)
	for setting, want := range map[string]string{
		"synchronous_commit": "on", "lock_timeout": "2s", "idle_in_transaction_session_timeout": "2s",
		"application_name": "cattlecounter",
	} {
		var got string
		if err := db.w.QueryRowContext(t.Context(), `SHOW `+setting).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, want %q: %v", setting, got, want, err)
		}
	}
	_, err := db.Read().ExecContext(t.Context(), `INSERT INTO note (n, word) VALUES (1, 'moo')`)
	wantClass(t, Classify(err), ErrUnwritable)
}

func TestErrorsHaveClasses(t *testing.T) {
	db := connect(t, postgres.Get(t).Database(t), time.Second)
	if err := note(t.Context(), db, 1, "moo"); err != nil {
		t.Fatal(err)
	}
	if err := note(t.Context(), db, 1, "moo"); !DuplicateKey(err) {
		t.Errorf("got %v, want a duplicate key", err)
	}
	wantClass(t, note(t.Context(), db, 2, "a\x00b"), ErrInvalid)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantClass(t, note(ctx, db, 3, "moo"), context.Canceled)
	if n := notes(t, db); n != 1 {
		t.Errorf("%d notes, want 1", n)
	}
	wantClass(t, db.CopyTo(t.Context(), "copy"), errors.ErrUnsupported)
}

// A process that stops during a write, like a frozen one, loses the lock to others and
// writes nothing when it continues.
func TestStoppedWriterBlocksNoOther(t *testing.T) {
	address := postgres.Get(t).Database(t)
	frozen, other := connect(t, address, time.Second), connect(t, address, 5*time.Second)
	holding, on, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		done <- frozen.Write(context.Background(), func(_ context.Context, tx *sql.Tx) error {
			close(holding)
			<-on
			_, err := tx.ExecContext(context.Background(), `INSERT INTO note (n, word) VALUES (1, 'late')`)
			return err
		})
	}()
	<-holding
	if err := note(t.Context(), other, 2, "moo"); err != nil {
		t.Fatal(err)
	}
	close(on)
	if err := <-done; err == nil {
		t.Error("the stopped writer wrote")
	}
	if n := notes(t, other); n != 1 {
		t.Errorf("%d notes, want 1", n)
	}
	if err := note(t.Context(), frozen, 3, "moo"); err != nil {
		t.Errorf("the stopped writer cannot write again: %v", err)
	}
}

// The server stops and starts again, as in an update.
func TestServerRestarts(t *testing.T) {
	s, err := postgres.New()
	testserver.SkipOrFail(t, err)
	t.Cleanup(func() { _ = s.Remove() })
	address := s.Database(t)
	db := connect(t, address, time.Second)
	if err := note(t.Context(), db, 1, "moo"); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		wantClass(t, note(t.Context(), db, 2, "moo"), ErrUnreachable)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if err := note(t.Context(), db, 3, "moo"); err != nil {
		t.Errorf("the first write after the restart: %v", err)
	}
	if n := notes(t, db); n != 2 {
		t.Errorf("%d notes, want 2", n)
	}
	_ = db.Close()
}

// A server that accepts requests and does not answer ends reads and writes with an error
// class, in limited time.
func TestServerDoesNotAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		by    func(*DB) *sql.DB
		do    func(context.Context, *DB) error
		class error
	}{
		"write": {func(db *DB) *sql.DB { return db.w },
			func(ctx context.Context, db *DB) error { return note(ctx, db, 1, "moo") }, ErrBusy},
		"read": {(*DB).Read, func(ctx context.Context, db *DB) error {
			var n int
			return Classify(db.Read().QueryRowContext(ctx, `SELECT COUNT(*) FROM note`).Scan(&n))
		}, ErrUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // both wait for time limits
			db := connect(t, postgres.Get(t).Database(t), time.Second)
			var pid int
			if err := c.by(db).QueryRowContext(t.Context(), `SELECT pg_backend_pid()`).Scan(&pid); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := c.do(ctx, db); err != nil || name == "write" { // a read may have been tried on another connection
				wantClass(t, err, c.class)
			}
			if ctx.Err() != nil {
				t.Error("the call ended only with its context")
			}
		})
	}
}

// One of two processes leads. The other leads after the first has closed or was silent for
// too long.
func TestLeader(t *testing.T) {
	address := postgres.Get(t).Database(t)
	first, second := connect(t, address, time.Second), connect(t, address, time.Second)
	a, b := first.Leader(7), second.Leader(7)
	leads := func(l *Leader, want bool) {
		t.Helper()
		if got, err := l.Leads(t.Context()); got != want || err != nil {
			t.Errorf("leads: %v %v, want %v", got, err, want)
		}
	}
	leads(a, true)
	leads(b, false)
	leads(a, true)
	a.Close()
	leads(b, true)
	leads(a, false)
	// The server ends the session of b, as it does with a silent one.
	var pid int
	if err := b.conn.QueryRowContext(t.Context(), `SELECT pg_backend_pid()`).Scan(&pid); err != nil {
		t.Fatal(err)
	}
	if _, err := first.w.ExecContext(t.Context(), `SELECT pg_terminate_backend($1, 5000)`, pid); err != nil {
		t.Fatal(err)
	}
	leads(a, true)
	_, err := b.Leads(t.Context())
	wantClass(t, err, ErrUnreachable)
	leads(b, false)
	a.Close()
	leads(b, true)
	b.Close()
	alone, err := OpenFile(t.Context(), filepath.Join(t.TempDir(), "file.db"), 0)
	if err != nil {
		t.Fatal(err)
	}
	leads(alone.Leader(7), true)
	if err := alone.Close(); err != nil {
		t.Error(err)
	}
}
