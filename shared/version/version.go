// Package version holds the version of the programs: one value for all of them.
package version

import (
	"cmp"
	"runtime/debug"
)

// number is set by the linker: -ldflags "-X cattlecounter/shared/version.number=1.2.3".
var number string

// String returns the version this program was built as, such as "1.2.3". A program that was built without one has
// what the Go tool knows: the module's version, or "devel" with the commit.
func String() string {
	info, _ := debug.ReadBuildInfo()
	return cmp.Or(number, fromBuild(info))
}

func fromBuild(info *debug.BuildInfo) string {
	if info == nil {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	commit, modified := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = "+" + s.Value[:min(len(s.Value), 12)]
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = ".modified"
		}
	}
	if commit == "" {
		return "devel"
	}
	return "devel" + commit + modified
}
