package coco

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

var errNotJSON = errors.New("not a JSON object")

// decode reads an object. Known keys go to their targets, the others are returned. Missing required keys are an error.
func decode(b []byte, known map[string]any, required ...string) (rest map[string]json.RawMessage, err error) {
	if err := json.Unmarshal(b, &rest); err != nil {
		return nil, fmt.Errorf("%w: %w", errNotJSON, err)
	}
	if rest == nil {
		return nil, errNotJSON
	}
	for _, key := range required {
		if v, ok := rest[key]; !ok || bytes.Equal(bytes.TrimSpace(v), []byte("null")) {
			return nil, fmt.Errorf("key %s is missing", key)
		}
	}
	for key, to := range known {
		v, ok := rest[key]
		if !ok {
			continue
		}
		if err := json.Unmarshal(v, to); err != nil {
			return nil, fmt.Errorf("key %s: %w", key, err)
		}
		delete(rest, key)
	}
	return rest, nil
}

// encode writes an object: the keys of v, and then those of rest that v does not have.
func encode(v any, rest map[string]json.RawMessage) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil || len(rest) == 0 {
		return b, err
	}
	more, err := json.Marshal(rest) // in order of the keys
	if err != nil {
		return nil, err
	}
	b[len(b)-1] = ','
	return append(b, more[1:]...), nil
}

// The types without methods, so that encoding them does not come back here.
type (
	plainImage      Image
	plainAnnotation Annotation
	plainCategory   Category
)

// UnmarshalJSON implements json.Unmarshaler.
func (m *Image) UnmarshalJSON(b []byte) (err error) {
	m.rest, err = decode(b, map[string]any{"id": &m.ID, "file_name": &m.File, "width": &m.Width, "height": &m.Height,
		"clip": &m.Clip, "source": &m.Source}, "id", "file_name", "width", "height")
	return err
}

// MarshalJSON implements json.Marshaler.
func (m *Image) MarshalJSON() ([]byte, error) { return encode((*plainImage)(m), m.rest) }

// UnmarshalJSON implements json.Unmarshaler.
func (a *Annotation) UnmarshalJSON(b []byte) (err error) {
	var box []float64
	a.rest, err = decode(b, map[string]any{"id": &a.ID, "image_id": &a.Image, "category_id": &a.Category, "bbox": &box,
		"area": &a.Area, "iscrowd": &a.Crowd, "track": &a.Track}, "id", "image_id", "category_id", "bbox")
	if err == nil && len(box) != len(a.Box) {
		return fmt.Errorf("annotation %d: bbox has %d numbers, want left, top, width, height", a.ID, len(box))
	}
	copy(a.Box[:], box)
	return err
}

// MarshalJSON implements json.Marshaler.
func (a *Annotation) MarshalJSON() ([]byte, error) { return encode((*plainAnnotation)(a), a.rest) }

// UnmarshalJSON implements json.Unmarshaler.
func (c *Category) UnmarshalJSON(b []byte) (err error) {
	c.rest, err = decode(b, map[string]any{"id": &c.ID, "name": &c.Name, "supercategory": &c.Super}, "id", "name")
	return err
}

// MarshalJSON implements json.Marshaler.
func (c *Category) MarshalJSON() ([]byte, error) { return encode((*plainCategory)(c), c.rest) }

// encode writes the document, with one entry on each line so that two versions can be compared.
func (f *Folder) encode() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	if len(f.rest) > 0 {
		rest, err := json.Marshal(f.rest)
		if err != nil {
			return nil, err
		}
		b.Write(rest[1 : len(rest)-1])
		b.WriteByte(',')
	}
	for _, part := range []struct {
		key  string
		list []json.Marshaler
	}{{"images", marshalers(f.Images)}, {"annotations", marshalers(f.Annotations)}, {"categories", marshalers(f.Categories)}} {
		if part.key != "images" {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "\n%q: [", part.key)
		for i, v := range part.list {
			line, err := v.MarshalJSON()
			if err != nil {
				return nil, err
			}
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteByte('\n')
			b.Write(line)
		}
		b.WriteString("\n]")
	}
	b.WriteString("\n}\n")
	return b.Bytes(), nil
}

func marshalers[T json.Marshaler](list []T) []json.Marshaler {
	out := make([]json.Marshaler, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}
