package config

import (
	"strings"
	"testing"
	"time"
)

func TestRetentionOfSites(t *testing.T) {
	c := Default()
	c.Retention.Sites = []string{"north 720h", " south  0s"}
	got, err := c.Retention.OfSites()
	if err != nil || len(got) != 2 || got["north"] != 720*time.Hour || got["south"] != 0 || c.Validate() != nil {
		t.Errorf("%v %v %v", got, err, c.Validate())
	}
	for entry, want := range map[string]string{"north": "SITE TIME", "720h": "SITE TIME", "no/rth 720h": "SITE TIME", "north 30": "SITE TIME",
		"": "SITE TIME", "north 5m": "less than 1h", "north -2h": "less than 1h"} {
		c.Retention.Sites = []string{entry}
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "retention.sites: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", entry, err, want)
		}
	}
	c.Retention.Sites = []string{"north 720h", "north 72h"}
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "two entries") {
		t.Error(err)
	}
}
