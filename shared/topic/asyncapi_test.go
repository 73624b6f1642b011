package topic

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"cattlecounter/shared/job"
)

type document struct {
	AsyncAPI string `yaml:"asyncapi"`
	Channels map[string]struct {
		Address    string             `yaml:"address"`
		Parameters map[string]any     `yaml:"parameters"`
		Messages   map[string]pointer `yaml:"messages"`
	} `yaml:"channels"`
	Operations map[string]struct {
		Action  string  `yaml:"action"`
		Channel pointer `yaml:"channel"`
	} `yaml:"operations"`
	Components struct {
		Messages map[string]struct {
			Payload pointer `yaml:"payload"`
		} `yaml:"messages"`
		Schemas map[string]schema `yaml:"schemas"`
	} `yaml:"components"`
}

type pointer struct {
	Ref string `yaml:"$ref"`
}

type schema struct {
	Type       kinds             `yaml:"type"`
	Format     string            `yaml:"format"`
	Required   []string          `yaml:"required"`
	Enum       []string          `yaml:"enum"`
	Const      *int              `yaml:"const"`
	Properties map[string]schema `yaml:"properties"`
	Additional *schema           `yaml:"additionalProperties"`
	Items      *schema           `yaml:"items"`
}

// kinds are the types of a value, such as integer|null.
type kinds string

// UnmarshalYAML implements yaml.Unmarshaler: one type or a list of them.
func (k *kinds) UnmarshalYAML(n *yaml.Node) error {
	all := []string{n.Value}
	if n.Kind == yaml.SequenceNode {
		all = nil
		if err := n.Decode(&all); err != nil {
			return err
		}
	}
	*k = kinds(strings.Join(all, "|"))
	return nil
}

var payloads = map[Kind]any{
	KindStatus: Status{}, KindVitals: Vitals{}, KindFootage: Footage{}, KindCommand: Command{},
	KindReply: Reply{}, KindJob: Job{}, KindCount: Count{}, KindFlight: Flight{},
	KindNewest: Newest{}, KindPaddock: PaddockCount{}, KindDiscovery: Discovery{},
}

func read(t *testing.T) document {
	t.Helper()
	var d document
	if err := yaml.Unmarshal(AsyncAPI, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestChannelsAreTheTopics(t *testing.T) {
	d := read(t)
	if !strings.HasPrefix(d.AsyncAPI, "3.") {
		t.Errorf("asyncapi %s", d.AsyncAPI)
	}
	dev := Device{Site: "site", Name: "device"}
	want := map[string]string{
		"status": dev.Status(), "vitals": dev.Vitals(), "footage": dev.Footage("footage"), "command": dev.Command(),
		"reply": dev.CommandReply("command"), "job": dev.Job("job"), "count": Counts("site", "footage"),
		"flight": FlightCount("site", "flight"), "newest": NewestOf("site", "device"),
		"paddock": PaddockOf("site", "paddock"), "discovery": DiscoveryOf("prefix", "component", "site", "object"),
	}
	names := slices.Sorted(maps.Keys(d.Channels))
	if !slices.Equal(names, slices.Sorted(maps.Keys(want))) {
		t.Fatalf("channels %v", names)
	}
	for name, ch := range d.Channels {
		at := ch.Address
		for p := range ch.Parameters {
			if !strings.Contains(at, "{"+p+"}") {
				t.Errorf("%s: parameter %s is not in the address", name, p)
			}
			at = strings.ReplaceAll(at, "{"+p+"}", p)
		}
		if at != want[name] {
			t.Errorf("%s: address %s, the code says %s", name, at, want[name])
		}
		if name == string(KindDiscovery) {
			if site, err := ParseDiscovery("prefix", strings.Replace(at, "component", "sensor", 1)); err != nil || site != "site" {
				t.Errorf("%s: parsed as %q %v", name, site, err)
			}
		} else if a, err := Parse(at); err != nil || string(a.Kind) != name {
			t.Errorf("%s: parsed as %+v %v", name, a, err)
		}
		if ch.Messages[name].Ref != "#/components/messages/"+name ||
			d.Components.Messages[name].Payload.Ref != "#/components/schemas/"+name {
			t.Errorf("%s: messages do not lead to schema %s", name, name)
		}
	}
	used := map[string]bool{}
	for name, op := range d.Operations {
		ch := strings.TrimPrefix(op.Channel.Ref, "#/channels/")
		if _, ok := d.Channels[ch]; !ok || op.Action != "send" && op.Action != "receive" {
			t.Errorf("operation %s: %+v", name, op)
		}
		used[ch] = true
	}
	if len(used) != len(d.Channels) {
		t.Errorf("operations use %v", used)
	}
}

func TestSchemasAreThePayloads(t *testing.T) {
	d := read(t)
	if len(d.Components.Schemas) != len(payloads) {
		t.Errorf("%d schemas for %d payloads", len(d.Components.Schemas), len(payloads))
	}
	for kind, p := range payloads {
		t.Run(string(kind), func(t *testing.T) {
			compare(t, d.Components.Schemas[string(kind)], reflect.TypeOf(p))
		})
	}
}

func compare(t *testing.T, s schema, typ reflect.Type) {
	t.Helper()
	var required []string
	seen := map[string]bool{}
	for _, f := range reflect.VisibleFields(typ) {
		tag, ok := f.Tag.Lookup("json")
		if !ok {
			continue
		}
		name, opts, _ := strings.Cut(tag, ",")
		// A digest is an array, which encoding/json never omits.
		if !strings.Contains(opts, "omit") || f.Type.Kind() == reflect.Array {
			required = append(required, name)
		}
		seen[name] = true
		prop, ok := s.Properties[name]
		if !ok {
			t.Errorf("%s is not in the document", name)
			continue
		}
		if f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct {
			if prop.Type != "array" || prop.Items == nil {
				t.Errorf("%s is not an array of objects in the document", name)
				continue
			}
			compare(t, *prop.Items, f.Type.Elem())
			continue
		}
		if f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[time.Time]() {
			compare(t, prop, f.Type)
			continue
		}
		// A pointer that is not omitted is null at times.
		if f.Type.Kind() == reflect.Pointer && !strings.Contains(opts, "omit") {
			one, ok := strings.CutSuffix(string(prop.Type), "|null")
			if !ok {
				t.Errorf("%s: the document says %s, but the code also null", name, prop.Type)
			}
			prop.Type = kinds(one)
		}
		if err := fits(prop, f.Type); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name := range s.Properties {
		if !seen[name] {
			t.Errorf("%s is in the document only", name)
		}
	}
	if got := slices.Sorted(slices.Values(s.Required)); !slices.Equal(got, slices.Sorted(slices.Values(required))) {
		t.Errorf("required %v, the code says %v", got, required)
	}
	if c := s.Properties["v"].Const; seen["v"] && (c == nil || *c != Version) {
		t.Errorf("v: %v, the code says %d", c, Version)
	}
}

var enums = map[reflect.Type][]string{
	reflect.TypeFor[ClockSource](): {string(ClockGNSS), string(ClockNTP), string(ClockDate)},
	reflect.TypeFor[Clock]():       {string(ClockSynced), string(ClockUnsynced)},
	reflect.TypeFor[FootageState](): {string(Captured), string(Spooled), string(Uploading), string(Uploaded),
		string(Quarantined)},
	reflect.TypeFor[job.Stage]():   {string(job.StageDownload), string(job.StageDetect), string(job.StageReport)},
	reflect.TypeFor[ReplyState]():  {string(Accepted), string(Refused), string(Finished)},
	reflect.TypeFor[job.State]():   stateNames(),
	reflect.TypeFor[FlightState](): {string(FlightJoined), string(FlightStale), string(FlightEnded)},
}

func stateNames() []string {
	var s []string
	for _, st := range job.States() {
		s = append(s, string(st))
	}
	return s
}

func fits(s schema, typ reflect.Type) error {
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	want, format := "", s.Format
	switch {
	case typ == reflect.TypeFor[time.Time]():
		want, format = "string", "date-time"
	case reflect.PointerTo(typ).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()), typ.Kind() == reflect.String:
		want = "string"
	case typ.Kind() == reflect.Bool:
		want = "boolean"
	case typ.Kind() == reflect.Float64:
		want = "number"
	case typ.Kind() == reflect.Int64:
		want, format = "integer", "int64"
	case typ.Kind() == reflect.Int:
		want = "integer"
	case typ.Kind() == reflect.Slice:
		if s.Type != "array" || s.Items == nil {
			return fmt.Errorf("document says %s without items", s.Type)
		}
		return fits(*s.Items, typ.Elem())
	case typ.Kind() == reflect.Map:
		if s.Type != "object" || s.Additional == nil {
			return fmt.Errorf("document says %s without additionalProperties", s.Type)
		}
		return fits(*s.Additional, typ.Elem())
	}
	if s.Type != kinds(want) || s.Format != format {
		return fmt.Errorf("document says %s %q, the code %s %q", s.Type, s.Format, want, format)
	}
	if e := enums[typ]; !slices.Equal(s.Enum, e) {
		return fmt.Errorf("document says enum %v, the code %v", s.Enum, e)
	}
	return nil
}
