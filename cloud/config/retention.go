package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"cattlecounter/shared/footage"
)

// OfSites reads Sites: how long videos of a site are kept after their count; 0 means forever. The error names every entry
// that cannot be read.
func (r Retention) OfSites() (map[string]time.Duration, error) {
	out := map[string]time.Duration{}
	var faults []error
	for _, entry := range r.Sites {
		site, text, _ := strings.Cut(strings.TrimSpace(entry), " ")
		age, err := time.ParseDuration(strings.TrimSpace(text))
		_, known := out[site]
		if _, bad := footage.ParseID(site); bad != nil || err != nil {
			faults = append(faults, fmt.Errorf("%.100q is not SITE TIME, such as north 2160h; 0s keeps the videos forever", entry))
		} else if known {
			faults = append(faults, fmt.Errorf("the site %s has two entries", site))
		} else if age != 0 && age < time.Hour {
			faults = append(faults, fmt.Errorf("%s: %s is less than 1h; 0s keeps the videos forever", site, age))
		}
		out[site] = age
	}
	return out, errors.Join(faults...)
}
