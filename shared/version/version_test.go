package version

import (
	"runtime/debug"
	"testing"
)

func TestFromBuild(t *testing.T) {
	commit := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"}
	for _, c := range []struct {
		name string
		info *debug.BuildInfo
		want string
	}{
		{"no information", nil, "devel"},
		{"a test", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "devel"},
		{"go install of a version", &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, "v1.2.3"},
		{"a checkout", &debug.BuildInfo{Settings: []debug.BuildSetting{commit}}, "devel+0123456789ab"},
		{"a changed checkout", &debug.BuildInfo{Settings: []debug.BuildSetting{commit, {Key: "vcs.modified", Value: "true"}}}, "devel+0123456789ab.modified"},
	} {
		if got := fromBuild(c.info); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestNumberOfTheLinkerWins(t *testing.T) {
	number = "9.8.7"
	t.Cleanup(func() { number = "" })
	if got := String(); got != "9.8.7" {
		t.Errorf("version %q", got)
	}
}
