package topic

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Names of commands.
const (
	CommandPause      = "pause"
	CommandResume     = "resume"
	CommandRetry      = "retry"
	CommandPrioritise = "prioritise"
	CommandLimit      = "limit"
	CommandMetered    = "metered"
	CommandFsck       = "fsck"
	CommandRescan     = "rescan"
	CommandLog        = "log"
	CommandTrust      = "trust"
)

// commandArgs are the arguments of every command, as the AsyncAPI document has them. The device checks their values.
var commandArgs = map[string][]string{
	CommandPause:      nil,
	CommandResume:     nil,
	CommandRetry:      {"footage"},
	CommandPrioritise: {"footage", "priority", "now"},
	CommandLimit:      {"rate"},
	CommandMetered:    {"link"},
	CommandFsck:       nil,
	CommandRescan:     nil,
	CommandLog:        {"level"},
	CommandTrust:      nil,
}

// CommandNames returns the names of all commands, in alphabetical order.
func CommandNames() []string { return slices.Sorted(maps.Keys(commandArgs)) }

// maxCommandArg is the longest value of an argument in bytes. The longest useful one is an id.
const maxCommandArg = 128

// CheckCommand checks the name and the arguments of a command. The error says what is wrong and what is possible.
func CheckCommand(name string, args map[string]string) error {
	allowed, ok := commandArgs[name]
	if !ok {
		return fmt.Errorf("command %.40q is not one of %s", name, strings.Join(CommandNames(), ", "))
	}
	for _, arg := range slices.Sorted(maps.Keys(args)) {
		if !slices.Contains(allowed, arg) {
			if len(allowed) == 0 {
				return fmt.Errorf("command %s has no argument %.40q; it needs none", name, arg)
			}
			return fmt.Errorf("command %s has no argument %.40q; it has %s", name, arg, strings.Join(allowed, ", "))
		}
		if len(args[arg]) > maxCommandArg {
			return fmt.Errorf("argument %s of %d bytes, at most %d", arg, len(args[arg]), maxCommandArg)
		}
	}
	return nil
}
