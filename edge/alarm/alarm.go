// Package alarm finds what a person at the station must look at.
package alarm

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"cattlecounter/edge/spool"
	"cattlecounter/edge/uplink"
	"cattlecounter/shared/settings"
)

// Names of alarms. topic.Vitals lists them for subscribers.
const (
	Space      = "space"      // the spool is nearly full or full
	Spool      = "spool"      // the spool was broken when the agent started
	Quarantine = "quarantine" // footage is in quarantine
	Cloud      = "cloud"      // the cloud lacks footage, or has other content
	Clock      = "clock"      // the clock is wrong
	Token      = "token"      // the cloud refuses the token
)

// checkEvery is how often Run checks for alarms.
const checkEvery = 5 * time.Second

// Options configure Alarms. All but Quota, MinFree and OnChange are required.
type Options struct {
	Records        func() []spool.Record
	Space          func() (spool.Space, error)
	Salvaged       func() *spool.Salvaged // nil when the spool was not broken
	Clock          func() string          // "" when the clock is not known to be wrong
	Reconciliation func() uplink.Reconciliation
	Link           func() uplink.Link
	Quota, MinFree int64  // of the spool, in bytes; 0 for none
	OnChange       func() // the alarms have changed; it must not block
	Log            *slog.Logger
}

// Alarms are the current alarms. They are safe for concurrent use.
type Alarms struct {
	o Options

	mu    sync.Mutex
	level int               // of the space alarm: 0, 80, 90 or 100
	texts map[string]string // by name
}

// New returns Alarms without any alarm; Run finds them.
func New(o Options) *Alarms { return &Alarms{o: o} }

// Run checks for alarms until ctx ends, and then returns nil. It logs each alarm that
// begins, changes or ends.
func (a *Alarms) Run(ctx context.Context) error {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		a.Check()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Check finds the alarms of now, logs what changed and returns them by name.
func (a *Alarms) Check() map[string]string {
	found := a.find()
	a.mu.Lock()
	before := a.texts
	a.texts = found
	a.mu.Unlock()
	for name, text := range found {
		if before[name] != text {
			a.o.Log.Warn("alarm raised", "alarm", name, "detail", text)
		}
	}
	for name := range before {
		if found[name] == "" {
			a.o.Log.Info("alarm ended", "alarm", name)
		}
	}
	if a.o.OnChange != nil && !maps.Equal(before, found) {
		a.o.OnChange()
	}
	return maps.Clone(found)
}

// All returns the alarms by name, and in one line.
func (a *Alarms) All() (byName map[string]string, line string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(a.texts)) {
		texts = append(texts, a.texts[name])
	}
	return maps.Clone(a.texts), strings.Join(texts, "; ")
}

func (a *Alarms) find() map[string]string {
	found := map[string]string{}
	if text := a.space(); text != "" {
		found[Space] = text
	}
	if s := a.o.Salvaged(); s != nil {
		found[Spool] = fmt.Sprintf("the spool was broken when the agent started: "+
			"%d entries saved, %d damaged parts, %d pieces of footage read again from the card", s.Entries, s.Damaged, s.Reread)
	}
	if text := a.o.Clock(); text != "" {
		found[Clock] = text
	}
	if n := quarantined(a.o.Records()); n > 0 {
		found[Quarantine] = fmt.Sprintf("%d pieces of footage are in quarantine", n)
	}
	if c := a.o.Reconciliation(); c.Lost+c.Different > 0 {
		found[Cloud] = fmt.Sprintf("the comparison with the cloud found faults: "+
			"%d pieces of footage are lost in the cloud and on this station, %d have other content in the cloud",
			c.Lost, c.Different)
	}
	if l := a.o.Link(); l.State == uplink.LinkRefused {
		found[Token] = fmt.Sprintf("the cloud refuses the token of this station since %s: %s; ask an admin for a code and run "+
			"edge-agent enrol URL CODE", l.Since.UTC().Format(time.DateTime+" UTC"), l.Detail)
	}
	return found
}

func quarantined(records []spool.Record) int {
	n := 0
	for _, r := range records {
		if r.State == spool.Quarantined {
			n++
		}
	}
	return n
}

// space is the text of the space alarm, "" without one. The text changes with the level
// only, so that only a new level is logged.
func (a *Alarms) space() string {
	sp, err := a.o.Space()
	if err != nil {
		return err.Error()
	}
	a.mu.Lock()
	a.level = spaceLevel(sp.Percent(), a.level)
	level := a.level
	a.mu.Unlock()
	limit := settings.ByteSize(a.limit(sp)).Short()
	switch {
	case level == 100:
		return fmt.Sprintf("the spool is full at its limit of %s; "+
			"the agent reads no footage until the cloud has confirmed some", limit)
	case level > 0:
		return fmt.Sprintf("the spool is more than %d %% full; its limit is %s", level, limit)
	}
	return ""
}

// limit is how many bytes the spool may use: its quota, or the disk without what must
// stay free.
func (a *Alarms) limit(sp spool.Space) int64 {
	if a.o.Quota > 0 {
		return a.o.Quota
	}
	return sp.Total - a.o.MinFree
}

// spaceLevel is the level of the space alarm: it rises at 80, 90 and 100 % and falls two
// percent below, so that the alarm does not flap with every chunk.
func spaceLevel(percent float64, before int) int {
	const slack = 2
	for _, level := range []int{100, 90, 80} {
		if percent >= float64(level) || before >= level && percent >= float64(level-slack) {
			return level
		}
	}
	return 0
}
