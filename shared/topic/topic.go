// Package topic is the MQTT contract: topic names, payload types and the AsyncAPI
// document that describes them. It does no I/O.
package topic

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"cattlecounter/shared/footage"
)

// Version goes into every payload as "v" and into every topic as "v1".
const Version = 1

const root = "cattle/v1"

// ErrTopic marks a topic, site or device name outside the contract.
var ErrTopic = errors.New("not a topic of this contract")

// Device addresses one edge agent. Site and Name follow the form of a
// footage.ID, which keeps wildcards and slashes out of topics.
type Device struct{ Site, Name string }

// ParseDevice checks both names. The error wraps ErrTopic.
func ParseDevice(site, name string) (Device, error) {
	for what, s := range map[string]string{"site": site, "device": name} {
		if _, err := footage.ParseID(s); err != nil {
			return Device{}, fmt.Errorf("%s name: %w: %w", what, err, ErrTopic)
		}
	}
	if name == countsLevel {
		return Device{}, fmt.Errorf("device name %q is reserved for the count topics: %w", name, ErrTopic)
	}
	return Device{Site: site, Name: name}, nil
}

// Levels after {site}/{device}, and countsLevel, which replaces the device.
const (
	statusLevel  = "status"
	vitalsLevel  = "vitals"
	footageLevel = "footage"
	commandLevel = "command"
	jobsLevel    = "jobs"
	countsLevel  = "counts"
	flightsLevel = "flights"
	// Levels of the newest counts, below countsLevel.
	stationsLevel = "stations"
	paddocksLevel = "paddocks"
)

// Path is the name of the device with its site, such as north/dock-1.
func (d Device) Path() string { return d.Site + "/" + d.Name }

func (d Device) join(levels ...string) string {
	return strings.Join(append([]string{root, d.Site, d.Name}, levels...), "/")
}

// Prefix ends with a slash; a device may write below it and nowhere else.
func (d Device) Prefix() string { return d.join() + "/" }

// Status is the topic of birth and will; retained.
func (d Device) Status() string { return d.join(statusLevel) }

// Vitals is the topic of disk, temperature and clock readings.
func (d Device) Vitals() string { return d.join(vitalsLevel) }

// Footage is the topic of the state of one piece of footage on the edge; retained.
func (d Device) Footage(id footage.ID) string { return d.join(footageLevel, string(id)) }

// Command is the topic on which the device receives commands.
func (d Device) Command() string { return d.join(commandLevel) }

// CommandReply is the topic of the answer to one command; retained.
func (d Device) CommandReply(id string) string { return d.join(commandLevel, id) }

// Job is the topic of one job's progress; retained, cloud to device.
func (d Device) Job(id string) string { return d.join(jobsLevel, id) }

// Jobs is the filter for every job of the device.
func (d Device) Jobs() string { return d.join(jobsLevel, "+") }

// Counts is the topic of the final count of one piece of footage; retained.
func Counts(site string, id footage.ID) string {
	return strings.Join([]string{root, site, countsLevel, string(id)}, "/")
}

// FlightCount is the topic of the count of one flight; retained. It is one level below the counts of footage, so a filter for
// these does not match it.
func FlightCount(site, id string) string {
	return strings.Join([]string{root, site, countsLevel, flightsLevel, id}, "/")
}

// NewestOf is the topic of the newest count of one station; retained.
func NewestOf(site, device string) string {
	return strings.Join([]string{root, site, countsLevel, stationsLevel, device}, "/")
}

// PaddockOf is the topic of the newest count of one paddock; retained. A name that is no ID becomes one: its letters
// and digits, and the begin of its digest.
func PaddockOf(site, paddock string) string {
	return strings.Join([]string{root, site, countsLevel, paddocksLevel, levelOf(paddock)}, "/")
}

// levelOf is a name as a level of a topic.
func levelOf(name string) string {
	if _, err := footage.ParseID(name); err == nil {
		return name
	}
	const most = 40
	plain := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, name)
	plain = strings.Trim(plain[:min(len(plain), most)], "-")
	sum := sha256.Sum256([]byte(name))
	return strings.TrimPrefix(plain+"-", "-") + hex.EncodeToString(sum[:4])
}

// Kind is what a topic carries.
type Kind string

// Kinds of topics.
const (
	KindStatus  Kind = "status"
	KindVitals  Kind = "vitals"
	KindFootage Kind = "footage"
	KindCommand Kind = "command"
	KindReply   Kind = "reply"
	KindJob     Kind = "job"
	KindCount   Kind = "count"
	KindFlight  Kind = "flight"
	KindNewest  Kind = "newest"
	KindPaddock Kind = "paddock"
)

// Address has the parts of a topic. Device.Name is empty for KindCount, KindFlight and KindPaddock, whose ID is the level
// of the paddock; ID is empty for status, vitals, command and newest.
type Address struct {
	Kind   Kind
	Device Device
	ID     string
}

// Parse returns the parts of a topic name. The error wraps ErrTopic.
func Parse(name string) (Address, error) {
	rest, ok := strings.CutPrefix(name, root+"/")
	parts := strings.Split(rest, "/")
	bad := fmt.Errorf("topic %q: %w", name, ErrTopic)
	if !ok || len(parts) < 3 || len(parts) > 4 {
		return Address{}, bad
	}
	for _, p := range parts {
		if _, err := footage.ParseID(p); err != nil {
			return Address{}, bad
		}
	}
	if parts[1] == countsLevel {
		return parseCount(parts, bad)
	}
	a := Address{Device: Device{Site: parts[0], Name: parts[1]}}
	single := map[string]Kind{statusLevel: KindStatus, vitalsLevel: KindVitals, commandLevel: KindCommand}
	named := map[string]Kind{footageLevel: KindFootage, commandLevel: KindReply, jobsLevel: KindJob}
	if len(parts) == 3 {
		a.Kind = single[parts[2]]
	} else {
		a.Kind, a.ID = named[parts[2]], parts[3]
	}
	if a.Kind == "" {
		return Address{}, bad
	}
	return a, nil
}

// parseCount is Parse for the topics below countsLevel. bad is the error for others.
func parseCount(parts []string, bad error) (Address, error) {
	at := Device{Site: parts[0]}
	if len(parts) == 3 {
		return Address{Kind: KindCount, Device: at, ID: parts[2]}, nil
	}
	switch parts[2] {
	case flightsLevel:
		return Address{Kind: KindFlight, Device: at, ID: parts[3]}, nil
	case paddocksLevel:
		return Address{Kind: KindPaddock, Device: at, ID: parts[3]}, nil
	case stationsLevel:
		return Address{Kind: KindNewest, Device: Device{Site: parts[0], Name: parts[3]}}, nil
	}
	return Address{}, bad
}
