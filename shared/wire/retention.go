package wire

import (
	"time"

	"cattlecounter/shared/footage"
)

// Retention is how long videos are kept after their count, and what is removed next.
type Retention struct {
	VideosSeconds int64           `json:"videos_seconds"` // 0: forever
	Sites         []SiteRetention `json:"sites"`          // that have another time; never nil
	Next          []Removal       `json:"next"`           // the next videos, at most 100; never nil
}

// SiteRetention is how long the videos of a site are kept.
type SiteRetention struct {
	Site          string `json:"site"`
	VideosSeconds int64  `json:"videos_seconds"` // 0: forever
	// Unknown: the site has no footage, no token and no paddocks. Its name may be mistyped.
	Unknown bool `json:"unknown,omitempty"`
}

// Removal is a video with the time from which on it is removed.
type Removal struct {
	Footage footage.ID `json:"footage"`
	Site    string     `json:"site"`
	Name    string     `json:"name"` // of the file
	Bytes   int64      `json:"bytes"`
	Counted time.Time  `json:"counted"`
	Due     time.Time  `json:"due"` // it is removed within the hour after it
}
