package orderkey

import (
	"encoding/json"
	"fmt"
	"time"

	"cattlecounter/shared/topic"
)

const (
	// succession is the type of a signature that names the next key. An order has another type.
	succession = "cattle-order-key"
	// MaxLinks is how many rotations a message leads a station over. Each link has about 300 bytes of topic.MaxOrder.
	MaxLinks = 20
)

// link is what the old key signs at a rotation.
type link struct {
	Next  Public    `json:"next"`
	Since time.Time `json:"since"`
}

// Succeed returns the link from this key to the next one: a signature of this key that names it. at is the time of the
// rotation.
func (k Private) Succeed(next Public, at time.Time) (string, error) {
	if next.IsZero() || next == k.Public() {
		return "", fmt.Errorf("the key %s cannot follow %s", next.ID(), k.Public().ID())
	}
	text, err := k.sign(succession, link{next, at.UTC()})
	if err != nil {
		return "", fmt.Errorf("announce the key %s: %w", next.ID(), err)
	}
	return text, nil
}

// Follow returns the key to which links lead from this one, which is this key when none begins at it. The links are in
// the order of the rotations; those of earlier keys are ignored, because a station may already have followed them. A
// link that begins at the reached key but is not signed by it is an error that wraps ErrForged, and so are more than
// MaxLinks.
func (k Public) Follow(links []string) (Public, error) {
	if len(links) > MaxLinks {
		return k, fmt.Errorf("%w: %d rotations of the key, at most %d", ErrForged, len(links), MaxLinks)
	}
	now := k
	for _, text := range links {
		s, err := parse(text)
		if err != nil {
			return k, fmt.Errorf("%w: a rotation of the key: %w", ErrForged, err)
		}
		if s.Signatures[0].Protected.KeyID != now.ID() {
			continue
		}
		payload, err := now.verify(succession, text)
		var l link
		if err == nil {
			err = json.Unmarshal(payload, &l)
		}
		if err == nil && l.Next.IsZero() {
			err = fmt.Errorf("it names no key")
		}
		if err != nil {
			return k, fmt.Errorf("%w: the rotation of the key %s: %w", ErrForged, now.ID(), err)
		}
		now = l.Next
	}
	return now, nil
}

// OpenFollowing opens an order by the key to which its Keys lead from this one. It returns that key, which a station pins
// in the place of this one: the old key has named it, and the order proves that the cloud signs with it. So no link alone
// moves a station. After an error the key is this one. The errors are those of Open and Follow.
func (k Public) OpenFollowing(c topic.Command, station topic.Device) (topic.Command, Public, error) {
	now, err := k.Follow(c.Keys)
	if err != nil {
		return topic.Command{}, k, err
	}
	signed := c.Signed
	if c.Next != "" && keyOf(c.Next) == now.ID() {
		signed = c.Next
	}
	opened, err := now.Open(signed, station)
	if err != nil {
		return topic.Command{}, k, err
	}
	return opened, now, nil
}

// keyOf is the id of the key that a signature names, "" when it cannot be read.
func keyOf(signed string) string {
	s, err := parse(signed)
	if err != nil {
		return ""
	}
	return s.Signatures[0].Protected.KeyID
}
