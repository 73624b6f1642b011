// Package postgres runs PostgreSQL for tests. All tests of a test program share one server, which listens on a free
// port of loopback. Each test creates its own databases. No program imports this package.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"cattlecounter/deploy/testkit/port"
	"cattlecounter/deploy/testkit/testserver"
	"cattlecounter/shared/secret"
)

const (
	account    = "cattle"
	serverUser = "postgres" // the server refuses to run as root
	ready      = "database system is ready to accept connections"
)

// Password is that of the server's account. It protects nothing. Tests search logs for it.
const Password = "open-sesame"

// Server is a PostgreSQL server. Database is safe for concurrent use; the other methods are not.
type Server struct {
	bin, dir string
	addr     string    // host:port
	release  func()    // ends the reservation of addr; nil without one
	cmd      *exec.Cmd // nil while the server is stopped

	mu        sync.Mutex
	databases int // created so far
}

var shared = testserver.Shared[*Server]{Start: New, End: (*Server).Remove}

// Tests returns m as tests that may call Get. It removes the server after them.
func Tests(m testserver.Runner) testserver.Runner { return shared.Tests(m) }

// Get returns the server that all tests of the test program share. Its first call starts the server, which Tests
// removes. If PostgreSQL is not installed the test is skipped. In CI it fails.
func Get(t testing.TB) *Server {
	t.Helper()
	return shared.Get(t)
}

// Database creates an empty database and returns its address. The database is dropped at the end of the test.
func (s *Server) Database(t testing.TB) secret.String {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.databases++
	name := fmt.Sprintf("test%d", s.databases)
	if err := s.exec(`CREATE DATABASE ` + name + ` TEMPLATE template0 ENCODING 'UTF8'`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.exec(`DROP DATABASE ` + name + ` WITH (FORCE)`); err != nil {
			t.Error(err)
		}
	})
	return s.address(name)
}

// Addr returns the server's address as host:port. It stays over Stop and Start.
func (s *Server) Addr() string { return s.addr }

// address returns the URL of a database on the server.
func (s *Server) address(database string) secret.String {
	return secret.New(fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", account, Password, s.Addr(), database))
}

// exec runs a statement in the database postgres.
func (s *Server) exec(query string) error {
	db, err := sql.Open("pgx", s.address("postgres").Reveal())
	if err != nil {
		return err
	}
	_, err = db.ExecContext(context.Background(), query)
	return errors.Join(err, db.Close())
}

// programs returns the folder of initdb and postgres, as Debian installs them, of the highest version.
func programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.Join(fmt.Errorf("postgresql: %w", testserver.ErrNotInstalled), err)
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1]), nil
}

// New creates a server in a temporary folder and starts it. The caller must call Remove.
func New() (_ *Server, err error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "postgres")
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Remove())
		}
	}()
	passwordFile := filepath.Join(dir, "password")
	if err := os.WriteFile(passwordFile, []byte(Password), 0o600); err != nil {
		return nil, err
	}
	if err := s.chown(dir, passwordFile); err != nil {
		return nil, err
	}
	initdb := s.command("initdb", "--no-sync", "--no-locale", "--encoding=UTF8", "--auth=scram-sha-256",
		"--username="+account, "--pwfile="+passwordFile, "--pgdata="+s.data())
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	if s.addr, s.release, err = port.Reserve(); err != nil {
		return nil, err
	}
	return s, s.Start()
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// chown makes the user of the server the owner of files.
func (s *Server) chown(paths ...string) error {
	id, err := credential()
	if err != nil || id == nil {
		return err
	}
	for _, p := range paths {
		err = errors.Join(err, os.Chown(p, int(id.Uid), int(id.Gid)))
	}
	return err
}

// credential returns the user of the server. It returns nil for the user of the test, if that is not root.
func credential() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(serverUser)
	if err != nil {
		return nil, errors.Join(testserver.ErrNotInstalled, err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	gid, gerr := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err, gerr)
}

// command returns a command of PostgreSQL that runs as the user of the server, and ends with this process.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"LC_ALL=C", "PATH=" + s.bin}
	id, _ := credential() // chown has returned its error
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: id}
	testserver.EndWithParent(cmd.SysProcAttr, syscall.SIGQUIT)
	return cmd
}

// Start starts the server after Stop, at the same address, and waits until it is ready. It does nothing while the
// server runs.
func (s *Server) Start() error {
	if s.cmd != nil {
		return nil
	}
	host, at, err := net.SplitHostPort(s.addr)
	if err != nil {
		return err
	}
	settings := []string{"-D", s.data(), "-p", at, "-h", host, "-k", ""}
	for _, value := range []string{
		"fsync=off", "shared_buffers=32MB", "max_wal_senders=0", "wal_level=minimal", "log_min_messages=warning",
		"timezone=UTC",
	} {
		settings = append(settings, "-c", value)
	}
	cmd := s.command("postgres", settings...)
	out, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	s.cmd = cmd
	return testserver.AwaitReady("postgres", out, func(line string) bool { return strings.Contains(line, ready) })
}

// Stop ends the server as a crash does. Its data stays. Stop does nothing while the server is stopped.
func (s *Server) Stop() error {
	if s.cmd == nil {
		return nil
	}
	_ = s.cmd.Process.Signal(syscall.SIGQUIT) // it may have ended already
	_ = s.cmd.Wait()                          // an immediate shutdown has an exit status other than 0
	s.cmd = nil
	return nil
}

// Remove stops the server and deletes its data.
func (s *Server) Remove() error {
	err := errors.Join(s.Stop(), os.RemoveAll(s.dir))
	if s.release != nil {
		s.release()
		s.release = nil
	}
	return err
}
