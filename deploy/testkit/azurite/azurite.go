// Package azurite starts Azurite, the emulator of Azure Storage, for tests: one for all
// tests of a test program, on free ports of this machine.
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

// Account and Key are the published ones of every Azurite. They protect nothing.
const (
	Account = "devstoreaccount1"
	Key     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==" //nolint:gosec // published
)

// Server is a running Azurite.
type Server struct {
	Blob, Queue string // host:port
	cmd         *exec.Cmd
	dir         string
}

// Through returns a connection string that uses the given addresses instead of the
// server's, such as those of a proxy. "" means the server's own address.
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

// ConnectionString returns the connection string of the server.
func (s *Server) ConnectionString() secret.String { return s.Through("", "") }

// Stop ends the server.
func (s *Server) Stop() error {
	_ = s.cmd.Process.Kill() // it may have ended
	_ = s.cmd.Wait()
	return os.RemoveAll(s.dir)
}

var shared = testserver.One[*Server]{Start: Start, End: (*Server).Stop}

// Tests wraps the tests of a program; call it in TestMain. It ends the shared server.
func Tests(m testserver.Runner) testserver.Runner { return shared.Tests(m) }

// Get returns the server that all tests of this program share. Tests must wrap them. When
// Azurite is not installed, the test is skipped; in CI it fails.
func Get(t testing.TB) *Server {
	t.Helper()
	return shared.Get(t)
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
			return "", fmt.Errorf("azurite is %w", testserver.ErrNotInstalled)
		}
	}
	return "", err
}

var listening = regexp.MustCompile(`Azurite (Blob|Queue) service is successfully listening at http://(\S+)`)

// Start starts a server that is not shared.
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
	s.cmd.SysProcAttr = &syscall.SysProcAttr{}
	testserver.EndsWithParent(s.cmd.SysProcAttr, syscall.SIGKILL)
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start azurite: %w", err), os.RemoveAll(dir))
	}
	if err := testserver.Await("azurite", out, s.readAddress); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// readAddress reads the addresses from the output. The queue's address is the last one.
func (s *Server) readAddress(line string) (up bool) {
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
