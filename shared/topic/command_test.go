package topic

import (
	"slices"
	"strings"
	"testing"
)

func TestCheckCommand(t *testing.T) {
	for _, c := range []struct {
		name string
		args map[string]string
		want string // in the error, "" for none
	}{
		{"pause", nil, ""},
		{"retry", map[string]string{"footage": "all"}, ""},
		{"prioritise", map[string]string{"footage": "a", "priority": "3", "now": "true"}, ""},
		{"reboot", nil, "is not one of fsck, limit"},
		{"", nil, "is not one of"},
		{"pause", map[string]string{"now": "true"}, "needs none"},
		{"log", map[string]string{"Level": "debug"}, "it has level"},
		{"log", map[string]string{"level": strings.Repeat("x", 129)}, "at most 128"},
	} {
		err := CheckCommand(c.name, c.args)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s %v: %v", c.name, c.args, err)
		}
	}
}

// The AsyncAPI document describes every command and every argument.
func TestAsyncAPIDescribesTheCommands(t *testing.T) {
	_, text, _ := strings.Cut(string(AsyncAPI), "    command:\n      type: object")
	text, _, _ = strings.Cut(text, "    reply:\n")
	words := strings.FieldsFunc(text, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') })
	for name, args := range commandArgs {
		for _, word := range append([]string{name}, args...) {
			if !slices.Contains(words, word) {
				t.Errorf("asyncapi.yaml does not describe %s of command %s", word, name)
			}
		}
	}
}
