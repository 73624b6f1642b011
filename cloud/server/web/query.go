package web

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"
	"gopkg.in/yaml.v3"
)

// queryRules are the query parameters of every operation, as openapi.yaml has them. What it does not name is refused: a
// filter that is spelled wrong or does not exist must not answer with all sites.
type queryRules []pathRules

// pathRules are the parameters of one path by method.
type pathRules struct {
	segments []string // of the path; one that begins with { stands for any text
	methods  map[string][]queryRule
}

// queryRule is one parameter.
type queryRule struct {
	name     string
	enum     []string
	integer  bool
	min, max *int64
	pattern  *regexp.Regexp
	time     bool
}

// apiDocument is what queryRules needs of openapi.yaml.
type apiDocument struct {
	Paths      map[string]map[string]apiOperation `yaml:"paths"`
	Components struct {
		Parameters map[string]apiParameter `yaml:"parameters"`
		Schemas    map[string]apiSchema    `yaml:"schemas"`
	} `yaml:"components"`
}

type apiOperation struct {
	Parameters []apiParameter `yaml:"parameters"`
}

type apiParameter struct {
	Ref    string    `yaml:"$ref"`
	Name   string    `yaml:"name"`
	In     string    `yaml:"in"`
	Schema apiSchema `yaml:"schema"`
}

type apiSchema struct {
	Ref     string   `yaml:"$ref"`
	Type    string   `yaml:"type"`
	Format  string   `yaml:"format"`
	Enum    []string `yaml:"enum"`
	Pattern string   `yaml:"pattern"`
	Min     *int64   `yaml:"minimum"`
	Max     *int64   `yaml:"maximum"`
}

// readQueryRules reads the parameters of every operation. Its error wraps errNoDocument.
func readQueryRules(openAPI []byte) (queryRules, error) {
	var doc apiDocument
	if err := yaml.Unmarshal(openAPI, &doc); err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w: %w", errNoDocument, err)
	}
	var rules queryRules
	for path, operations := range doc.Paths {
		p := pathRules{segments: strings.Split(path, "/"), methods: map[string][]queryRule{}}
		for method, op := range operations {
			list := []queryRule{}
			for _, param := range op.Parameters {
				if param.Ref != "" {
					param = doc.Components.Parameters[param.Ref[strings.LastIndex(param.Ref, "/")+1:]]
				}
				if param.In != "query" {
					continue
				}
				r, err := doc.rule(param)
				if err != nil {
					return nil, fmt.Errorf("openapi.yaml: %s %s: %w: %w", method, path, errNoDocument, err)
				}
				list = append(list, r)
			}
			p.methods[strings.ToUpper(method)] = list
		}
		rules = append(rules, p)
	}
	return rules, nil
}

func (d *apiDocument) rule(p apiParameter) (queryRule, error) {
	s := p.Schema
	if s.Ref != "" {
		s = d.Components.Schemas[s.Ref[strings.LastIndex(s.Ref, "/")+1:]]
	}
	r := queryRule{name: p.Name, enum: s.Enum, integer: s.Type == "integer", min: s.Min, max: s.Max,
		time: s.Format == "date-time"}
	var err error
	if s.Pattern != "" {
		r.pattern, err = regexp.Compile(s.Pattern)
	}
	return r, err
}

// of returns the parameters of an operation. ok is false for what openapi.yaml does not have.
func (q queryRules) of(method, path string) (rules []queryRule, ok bool) {
	if method == fiber.MethodHead {
		method = fiber.MethodGet
	}
	segments := strings.Split(path, "/")
	best := -1
	for _, p := range q {
		if literal := p.match(segments); literal > best {
			best = literal
			rules, ok = p.methods[method]
		}
	}
	return rules, ok
}

// match returns how many segments are the same text, -1 when the path is another one.
func (p pathRules) match(segments []string) int {
	if len(segments) != len(p.segments) {
		return -1
	}
	literal := 0
	for i, s := range p.segments {
		if strings.HasPrefix(s, "{") {
			continue
		}
		if s != segments[i] {
			return -1
		}
		literal++
	}
	return literal
}

// checkQuery refuses query parameters that the operation does not have, that are repeated or that have no valid value.
func (s *Server) checkQuery(c *fiber.Ctx) error {
	raw := string(c.Context().URI().QueryString())
	if strings.Trim(raw, "&") == "" {
		return c.Next()
	}
	path := string(c.Context().Path())
	rules, ok := s.queries.of(c.Method(), path)
	if !ok || path == openIDCallback { // providers add parameters of their own
		return c.Next()
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return badRequest("The query of the address is not valid: %v.", err)
	}
	names := make([]string, len(rules))
	for i, r := range rules {
		names[i] = r.name
	}
	for _, name := range sortedKeys(values) {
		at := slices.Index(names, name)
		switch {
		case at < 0 && len(names) == 0:
			return badRequest("%.40q is no parameter of this address; it has none.", name)
		case at < 0:
			return badRequest("%.40q is no parameter of this address; it has %s.", name, strings.Join(names, ", "))
		case len(values[name]) > 1:
			return badRequest("%s: it is given %d times; give it once.", name, len(values[name]))
		}
		if why := rules[at].fault(values[name][0]); why != "" {
			return badRequest("%s: %s.", name, why)
		}
	}
	return c.Next()
}

func sortedKeys(values url.Values) []string {
	var keys []string
	for k := range values {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// longestValue is longer than every valid value, in bytes.
const longestValue = 1024

// fault says for a person why a value is not valid, and "" for a valid one.
func (r queryRule) fault(v string) string {
	switch {
	case v == "":
		return "it has no value"
	case len(v) > longestValue || !utf8.ValidString(v) || strings.ContainsRune(v, 0):
		return "its value is too long or not UTF-8"
	case r.integer:
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || r.min != nil && n < *r.min || r.max != nil && n > *r.max {
			return fmt.Sprintf("%.40q is not a number%s", v, r.limits())
		}
	case len(r.enum) > 0 && !slices.Contains(r.enum, v):
		return fmt.Sprintf("%.40q is not one of %s", v, strings.Join(r.enum, ", "))
	case r.pattern != nil && !r.pattern.MatchString(v):
		return fmt.Sprintf("%.80q is not valid", v)
	case r.time:
		if _, err := parseMoment(v); err != nil {
			return err.Error()
		}
	}
	return ""
}

func (r queryRule) limits() string {
	switch {
	case r.min != nil && r.max != nil:
		return fmt.Sprintf(" from %d to %d", *r.min, *r.max)
	case r.min != nil:
		return fmt.Sprintf(" from %d on", *r.min)
	}
	return ""
}

// parseMoment reads a time with a zone (RFC 3339). A date alone is its midnight in UTC.
func parseMoment(v string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, v)
	if err != nil {
		t, err = time.Parse(time.DateOnly, v)
	}
	if err != nil {
		return t, fmt.Errorf("%.40q is not a time such as 2026-05-01T06:00:00Z or a date such as 2026-05-01", v)
	}
	return t.UTC(), nil
}

// moment returns the time of a parameter that checkQuery has accepted, zero when it is absent.
func moment(c *fiber.Ctx, name string) (time.Time, error) {
	v := text(c.Query(name))
	if v == "" {
		return time.Time{}, nil
	}
	t, err := parseMoment(v)
	if err != nil {
		return t, badRequest("%s: %v.", name, err)
	}
	return t, nil
}
