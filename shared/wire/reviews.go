package wire

import "time"

// Verdict is what a person decided about one animal of a count. Its form is that of a review file (cloud/count/review).
type Verdict struct {
	Verdict string `json:"verdict"`         // accepted, rejected or added
	ID      int    `json:"id,omitempty"`    // the track; 0 for an added animal
	Class   string `json:"class,omitempty"` // "", cattle or other animal
	// SameAs is the track of the same animal, for an accepted track that is a further one of it.
	SameAs  int         `json:"same_as,omitempty"`
	Frame   *int        `json:"frame,omitempty"`
	Seconds *float64    `json:"seconds,omitempty"`
	Box     *[4]float64 `json:"box,omitempty"` // x1, y1, x2, y2 in pixels of the frame
}

// ReviewRequest is a review of one piece of footage as its reviewer sends it.
type ReviewRequest struct {
	Counted time.Time `json:"counted"`        // of the count that was reviewed, as Count.At
	Rest    string    `json:"rest,omitempty"` // accepted: every counted track without a verdict is right
	Animals []Verdict `json:"animals"`
}

// Review is one stored review.
type Review struct {
	Reviewer string    `json:"reviewer"`
	Updated  time.Time `json:"updated"`
	Counted  time.Time `json:"counted"`
	Current  bool      `json:"current"` // it is of the present count
	Unique   int       `json:"unique"`  // animals that the review makes of the count
	Judged   int       `json:"judged"`  // counted tracks with a verdict
	Tracks   int       `json:"tracks"`  // that were counted
	Rest     string    `json:"rest,omitempty"`
	Animals  []Verdict `json:"animals"`
}

// Reviews are the reviews of one piece of footage beside its count.
type Reviews struct {
	Counted time.Time `json:"counted"`
	Unique  int       `json:"unique"` // of the automatic count
	Low     int       `json:"low"`
	High    int       `json:"high"`
	Reviews []Review  `json:"reviews"` // oldest first
	// Agreement is of the first two complete reviews of the present count; nil without two.
	Agreement *Agreement `json:"agreement,omitempty"`
}

// Agreement is how far two reviewers agree about the tracks of one count.
type Agreement struct {
	Reviewers [2]string `json:"reviewers"`
	Same      int       `json:"same"`   // tracks with the same verdict
	Tracks    int       `json:"tracks"` // that both judged
	Differ    []int     `json:"differ"` // the others, at most 1000
}
