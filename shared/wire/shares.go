package wire

import "time"

// NewShare is the body of a request for a link to a survey, a flight or footage.
type NewShare struct {
	Days  int  `json:"days"`            // until the link expires
	Video bool `json:"video,omitempty"` // show the annotated videos too; not for surveys
}

// Share is a link for people without a login. One of Survey, Flight and Footage is what it shows.
type Share struct {
	ID      string     `json:"id"`
	Survey  string     `json:"survey,omitempty"`
	Flight  string     `json:"flight,omitempty"`
	Footage string     `json:"footage,omitempty"`
	Video   bool       `json:"video,omitempty"`
	Who     string     `json:"who,omitempty"` // made it
	Created time.Time  `json:"created"`
	Expires time.Time  `json:"expires"`
	Revoked *time.Time `json:"revoked,omitempty"`
	// Key opens the link. Only the answer that makes it has it.
	Key string `json:"key,omitempty"`
}

// SharedSurvey is what a link shows. A flight and footage have the form of a survey of their parts.
type SharedSurvey struct {
	ID       string    `json:"id"` // of the link, in the addresses of what it shows
	Of       string    `json:"of"` // survey, flight or footage
	Survey   Survey    `json:"survey"`
	Names    []string  `json:"names"` // of the files of Survey.Parts; empty for a survey, never nil
	Video    bool      `json:"video"` // it shows the annotated videos
	Expires  time.Time `json:"expires"`
	SharedBy string    `json:"shared_by,omitempty"`
}
