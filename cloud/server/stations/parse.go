package stations

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"cattlecounter/shared/footage"
	"cattlecounter/shared/topic"
)

// Limits of a message. Longer texts are cut; a longer message is refused.
const (
	maxPayload = 64 << 10
	maxName    = 256
	maxReason  = 512
	maxVersion = 64
	maxAlarms  = 16
	// maxBytes is the largest size that is believed; sums of many stay far below an overflow.
	maxBytes = 1 << 50
)

// errPayload marks a message that breaks the MQTT contract.
var errPayload = errors.New("payload is not valid")

// message is one message of a station. Exactly one of the pointers is set, none when a retained message was removed.
type message struct {
	at      topic.Address
	status  *topic.Status
	vitals  *topic.Vitals
	footage *topic.Footage
	reply   *topic.Reply
}

// header returns the header of the message, nil for a removed one.
func (m message) header() *topic.Header {
	switch {
	case m.status != nil:
		return &m.status.Header
	case m.vitals != nil:
		return &m.vitals.Header
	case m.footage != nil:
		return &m.footage.Header
	case m.reply != nil:
		return &m.reply.Header
	}
	return nil
}

// parse reads a message of a station. The error wraps errPayload or topic.ErrTopic.
func parse(name string, payload []byte) (message, error) {
	at, err := topic.Parse(name)
	m := message{at: at}
	if err != nil || len(payload) == 0 {
		return m, err
	}
	if len(payload) > maxPayload {
		return m, fmt.Errorf("%d bytes, at most %d: %w", len(payload), maxPayload, errPayload)
	}
	switch at.Kind {
	case topic.KindStatus:
		m.status = new(topic.Status)
		err = json.Unmarshal(payload, m.status)
	case topic.KindVitals:
		m.vitals = new(topic.Vitals)
		err = json.Unmarshal(payload, m.vitals)
	case topic.KindFootage:
		m.footage = new(topic.Footage)
		err = json.Unmarshal(payload, m.footage)
	case topic.KindReply:
		m.reply = new(topic.Reply)
		err = json.Unmarshal(payload, m.reply)
	default:
		return m, fmt.Errorf("topic %q is not one of a station: %w", name, topic.ErrTopic)
	}
	if err != nil {
		return m, fmt.Errorf("%w: %w", err, errPayload)
	}
	h := m.header()
	if h.V != topic.Version {
		return m, fmt.Errorf("version %d, want %d: %w", h.V, topic.Version, errPayload)
	}
	if h.Clock != topic.ClockSynced {
		h.Clock = topic.ClockUnsynced
	}
	if err := m.check(); err != nil {
		return m, fmt.Errorf("%w: %w", err, errPayload)
	}
	return m, nil
}

// check checks the values that others rely on, and cuts long texts.
func (m message) check() error {
	switch {
	case m.status != nil:
		m.status.Version = clip(m.status.Version, maxVersion)
	case m.vitals != nil:
		return checkVitals(m.vitals)
	case m.footage != nil:
		return checkFootage(m.at.ID, m.footage)
	case m.reply != nil:
		r := m.reply
		if r.ID != m.at.ID {
			return fmt.Errorf("answer %.64q on the topic of command %q", r.ID, m.at.ID)
		}
		if !slices.Contains([]topic.ReplyState{topic.Accepted, topic.Refused, topic.Finished}, r.State) {
			return fmt.Errorf("unknown state %.20q", r.State)
		}
		r.Name, r.Why = clip(r.Name, maxName), clip(r.Why, maxReason)
	}
	return nil
}

func checkVitals(v *topic.Vitals) error {
	for what, n := range map[string]int64{"disk_total": v.DiskTotal, "disk_free": v.DiskFree, "spool_bytes": v.SpoolBytes,
		"spool_footage": int64(v.SpoolFootage)} {
		if n < 0 || n > maxBytes {
			return fmt.Errorf("%s is %d", what, n)
		}
	}
	if len(v.Alarms) > maxAlarms {
		return fmt.Errorf("%d alarms, at most %d", len(v.Alarms), maxAlarms)
	}
	v.Alarm, v.OrderKey = clip(v.Alarm, maxReason), clip(v.OrderKey, maxVersion)
	alarms := make(map[string]string, len(v.Alarms))
	for name, text := range v.Alarms {
		alarms[clip(name, maxVersion)] = clip(text, maxReason)
	}
	v.Alarms = alarms
	if !slices.Contains([]topic.ClockSource{topic.ClockGNSS, topic.ClockNTP, topic.ClockDate}, v.ClockSource) {
		v.ClockSource, v.ClockOffset = "", nil
	}
	return nil
}

func checkFootage(id string, f *topic.Footage) error {
	if string(f.Footage) != id {
		return fmt.Errorf("footage %.64q on the topic of %q", f.Footage, id)
	}
	if !slices.Contains([]topic.FootageState{topic.Captured, topic.Spooled, topic.Uploading, topic.Uploaded,
		topic.Quarantined}, f.State) {
		return fmt.Errorf("unknown state %.20q", f.State)
	}
	if f.Size < 0 || f.Size > maxBytes || f.Offset < 0 || f.Offset > maxBytes {
		return fmt.Errorf("offset %d of %d bytes", f.Offset, f.Size)
	}
	for _, other := range []footage.ID{f.DuplicateOf, f.UploadedAs} {
		if _, err := footage.ParseID(string(other)); other != "" && err != nil {
			return err
		}
	}
	f.Name, f.Reason = clip(f.Name, maxName), clip(f.Reason, maxReason)
	return nil
}

// clip shortens text to at most limit bytes of valid UTF-8. It replaces what moves the cursor or turns the direction of
// writing, because a station could hide with it what a person reads.
func clip(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return utf8.RuneError
		}
		return r
	}, s)
	if len(s) <= limit {
		return s
	}
	s = s[:limit]
	for len(s) > 0 && !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return strings.Clone(s)
}
