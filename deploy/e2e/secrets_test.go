package e2e

import (
	"os"
	"path/filepath"
	"strings"

	"cattlecounter/deploy/testkit/azurite"
	"cattlecounter/deploy/testkit/postgres"
)

// noSecrets looks through everything that any program of the stage has logged for
// tokens, passwords and keys.
func (s *stage) noSecrets() {
	s.t.Helper()
	logs, err := filepath.Glob(s.path("logs", "*"))
	if err != nil {
		s.t.Error(err)
	}
	for _, file := range logs {
		text, err := os.ReadFile(file)
		if err != nil {
			s.t.Error(err)
		}
		for what, secret := range map[string]string{"the token": s.token, "the cloud's password": cloudPassword, "the watcher's password": watcherPassword,
			"the account's key": azurite.Key, "the database's password": postgres.Password} {
			if strings.Contains(string(text), secret) {
				s.t.Errorf("%s is in %s", what, filepath.Base(file))
			}
		}
	}
}
