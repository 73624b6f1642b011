package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"cattlecounter/shared/footage"
)

// ComparisonFile is the record of the last comparison of a model with another one, in its folder. SHA256SUMS does not
// list it, because it is written after the model has its name.
const ComparisonFile = "comparison.json"

const (
	comparisonSchema = 1
	maxComparison    = 1 << 20
)

// Comparison records how a model compared with another one on labeled pictures.
type Comparison struct {
	Schema   int            `json:"schema"`
	Old      ComparedModel  `json:"old"`
	New      ComparedModel  `json:"new"` // the model in whose folder the record is
	Data     []ComparedData `json:"data"`
	Verdict  string         `json:"verdict"` // better, equal or worse
	Reasons  []string       `json:"reasons"`
	Compared time.Time      `json:"compared"`
}

// ComparedModel is one of the two models, with its figures in total.
type ComparedModel struct {
	Name       string         `json:"name"`
	SHA256     footage.Digest `json:"sha256"` // of the network, as in results
	Pictures   int            `json:"pictures"`
	Animals    int            `json:"animals"`
	Precision  float64        `json:"precision"`
	Recall     float64        `json:"recall"`
	F1         float64        `json:"f1"`
	CountError float64        `json:"count_error"`     // share of the animals
	False      float64        `json:"false_a_picture"` // boxes
}

// ComparedData is one folder of pictures.
type ComparedData struct {
	Name   string         `json:"name"`
	SHA256 footage.Digest `json:"sha256"` // of its annotations.json
	Clips  []string       `json:"clips"`  // that were used
}

// Worse is the verdict that Use refuses.
const Worse = "worse"

// ErrNotCompared marks a fine-tuned model that no comparison speaks for.
var ErrNotCompared = errors.New("the model is not chosen")

// CheckCompared refuses a fine-tuned model without a comparison on record, with one that it lost, or with one against
// another model than the one that it continues (finetunedFrom, NAME@SHA256 of its card). digest is that of its network.
// Other models need none: their makers speak for them. The error wraps ErrNotCompared.
func CheckCompared(e Entry, digest footage.Digest, finetunedFrom string) error {
	if finetunedFrom == "" {
		return nil
	}
	start, from, _ := strings.Cut(finetunedFrom, "@")
	how := fmt.Sprintf("run: worker model compare %s %s --data FOLDER, with flights that it was not trained with; --force chooses it all the same",
		start, e.Name)
	c, ok, err := ReadComparison(e.Dir())
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w: %w", e.Name, ErrNotCompared, err)
	case !ok:
		return fmt.Errorf("%s is fine-tuned from %s and was not compared with it: %w; %s", e.Name, start, ErrNotCompared, how)
	case c.New.SHA256 != digest:
		return fmt.Errorf("%s: the comparison in %s is of another network: %w; %s", e.Name, ComparisonFile, ErrNotCompared, how)
	case c.Old.Name != start && c.Old.SHA256.String() != from:
		return fmt.Errorf("%s continues %s, and was compared with %s: %w; %s", e.Name, start, c.Old.Name, ErrNotCompared, how)
	case c.Verdict == Worse:
		return fmt.Errorf("%s is worse than %s on the flights of %s (%s): %w; --force chooses it all the same", e.Name, c.Old.Name,
			c.Compared.Format(time.DateOnly), strings.Join(c.Reasons, "; "), ErrNotCompared)
	}
	return nil
}

// ParseComparison reads a comparison.json. The error wraps ErrStore.
func ParseComparison(b []byte) (Comparison, error) {
	var c Comparison
	if err := json.Unmarshal(b, &c); err != nil {
		return Comparison{}, fmt.Errorf("%w: %w", err, ErrStore)
	}
	if c.Schema != comparisonSchema || c.New.SHA256.IsZero() || c.Old.SHA256.IsZero() || c.Verdict == "" {
		return Comparison{}, fmt.Errorf("not a comparison of schema %d with two models and a verdict: %w", comparisonSchema, ErrStore)
	}
	return c, nil
}

// ReadComparison reads the record of a model folder; ok is false for a folder without one. The error wraps ErrStore.
func ReadComparison(dir string) (c Comparison, ok bool, err error) {
	path := filepath.Join(dir, ComparisonFile)
	b, err := readBounded(path, maxComparison)
	if errors.Is(err, fs.ErrNotExist) {
		return Comparison{}, false, nil
	}
	if err == nil {
		c, err = ParseComparison(b)
	} else {
		err = fmt.Errorf("%w: %w", err, ErrStore)
	}
	if err != nil {
		return Comparison{}, false, fmt.Errorf("%s: %w; compare the models again", path, err)
	}
	return c, true, nil
}

// WriteComparison puts the record into a model folder, in place of an earlier one. It is durable on return.
func WriteComparison(dir string, c Comparison) error {
	c.Schema = comparisonSchema
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	if err := e.Encode(c); err != nil {
		return fmt.Errorf("%w: %w", err, ErrStore)
	}
	return replaceFile(filepath.Join(dir, ComparisonFile), b.Bytes())
}
