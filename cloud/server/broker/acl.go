package broker

import (
	"strings"

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
	service bool // the cloud itself
}

// mayPublish reports whether the account may publish to the topic:
//
//	device    its own status, vitals, footage and command replies
//	reader    nothing
//	operator  commands to every device
//	cloud     jobs, counts of footage and flights, and commands
func (a account) mayPublish(name string) bool {
	at, err := topic.Parse(name)
	if err != nil {
		return false
	}
	switch {
	case a.service:
		return at.Kind == topic.KindJob || at.Kind == topic.KindCount || at.Kind == topic.KindFlight || at.Kind == topic.KindCommand
	case a.role == ledger.RoleOperator:
		return at.Kind == topic.KindCommand
	case a.role == ledger.RoleDevice:
		switch at.Kind {
		case topic.KindStatus, topic.KindVitals, topic.KindFootage, topic.KindReply:
			return at.Device == a.device
		}
	}
	return false
}

// maySubscribe reports whether the account may read every topic that the filter matches;
// a topic name is a filter without wildcards:
//
//	device            its own commands and jobs
//	reader, operator  every topic of the contract
//	cloud             every topic of the contract
func (a account) maySubscribe(filter string) bool {
	if a.service || a.role == ledger.RoleReader || a.role == ledger.RoleOperator {
		return strings.HasPrefix(filter, strings.TrimSuffix(everything, "#"))
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
