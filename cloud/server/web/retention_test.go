package web

import (
	"testing"
	"time"

	"cattlecounter/cloud/server/retention"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/wire"
)

// The API shows the times of the sites and which videos are removed when.
func TestRetention(t *testing.T) {
	const day = 24 * time.Hour
	s := open(t, func(o *Options) {
		o.Ages = retention.Ages{Default: 90 * day, Sites: map[string]time.Duration{"farm": 30 * day, "south": 0}}
	})
	root := must.Get(s.ledger.Devices.AddWith(t.Context(), ledger.Device{Name: "root", Site: "farm", Sites: ledger.SiteSet{"*"},
		Role: ledger.RoleAdmin}))(t).Reveal()
	s.finish(s.record("one", "content one").Job)
	s.record("waiting", "content two")
	var v wire.Retention
	s.do("GET", "/api/v1/retention", root).decode(t, &v)
	if v.VideosSeconds != int64(90*day/time.Second) || len(v.Sites) != 2 || v.Sites[0] != (wire.SiteRetention{Site: "farm", VideosSeconds: 30 * 86400}) ||
		v.Sites[1] != (wire.SiteRetention{Site: "south", Unknown: true}) {
		t.Errorf("%+v", v)
	}
	if len(v.Next) != 1 || v.Next[0].Footage != "one" || v.Next[0].Site != "farm" || v.Next[0].Name != "one.mp4" ||
		!v.Next[0].Due.Equal(v.Next[0].Counted.Add(30*day)) || v.Next[0].Counted.IsZero() {
		t.Errorf("next: %+v", v.Next)
	}
}
