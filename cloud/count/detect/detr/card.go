package detr

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cattlecounter/shared/settings"
)

// Names of the files of a model folder. Only the network is required.
const (
	networkFile      = "model.onnx"
	cardFile         = "cattlecounter.yaml"       // Card
	configFile       = "config.json"              // Hugging Face: classes and architecture
	preprocessorFile = "preprocessor_config.json" // Hugging Face: how pictures are prepared
)

// ErrCard marks a model card or Hugging Face configuration that cannot be used.
var ErrCard = errors.New("model description is not valid")

// maxDescription bounds a description file in bytes; the class map of LVIS has 60 kB.
const maxDescription = 4 << 20

// Card is the project's own model card, cattlecounter.yaml beside the network. Every key is optional; zero takes the
// value of the network or the default. Unknown keys are errors.
type Card struct {
	Name      string   `yaml:"name"`      // for results; the folder's name by default
	Tile      int      `yaml:"tile"`      // side of tiles in pixels of the frame; the network's input width by default
	Overlap   float64  `yaml:"overlap"`   // least overlap of tiles, default 0.2
	Threshold float64  `yaml:"threshold"` // least score, default 0.25
	Input     int      `yaml:"input"`     // side of the input of a network that takes any size
	Scores    string   `yaml:"scores"`    // of logits: softmax (last class is "no object") or sigmoid
	Labels    []string `yaml:"labels"`    // class names by index; they override config.json
	Cattle    []string `yaml:"cattle"`    // names of the classes that count as cattle; all by default, animals for COCO
	Other     []string `yaml:"other"`     // names of the classes of other animals; they are listed and do not count
	// FinetunedFrom is the model that this one continues, as NAME@SHA256 of its network or checkpoint.
	FinetunedFrom string `yaml:"finetuned_from"`
}

// Validate checks the ranges; settings calls it after parsing.
func (c *Card) Validate() error {
	var errs []error
	if c.Tile != 0 && (c.Tile < 32 || c.Tile > maxSide) {
		errs = append(errs, fmt.Errorf("tile: %d pixels, want 32 to %d", c.Tile, maxSide))
	}
	if !(c.Overlap >= 0 && c.Overlap <= 0.9) {
		errs = append(errs, fmt.Errorf("overlap: %v, want 0 to 0.9", c.Overlap))
	}
	if !(c.Threshold >= 0 && c.Threshold < 1) {
		errs = append(errs, fmt.Errorf("threshold: %v, want 0 to below 1", c.Threshold))
	}
	if c.Input != 0 && (c.Input < 32 || c.Input > maxSide) {
		errs = append(errs, fmt.Errorf("input: %d pixels, want 32 to %d", c.Input, maxSide))
	}
	if c.Scores != "" && c.Scores != scoresSoftmax && c.Scores != scoresSigmoid {
		errs = append(errs, fmt.Errorf("scores: %q, want %s or %s", c.Scores, scoresSoftmax, scoresSigmoid))
	}
	if len(c.Labels) > maxClasses {
		errs = append(errs, fmt.Errorf("labels: %d names, at most %d", len(c.Labels), maxClasses))
	}
	return errors.Join(errs...)
}

// hfConfig holds the keys that the project reads from a Hugging Face config.json.
type hfConfig struct {
	ModelType     string            `json:"model_type"`
	Architectures []string          `json:"architectures"`
	ID2Label      map[string]string `json:"id2label"`

	labels []string
}

// hfPreprocessor holds the keys that the project reads from a preprocessor_config.json.
type hfPreprocessor struct {
	DoRescale     *bool           `json:"do_rescale"`
	RescaleFactor *float64        `json:"rescale_factor"`
	DoNormalize   *bool           `json:"do_normalize"`
	ImageMean     []float64       `json:"image_mean"`
	ImageStd      []float64       `json:"image_std"`
	Resample      *int            `json:"resample"`
	DoResize      *bool           `json:"do_resize"`
	Size          json.RawMessage `json:"size"`
	MaxSize       int             `json:"max_size"`

	size hfSize
}

// hfSize is an input size: fixed, or by the edges with the same aspect ratio.
type hfSize struct {
	Height       int `json:"height"`
	Width        int `json:"width"`
	ShortestEdge int `json:"shortest_edge"`
	LongestEdge  int `json:"longest_edge"`
}

// Bounds of the values in a description. A larger value is a mistake or an attack on the memory.
const (
	maxSide    = 8192
	maxClasses = 100_000
)

// parseConfig reads a config.json. The error wraps ErrCard.
func parseConfig(b []byte) (*hfConfig, error) {
	var c hfConfig
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrCard)
	}
	if len(c.ID2Label) > maxClasses {
		return nil, fmt.Errorf("id2label has %d classes, at most %d: %w", len(c.ID2Label), maxClasses, ErrCard)
	}
	for k, name := range c.ID2Label {
		id, err := strconv.Atoi(k)
		if err != nil || id < 0 || id >= maxClasses {
			return nil, fmt.Errorf("id2label has the key %q, want a class number: %w", k, ErrCard)
		}
		if id >= len(c.labels) {
			c.labels = append(c.labels, make([]string, id+1-len(c.labels))...)
		}
		c.labels[id] = name
	}
	return &c, nil
}

// parsePreprocessor reads a preprocessor_config.json. The error wraps ErrCard.
func parsePreprocessor(b []byte) (*hfPreprocessor, error) {
	var p hfPreprocessor
	if err := json.Unmarshal(b, &p); err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrCard)
	}
	var errs []error
	for what, v := range map[string][]float64{"image_mean": p.ImageMean, "image_std": p.ImageStd} {
		if v != nil && len(v) != 3 {
			errs = append(errs, fmt.Errorf("%s has %d values, want 3", what, len(v)))
		}
	}
	if slices.ContainsFunc(p.ImageStd, func(v float64) bool { return !(v > 1e-6) || math.IsInf(v, 0) }) {
		errs = append(errs, fmt.Errorf("image_std is %v, want values above 0", p.ImageStd))
	}
	if f := p.RescaleFactor; f != nil && !(*f > 0 && *f <= 1e6) {
		errs = append(errs, fmt.Errorf("rescale_factor is %v, want a value above 0", *f))
	}
	if p.Resample != nil && !resampling(*p.Resample).valid() {
		errs = append(errs, fmt.Errorf("resample is %d, known are 0 nearest, 1 lanczos, 2 bilinear, 3 bicubic",
			*p.Resample))
	}
	errs = append(errs, p.parseSize())
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrCard)
	}
	return &p, nil
}

// parseSize reads "size" in its three forms: an object, a number for the shortest edge (old DETR files, with max_size
// as another key), or nothing.
func (p *hfPreprocessor) parseSize() error {
	if p.DoResize != nil && !*p.DoResize || len(p.Size) == 0 || string(p.Size) == "null" {
		return nil
	}
	if json.Unmarshal(p.Size, &p.size.ShortestEdge) == nil {
		p.size.LongestEdge = p.MaxSize
	} else if err := json.Unmarshal(p.Size, &p.size); err != nil {
		return fmt.Errorf("size: %w", err)
	}
	for _, v := range []int{p.size.Height, p.size.Width, p.size.ShortestEdge, p.size.LongestEdge} {
		if v < 0 || v > maxSide {
			return fmt.Errorf("size has an edge of %d pixels, at most %d", v, maxSide)
		}
	}
	if (p.size.Height == 0) != (p.size.Width == 0) {
		return fmt.Errorf("size has height %d and width %d, want both", p.size.Height, p.size.Width)
	}
	return nil
}

// description holds the files of a model folder besides the network. Missing files are nil.
type description struct {
	card         Card
	config       *hfConfig
	preprocessor *hfPreprocessor
}

// readDescription reads the files beside the network. The error wraps ErrCard and names the file.
func readDescription(folder string) (description, error) {
	var d description
	var errs []error
	read := func(name string, parse func([]byte) error) {
		path := filepath.Join(folder, name)
		b, err := readBounded(path)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err == nil {
			err = parse(b)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
		}
	}
	read(cardFile, func(b []byte) error {
		if err := settings.Parse(b, nil, "-", &d.card); err != nil {
			return fmt.Errorf("%w: %w", err, ErrCard)
		}
		return nil
	})
	read(configFile, func(b []byte) (err error) { d.config, err = parseConfig(b); return err })
	read(preprocessorFile, func(b []byte) (err error) { d.preprocessor, err = parsePreprocessor(b); return err })
	return d, errors.Join(errs...)
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxDescription+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrCard)
	}
	if len(b) > maxDescription {
		return nil, fmt.Errorf("more than %d bytes: %w", maxDescription, ErrCard)
	}
	return bytes.TrimPrefix(b, []byte("\xEF\xBB\xBF")), nil
}

// labelIndex finds a class by name, ignoring case, or by number.
func labelIndex(labels []string, name string) (int, bool) {
	for i, l := range labels {
		if strings.EqualFold(l, name) {
			return i, true
		}
	}
	n, err := strconv.Atoi(name)
	return n, err == nil && n >= 0 && n < maxClasses
}
