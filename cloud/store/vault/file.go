package vault

import (
	"bytes"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const heading = `# Keys that encrypt secrets of the CattleCounter ledger, one a line, the newest first.
# Keep a copy apart from the backups of the ledger: without it those secrets are lost.
`

// reload reads the file.
func (k *Keys) reload() error {
	f, err := os.Open(k.path)
	if err != nil {
		return fmt.Errorf("file of keys: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("file of keys: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return fmt.Errorf("file of keys: %w", err)
	}
	all, err := parseFile(text)
	if err != nil {
		return fmt.Errorf("%s: %w", k.path, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all, k.file = all, info
	return nil
}

// parseFile reads keys. Its errors name lines, never their text.
func parseFile(text []byte) ([]key, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("longer than %d KiB: %w", maxFile>>10, ErrFile)
	}
	var all []key
	n := 0
	for line := range bytes.Lines(text) {
		n++
		s := strings.TrimSpace(string(line))
		if s == "" || strings.HasPrefix(s, "#") {
			continue
		}
		secret, err := base64.RawURLEncoding.Strict().DecodeString(s)
		if err != nil || len(secret) != keyBytes {
			return nil, fmt.Errorf("line %d is not a key of %d bytes in base64url: %w", n, keyBytes, ErrFile)
		}
		if subtle.ConstantTimeCompare(secret, make([]byte, keyBytes)) == 1 {
			return nil, fmt.Errorf("line %d is a key of zeros: %w", n, ErrFile)
		}
		all = append(all, key{idOf(secret), secret})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no key; cloud-api secrets init makes one: %w", ErrFile)
	}
	return all, nil
}

// write stores keys durably: content, sync, name, folder. A file that exists stays unless over is true.
func write(path string, all []key, over bool) (err error) {
	folder := filepath.Dir(path)
	tmp, err := os.CreateTemp(folder, ".keys-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write keys: %w", err)
	}
	defer func() {
		if rerr := os.Remove(tmp.Name()); rerr != nil && !errors.Is(rerr, os.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
	}()
	if over {
		if err := keepOwner(tmp, path); err != nil {
			return err
		}
	}
	text := heading
	for _, one := range all {
		text += base64.RawURLEncoding.EncodeToString(one.secret) + "\n"
	}
	_, err = tmp.WriteString(text)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return fmt.Errorf("write keys: %w", err)
	}
	name := os.Link // fails when the file exists
	if over {
		name = os.Rename
	}
	if err := name(tmp.Name(), path); err != nil {
		return fmt.Errorf("write keys: %w", err)
	}
	d, err := os.Open(folder)
	if err != nil {
		return fmt.Errorf("write keys: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// keepOwner gives a new file the owner and the mode of the one that it replaces: the administrator who rotates keys is often
// not the user of cloud-api.
func keepOwner(f *os.File, path string) error {
	info, err := os.Stat(path)
	if err == nil {
		err = f.Chmod(info.Mode().Perm())
	}
	if err != nil {
		return fmt.Errorf("write keys: %w", err)
	}
	if was, ok := info.Sys().(*syscall.Stat_t); ok && int(was.Uid) != os.Geteuid() {
		if err := f.Chown(int(was.Uid), int(was.Gid)); err != nil {
			return fmt.Errorf("write keys as their owner: %w", err)
		}
	}
	return nil
}
