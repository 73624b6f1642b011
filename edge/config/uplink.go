package config

import (
	"cattlecounter/edge/schedule"
	"cattlecounter/shared/settings"
)

// Uplink limits the use of the link.
type Uplink struct {
	Order     string            `yaml:"order"`
	RateLimit settings.ByteSize `yaml:"rate_limit"`
	Windows   []string          `yaml:"windows"`
	Zone      string            `yaml:"zone"`
	Metered   bool              `yaml:"metered"`
	// WhenMetered is MeteredFootage or MeteredThumbnails: what to send over a metered link.
	WhenMetered string `yaml:"when_metered"`
	Budget      Budget `yaml:"budget"`
}

// Budget bounds the bytes of a metered link; 0 means no bound.
type Budget struct {
	Day   settings.ByteSize `yaml:"day"`
	Month settings.ByteSize `yaml:"month"`
}

const (
	orderOldest = "oldest"
	orderNewest = "newest"

	// MeteredFootage and MeteredThumbnails are the values of uplink.when_metered.
	MeteredFootage    = "footage"
	MeteredThumbnails = "thumbnails"

	// leastRate sends one piece of 64 KiB within the default idle time-out.
	leastRate = 4 << 10
	// leastBudget is enough for a few requests and some content.
	leastBudget = 1 << 20
)

// Schedule returns the windows, in their zone. Uplink must be valid.
func (u *Uplink) Schedule() (schedule.Windows, error) {
	zone, err := schedule.Zone(u.Zone)
	if err != nil {
		return schedule.Windows{}, err
	}
	return schedule.Parse(u.Windows, zone)
}

func (u *Uplink) validate(fault func(key, format string, a ...any)) {
	if u.Order != orderOldest && u.Order != orderNewest {
		fault("uplink.order", "%q is not %s or %s", u.Order, orderOldest, orderNewest)
	}
	if u.WhenMetered != MeteredFootage && u.WhenMetered != MeteredThumbnails {
		fault("uplink.when_metered", "%q is not %s or %s", u.WhenMetered, MeteredFootage, MeteredThumbnails)
	}
	if u.RateLimit != 0 && u.RateLimit < leastRate {
		fault("uplink.rate_limit", "%s is less than %s a second; 0 means no limit", u.RateLimit, settings.ByteSize(leastRate))
	}
	zone, err := schedule.Zone(u.Zone)
	if err != nil {
		fault("uplink.zone", "%v", err)
	}
	if _, err := schedule.Parse(u.Windows, zone); err != nil {
		fault("uplink.windows", "%v", err)
	}
	for key, b := range map[string]settings.ByteSize{"uplink.budget.day": u.Budget.Day,
		"uplink.budget.month": u.Budget.Month} {
		if b != 0 && b < leastBudget {
			fault(key, "%s is less than %s; 0 means no bound", b, settings.ByteSize(leastBudget))
		}
		if b != 0 && !u.Metered {
			fault(key, "bounds a metered link only: set uplink.metered to true")
		}
	}
}
