package broker

import (
	"testing"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/topic"
)

func TestRights(t *testing.T) {
	own, other := topic.Device{Site: "farm", Name: "edge1"}, topic.Device{Site: "farm", Name: "edge2"}
	device := accountOf(ledger.Device{Name: "edge1", Site: "farm", Role: ledger.RoleDevice})
	reader := accountOf(ledger.Device{Name: "eye", Site: "farm", Role: ledger.RoleReader, Sites: ledger.SiteSet{"farm"}})
	operator := accountOf(ledger.Device{Name: "boss", Site: "farm", Role: ledger.RoleOperator, Sites: ledger.SiteSet{"farm"}})
	cloud := account{user: ServiceUser, service: true}
	unknown := account{user: "x", device: own}

	publish := []struct {
		name string
		who  []account
	}{
		{own.Status(), []account{device}},
		{own.Vitals(), []account{device}},
		{own.Footage("f1"), []account{device}},
		{own.CommandReply("c1"), []account{device}},
		{own.Command(), []account{operator, cloud}},
		{own.Job("j1"), []account{cloud}},
		{topic.Counts("farm", "f1"), []account{cloud}},
		{topic.FlightCount("farm", "f1"), []account{cloud}},
		{other.Status(), nil},
		{other.Footage("f1"), nil},
		{other.Command(), []account{operator, cloud}},
		{"cattle/v1/other/edge1/status", nil},
		{"cattle/v1/farm/edge1", nil},
		{"cattle/v1/farm/edge1/elsewhere", nil},
		{"cattle/v1/farm/edge1/status/more", nil},
		{"cattle/v2/farm/edge1/status", nil},
		{"$SYS/broker/version", nil},
		{"", nil},
	}
	subscribe := []struct {
		filter string
		who    []account
	}{
		{own.Command(), []account{device, reader, operator, cloud}},
		{own.Jobs(), []account{device, reader, operator, cloud}},
		{own.Job("j1"), []account{device, reader, operator, cloud}},
		{everything, []account{reader, operator, cloud}},
		{"cattle/v1/+/+/status", []account{reader, operator, cloud}},
		{"cattle/v1/farm/counts/+", []account{reader, operator, cloud}},
		{own.Status(), []account{reader, operator, cloud}},
		{own.Prefix() + "#", []account{reader, operator, cloud}},
		{own.Prefix() + "+", []account{reader, operator, cloud}},
		{own.Prefix() + "command/#", []account{reader, operator, cloud}},
		{other.Command(), []account{reader, operator, cloud}},
		{other.Jobs(), []account{reader, operator, cloud}},
		{"cattle/v1/farm/+/jobs/+", []account{reader, operator, cloud}},
		{"#", nil},
		{"+/v1/#", nil},
		{"cattle/#", nil},
		{"cattle/v1", nil},
		{"$SYS/#", nil},
		{"$share/g/cattle/v1/#", nil},
	}
	everyone := []account{device, reader, operator, cloud, unknown}
	for _, row := range publish {
		for _, a := range everyone {
			if got, want := a.mayPublish(row.name), holds(row.who, a); got != want {
				t.Errorf("%s publishes to %q: %v, want %v", a.user, row.name, got, want)
			}
		}
	}
	for _, row := range subscribe {
		for _, a := range everyone {
			if got, want := a.maySubscribe(row.filter), holds(row.who, a); got != want {
				t.Errorf("%s subscribes to %q: %v, want %v", a.user, row.filter, got, want)
			}
		}
	}
}

func holds(list []account, a account) bool {
	for _, x := range list {
		if x.user == a.user {
			return true
		}
	}
	return false
}

func FuzzRights(f *testing.F) {
	f.Add("cattle/v1/farm/edge1/status")
	f.Add("cattle/v1/#")
	f.Fuzz(func(t *testing.T, name string) {
		d := account{user: "edge1", device: topic.Device{Site: "farm", Name: "edge1"}, role: ledger.RoleDevice}
		const below = "cattle/v1/farm/edge1/"
		if (d.mayPublish(name) || d.maySubscribe(name)) && (len(name) <= len(below) || name[:len(below)] != below) {
			t.Fatalf("a device reaches %q", name)
		}
	})
}
