package wire

import (
	"time"

	"cattlecounter/shared/footage"
)

// NewSurvey is the body of a request that makes a survey: the counts of one site in a time, or chosen ones.
type NewSurvey struct {
	Site    string       `json:"site"`
	Name    string       `json:"name,omitempty"`
	From    *time.Time   `json:"from,omitempty"` // recorded then or later
	To      *time.Time   `json:"to,omitempty"`   // recorded before
	Footage []footage.ID `json:"footage,omitempty"`
}

// SurveyHead is what a survey selects.
type SurveyHead struct {
	ID string `json:"id"`
	NewSurvey
	Created time.Time `json:"created"`
	Who     string    `json:"who,omitempty"`
}

// Survey is the count of a site over several flights, each animal once. It is computed when it is read.
type Survey struct {
	SurveyHead
	Unique   int             `json:"unique"`
	Low      int             `json:"low"` // 95 % interval
	High     int             `json:"high"`
	Placed   int             `json:"placed"`             // of them have a position
	Double   int             `json:"double"`             // animals that were seen again by another flight and count once
	Outside  int             `json:"outside"`            // animals with a position in no paddock
	Expected *Expected       `json:"expected,omitempty"` // of the whole site
	Version  int64           `json:"paddocks_version,omitempty"`
	Paddocks []SurveyPaddock `json:"paddocks"` // all of the site; never nil
	Parts    []SurveyPart    `json:"parts"`    // in the order of their recording; never nil
	Warnings []string        `json:"warnings"` // for a person; never nil
	Notes    []SurveyNote    `json:"notes"`    // the warnings for programs, in the same order; never nil
}

// Codes of notes on a survey.
const (
	NoteNoCounts  = "no-counts"        // no count is in the survey
	NoteNoPaddock = "no-paddocks"      // the site has no paddocks
	NoteUnplaced  = "unplaced"         // Count of Of parts have no positions, with Animals animals
	NoteUntimed   = "untimed"          // the time of Count parts is not known
	NotePartSeen  = "part-seen"        // Names are paddocks that were not wholly seen
	NoteSeenAgain = "seen-again"       // Animals animals stood on ground that a later flight saw again
	NoteUnknown   = "unknown-paddocks" // Names are paddocks of the book that the site does not have
)

// SurveyNote is what a reader of a survey must know, as a code with its figures.
type SurveyNote struct {
	Code    string   `json:"code"`
	Count   int      `json:"count,omitempty"`
	Of      int      `json:"of,omitempty"`
	Animals int      `json:"animals,omitempty"`
	Names   []string `json:"names,omitempty"`
}

// SurveyPaddock is the count of one paddock.
type SurveyPaddock struct {
	PaddockCount
	Expected *Expected `json:"expected,omitempty"`
}

// Expected is an expected number of animals and what the count says about it.
type Expected struct {
	Animals    int    `json:"animals"`
	Difference *int   `json:"difference"` // counted minus expected; nil when nothing was counted
	Verdict    string `json:"verdict"`    // agrees, fewer, more, part_seen or not_seen
}

// SurveyPart is one count of a survey.
type SurveyPart struct {
	Footage  footage.ID `json:"footage"`
	Captured *time.Time `json:"captured,omitempty"`
	Flight   string     `json:"flight,omitempty"`
	Unique   int        `json:"unique"`
	Low      int        `json:"low"`
	High     int        `json:"high"`
	Placed   int        `json:"placed"`
	Way      string     `json:"way,omitempty"`
}

// Book is the expected numbers of animals of a site.
type Book struct {
	Site     string      `json:"site"`
	Expected []BookEntry `json:"expected"` // now; never nil
	History  []BookEntry `json:"history"`  // the latest first, at most 1000; never nil
}

// BookEntry is an expected number of animals from a time on.
type BookEntry struct {
	Paddock string    `json:"paddock"` // "" for the whole site
	Animals *int      `json:"animals"` // nil where an earlier number ends
	Since   time.Time `json:"since"`
	Who     string    `json:"who,omitempty"`
}
