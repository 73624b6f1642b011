// Package postgres starts PostgreSQL for tests: one server for all tests of a test
// program, on a free port of this machine, with a new database for each test.
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

	"cattlecounter/deploy/testkit/testserver"
	"cattlecounter/shared/secret"
)

const (
	account       = "cattle"
	serverAccount = "postgres" // the server refuses to run as root
	ready         = "database system is ready to accept connections"
)

// Password of the server's account. It protects nothing. Tests search for it in logs.
const Password = "open-sesame"

// Server is a running PostgreSQL.
type Server struct {
	bin, dir, port string
	cmd            *exec.Cmd // nil while the server does not run

	mu sync.Mutex
	n  int
}

var shared = testserver.One[*Server]{Start: New, End: (*Server).Remove}

// Tests wraps the tests of a program; call it in TestMain. It ends the shared server.
func Tests(m testserver.Runner) testserver.Runner { return shared.Tests(m) }

// Get returns the server that all tests of this program share. Tests must wrap them. When
// PostgreSQL is not installed, the test is skipped; in CI it fails.
func Get(t testing.TB) *Server {
	t.Helper()
	return shared.Get(t)
}

// Database creates an empty database and returns its address. The database is deleted at
// the end of the test.
func (s *Server) Database(t testing.TB) secret.String {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	name := fmt.Sprintf("test%d", s.n)
	if err := s.exec(`CREATE DATABASE ` + name + ` TEMPLATE template0 ENCODING 'UTF8'`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.exec(`DROP DATABASE ` + name + ` WITH (FORCE)`); err != nil {
			t.Error(err)
		}
	})
	return s.address("127.0.0.1:"+s.port, name)
}

// Addr returns host:port of the server.
func (s *Server) Addr() string { return "127.0.0.1:" + s.port }

func (s *Server) address(addr, database string) secret.String {
	return secret.New(fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", account, Password, addr, database))
}

func (s *Server) exec(query string) error {
	db, err := sql.Open("pgx", s.address(s.Addr(), "postgres").Reveal())
	if err != nil {
		return err
	}
	_, err = db.ExecContext(context.Background(), query)
	return errors.Join(err, db.Close())
}

// programs returns the folder of initdb and postgres as Debian installs them.
func programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.Join(fmt.Errorf("postgresql is %w", testserver.ErrNotInstalled), err)
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1]), nil
}

// New makes and starts a server with a new data folder.
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
	word := filepath.Join(dir, "password")
	if err := os.WriteFile(word, []byte(Password), 0o600); err != nil {
		return nil, err
	}
	if err := s.chown(dir, word); err != nil {
		return nil, err
	}
	initdb := s.command("initdb", "--no-sync", "--no-locale", "--encoding=UTF8", "--auth=scram-sha-256",
		"--username="+account, "--pwfile="+word, "--pgdata="+s.data())
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	free, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.port = strconv.Itoa(free.Addr().(*net.TCPAddr).Port)
	if err := free.Close(); err != nil {
		return nil, err
	}
	return s, s.Start()
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// chown gives files to the user that the server runs as.
func (s *Server) chown(paths ...string) error {
	id, err := serverUser()
	if err != nil || id == nil {
		return err
	}
	for _, p := range paths {
		err = errors.Join(err, os.Chown(p, int(id.Uid), int(id.Gid)))
	}
	return err
}

// serverUser returns the user that the server runs as. nil means the user of the test.
func serverUser() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(serverAccount)
	if err != nil {
		return nil, errors.Join(testserver.ErrNotInstalled, err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	gid, gerr := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err, gerr)
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"LC_ALL=C", "PATH=" + s.bin}
	id, _ := serverUser() // chown has reported an error
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: id}
	testserver.EndsWithParent(cmd.SysProcAttr, syscall.SIGQUIT)
	return cmd
}

// Start starts the server, also again after Stop, at the same address. It does nothing
// while the server runs.
func (s *Server) Start() error {
	if s.cmd != nil {
		return nil
	}
	settings := []string{"-D", s.data(), "-p", s.port, "-h", "127.0.0.1", "-k", ""}
	for _, set := range []string{
		"fsync=off", "shared_buffers=32MB", "max_wal_senders=0", "wal_level=minimal", "log_min_messages=warning", "timezone=UTC",
	} {
		settings = append(settings, "-c", set)
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
	return testserver.Await("postgres", out, func(line string) bool { return strings.Contains(line, ready) })
}

// Stop ends the server like a crash. Its data stays.
func (s *Server) Stop() error {
	if s.cmd == nil {
		return nil
	}
	_ = s.cmd.Process.Signal(syscall.SIGQUIT) // it may have ended
	_ = s.cmd.Wait()                          // reports the signal
	s.cmd = nil
	return nil
}

// Remove ends the server and removes its data.
func (s *Server) Remove() error { return errors.Join(s.Stop(), os.RemoveAll(s.dir)) }
