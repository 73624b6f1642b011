package ledger

import (
	"slices"
	"time"

	"cattlecounter/shared/boundary"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

// Footage is one verified piece of footage. Times are UTC.
type Footage struct {
	ID           footage.ID
	Site         string
	Device       string // that uploaded it
	Name         string // file name on the card or in the browser; only for display
	Size         int64  // bytes
	SHA256       footage.Digest
	BlobKey      string    // "" for a duplicate, and after the video was removed
	TelemetryKey string    // "" without telemetry
	Captured     time.Time // by the drone's clock, as the station sent it; zero when unknown
	Taken        time.Time // when it was recorded by the best source: its flight log, else Captured; zero when unknown
	Received     time.Time // when it was recorded here
	// DuplicateOf is the original: the first footage with the same content. It is "" for
	// an original. A duplicate has no job.
	DuplicateOf footage.ID
	// SiblingOf is the footage that is counted for this one: another file of the same flight,
	// such as that of the wide camera. It is "" otherwise. A sibling has its video and, unless
	// Jobs.CountSibling made one, no job.
	SiblingOf footage.ID
	// Flight is the flight that it is a part of, "" when no other footage follows on it. Its count is then a share of
	// that of the flight.
	Flight string
	Seq    int64
	Born   int64 // its first Seq, which orders lists
}

// Sighted is when the footage was recorded, or when it arrived if that is unknown or later; see Sighting.At.
func (f Footage) Sighted() time.Time {
	if f.Taken.IsZero() || f.Taken.After(f.Received) {
		return f.Received
	}
	return f.Taken
}

// Original returns the id of the footage that has the job and the count.
func (f Footage) Original() footage.ID {
	if f.DuplicateOf != "" {
		return f.DuplicateOf
	}
	return f.ID
}

// Job is the counting of one footage.
type Job struct {
	ID      string
	Footage footage.ID
	State   job.State
	Attempt int    // leases so far
	Fence   int64  // fencing token; every write of the lease holder carries it
	Worker  string // that holds or held the lease
	Reason  string // why the job failed, was poisoned or was released
	job.Progress
	ResultKey string // blob key of the result document; "" until done
	// Priority is from -MaxPriority to MaxPriority. Of the jobs that wait, one with the highest is counted first.
	Priority int
	// Model is what a person wants for this recount; zero for the chosen one.
	Model   wire.ModelRef
	Created time.Time
	Updated time.Time
	Seq     int64
}

// MaxPriority is the highest priority of a job.
const MaxPriority = 9

// Count is the result of a job that is done.
type Count struct {
	Footage     footage.ID
	Job         string
	Unique      int
	Low, High   int            // 95 % interval
	ByClass     map[string]int // never nil when read
	Model       string
	ModelDigest footage.Digest
	Boundaries  boundary.Totals // what was found at lines and zones
	Spread      Spread          // where the animals are; Grounds.Put stores it later
	At          time.Time       // when it was recorded; Attempts.Finish sets it when zero
	Seq         int64
}

// FootageView is a footage with its job and count, which may be nil. A duplicate has those
// of the original, and a sibling without a job of its own those of the footage that is
// counted for it.
type FootageView struct {
	Footage
	Job            *Job
	Count          *Count
	OriginalDevice string // that uploaded the original; "" unless the footage is a duplicate
	OriginalSite   string // of that device
	Ground         Ground // without Taken; its Log.State is "" before the log was looked for
}

// JobView is a job with its footage.
type JobView struct {
	Job
	Footage Footage
}

// CountView is a count with its footage.
type CountView struct {
	Count
	Footage Footage
}

// Role is what the holder of a token may do.
type Role string

// Roles.
const (
	RoleDevice   Role = "device"   // an edge agent: uploads, publishes below its own topics
	RoleViewer   Role = "viewer"   // reads
	RoleReader   Role = "reader"   // the name of a viewer on tokens of earlier versions
	RoleReviewer Role = "reviewer" // reads, corrects counts
	RoleOperator Role = "operator" // reads, corrects, commands, uploads from the browser
	RoleAdmin    Role = "admin"    // all of it; people, tokens, the audit log
)

// PeopleRoles are the roles of people, each may do what those before it may.
func PeopleRoles() []Role { return []Role{RoleViewer, RoleReviewer, RoleOperator, RoleAdmin} }

// ForPeople reports whether people may have the role.
func (r Role) ForPeople() bool { return slices.Contains(PeopleRoles(), r) }

// Valid reports whether tokens may have the role.
func (r Role) Valid() bool { return r == RoleDevice || r == RoleReader || r.ForPeople() }

// Device is the holder of a token: an edge agent, a program or a person.
type Device struct {
	Name  string // unique over all sites
	Site  string
	Role  Role
	Sites SiteSet // where it may read and act; Site alone unless more were given
	// Expires is when the token ends, nil for never.
	Expires  *time.Time
	Created  time.Time
	Revoked  *time.Time
	LastSeen *time.Time
	// Refused is when a token of this device that was revoked or has expired was last used, to the minute; nil for never.
	Refused *time.Time
	// Generation grows with every change that ends what was granted before: connections compare it.
	Generation int64
	// Pinned is when a station got its token, and with it the key of orders of that time.
	Pinned time.Time
}

// Upload is a resumable upload session.
type Upload struct {
	ID       string
	Footage  footage.ID
	Device   string
	Site     string
	Kind     wire.Kind
	Name     string
	Size     int64 // bytes; 0 while Deferred
	Offset   int64 // bytes that HashState covers; the blob store may have more
	Deferred bool  // the client has not sent the size yet
	SHA256   footage.Digest
	Captured time.Time
	Metadata map[string]string // as sent by the client
	// HashState is the state of the SHA-256 after Offset bytes, in the form of
	// encoding.BinaryMarshaler; nil before the first bytes.
	HashState []byte
	Created   time.Time
	Updated   time.Time
	BlobKey   string // key of the blob at the end; "" until the container is known
	// Finished is when the footage was recorded, zero before. A finished session stays
	// for a while, so that a repeated last request gets its answer.
	Finished time.Time
}

// Page selects a part of a list. The zero value is the first 50 entries.
type Page struct {
	Limit int    // 1..1000; 0 means 50
	After string // the start of this page, as the previous page returned it; "" for the first
	// Device restricts the list to footage of one device; "" means all devices. It applies
	// to the lists of footage, jobs, counts, flights and waiting thumbnails. It is what the reader may see; Only is what
	// the reader wants to see.
	Device string
	Only   string // a device, "" for all
	Site   string // "" for all
	// From and To restrict the lists of footage, counts and flights to what was recorded from From on and before To; zero
	// for no limit. Footage whose time is not known is left out then. A flight has the times of its parts.
	From, To time.Time
	// State restricts the lists of footage and jobs to a state of the job, and that of flights to a state of the flight.
	State string
	// Paddock restricts the lists of footage and counts to those with a number of animals in a paddock of this name, and
	// that of positions to the animals in it; "" for all.
	Paddock string
	// Name restricts the list of footage to files whose name has this text. Letters of both cases are the same; with SQLite
	// only those from A to Z.
	Name string
	// Window restricts the lists of positions, footage and flights to what is in or touches a part of the earth; nil for
	// all.
	Window *Window
	// Sort is the order of the list of footage.
	Sort Sort
	// Sites restricts the list to footage of these sites; nil means all sites.
	Sites SiteSet
}

// Recorded is the result of Catalog.Record.
type Recorded struct {
	Footage Footage
	Job     *Job // nil for a duplicate or a sibling
	Created bool // false: the id was known, and Footage is what was recorded with it
}

// Stats are totals of the whole ledger.
type Stats struct {
	Footage    int // originals and duplicates
	Duplicates int
	Bytes      int64 // of the originals
	Animals    int64 // sum of the unique counts
	Counts     int
	Jobs       map[job.State]int
	Uploads    int // unfinished sessions
}
