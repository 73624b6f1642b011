package wire

import (
	"encoding/json"
	"fmt"
	"time"

	"cattlecounter/shared/footage"
)

// ModelRef names one detector: the name that workers have it under, and the SHA-256 of its network. Both must agree, so
// that a name in a result stands for one model.
type ModelRef struct {
	Name   string         `json:"name"`
	SHA256 footage.Digest `json:"sha256"`
}

// IsZero reports whether r names no model.
func (r ModelRef) IsZero() bool { return r == ModelRef{} }

// String names the model for messages and the audit log, with the first digits of its digest.
func (r ModelRef) String() string {
	if r.IsZero() {
		return "the model of each worker"
	}
	return fmt.Sprintf("%s (%.12s)", r.Name, r.SHA256)
}

// InstalledModel is a detector on the machine of a worker, as the worker reports it.
type InstalledModel struct {
	ModelRef
	Size      int64     `json:"size"`      // bytes of the network with its weights
	Threshold float64   `json:"threshold"` // least score that the model recommends
	Since     time.Time `json:"since"`     // when it was installed there
	Loaded    bool      `json:"loaded"`    // the worker counts with it now
	Own       bool      `json:"own"`       // the worker counts with it while no other model is chosen
	// Caution is why `worker model use` would refuse it: no comparison speaks for a fine-tuned model.
	Caution string `json:"caution,omitempty"`
	// Fault is why the worker cannot count with it.
	Fault string `json:"fault,omitempty"`
	// Comparison is the last one of `worker model compare` with this model as the new one.
	Comparison *ModelComparison `json:"comparison,omitempty"`
}

// ModelComparison is how two models did on the same labeled pictures.
type ModelComparison struct {
	Old      ModelFigures `json:"old"`
	New      ModelFigures `json:"new"`
	Verdict  string       `json:"verdict"` // of the new one: better, equal or worse
	Reasons  []string     `json:"reasons,omitempty"`
	Compared time.Time    `json:"compared"`
}

// ModelFigures are the figures of one model in a comparison. Shares are from 0 to 1.
type ModelFigures struct {
	ModelRef
	Pictures   int     `json:"pictures"`
	Animals    int     `json:"animals"`
	Precision  float64 `json:"precision"`
	Recall     float64 `json:"recall"`
	F1         float64 `json:"f1"`
	CountError float64 `json:"count_error"`     // share of the animals
	False      float64 `json:"false_a_picture"` // boxes
}

// Model is a detector that at least one living worker has.
type Model struct {
	ModelRef
	Size       int64            `json:"size"`      // bytes of the network with its weights
	Threshold  float64          `json:"threshold"` // least score that it recommends
	Since      time.Time        `json:"since"`     // when the first of these workers got it
	Workers    int              `json:"workers"`   // that have it and could count with it
	Loaded     int              `json:"loaded"`    // that count with it now
	Own        int              `json:"own"`       // that count with it while no other model is chosen
	Caution    string           `json:"caution,omitempty"`
	Fault      string           `json:"fault,omitempty"` // of a worker that cannot count with it
	Comparison *ModelComparison `json:"comparison,omitempty"`
}

// ModelChoice says with which model footage is counted from a time on.
type ModelChoice struct {
	Site  string    `json:"site,omitempty"`  // missing for all sites without a choice of their own
	Model *ModelRef `json:"model,omitempty"` // missing: that of all sites, or for all sites that of each worker
	At    time.Time `json:"at"`
	Who   string    `json:"who,omitempty"`
	// Before is what a roll-back chooses. It is missing where there is none, and outside Models.Chosen.
	Before *EarlierModel `json:"before,omitempty"`
}

// EarlierModel is what counted before a choice.
type EarlierModel struct {
	Model *ModelRef `json:"model,omitempty"` // missing: that of all sites, or for all sites that of each worker
}

// Models is what is known of the detectors.
type Models struct {
	Workers int           `json:"workers"` // that are alive
	Models  []Model       `json:"models"`  // by name; never nil
	Chosen  []ModelChoice `json:"chosen"`  // the newest choice for all sites, and of each site; never nil
	History []ModelChoice `json:"history"` // newest first, at most 50; never nil
}

// ChooseModel is the body of a request that chooses a model.
type ChooseModel struct {
	Site  string          `json:"site,omitempty"`  // missing for all sites
	Model json.RawMessage `json:"model"`           // ModelRef, or null to take the choice back; never missing
	Force bool            `json:"force,omitempty"` // in spite of a caution
}

// Recount is the body of a request that has footage counted again. It may be missing.
type Recount struct {
	Model *ModelRef `json:"model,omitempty"` // missing: the chosen one
}

// ComparedCount is what two models counted in the same footage.
type ComparedCount struct {
	Footage footage.ID `json:"footage"`
	Name    string     `json:"name"`
	Old     Interval   `json:"old"`
	New     Interval   `json:"new"`
}

// ModelsCompared is how two models compare.
type ModelsCompared struct {
	Old ModelRef `json:"old"`
	New ModelRef `json:"new"`
	// Pictures are the figures of `worker model compare` where a living worker has a record of these two.
	Pictures *ModelComparison `json:"pictures,omitempty"`
	Counts   []ComparedCount  `json:"counts"` // footage that both have counted, newest first, at most 100; never nil
}
