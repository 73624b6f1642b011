package flight

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
)

// Trace is what the count of a recording leaves for the count of its flight.
type Trace struct {
	Width   int       `json:"width"` // pixels of a frame
	Height  int       `json:"height"`
	FPS     float64   `json:"fps"` // above 0
	Frames  int       `json:"frames"`
	Seconds float64   `json:"seconds"` // length
	Codec   string    `json:"codec"`
	Started time.Time `json:"started,omitzero"` // by the container, zero when unknown
	Model   string    `json:"model"`            // digest of the detector
	// Guessed and Poor are the shares of tally.Circumstances.
	Guessed float64 `json:"guessed"`
	Poor    float64 `json:"poor"`
	// Begin and End are the views of the first and the last frame that was looked at.
	Begin View `json:"begin"`
	End   View `json:"end"`
	// Before is the view of about a second before End.
	Before View `json:"before"`
	// Tracks are all tracks, also those that the recording alone did not count.
	Tracks []track.Saved `json:"tracks"`
	// Steps are nil for a recording that an earlier version counted, or that is too long.
	Steps Steps `json:"steps,omitempty"`
	// LostSteps and LostTracks are how many of the steps and of the tracks were left out, because a value is outside of its
	// range or because the stored steps are cut short.
	LostSteps  int `json:"lost_steps,omitempty"`
	LostTracks int `json:"lost_tracks,omitempty"`
	// Map is the ground; its segments are those of the tracks.
	Map motion.Map `json:"-"`
}

// View is the place of a frame on the ground.
type View struct {
	Segment  int              `json:"segment"`
	ToGround motion.Transform `json:"to_ground"` // pixels of the frame -> ground
	Known    bool             `json:"known"`
	Seconds  float64          `json:"seconds"` // from the start of the recording
}

const (
	traceVersion = 1
	maxTracks    = 50_000
	maxJSON      = 256 << 20 // bytes of the unpacked tracks
	// MaxTrace is the most bytes of an encoded trace that DecodeTrace reads.
	MaxTrace = 128 << 20
)

var traceMagic = [4]byte{'C', 'T', 'R', 'C'}

// traceHeader begins an encoded trace. The tracks follow as JSON in gzip, then the map. All is little endian.
type traceHeader struct {
	Magic   [4]byte
	Version uint32
	Tracks  uint64 // bytes of the tracks
}

// ErrTrace marks bytes that are not an encoded trace. Compare with errors.Is.
var ErrTrace = errors.New("not a trace of a count")

// sift leaves out steps and tracks that cannot be used, so that one bad value does not cost the flight the whole part.
func (t *Trace) sift() {
	steps, tracks := t.Steps.sift(), keep(t.Tracks, soundTrack)
	t.LostSteps, t.LostTracks = t.LostSteps+len(t.Steps)-len(steps), t.LostTracks+len(t.Tracks)-len(tracks)
	t.Steps, t.Tracks = steps, tracks
	for _, v := range []*View{&t.Begin, &t.End, &t.Before} {
		if m := v.ToGround; !within(-far, far, m.A, m.B, m.TX, m.TY, m.C, m.D, m.PX, m.PY, v.Seconds) {
			*v = View{}
		}
	}
}

// Encode returns the trace in the form of DecodeTrace, without what cannot be used. The same trace has the same bytes.
func (t Trace) Encode() ([]byte, error) {
	t.sift()
	if len(t.Tracks) > maxTracks {
		return nil, fmt.Errorf("encode trace: %d tracks, at most %d can be stored", len(t.Tracks), maxTracks)
	}
	var doc bytes.Buffer
	z := gzip.NewWriter(&doc)
	if err := errors.Join(json.NewEncoder(z).Encode(t), z.Close()); err != nil {
		return nil, fmt.Errorf("encode trace: %w", err)
	}
	ground, err := t.Map.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("encode trace: %w", err)
	}
	var out bytes.Buffer
	if err := binary.Write(&out, binary.LittleEndian, traceHeader{traceMagic, traceVersion, uint64(doc.Len())}); err != nil {
		return nil, err
	}
	out.Write(doc.Bytes())
	out.Write(ground)
	return out.Bytes(), nil
}

// DecodeTrace reads what Encode wrote, and leaves out tracks and steps that cannot be used. Its error wraps ErrTrace.
func DecodeTrace(b []byte) (Trace, error) {
	if len(b) > MaxTrace {
		return Trace{}, fmt.Errorf("%w: %d bytes, at most %d are read", ErrTrace, len(b), MaxTrace)
	}
	var h traceHeader
	r := bytes.NewReader(b)
	if err := binary.Read(r, binary.LittleEndian, &h); err != nil {
		return Trace{}, fmt.Errorf("%w: header: %w", ErrTrace, err)
	}
	if h.Magic != traceMagic || h.Version != traceVersion || h.Tracks > uint64(r.Len()) {
		return Trace{}, fmt.Errorf("%w: header %+v", ErrTrace, h)
	}
	at := len(b) - r.Len()
	z, err := gzip.NewReader(bytes.NewReader(b[at : at+int(h.Tracks)]))
	if err != nil {
		return Trace{}, fmt.Errorf("%w: tracks: %w", ErrTrace, err)
	}
	var doc struct {
		Trace
		Packed packedSteps `json:"steps"` // in the place of Trace.Steps
	}
	if err := json.NewDecoder(io.LimitReader(z, maxJSON)).Decode(&doc); err != nil {
		return Trace{}, fmt.Errorf("%w: tracks: %w", ErrTrace, err)
	}
	t := doc.Trace
	t.Steps, t.LostSteps = doc.Packed.steps, t.LostSteps+doc.Packed.lost
	if err := t.Map.UnmarshalBinary(b[at+int(h.Tracks):]); err != nil {
		return Trace{}, fmt.Errorf("%w: %w", ErrTrace, err)
	}
	t.sift()
	return t, t.check()
}

// check refuses values that no count has.
func (t Trace) check() error {
	bad := len(t.Tracks) > maxTracks || !within(0, far, float64(t.Width), float64(t.Height), float64(t.Frames), t.Seconds) ||
		!within(1e-3, 1e5, t.FPS) || !within(0, 1, t.Guessed, t.Poor) || t.LostSteps < 0 || t.LostTracks < 0
	if bad {
		return fmt.Errorf("%w: a value is outside of its range", ErrTrace)
	}
	return nil
}

const (
	far    = 1e9
	maxWay = 1000 // fixes of one track
)

// within reports whether all values are in a range, which not-a-number is not.
func within(low, high float64, values ...float64) bool {
	for _, v := range values {
		if !(v >= low && v <= high) {
			return false
		}
	}
	return true
}

func soundTrack(s track.Saved) bool {
	ok := within(1e-6, far, s.W, s.H) && s.ID >= 0 && s.ID <= math.MaxInt32 && len(s.Way) <= maxWay &&
		within(-far, far, s.X.Pos, s.Y.Pos, s.X.Vel, s.Y.Vel, s.Seconds, s.LastSeconds, s.Evidence, s.ScoreSum) &&
		within(-far*far, far*far, s.X.PPP, s.X.PPV, s.X.PVV, s.Y.PPP, s.Y.PPV, s.Y.PVV) &&
		within(0, far, float64(s.First), float64(s.Last), float64(s.Segment), float64(s.Hits), float64(s.Visible))
	for _, f := range s.Way {
		ok = ok && within(-far, far, f.X, f.Y, f.Seconds, float64(f.Frame))
	}
	return ok
}
