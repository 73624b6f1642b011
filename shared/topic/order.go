package topic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"cattlecounter/shared/footage"
)

// MaxOrder is the most bytes of an order.
const MaxOrder = 16 << 10

// ErrOrder marks bytes that are not an order.
var ErrOrder = errors.New("not an order")

// ParseOrder reads an order. A field that orders do not have is an error, because a mistyped one would change what the
// order does; a signed order may have more fields, because only what is signed counts. The error wraps ErrOrder. The command
// then has nothing but the ID, and only when the bytes show a valid one: its sender can get an answer.
func ParseOrder(payload []byte) (Command, error) {
	var c struct {
		Command
		V *int `json:"v"` // orders have none, but a sender may copy the one of other messages
	}
	err := json.Unmarshal(payload, &c)
	switch {
	case len(payload) > MaxOrder:
		err = fmt.Errorf("%d bytes, at most %d", len(payload), MaxOrder)
	case err != nil:
	case c.V != nil && *c.V != Version:
		err = fmt.Errorf("version %d, want %d", *c.V, Version)
	case c.Signed == "":
		d := json.NewDecoder(bytes.NewReader(payload))
		d.DisallowUnknownFields()
		err = d.Decode(&c)
	}
	if err == nil {
		// The id becomes a level of a topic.
		if _, err = footage.ParseID(c.ID); err != nil {
			return Command{}, fmt.Errorf("%w: its id: %w", ErrOrder, err)
		}
		return c.Command, nil
	}
	return Command{ID: findID(payload)}, fmt.Errorf("%w: %w", ErrOrder, err)
}

// findID returns the valid id in what may not be JSON as a whole, "" when there is none in the first MaxOrder bytes.
func findID(payload []byte) string {
	d := json.NewDecoder(bytes.NewReader(payload[:min(len(payload), MaxOrder)]))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return ""
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return ""
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return ""
		}
		var id string
		if name != "id" || json.Unmarshal(value, &id) != nil {
			continue
		}
		if _, err := footage.ParseID(id); err == nil {
			return id
		}
		return ""
	}
	return ""
}
