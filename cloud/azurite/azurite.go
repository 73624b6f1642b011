// Package azurite starts Azurite, which speaks the protocols of Azure Storage, for
// tests: one for all tests of a program, on free ports of this machine, in memory
// as far as it can. No program imports it.
package azurite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"cattlecounter/shared/secret"
)

// Account and Key are those that every Azurite has; they protect nothing.
const (
	Account = "devstoreaccount1"
	Key     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==" //nolint:gosec // published
)

const startTime = 60 * time.Second

// Server is a running Azurite.
type Server struct {
	Blob, Queue string // host:port
	cmd         *exec.Cmd
	dir         string
}

// Through returns the connection string of the server, or of one that stands in
// front of it at the given addresses ("" for none).
func (s *Server) Through(blob, queue string) secret.String {
	if blob == "" {
		blob = s.Blob
	}
	if queue == "" {
		queue = s.Queue
	}
	return secret.New(fmt.Sprintf("DefaultEndpointsProtocol=http;AccountName=%s;AccountKey=%s;BlobEndpoint=http://%s/%s;QueueEndpoint=http://%s/%s;",
		Account, Key, blob, Account, queue, Account))
}

// ConnectionString is Through without anything between.
func (s *Server) ConnectionString() secret.String { return s.Through("", "") }

// Stop ends the server.
func (s *Server) Stop() error {
	_ = s.cmd.Process.Kill() // it may be gone
	_ = s.cmd.Wait()
	return os.RemoveAll(s.dir)
}

var shared struct {
	once   sync.Once
	server *Server
	err    error
}

// Tests are the tests of a package, a *testing.M or what wraps one.
type Tests struct{ M interface{ Run() int } }

// Run runs the tests and stops the server that they shared.
func (t Tests) Run() int {
	code := t.M.Run()
	if shared.server != nil {
		if err := shared.server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	return code
}

// ErrNotInstalled says that setup.sh test did not run.
var ErrNotInstalled = errors.New("azurite is not installed: run deploy/setup/setup.sh test")

// Get returns the server that all tests of this program share; Tests must run them.
// Where Azurite is not installed the test skips, in CI it fails.
func Get(t testing.TB) *Server {
	t.Helper()
	shared.once.Do(func() { shared.server, shared.err = Start() })
	switch {
	case errors.Is(shared.err, ErrNotInstalled) && os.Getenv("CI") == "":
		t.Skip(shared.err)
	case shared.err != nil:
		t.Fatal(shared.err)
	}
	return shared.server
}

// program finds Azurite below the tree's build folder.
func program() (string, error) {
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, "build", "azurite", "node_modules", "azurite", "dist", "src", "azurite.js")
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		if dir == filepath.Dir(dir) {
			return "", ErrNotInstalled
		}
	}
	return "", err
}

var listening = regexp.MustCompile(`Azurite (Blob|Queue) service is successfully listening at http://(\S+)`)

// Start runs a server of its own.
func Start() (*Server, error) {
	path, err := program()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "azurite")
	if err != nil {
		return nil, err
	}
	const local = "127.0.0.1"
	s := &Server{dir: dir, cmd: exec.CommandContext(context.Background(), "node", path, "--silent", "--skipApiVersionCheck", "--disableTelemetry", "--location", dir,
		"--blobHost", local, "--queueHost", local, "--tableHost", local, "--blobPort", "0", "--queuePort", "0", "--tablePort", "0")}
	dieWithParent(s.cmd)
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start azurite: %w", err), os.RemoveAll(dir))
	}
	up := make(chan error, 1)
	go s.read(bufio.NewScanner(out), up)
	select {
	case err = <-up:
	case <-time.After(startTime):
		err = fmt.Errorf("azurite does not listen after %s", startTime)
	}
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// read takes the addresses out of what the server says, and the rest as well, so
// that it never waits to say it.
func (s *Server) read(lines *bufio.Scanner, up chan<- error) {
	var said []string
	for lines.Scan() {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil && m[1] == "Blob" {
			s.Blob = m[2]
		} else if m != nil {
			s.Queue = m[2]
			up <- nil
		}
		if said = append(said, lines.Text()); len(said) > 20 {
			said = said[1:]
		}
	}
	select {
	case up <- fmt.Errorf("azurite ended: %s", strings.Join(said, "; ")):
	default:
	}
}
