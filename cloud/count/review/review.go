// Package review reads review files: what people say about the animals of counted footage.
//
// A review names pieces of footage by their content, and for each a list of verdicts on animals:
//
//   - accepted: a track of the result document is an animal. Not counted tracks may be accepted too.
//   - rejected: a track, or what is in a box of a frame, is no cattle. With the class "other animal" it is another
//     animal, otherwise it is none.
//   - added: an animal that the count did not find, as a box in a frame.
//
// A track is named by the id that it has in the result document. A box is in pixels of a frame, which is named by its
// number or by its time. An accepted track may have a box too, which then replaces the box of the detector in that
// frame. An accepted track with the key same_as is a further track of that animal, and the animal counts once. The key
// "rest": "accepted" signs all counted tracks that no verdict names.
//
// There are two forms with the same content. JSON:
//
//	{"schema": 1, "footage": [{"name": "DJI_0001.MP4", "sha256": "…", "rest": "accepted", "animals": [
//	  {"verdict": "accepted", "id": 12},
//	  {"verdict": "rejected", "id": 31, "class": "other animal"},
//	  {"verdict": "added", "seconds": 12.4, "box": [410, 220, 480, 300]}]}]}
//
// CSV, with these columns in any order (missing ones are empty):
//
//	name,sha256,verdict,id,class,frame,seconds,x1,y1,x2,y2,same_as
//
// In CSV a line with the verdict "rest" and nothing else signs the rest. The package is pure Go and does no I/O.
package review

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"cattlecounter/shared/footage"
)

// ErrInvalid marks a text that is no review.
var ErrInvalid = errors.New("not a valid review")

// Schema is the version of the JSON form. Keys may be added at any time.
const Schema = 1

// MaxBytes bounds a review file.
const MaxBytes = 64 << 20

// Verdict is what a person says about an animal.
type Verdict string

// Verdicts.
const (
	Accepted Verdict = "accepted"
	Rejected Verdict = "rejected"
	Added    Verdict = "added"
)

// Classes of animals. An empty class is cattle for accepted and added animals, and no animal for rejected ones.
const (
	Cattle = "cattle"
	Other  = "other animal"
)

// Review is the content of a review file.
type Review struct {
	Schema  int       `json:"schema"`
	Footage []Footage `json:"footage"`
}

// Footage is the review of one piece of footage.
type Footage struct {
	Name    string         `json:"name,omitempty"` // of its file, for people
	SHA256  footage.Digest `json:"sha256"`         // of its content
	Rest    Verdict        `json:"rest,omitempty"` // accepted, or empty: animals without a verdict are not reviewed
	Animals []Animal       `json:"animals"`
}

// Animal is the verdict on one animal.
type Animal struct {
	Verdict Verdict `json:"verdict"`
	// ID is the track in the result document, from 1 on; 0 for none.
	ID    int    `json:"id,omitempty"`
	Class string `json:"class,omitempty"`
	// SameAs is the track of the same animal, for an accepted track that is a further one of it: the animal counts once.
	SameAs int `json:"same_as,omitempty"`
	// Frame or Seconds say where Box is; at most one of them is set.
	Frame   *int     `json:"frame,omitempty"`
	Seconds *float64 `json:"seconds,omitempty"`
	// Box is x1, y1, x2, y2 in pixels of the frame; nil for none.
	Box *[4]float64 `json:"box,omitempty"`

	// At is the place of the entry in the file, for messages, such as "line 7".
	At string `json:"-"`
}

// IsCattle reports whether the animal counts, by its verdict and class.
func (a Animal) IsCattle() bool { return a.Verdict != Rejected && a.Class != Other }

// IsOther reports whether it is another animal than cattle.
func (a Animal) IsOther() bool { return a.Class == Other }

// String names the entry for messages.
func (a Animal) String() string {
	what := a.At + " (" + string(a.Verdict)
	if a.ID != 0 {
		what += fmt.Sprintf(", id %d", a.ID)
	}
	if a.Box != nil {
		what += fmt.Sprintf(", box %v", *a.Box)
	}
	return what + ")"
}

// Label names the footage for messages.
func (f Footage) Label() string {
	name := footage.SafePath(f.Name)
	if name == "" {
		name = "footage"
	}
	return fmt.Sprintf("%s (SHA-256 %.12s…)", name, f.SHA256)
}

// mostFaults bounds the faults that one error lists.
const mostFaults = 20

// check validates a review; footage that is in the file twice is a fault. The error has every fault.
func (r *Review) check() error {
	var faults []error
	fault := func(format string, v ...any) {
		if len(faults) < mostFaults {
			faults = append(faults, fmt.Errorf(format, v...))
		} else if len(faults) == mostFaults {
			faults = append(faults, errors.New("more faults are not listed"))
		}
	}
	if r.Schema != Schema {
		fault("schema is %d, want %d", r.Schema, Schema)
	}
	seen := map[footage.Digest]bool{}
	for i, f := range r.Footage {
		switch {
		case f.SHA256.IsZero():
			fault("footage %d (%.100s): sha256 is missing", i+1, footage.SafePath(f.Name))
		case seen[f.SHA256]:
			fault("footage %d, %s: it is in the file twice", i+1, f.Label())
		}
		seen[f.SHA256] = true
		if f.Rest != "" && f.Rest != Accepted {
			fault("%s: rest is %.40q, want %q or nothing", f.Label(), string(f.Rest), string(Accepted))
		}
		first := map[int]string{}
		for _, a := range f.Animals {
			if err := a.check(); err != nil {
				fault("%s, %s: %w", f.Label(), a, err)
				continue
			}
			if at := first[a.ID]; a.ID != 0 && at != "" {
				fault("%s, %s: id %d has a verdict at %s already", f.Label(), a, a.ID, at)
			}
			first[a.ID] = a.At
		}
	}
	return errors.Join(faults...)
}

func (a Animal) check() error {
	placed := a.Frame != nil || a.Seconds != nil
	switch {
	case a.Verdict != Accepted && a.Verdict != Rejected && a.Verdict != Added:
		return fmt.Errorf("verdict is %.40q, want accepted, rejected or added", string(a.Verdict))
	case a.Class != "" && a.Class != Cattle && a.Class != Other:
		return fmt.Errorf("class is %.40q, want %q, %q or nothing", a.Class, Cattle, Other)
	case a.Verdict == Rejected && a.Class == Cattle:
		return errors.New("it is rejected and has the class cattle; want another class, or none")
	case a.ID < 0 || a.ID > math.MaxInt32:
		return fmt.Errorf("id %d is not the number of a track", a.ID)
	case a.SameAs < 0 || a.SameAs > math.MaxInt32 || a.SameAs != 0 && a.SameAs == a.ID:
		return fmt.Errorf("same_as %d is not the number of another track", a.SameAs)
	case a.SameAs != 0 && (a.Verdict != Accepted || a.ID == 0):
		return errors.New("only an accepted track can be the same as another one")
	case a.Verdict == Added && a.ID != 0:
		return errors.New("an added animal has no id; accept the track instead")
	case a.Box == nil && (a.ID == 0 || a.Verdict == Added):
		return errors.New("it has neither an id nor a box")
	case a.Frame != nil && a.Seconds != nil:
		return errors.New("it has a frame and a time; want one of them")
	case (a.Box != nil) != placed:
		return errors.New("a box needs a frame or seconds, and they need a box")
	case a.Frame != nil && (*a.Frame < 0 || *a.Frame > math.MaxInt32):
		return fmt.Errorf("frame %d is not the number of a frame", *a.Frame)
	case a.Seconds != nil && !(*a.Seconds >= 0 && *a.Seconds < 1e7):
		return fmt.Errorf("%g seconds is not a time in footage", *a.Seconds)
	}
	if a.Box == nil {
		return nil
	}
	const least, most = 2, 65535 // pixels
	b := *a.Box
	for _, v := range b {
		if !(math.Abs(v) <= most) {
			return fmt.Errorf("box %v has a coordinate beyond %d", b, most)
		}
	}
	if b[2]-b[0] < least || b[3]-b[1] < least {
		return fmt.Errorf("box %v is empty; want x1, y1, x2, y2 with sides of at least %d pixels", b, least)
	}
	return nil
}

// Parse reads a review in the form that the end of the file's name says, .csv or otherwise JSON. The error lists every
// fault with its place and wraps ErrInvalid.
func Parse(name string, b []byte) (Review, error) {
	if len(b) > MaxBytes {
		return Review{}, fmt.Errorf("%d bytes, at most %d: %w", len(b), MaxBytes, ErrInvalid)
	}
	parse := parseJSON
	if strings.HasSuffix(strings.ToLower(name), ".csv") {
		parse = parseCSV
	}
	r, err := parse(b)
	if err == nil {
		err = r.check()
	}
	if err != nil {
		return Review{}, fmt.Errorf("%w: %w", err, ErrInvalid)
	}
	return r, nil
}
