package ledger

import (
	"time"

	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

// Footage is one verified piece of footage. Times are UTC.
type Footage struct {
	ID           footage.ID
	Site         string
	Device       string // who uploaded it
	Name         string // file name on the card or in the browser; for people only
	Size         int64  // bytes
	SHA256       footage.Digest
	BlobKey      string    // empty for a duplicate: its blob is the original's
	TelemetryKey string    // empty when there was no sidecar
	Captured     time.Time // as good as the drone's clock; zero when not known
	Received     time.Time // when it was recorded here
	// DuplicateOf names the footage with the same content that came first,
	// empty when this is the first. A duplicate has no job of its own.
	DuplicateOf footage.ID
	Seq         int64
}

// Original is the footage whose job and count speak for this one.
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
	Fence   int64  // the token that goes with every write of the lease holder
	Worker  string // who holds or held the lease
	Reason  string // why failed, poisoned or released
	job.Progress
	ResultKey string // blob of the result document, empty until done
	Created   time.Time
	Updated   time.Time
	Seq       int64
}

// Count is the result of a job that is done.
type Count struct {
	Footage     footage.ID
	Job         string
	Unique      int
	Low, High   int            // 95 % interval
	ByClass     map[string]int // never nil when read
	Model       string
	ModelDigest footage.Digest
	At          time.Time // when it was recorded; Finish sets it when zero
	Seq         int64
}

// FootageView is a footage with what became of it. For a duplicate, Job and
// Count are those of the original. Both may be nil.
type FootageView struct {
	Footage
	Job   *Job
	Count *Count
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

// Role says what the holder of a token may do.
type Role string

// Roles.
const (
	RoleDevice   Role = "device"   // an edge agent: uploads, speaks below its own topics
	RoleReader   Role = "reader"   // reads every topic
	RoleOperator Role = "operator" // reads, commands, uploads from the browser
)

// Valid reports whether the role is one of the three.
func (r Role) Valid() bool { return r == RoleDevice || r == RoleReader || r == RoleOperator }

// Device is the holder of a token: an edge agent or a person.
type Device struct {
	Name     string // unique over all sites
	Site     string
	Role     Role
	Created  time.Time
	Revoked  *time.Time
	LastSeen *time.Time
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
	Offset   int64 // bytes that HashState covers; the blob store may hold more
	Deferred bool  // the client has not said the size yet
	SHA256   footage.Digest
	Captured time.Time
	Metadata map[string]string // as the client sent it
	// HashState is the SHA-256 after Offset bytes, by encoding.BinaryMarshaler;
	// nil before the first bytes.
	HashState []byte
	Created   time.Time
	Updated   time.Time
	BlobKey   string // where the bytes will go; empty until the container is known
	// Finished is when the footage was recorded, zero before. A finished session
	// stays for a while so that a repeated last request gets its answer.
	Finished time.Time
}

// Page asks for a part of a list. The zero value is the first 50 entries.
type Page struct {
	Limit int    // 1..1000, 0 means 50
	After string // the next value of the page before, empty for the first page
}

// Recorded is what RecordFootage found or made.
type Recorded struct {
	Footage Footage
	Job     *Job // nil for a duplicate
	Created bool // false: the id was there already and Footage is what it holds
}

// Stats is the sum over the whole ledger.
type Stats struct {
	Footage    int   // originals and duplicates
	Duplicates int   // of those
	Bytes      int64 // of the originals
	Animals    int64 // sum of the unique counts
	Counts     int
	Jobs       map[job.State]int
	Uploads    int // sessions not finished
}
