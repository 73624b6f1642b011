// Package azurite runs Azurite, an emulator of Azure Storage, for tests. All tests of a test program share one server,
// which listens on free ports of loopback. No program imports this package.
package azurite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"

	"cattlecounter/deploy/testkit/testserver"
	"cattlecounter/shared/secret"
)

// Account and Key are built into every Azurite and published. They protect nothing.
const (
	Account = "devstoreaccount1"
	Key     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==" // published with Azurite
)

// Server is a running Azurite. Its methods are safe for concurrent use, except Stop.
type Server struct {
	Blob, Queue string // host:port
	cmd         *exec.Cmd
	dir         string
}

// ConnectionStringVia returns the connection string for proxies in front of the server, at the addresses host:port. An
// empty address stands for the server's own.
func (s *Server) ConnectionStringVia(blob, queue string) secret.String {
	if blob == "" {
		blob = s.Blob
	}
	if queue == "" {
		queue = s.Queue
	}
	return secret.New(fmt.Sprintf("DefaultEndpointsProtocol=http;AccountName=%s;AccountKey=%s;"+
		"BlobEndpoint=http://%s/%s;QueueEndpoint=http://%s/%s;", Account, Key, blob, Account, queue, Account))
}

// ConnectionString returns the server's connection string.
func (s *Server) ConnectionString() secret.String { return s.ConnectionStringVia("", "") }

// Stop kills the server and removes its files.
func (s *Server) Stop() error {
	_ = s.cmd.Process.Kill() // it may have ended already
	_ = s.cmd.Wait()
	return os.RemoveAll(s.dir)
}

var shared = testserver.Shared[*Server]{Start: Start, End: (*Server).Stop}

// Tests returns m as tests that may call Get. It stops the server after them.
func Tests(m testserver.Runner) testserver.Runner { return shared.Tests(m) }

// Get returns the server that all tests of the test program share. Its first call starts the server, which Tests stops.
// If Azurite is not installed the test is skipped. In CI it fails.
func Get(t testing.TB) *Server {
	t.Helper()
	return shared.Get(t)
}

// program returns the path of Azurite's script, in the folder build of this folder or of one above it.
func program() (string, error) {
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, "build", "azurite", "node_modules", "azurite", "dist", "src", "azurite.js")
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("azurite: %w", testserver.ErrNotInstalled)
		}
	}
	return "", err
}

var listening = regexp.MustCompile(`Azurite (Blob|Queue) service is successfully listening at http://(\S+)`)

// Start starts a server that no other test uses. The caller must call Stop.
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
	s := &Server{dir: dir, cmd: exec.CommandContext(context.Background(), "node", path,
		"--silent", "--skipApiVersionCheck", "--disableTelemetry", "--location", dir,
		"--blobHost", local, "--queueHost", local, "--tableHost", local,
		"--blobPort", "0", "--queuePort", "0", "--tablePort", "0")}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{}
	testserver.EndWithParent(s.cmd.SysProcAttr, syscall.SIGKILL)
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start azurite: %w", err), os.RemoveAll(dir))
	}
	if err := testserver.AwaitReady("azurite", out, s.readAddress); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// readAddress stores the address in a line of the server's output, if it has one. It returns true at the address of the
// queue service, which comes last.
func (s *Server) readAddress(line string) (ready bool) {
	m := listening.FindStringSubmatch(line)
	switch {
	case m == nil:
		return false
	case m[1] == "Blob":
		s.Blob = m[2]
		return false
	}
	s.Queue = m[2]
	return true
}
