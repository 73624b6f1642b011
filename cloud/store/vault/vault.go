// Package vault encrypts the secrets that the ledger must be able to read again: keys of one-time passwords, secrets of
// webhooks and the key of orders. The keys are in a file outside of the ledger, so a copy of the ledger alone shows none of
// them.
//
// A sealed text has the form "v1:KEY:DATA". KEY is the id of the key, and DATA is the nonce of 12 bytes and the AES-256-GCM
// ciphertext (NIST SP 800-38D) in base64url. The key of each purpose follows from the key in the file by HKDF-SHA256
// (RFC 5869). The additional data has purpose and owner, so that a sealed text is not valid at another place.
package vault

import (
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
)

const (
	keyBytes = 32
	form     = "v1:"
	maxFile  = 64 << 10
)

// Classes of errors; compare with errors.Is.
var (
	ErrNoKey   = errors.New("no key for this secret")         // the file lacks the key, or there is no file
	ErrCorrupt = errors.New("the secret cannot be decrypted") // damaged, or not of this place
	ErrFile    = errors.New("not a file of keys")
	ErrFixed   = errors.New("the keys are no file of this machine; change them where they come from")
)

// Keys are the keys of a file. It is read again when it has changed. Keys is safe for concurrent use. A nil *Keys has no
// key: it opens plain texts only, and seals nothing.
type Keys struct {
	path string

	mu   sync.Mutex
	all  []key       // the current one first
	file os.FileInfo // of the file when it was read
}

type key struct {
	id     string
	secret []byte
}

// Open reads the keys of a file. The error wraps fs.ErrNotExist or ErrFile.
func Open(path string) (*Keys, error) {
	k := &Keys{path: path}
	if err := k.reload(); err != nil {
		return nil, err
	}
	return k, nil
}

// Fixed returns keys of the text of such a file, for programs that get it from elsewhere, such as from a key vault. They do
// not change while the program runs: Add and Keep fail with ErrFixed. The error wraps ErrFile.
func Fixed(text string) (*Keys, error) {
	all, err := parseFile([]byte(text))
	if err != nil {
		return nil, err
	}
	return &Keys{all: all}, nil
}

// Create makes a file with one new key, readable by its owner only. The error wraps fs.ErrExist when there is one already.
func Create(path string) (*Keys, error) {
	if err := write(path, []key{newKey()}, false); err != nil {
		return nil, err
	}
	return Open(path)
}

// Path is the path of the file.
func (k *Keys) Path() string {
	if k == nil {
		return ""
	}
	return k.path
}

// Current is the id of the key that seals.
func (k *Keys) Current() (string, error) {
	all, err := k.keys()
	if err != nil {
		return "", err
	}
	return all[0].id, nil
}

// Add makes a new key, which seals from now on. The others still open what they sealed.
func (k *Keys) Add() error {
	all, err := k.keys()
	if err == nil && k.path == "" {
		err = ErrFixed
	}
	if err != nil {
		return err
	}
	if err := write(k.path, append([]key{newKey()}, all...), true); err != nil {
		return err
	}
	return k.reload()
}

// Keep removes every key but the current one, the one before it and those with these ids. It returns how many it removed.
func (k *Keys) Keep(ids map[string]bool) (int, error) {
	all, err := k.keys()
	if err != nil {
		return 0, err
	}
	var kept []key
	for i, one := range all {
		if i < 2 || ids[one.id] {
			kept = append(kept, one)
		}
	}
	if len(kept) == len(all) {
		return 0, nil
	}
	if k.path == "" {
		return 0, ErrFixed
	}
	if err := write(k.path, kept, true); err != nil {
		return 0, err
	}
	return len(all) - len(kept), k.reload()
}

// Seal encrypts a text of an owner, such as the name of a person, with the current key. Without keys, and for "", it returns
// the text itself.
func (k *Keys) Seal(purpose, owner, text string) (string, error) {
	if k == nil || text == "" {
		return text, nil
	}
	all, err := k.keys()
	if err != nil {
		return "", err
	}
	box, err := all[0].box(purpose)
	if err != nil {
		return "", err
	}
	data := box.Seal(nil, nil, []byte(text), additional(purpose, owner)) //nolint:gosec // the cipher makes a random nonce
	return form + all[0].id + ":" + base64.RawURLEncoding.EncodeToString(data), nil
}

// Open decrypts what Seal returned for the same purpose and owner. A text that is not sealed is returned as it is. The error
// wraps ErrNoKey or ErrCorrupt.
func (k *Keys) Open(purpose, owner, sealed string) (string, error) {
	id, data, ok := parse(sealed)
	if !ok {
		return sealed, nil
	}
	one, err := k.find(id)
	if err != nil {
		return "", err
	}
	box, err := one.box(purpose)
	if err != nil {
		return "", err
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(data)
	if err != nil {
		return "", fmt.Errorf("%s of %s: not base64url: %w", purpose, owner, ErrCorrupt)
	}
	text, err := box.Open(nil, nil, raw, additional(purpose, owner))
	if err != nil {
		return "", fmt.Errorf("%s of %s, sealed with key %s: %w", purpose, owner, id, ErrCorrupt)
	}
	return string(text), nil
}

// KeyOf is the id of the key that sealed a text; ok is false for a text that is not sealed.
func KeyOf(text string) (id string, ok bool) {
	id, _, ok = parse(text)
	return id, ok
}

func parse(text string) (id, data string, ok bool) {
	rest, ok := strings.CutPrefix(text, form)
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, ":")
}

// find returns a key by its id.
func (k *Keys) find(id string) (key, error) {
	if k == nil {
		return key{}, fmt.Errorf("key %.16s: ledger.key_file names no file: %w", id, ErrNoKey)
	}
	all, err := k.keys()
	if err != nil {
		return key{}, err
	}
	for _, one := range all {
		if one.id == id {
			return one, nil
		}
	}
	return key{}, fmt.Errorf("key %.16s is not in %s: %w", id, cmp.Or(k.path, "ledger.keys"), ErrNoKey)
}

// keys returns the keys of the file as it is now.
func (k *Keys) keys() ([]key, error) {
	if k == nil {
		return nil, fmt.Errorf("ledger.key_file names no file: %w", ErrNoKey)
	}
	if k.path == "" {
		return k.all, nil
	}
	info, err := os.Stat(k.path)
	if err != nil {
		return nil, fmt.Errorf("file of keys: %w", err)
	}
	k.mu.Lock()
	same := os.SameFile(info, k.file) && info.Size() == k.file.Size() && info.ModTime().Equal(k.file.ModTime())
	k.mu.Unlock()
	if !same {
		if err := k.reload(); err != nil {
			return nil, err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.all, nil
}

func additional(purpose, owner string) []byte { return []byte(purpose + "\x00" + owner) }

func newKey() key {
	secret := make([]byte, keyBytes)
	_, _ = rand.Read(secret) // never fails; crypto/rand ends the program instead
	return key{idOf(secret), secret}
}

// idOf names a key without showing it.
func idOf(secret []byte) string {
	sum := sha256.Sum256(append([]byte("cattlecounter key id "), secret...))
	return hex.EncodeToString(sum[:4])
}

// box is the cipher of a purpose.
func (k key) box(purpose string) (cipher.AEAD, error) {
	derived, err := hkdf.Key(sha256.New, k.secret, nil, "cattlecounter ledger "+purpose, keyBytes)
	if err != nil {
		return nil, fmt.Errorf("derive the key of %s: %w", purpose, err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("cipher of %s: %w", purpose, err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}
