// Package orderkey signs the cloud's orders to stations and checks them there. A signature is a JSON Web Signature
// (RFC 7515) in compact form with Ed25519 (RFC 8037). A station pins the public key when it is enrolled, and then
// executes only orders over MQTT that this key has signed for this station.
package orderkey

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"cattlecounter/shared/secret"
	"cattlecounter/shared/topic"
)

// Errors of Open.
var (
	// ErrUnsigned marks an order without a signature.
	ErrUnsigned = errors.New("the order is not signed; give it on the page of the cloud or by its API")
	// ErrForged marks an order whose signature is not that of the pinned key, or that is for another station.
	ErrForged = errors.New("the order is not one of the cloud for this station")
)

const (
	prefix = "ed25519:"
	// kind separates orders from everything else that the key may ever sign.
	kind = "cattle-order"
	// maxSigned bounds a signature with its order, in bytes. The longest order has 4 KiB.
	maxSigned = 16 << 10
)

// Private is the key of the cloud. The zero value signs nothing. It prints as ***.
type Private struct{ seed secret.String }

// New returns a new random key.
func New() Private {
	var seed [ed25519.SeedSize]byte
	_, _ = rand.Read(seed[:]) // never fails; crypto/rand ends the program instead
	return Private{secret.New(base64.RawURLEncoding.EncodeToString(seed[:]))}
}

// ParsePrivate reads what Reveal returned.
func ParsePrivate(text string) (Private, error) {
	seed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(seed) != ed25519.SeedSize {
		return Private{}, errors.New("the key that signs orders is damaged: want 32 bytes in base64url")
	}
	return Private{secret.New(text)}, nil
}

// String implements fmt.Stringer.
func (k Private) String() string { return k.seed.String() }

// GoString implements fmt.GoStringer, so that %#v does not leak.
func (k Private) GoString() string { return k.seed.String() }

// Reveal returns the text of the key, for the place where it is stored.
func (k Private) Reveal() string { return k.seed.Reveal() }

// Public returns the key that stations pin.
func (k Private) Public() Public {
	private, err := k.key()
	if err != nil {
		return Public{}
	}
	return Public{string(private.Public().(ed25519.PublicKey))}
}

func (k Private) key() (ed25519.PrivateKey, error) {
	seed, err := base64.RawURLEncoding.DecodeString(k.seed.Reveal())
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, errors.New("there is no key that signs orders")
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// Sign returns the order with its signature in Signed. The order must name its station, and when it was given.
func (k Private) Sign(c topic.Command) (topic.Command, error) {
	c.Signed, c.Next, c.Keys = "", "", nil
	_, err := k.key()
	if err == nil && (c.Station == "" || c.Issued.IsZero()) {
		err = errors.New("it names no station or no time")
	}
	if err != nil {
		return c, fmt.Errorf("sign order %s: %w", c.ID, err)
	}
	if c.Signed, err = k.sign(kind, c); err != nil {
		return c, fmt.Errorf("sign order %s: %w", c.ID, err)
	}
	return c, nil
}

// sign returns the JSON of what as a JSON Web Signature of a type.
func (k Private) sign(kind jose.ContentType, what any) (string, error) {
	private, err := k.key()
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(what)
	if err != nil {
		return "", err
	}
	options := (&jose.SignerOptions{}).WithType(kind).WithHeader("kid", k.Public().ID())
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: private}, options)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// Public is the key that a station pins. The zero value is no key. It is comparable. Its text is ed25519: and 43 characters of base64url.
type Public struct{ key string }

// IsZero reports whether there is no key.
func (k Public) IsZero() bool { return k.key == "" }

// String returns the text of the key, "" for no key.
func (k Public) String() string {
	if k.IsZero() {
		return ""
	}
	return prefix + base64.RawURLEncoding.EncodeToString([]byte(k.key))
}

// ID is a short name of the key, for logs and error messages.
func (k Public) ID() string {
	sum := sha256.Sum256([]byte(k.key))
	return base64.RawURLEncoding.EncodeToString(sum[:6])
}

// MarshalText implements encoding.TextMarshaler.
func (k Public) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. An empty text is no key.
func (k *Public) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*k = Public{}
		return nil
	}
	encoded, ok := strings.CutPrefix(string(text), prefix)
	key, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if !ok || err != nil || len(key) != ed25519.PublicKeySize {
		return fmt.Errorf("%.80q is not a key such as %sAAAA…; \"cloud-api device order-key\" prints it", text, prefix)
	}
	*k = Public{string(key)}
	return nil
}

// Open returns the order that was signed for a station. Only what it returns is trusted, never what else came with the
// signature. The error wraps ErrUnsigned or ErrForged.
func (k Public) Open(signed string, station topic.Device) (topic.Command, error) {
	var c topic.Command
	if signed == "" {
		return c, ErrUnsigned
	}
	payload, err := k.verify(kind, signed)
	if err != nil {
		return c, fmt.Errorf("%w: %w", ErrForged, err)
	}
	r := json.NewDecoder(bytes.NewReader(payload))
	if err := r.Decode(&c); err != nil {
		return topic.Command{}, fmt.Errorf("%w: %w", ErrForged, err)
	}
	if c.Station != station.Path() || c.Issued.IsZero() {
		return topic.Command{}, fmt.Errorf("%w: it is for %.130q", ErrForged, c.Station)
	}
	return c, nil
}

// verify returns the signed bytes of a type.
func (k Public) verify(kind, signed string) ([]byte, error) {
	s, err := parse(signed)
	if err != nil {
		return nil, err
	}
	h := s.Signatures[0].Protected
	if h.KeyID != k.ID() {
		return nil, fmt.Errorf("it is signed with the key %.20q, and the pinned key is %s; enrol the station again when the "+
			"cloud has a new key", h.KeyID, k.ID())
	}
	if h.ExtraHeaders[jose.HeaderType] != kind {
		return nil, fmt.Errorf("what is signed has the type %.40q", fmt.Sprint(h.ExtraHeaders[jose.HeaderType]))
	}
	payload, err := s.Verify(ed25519.PublicKey(k.key))
	if err != nil {
		return nil, errors.New("its signature is wrong")
	}
	return payload, nil
}

// parse reads a signature without checking it.
func parse(signed string) (*jose.JSONWebSignature, error) {
	if len(signed) > maxSigned {
		return nil, fmt.Errorf("%d bytes, at most %d", len(signed), maxSigned)
	}
	s, err := jose.ParseSignedCompact(signed, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return nil, fmt.Errorf("its signature cannot be read: %w", err)
	}
	return s, nil
}
