package topic

import (
	"errors"
	"strings"
	"testing"

	"cattlecounter/shared/footage"
)

func TestParseOrder(t *testing.T) {
	long := `"` + strings.Repeat("x", MaxOrder) + `"`
	for name, c := range map[string]struct{ payload, id, why string }{
		"right":                        {`{"id":"1","name":"pause","expires":"2026-12-01T12:00:00Z"}`, "1", ""},
		"with the version":             {`{"v":1,"id":"1","name":"pause"}`, "1", ""},
		"signed, with more fields":     {`{"id":"1","name":"pause","signed":"x","later":1}`, "1", ""},
		"not JSON":                     {`pause`, "", "invalid character"},
		"empty":                        {``, "", "unexpected end"},
		"an array":                     {`[]`, "", "cannot unmarshal array"},
		"null":                         {`null`, "", "its id"},
		"cut off":                      {`{"id":"1","name":"pau`, "1", "unexpected end"},
		"cut off, the id behind":       {`{"name":"pau`, "", "unexpected end"},
		"more behind it":               {`{"id":"1"}{}`, "1", "after top-level value"},
		"a field of another type":      {`{"id":"1","args":{"rate":1}}`, "1", "cannot unmarshal number"},
		"an unknown field":             {`{"id":"1","name":"limit","arguments":{"rate":"none"}}`, "1", `unknown field "arguments"`},
		"another version":              {`{"v":2,"id":"1","name":"pause"}`, "1", "version 2, want 1"},
		"too large":                    {`{"id":"1","name":` + long + `}`, "1", "at most 16384"},
		"too large, the id behind":     {`{"name":` + long + `,"id":"1"}`, "", "at most 16384"},
		"no id":                        {`{"name":"pause"}`, "", "its id"},
		"an id with a slash":           {`{"id":"a/b","name":"pause"}`, "", "its id"},
		"an id with a slash, cut off":  {`{"id":"a/b","name":"pau`, "", "unexpected end"},
		"an id that is a number, more": {`{"id":1,"x":2}`, "", "cannot unmarshal number"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseOrder([]byte(c.payload))
			if got.ID != c.id || (err == nil) != (c.why == "") {
				t.Fatalf("id %q, error %v; want id %q, error %q", got.ID, err, c.id, c.why)
			}
			if err != nil && (!errors.Is(err, ErrOrder) || !strings.Contains(err.Error(), c.why)) {
				t.Errorf("error %v, want %q", err, c.why)
			}
		})
	}
}

func FuzzParseOrder(f *testing.F) {
	f.Add([]byte(`{"id":"1","name":"pause","expires":"2026-12-01T12:00:00Z"}`))
	f.Add([]byte(`{"id":"1","x":[{"id":"2"}],`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		c, err := ParseOrder(payload)
		if c.ID != "" {
			if _, bad := footage.ParseID(c.ID); bad != nil {
				t.Fatalf("id %q", c.ID)
			}
		}
		if err != nil && (!errors.Is(err, ErrOrder) || c.Name != "" || c.Args != nil) || err == nil && c.ID == "" {
			t.Fatalf("%+v %v", c, err)
		}
	})
}
