package server

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/server/retention"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/emptyledger"
	"cattlecounter/deploy/testkit/must"
)

// A mistyped site of retention.sites gets a warning; a site with a station does not.
func TestMistypedSiteOfRetention(t *testing.T) {
	ctx := t.Context()
	l := must.Get(ledger.Open(ctx, emptyledger.In(t, t.TempDir()), ledger.Options{}))(t)
	t.Cleanup(func() { must.Do(t, l.Close()) })
	must.Get(l.Devices.Add(ctx, "dock-1", "north", ledger.RoleDevice))(t)
	var out bytes.Buffer
	ages := retention.Ages{Sites: map[string]time.Duration{"north": time.Hour, "nroth": 0}}
	must.Do(t, checkAges(ctx, ages, l.Sites, slog.New(slog.NewTextHandler(&out, nil))))
	if text := out.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "level=WARN") || !strings.Contains(text, "site=nroth") {
		t.Errorf("log: %q", text)
	}
}
