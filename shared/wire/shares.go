package wire

import "time"

// NewShare is the body of a request for a link to a survey.
type NewShare struct {
	Days int `json:"days"` // until the link expires
}

// Share is a link to a survey for people without a login.
type Share struct {
	ID      string     `json:"id"`
	Survey  string     `json:"survey"`
	Who     string     `json:"who,omitempty"` // made it
	Created time.Time  `json:"created"`
	Expires time.Time  `json:"expires"`
	Revoked *time.Time `json:"revoked,omitempty"`
	// Key opens the link. Only the answer that makes it has it.
	Key string `json:"key,omitempty"`
}

// SharedSurvey is what a link shows.
type SharedSurvey struct {
	Survey   Survey    `json:"survey"`
	Expires  time.Time `json:"expires"`
	SharedBy string    `json:"shared_by,omitempty"`
}
