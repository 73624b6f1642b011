// Package settings reads a YAML file and the environment into one struct. It reports
// every fault at once, each with its key path and line.
//
// A field belongs to the settings by its `yaml:"key"` tag. Leaves are strings, integers,
// floats, booleans, time.Duration, []string and every type that implements
// encoding.TextUnmarshaler. The environment overrides the file: the variable of the leaf
// uplink.url with prefix CATTLE_EDGE is CATTLE_EDGE_UPLINK_URL. With _FILE behind it the
// variable names a file that holds the value, for secrets of containers.
package settings

import (
	"encoding"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// ErrInvalid marks every fault that Load finds in file or environment.
var ErrInvalid = errors.New("configuration is not valid")

// Validator is a configuration with rules beyond its types. Validate returns all faults
// joined, each with its key path first.
type Validator interface{ Validate() error }

// Load fills into, a pointer to a struct that already holds the defaults. With an empty
// path it reads only environ, which has the form of os.Environ. Errors wrap ErrInvalid.
func Load(path string, environ []string, prefix string, into any) error {
	var text []byte
	if path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read configuration: %w: %w", err, ErrInvalid)
		}
		text = b
	}
	if err := Parse(text, environ, prefix, into); err != nil {
		if path == "" {
			path = "environment"
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// Parse is Load for the text of a file.
func Parse(text []byte, environ []string, prefix string, into any) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return fmt.Errorf("%w: %w", err, ErrInvalid)
	}
	v := reflect.ValueOf(into).Elem()
	var faults []error
	if len(doc.Content) > 0 {
		faults = fill(doc.Content[0], v, "")
	}
	faults = append(faults, fromEnvironment(environ, prefix, v)...)
	if len(faults) == 0 {
		if val, ok := into.(Validator); ok {
			faults = append(faults, val.Validate())
		}
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("%w:\n%w", ErrInvalid, err)
	}
	return nil
}

// Keys lists the key path of every leaf in order.
func Keys(of any) []string {
	var keys []string
	leaves(reflect.ValueOf(of).Elem(), "", func(path string, _ reflect.Value) { keys = append(keys, path) })
	return keys
}

// EnvName is the environment variable of a key path.
func EnvName(prefix, path string) string {
	return prefix + "_" + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func isLeaf(v reflect.Value) bool {
	if _, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return true
	}
	return v.Kind() != reflect.Struct
}

// fields maps the yaml keys of a struct to its fields.
func fields(v reflect.Value) (keys []string, byKey map[string]reflect.Value) {
	byKey = map[string]reflect.Value{}
	for i := range v.NumField() {
		key, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		if key == "" || key == "-" {
			continue
		}
		keys = append(keys, key)
		byKey[key] = v.Field(i)
	}
	return keys, byKey
}

func leaves(v reflect.Value, path string, visit func(string, reflect.Value)) {
	keys, byKey := fields(v)
	for _, k := range keys {
		if f := byKey[k]; isLeaf(f) {
			visit(join(path, k), f)
		} else {
			leaves(f, join(path, k), visit)
		}
	}
}

func fill(n *yaml.Node, v reflect.Value, path string) []error {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil // an empty section keeps its defaults
	}
	if n.Kind != yaml.MappingNode {
		return []error{fmt.Errorf("line %d: %s: must be a section with keys", n.Line, orTop(path))}
	}
	keys, byKey := fields(v)
	var faults []error
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, val := n.Content[i], n.Content[i+1]
		at := join(path, k.Value)
		f, ok := byKey[k.Value]
		switch {
		case !ok:
			faults = append(faults, fmt.Errorf("line %d: %s: unknown key, known here: %s", k.Line, at, strings.Join(keys, ", ")))
		case seen[k.Value]:
			faults = append(faults, fmt.Errorf("line %d: %s: duplicate key", k.Line, at))
		case isLeaf(f):
			if err := setNode(val, f); err != nil {
				faults = append(faults, fmt.Errorf("line %d: %s: %w", val.Line, at, err))
			}
		default:
			faults = append(faults, fill(val, f, at)...)
		}
		seen[k.Value] = true
	}
	return faults
}

func orTop(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

func setNode(n *yaml.Node, v reflect.Value) error {
	if n.Kind == yaml.SequenceNode && v.Type() == reflect.TypeFor[[]string]() {
		list := make([]string, 0, len(n.Content))
		for _, c := range n.Content {
			if c.Kind != yaml.ScalarNode {
				return errors.New("must be a list of plain values")
			}
			list = append(list, c.Value)
		}
		v.Set(reflect.ValueOf(list))
		return nil
	}
	if n.Kind != yaml.ScalarNode {
		return errors.New("must be a plain value")
	}
	if n.Tag == "!!null" {
		return nil
	}
	return setText(n.Value, v)
}

func setText(s string, v reflect.Value) error {
	if t, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return t.UnmarshalText([]byte(s))
	}
	if v.Type() == reflect.TypeFor[time.Duration]() {
		d, err := time.ParseDuration(s)
		if err != nil {
			return fmt.Errorf("%q is not a duration such as 30s or 5m", s)
		}
		v.SetInt(int64(d))
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Bool:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return fmt.Errorf("%q is not true or false", s)
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || v.OverflowInt(n) {
			return fmt.Errorf("%q is not a whole number", s)
		}
		v.SetInt(n)
	case reflect.Float64:
		x, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", s)
		}
		v.SetFloat(x)
	case reflect.Slice:
		list := strings.Split(s, ",")
		for i := range list {
			list[i] = strings.TrimSpace(list[i])
		}
		v.Set(reflect.ValueOf(list))
	default:
		return fmt.Errorf("settings do not support the type %s", v.Type())
	}
	return nil
}

func fromEnvironment(environ []string, prefix string, v reflect.Value) []error {
	byName := map[string]reflect.Value{}
	leaves(v, "", func(path string, f reflect.Value) { byName[EnvName(prefix, path)] = f })
	var faults []error
	for _, kv := range environ {
		name, val, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, prefix+"_") {
			continue
		}
		f, ok := byName[name]
		if base, is := strings.CutSuffix(name, fileSuffix); !ok && is && byName[base].IsValid() {
			if slices.ContainsFunc(environ, func(kv string) bool { return strings.HasPrefix(kv, base+"=") }) {
				faults = append(faults, fmt.Errorf("environment %s: %s is set too; set one of them", name, base))
				continue
			}
			var err error
			if val, err = readValue(val); err != nil {
				faults = append(faults, fmt.Errorf("environment %s: %w", name, err))
				continue
			}
			f, ok = byName[base], true
		}
		if !ok {
			faults = append(faults, fmt.Errorf("environment %s: unknown, nearest known: %s", name, nearest(name, byName)))
			continue
		}
		if err := setText(val, f); err != nil {
			faults = append(faults, fmt.Errorf("environment %s: %w", name, err))
		}
	}
	return faults
}

const (
	fileSuffix = "_FILE"
	maxValue   = 64 << 10 // bytes of a file with one value
)

// readValue reads a file that holds one value. Line ends at its end do not belong to the value.
func readValue(path string) (string, error) {
	f, err := os.Open(path) // the path is the operator's
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxValue+1))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	if len(b) > maxValue {
		return "", fmt.Errorf("%s has more than %d bytes; is it the file of another setting?", path, maxValue)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// nearest returns the known name with the longest common prefix.
func nearest(name string, known map[string]reflect.Value) string {
	best, bestLen := "", -1
	names := make([]string, 0, len(known))
	for k := range known {
		names = append(names, k)
	}
	slices.Sort(names)
	for _, k := range names {
		n := 0
		for n < len(k) && n < len(name) && k[n] == name[n] {
			n++
		}
		if n > bestLen {
			best, bestLen = k, n
		}
	}
	return best
}
