package mqtt

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"cattlecounter/shared/topic"
)

// promised are the topics and fields of version 1, one a line. A cloud of version 1 has all of them, and may have more.
//
//go:embed version1.txt
var promised string

// errContract is the class of documents that are no AsyncAPI document of this form.
var errContract = errors.New("the AsyncAPI document cannot be read")

// contract is what an AsyncAPI document says.
type contract struct {
	lines    []string // in the form of version1.txt
	channels map[string]channel
}

// channel is one kind of topic.
type channel struct {
	address  *regexp.Regexp
	schema   *jsonschema.Schema
	required []string
}

// readContract reads the document of the cloud, or that of the kit when there is no API.
func (k *kit) readContract(ctx context.Context) error {
	text := topic.AsyncAPI
	if k.o.API != "" {
		text = nil
		token := k.o.Admin.Reveal()
		if token == "" {
			token = k.reader.token
		}
		if _, err := k.call(ctx, token, http.MethodGet, "/api/v1/asyncapi.yaml", nil, &text); err != nil {
			return fmt.Errorf("%w: %w", ErrNoServer, err)
		}
		k.served = true
	}
	var err error
	k.contract, err = parseContract(text)
	return err
}

// document is the part of an AsyncAPI document that the kit reads.
type document struct {
	Channels map[string]struct {
		Address string `json:"address"`
	} `json:"channels"`
	Components struct {
		Schemas map[string]any `json:"schemas"`
	} `json:"components"`
}

// parseContract reads an AsyncAPI document in YAML. The message of a channel has the schema with the name of the channel.
// The error wraps errContract.
func parseContract(text []byte) (contract, error) {
	var tree any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return contract{}, fmt.Errorf("%w: %w", errContract, err)
	}
	plain, err := json.Marshal(tree)
	var d document
	if err == nil {
		err = json.Unmarshal(plain, &d)
	}
	if err != nil {
		return contract{}, fmt.Errorf("%w: %w", errContract, err)
	}
	if len(d.Channels) == 0 {
		return contract{}, fmt.Errorf("%w: it has no channels", errContract)
	}
	c := contract{channels: map[string]channel{}}
	for _, name := range slices.Sorted(maps.Keys(d.Channels)) {
		s, err := compile(name, d.Components.Schemas[name])
		if err != nil {
			return contract{}, fmt.Errorf("%w: schema %.80q: %w", errContract, name, err)
		}
		address := d.Channels[name].Address
		c.lines = append(c.lines, "topic "+address)
		c.channels[name] = channel{pattern(address), s, c.describe(name, d.Components.Schemas[name])}
	}
	return c, nil
}

var parameter = regexp.MustCompile(`\\\{[a-z]+\\\}`)

// pattern matches the topics of an address.
func pattern(address string) *regexp.Regexp {
	return regexp.MustCompile("^" + parameter.ReplaceAllString(regexp.QuoteMeta(address), "[^/]+") + "$")
}

func compile(name string, schema any) (*jsonschema.Schema, error) {
	text, err := json.Marshal(schema)
	if err != nil {
		return nil, err
	}
	tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	at := "mem:///" + name
	if err := c.AddResource(at, tree); err != nil {
		return nil, err
	}
	return c.Compile(at)
}

// describe adds the fields of a schema to the lines, those of nested objects too, and returns the required ones of the top.
func (c *contract) describe(at string, schema any) []string {
	s, _ := schema.(map[string]any)
	if items, ok := s["items"].(map[string]any); ok {
		return c.describe(at+"[]", items)
	}
	for _, v := range list(s["enum"]) {
		c.lines = append(c.lines, "value "+at+" "+v)
	}
	fields, _ := s["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		f, _ := fields[name].(map[string]any)
		kinds := list(f["type"])
		if one, ok := f["type"].(string); ok {
			kinds = []string{one}
		}
		c.lines = append(c.lines, "field "+at+"."+name+" "+strings.Join(kinds, "|"))
		c.describe(at+"."+name, f)
	}
	required := list(s["required"])
	for _, name := range required {
		c.lines = append(c.lines, "required "+at+"."+name)
	}
	return required
}

// list returns the texts of a list.
func list(v any) []string {
	all, _ := v.([]any)
	var out []string
	for _, e := range all {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// missing returns the promised lines that the contract does not have.
func (c contract) missing() []string {
	return slices.DeleteFunc(strings.Split(strings.TrimSpace(promised), "\n"), func(line string) bool { return slices.Contains(c.lines, line) })
}

// kind returns the channel of a topic, "" for none. The most exact address wins: that with the most fixed levels.
func (c contract) kind(name string) string {
	best, fixed := "", -1
	for kind, ch := range c.channels {
		if n := strings.Count(ch.address.String(), "/") - strings.Count(ch.address.String(), "[^/]+"); ch.address.MatchString(name) && n > fixed {
			best, fixed = kind, n
		}
	}
	return best
}

// check returns how a payload departs from the schema of its topic.
func (c contract) check(name string, payload []byte) error {
	kind := c.kind(name)
	if kind == "" {
		return fmt.Errorf("%.200q is no topic of the contract", name)
	}
	tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(payload))
	if err == nil {
		err = c.channels[kind].schema.Validate(tree)
	}
	if err != nil {
		return fmt.Errorf("%.200s: %w", name, err)
	}
	return nil
}
