package broker

import (
	"strings"

	"cattlecounter/cloud/server/access"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/topic"
)

// everything is the filter that matches every topic of the contract.
const everything = "cattle/v1/#"

// account is the owner of a session.
type account struct {
	user    string
	device  topic.Device
	role    ledger.Role
	holder  access.Holder
	service bool // the cloud itself
	// discovery is the first level of the topics for Home Assistant; "" when they are off.
	discovery string
}

// accountOf is the account of the holder of a token.
func accountOf(d ledger.Device) account {
	return account{user: d.Name, device: topic.Device{Site: d.Site, Name: d.Name}, role: d.Role, holder: access.OfDevice(d)}
}

// mayPublish reports whether the account may publish to the topic:
//
//	device    its own status, vitals, footage and command replies
//	reader    nothing
//	operator  commands to the devices of its sites
//	cloud     jobs, counts, commands and configurations for Home Assistant
//
// Home Assistant says on a topic that it is online, also in its last will. It may have the account of any reader, so all
// of them may publish there; only the cloud may read it.
func (a account) mayPublish(name string) bool {
	if a.discovery != "" && strings.HasPrefix(name, a.discovery+"/") {
		if !a.service {
			return a.reads() && name == topic.DiscoveryStatus(a.discovery)
		}
		_, err := topic.ParseDiscovery(a.discovery, name)
		return err == nil
	}
	at, err := topic.Parse(name)
	if err != nil {
		return false
	}
	switch {
	case a.service:
		switch at.Kind {
		case topic.KindJob, topic.KindCount, topic.KindFlight, topic.KindNewest, topic.KindPaddock, topic.KindCommand:
			return true
		}
		return false
	case a.holder.May(access.Command):
		return at.Kind == topic.KindCommand && a.holder.MayAt(access.Command, at.Device.Site, at.Device.Name)
	case a.role == ledger.RoleDevice:
		switch at.Kind {
		case topic.KindStatus, topic.KindVitals, topic.KindFootage, topic.KindReply:
			return at.Device == a.device
		}
	}
	return false
}

// mayLeave reports whether the account may have a last will with the topic. An order is no last will: it would be given
// when the token of its operator ends.
func (a account) mayLeave(name string) bool {
	at, err := topic.Parse(name)
	return a.mayPublish(name) && (a.service || err != nil || at.Kind != topic.KindCommand)
}

// reads reports whether the account may read topics of others.
func (a account) reads() bool { return a.role != ledger.RoleDevice && a.holder.May(access.Read) }

// maySubscribe reports whether the account may read what the filter matches; a topic name is a
// filter without wildcards. A filter for all sites is accepted from an account of some sites: the
// server asks again for the topic of each delivery, and what is of other sites is left out.
//
//	device    its own commands and jobs
//	others    every topic of the contract at their sites, also the configurations for Home Assistant
//	cloud     every topic of the contract
func (a account) maySubscribe(filter string) bool {
	if a.service || a.reads() {
		rest, ok := strings.CutPrefix(filter, strings.TrimSuffix(everything, "#"))
		site, _, _ := strings.Cut(rest, "/")
		return a.mayDiscover(filter) || ok && a.mayRead(site)
	}
	if a.role != ledger.RoleDevice {
		return false
	}
	if filter == a.device.Command() || filter == a.device.Jobs() {
		return true
	}
	at, err := topic.Parse(filter)
	return err == nil && at.Device == a.device && at.Kind == topic.KindJob
}

// mayDiscover is maySubscribe of a reader for the configurations for Home Assistant: PREFIX/COMPONENT/SITE/OBJECT/config.
// Home Assistant also subscribes to the shorter form without a site, which matches nothing here.
func (a account) mayDiscover(filter string) bool {
	rest, ok := strings.CutPrefix(filter, a.discovery+"/")
	if a.discovery == "" || !ok {
		return false
	}
	_, below, deeper := strings.Cut(rest, "/")
	site, _, _ := strings.Cut(below, "/")
	return a.service || rest == "#" || deeper && a.mayRead(site)
}

// mayRead reports whether the account may read at a site, which may be a wildcard.
func (a account) mayRead(site string) bool {
	return a.service || site == "+" || site == "#" || a.holder.Sites.Has(site)
}
