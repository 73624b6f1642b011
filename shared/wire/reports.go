package wire

import (
	"time"

	"cattlecounter/shared/footage"
)

// Report is a count as a person takes it away, with what is needed to check it. The same counts, paddocks and book make
// the same document, byte by byte.
type Report struct {
	Survey  Survey          `json:"survey"` // of a flight or of footage it has their ID, and Footage has the parts
	Of      string          `json:"of"`     // survey, flight or footage
	ID      string          `json:"id"`     // of the survey, flight or footage
	State   time.Time       `json:"state"`  // when the newest of its counts was made; zero without a count
	Zone    string          `json:"zone"`   // IANA name or UTC±n; UTC where no position is known
	Models  []ReportModel   `json:"models"` // never nil
	Sources []ReportSource  `json:"sources"`
	Sample  []ReportAnimal  `json:"sample"` // drawn by the digests of the results, so no person chooses it; never nil
	Reviews []ReportReview  `json:"reviews"`
	Missing []ReportMissing `json:"missing"` // what could not be shown; never nil
}

// ReportModel is a detector that made counts of a report.
type ReportModel struct {
	Name   string         `json:"name"`
	Digest footage.Digest `json:"digest"`
	Counts int            `json:"counts"` // that it made
}

// ReportSource is a piece of footage with the digests that its file and its result document must have.
type ReportSource struct {
	Footage  footage.ID      `json:"footage"`
	Name     string          `json:"name"`
	Size     int64           `json:"size"` // bytes
	SHA256   footage.Digest  `json:"sha256"`
	Captured *time.Time      `json:"captured,omitempty"`
	Unique   int             `json:"unique"`
	Result   *footage.Digest `json:"result_sha256,omitempty"` // of the result document; nil where it is not stored
}

// ReportAnimal is a counted animal of the sample for a recount.
type ReportAnimal struct {
	Footage footage.ID `json:"footage"`
	Page    int        `json:"page"` // of the contact sheet, from 1
	Cell    int        `json:"cell"` // on the page, by rows, from 1
}

// ReportReview is what a person made of a count.
type ReportReview struct {
	Footage footage.ID `json:"footage"`
	Who     string     `json:"who"`
	At      time.Time  `json:"at"`
	Animals int        `json:"animals"` // that the person counts
	Unique  int        `json:"unique"`  // that the program counted
	Judged  int        `json:"judged"`  // counted animals that the person looked at
	Of      int        `json:"of"`      // counted animals
}

// ReportMissing is evidence that the report does not show.
type ReportMissing struct {
	What    string     `json:"what"` // result, sheet, pictures or path
	Footage footage.ID `json:"footage,omitempty"`
}
