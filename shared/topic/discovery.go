package topic

import (
	"fmt"
	"strings"

	"cattlecounter/shared/footage"
)

// KindDiscovery is a configuration for Home Assistant. Parse does not know it: its first level is configured.
const KindDiscovery Kind = "discovery"

// DiscoveryPrefix is the first level of the topics that Home Assistant reads by default.
const DiscoveryPrefix = "homeassistant"

// Component is the kind of an entity of Home Assistant.
type Component string

// Components that are published.
const (
	Sensor       Component = "sensor"
	BinarySensor Component = "binary_sensor"
)

// Discovery describes one entity to Home Assistant: which topic has its state, and how to read it there. The format is
// that of https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery. Templates never contain text from outside.
type Discovery struct {
	Name     string `json:"name"`
	UniqueID string `json:"unique_id"`
	// StateTopic is one of this contract; ValueTemplate finds the state in its payload.
	StateTopic      string `json:"state_topic"`
	ValueTemplate   string `json:"value_template"`
	AttributesTopic string `json:"json_attributes_topic,omitempty"`
	// AvailabilityTopic is the status of the station. It is empty for what holds while the station is offline.
	AvailabilityTopic    string          `json:"availability_topic,omitempty"`
	AvailabilityTemplate string          `json:"availability_template,omitempty"`
	DeviceClass          string          `json:"device_class,omitempty"`
	StateClass           string          `json:"state_class,omitempty"`
	Unit                 string          `json:"unit_of_measurement,omitempty"`
	EntityCategory       string          `json:"entity_category,omitempty"`
	Icon                 string          `json:"icon,omitempty"`
	QoS                  int             `json:"qos"`
	Device               DiscoveryDevice `json:"device"`
	Origin               DiscoveryOrigin `json:"origin"`
}

// DiscoveryDevice is what Home Assistant shows several entities under: a station, or the paddocks of a site.
type DiscoveryDevice struct {
	Identifiers  []string `json:"identifiers"`
	Name         string   `json:"name"`
	Manufacturer string   `json:"manufacturer"`
	Model        string   `json:"model"`
}

// DiscoveryOrigin is the program that publishes.
type DiscoveryOrigin struct {
	Name    string `json:"name"`
	Version string `json:"sw_version"`
}

// discoveryEnd is the last level of a discovery topic.
const discoveryEnd = "config"

// DiscoveryOf is the topic of the configuration of one entity; retained. The site is the node id of Home Assistant's
// format.
func DiscoveryOf(prefix string, c Component, site, object string) string {
	return strings.Join([]string{prefix, string(c), site, object, discoveryEnd}, "/")
}

// DiscoveryStatus is the topic on which Home Assistant says that it is online or offline.
func DiscoveryStatus(prefix string) string { return prefix + "/status" }

// ParseDiscoveryPrefix checks the first level of discovery topics. It has the form of a footage.ID and is not the first
// level of this contract. The error wraps ErrTopic.
func ParseDiscoveryPrefix(s string) (string, error) {
	if _, err := footage.ParseID(s); err != nil {
		return "", fmt.Errorf("prefix %q of discovery topics: use one level, such as %s: %w", s, DiscoveryPrefix, ErrTopic)
	}
	if own, _, _ := strings.Cut(root, "/"); s == own {
		return "", fmt.Errorf("prefix %q of discovery topics: other messages have it, use %s: %w", s,
			DiscoveryPrefix, ErrTopic)
	}
	return s, nil
}

// ParseDiscovery returns the site of a topic that DiscoveryOf makes. The error wraps ErrTopic.
func ParseDiscovery(prefix, name string) (site string, err error) {
	bad := fmt.Errorf("topic %q is not below %s: %w", name, prefix, ErrTopic)
	parts := strings.Split(name, "/")
	if len(parts) != 5 || parts[0] != prefix || parts[4] != discoveryEnd {
		return "", bad
	}
	if c := Component(parts[1]); c != Sensor && c != BinarySensor {
		return "", bad
	}
	for _, c := range parts[3] { // longer than an ID: it contains one
		if !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-", c) {
			return "", bad
		}
	}
	if _, err := footage.ParseID(parts[2]); err != nil || parts[3] == "" {
		return "", bad
	}
	return parts[2], nil
}

const (
	online      = "{{ 'online' if value_json.online else 'offline' }}"
	measurement = "measurement"
	diagnostic  = "diagnostic"
	animals     = "animals" // the unit of a count
	cow         = "mdi:cow"
)

// Entity is a configuration with its topic.
type Entity struct {
	Topic string
	Discovery
}

// StationEntities are what Home Assistant shows of a station: whether it is online, the free space of its disk, the
// used part of its spool and its newest count.
func StationEntities(prefix, version string, d Device) []Entity {
	about := DiscoveryDevice{Identifiers: []string{"cattlecounter:" + d.Path()}, Name: "Station " + d.Name,
		Manufacturer: "CattleCounter", Model: "Station at " + d.Site}
	list := []Entity{
		entity(prefix, BinarySensor, d, "online", Discovery{Name: "Online", StateTopic: d.Status(),
			DeviceClass: "connectivity", ValueTemplate: "{{ 'ON' if value_json.online else 'OFF' }}", EntityCategory: diagnostic}),
		entity(prefix, Sensor, d, "disk", Discovery{Name: "Disk free", StateTopic: d.Vitals(), DeviceClass: "data_size",
			ValueTemplate: "{{ (value_json.disk_free / 1073741824) | round(2) }}", Unit: "GiB", StateClass: measurement,
			EntityCategory: diagnostic, AvailabilityTopic: d.Status(), AvailabilityTemplate: online}),
		entity(prefix, Sensor, d, "spool", Discovery{Name: "Spool used", StateTopic: d.Vitals(), Unit: "%",
			ValueTemplate: "{{ value_json.spool_percent | round(1) }}", StateClass: measurement, EntityCategory: diagnostic,
			Icon: "mdi:tray-full", AvailabilityTopic: d.Status(), AvailabilityTemplate: online}),
		entity(prefix, Sensor, d, "count", Discovery{Name: "Newest count", StateTopic: NewestOf(d.Site, d.Name),
			ValueTemplate: "{{ value_json.unique }}", AttributesTopic: NewestOf(d.Site, d.Name), Unit: animals,
			StateClass: measurement, Icon: cow}),
	}
	for i := range list {
		list[i].Device, list[i].Origin, list[i].QoS = about, origin(version), 1
	}
	return list
}

// entity is one of a station. No what contains "_", so that two stations never have the same topic.
func entity(prefix string, c Component, d Device, what string, m Discovery) Entity {
	m.UniqueID = "cattlecounter:" + d.Path() + ":" + what
	return Entity{DiscoveryOf(prefix, c, d.Site, "station_"+d.Name+"_"+what), m}
}

// PaddockEntity is what Home Assistant shows of a paddock: its newest count.
func PaddockEntity(prefix, version, site, paddock string) Entity {
	level, state := levelOf(paddock), PaddockOf(site, paddock)
	return Entity{DiscoveryOf(prefix, Sensor, site, "paddock_"+level), Discovery{Name: paddock,
		UniqueID: "cattlecounter:" + site + "/paddocks:" + level, StateTopic: state, AttributesTopic: state,
		ValueTemplate: "{{ value_json.animals }}", Unit: animals, StateClass: measurement, Icon: cow, QoS: 1,
		Device: DiscoveryDevice{Identifiers: []string{"cattlecounter:" + site + ":paddocks"}, Name: "Paddocks of " + site,
			Manufacturer: "CattleCounter", Model: "Paddocks"},
		Origin: origin(version)}}
}

func origin(version string) DiscoveryOrigin { return DiscoveryOrigin{"CattleCounter", version} }
