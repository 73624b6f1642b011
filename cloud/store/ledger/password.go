package ledger

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"cattlecounter/cloud/store/leaked"
)

// Parameters of argon2id: the second choice of the OWASP password storage cheat sheet, which needs little memory.
const (
	argonTime   = 2
	argonMemory = 19 << 10 // KiB
	argonLanes  = 1
	argonKey    = 32
	saltBytes   = 16
)

// Lengths of a password: OWASP ASVS 2.1.1 and 2.1.2.
const (
	minPassword = 12  // characters
	maxPassword = 256 // bytes
)

// mostHashing bounds the memory of log-ins that come at once; the others wait.
const mostHashing = 2

var hashing = make(chan struct{}, mostHashing)

// nobodysHash takes the time of a password that no person has.
const nobodysHash = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// hashPassword returns the stored form (PHC string format). The error wraps ErrInvalid when the password is too short or
// too long, and ErrLeaked when attackers try it first. name is that of its person.
func hashPassword(ctx context.Context, name, password string) (string, error) {
	if utf8.RuneCountInString(password) < minPassword || len(password) > maxPassword {
		return "", fmt.Errorf("the password must have %d characters or more, and at most %d bytes: %w", minPassword, maxPassword,
			ErrInvalid)
	}
	if leaked.Knows(password, name) {
		return "", ErrLeaked
	}
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails; crypto/rand ends the program instead
	key, err := argon(ctx, password, salt, argonTime, argonMemory, argonLanes)
	if err != nil {
		return "", err
	}
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonLanes,
		enc.EncodeToString(salt), enc.EncodeToString(key)), nil
}

// samePassword compares in constant time.
func samePassword(ctx context.Context, stored, password string) (bool, error) {
	var version, memory, time int
	var lanes uint8
	parts := strings.Split(stored, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, fmt.Errorf("stored password has no known form: %w", ErrCorrupt)
	}
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &time, &lanes); err != nil ||
		version != argon2.Version || time < 1 || lanes < 1 || memory < 8 || memory > 1<<20 {
		return false, fmt.Errorf("stored password has no known parameters: %w", ErrCorrupt)
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false, fmt.Errorf("stored password: %w: %w", err, ErrCorrupt)
	}
	want, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(password) > maxPassword {
		return false, err
	}
	got, err := argon(ctx, password, salt, uint32(time), uint32(memory), lanes)
	return err == nil && subtle.ConstantTimeCompare(got, want) == 1, err
}

// argon waits for a place and computes.
func argon(ctx context.Context, password string, salt []byte, time, memory uint32, lanes uint8) ([]byte, error) {
	select {
	case hashing <- struct{}{}:
		defer func() { <-hashing }()
		return argon2.IDKey([]byte(password), salt, time, memory, lanes, argonKey), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
